"""Ten thousand requests of 32 clients while the store behind the service is killed and started again."""

import asyncio
import time
from collections import Counter
from threading import Thread

import httpx
import pytest
from loopback_service import listening_on_loopback
from service_load import ask, to_request

from logs2lang.reasoners.ranking import Ranking
from logs2lang.serving.app import to_app
from logs2lang.serving.service import Service
from logs2lang.stores.opening import open_store
from logs2lang.stores.store import StoredText, TextKey
from logs2lang.verbalizers.template import TemplateVerbalizer

REQUESTS, CLIENTS, USERS = 10_000, 32, 50
OUTAGES, UP_S, DOWN_S = 3, 1.0, 0.5


class AsGiven:
    """Ranks candidates in the order in which they come: the model is not what is tried here."""

    fingerprint = "as given"

    def rank(self, texts, candidates):
        return [Ranking([item["item_id"] for item in of_one], [1.0] * len(of_one)) for of_one in candidates]

    def entry(self):
        return {"id": self.fingerprint}


@pytest.fixture(params=["postgres", "redis"])
def place(request):
    return request.getfixturevalue(f"{request.param}_place")


@pytest.mark.slow
def test_ten_thousand_requests_while_the_store_dies_and_comes_back(place):
    items = {f"i{number}": {"item_id": f"i{number}", "title": f"Film {number}"} for number in range(20)}
    verbalizer = TemplateVerbalizer()
    texts = [StoredText(f"u{user}", TextKey("h", verbalizer.fingerprint), f"Text {user}") for user in range(USERS)]
    history = [{"item_id": f"i{day}", "timestamp": f"2026-11-{day:02}T20:15:00Z"} for day in range(1, 9)]
    candidates = ["i10", "i11"]
    of_users = [
        to_request("/recommend", {"user": f"u{user % USERS}", "candidates": candidates})
        for user in range(REQUESTS // 4)
    ]
    of_histories = [to_request("/recommend", {"history": history, "candidates": candidates})] * (REQUESTS // 4)
    others = [to_request("/verbalize", {"history": history})] * (REQUESTS // 2)
    times, statuses = [], {"user": [], "other": []}

    async def storm(port: int) -> None:
        groups = (("user", of_users, CLIENTS // 4), ("other", of_histories + others, CLIENTS - CLIENTS // 4))
        clients = [
            ask("127.0.0.1", port, requests[first::count], times, statuses[kind])
            for kind, requests, count in groups
            for first in range(count)
        ]
        await asyncio.gather(*clients)

    def break_the_store() -> None:
        for _ in range(OUTAGES):
            time.sleep(UP_S)
            place.go_away()
            time.sleep(DOWN_S)
            place.come_back()

    with open_store(place.address) as store:
        store.put(texts)
        service = Service(verbalizer, AsGiven(), items, "films", store=store)
        with listening_on_loopback(to_app(service)) as port:
            breaker = Thread(target=break_the_store)
            breaker.start()
            asyncio.run(storm(port))
            breaker.join()
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
                again = [
                    client.post("/recommend", json={"user": f"u{user}", "candidates": candidates}).json()["text"]
                    for user in range(USERS)
                ]
    found = {kind: Counter(of_kind) for kind, of_kind in statuses.items()}
    assert sum(map(len, statuses.values())) == REQUESTS
    assert set(found["other"]) == {200}  # who needs no store never hears of it
    assert set(found["user"]) == {200, 503}
    assert again == [text.text for text in texts]
