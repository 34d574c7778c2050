"""The service under 32 clients at once: what batching is worth for /recommend, and how long /verbalize takes.

The server has this process to itself, and its clients another. Throughput is requests by the server's processor time,
so that other work on the machine takes none of it; latencies are those of the clients, on the clock, and
so those of a machine with two cores that does nothing else.
"""

import json
import random
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from loopback_service import listening_on_loopback
from small_student import keep_newest, to_log
from test_verbalizer_speed import histories, items, lists, students, verbalizers  # noqa: F401 (fixtures)

from logs2lang.models.language_models import load_language_model
from logs2lang.reasoners.local import LocalReasoner
from logs2lang.serving.app import to_app
from logs2lang.serving.server import attentive
from logs2lang.serving.service import Limits, Service
from logs2lang.verbalizers.student import StudentVerbalizer

CLIENTS = 32
LEAST_GAIN = 1.0
MOST_OF_AN_EMPTY_TEXT = 2.0


@contextmanager
def served(service: Service):
    """The port of a service that runs until the block ends."""
    with attentive(), listening_on_loopback(to_app(service)) as port:
        httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False, timeout=60)
        yield port


def load(port: int, path: str, bodies: list, clients: int = CLIENTS) -> tuple[dict, float]:
    """What the clients say, and the seconds of a processor that the server used."""
    asked = {"host": "127.0.0.1", "port": port, "path": path, "bodies": bodies, "clients": clients}
    before = time.process_time()
    said = subprocess.run(
        [sys.executable, Path(__file__).with_name("service_load.py")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    outcome = json.loads(said.stdout)
    assert outcome["failed"] == 0
    return outcome, time.process_time() - before


def to_bodies(histories: list, number: int, records: int, ids: list[str]) -> list[dict]:  # noqa: F811
    draw = random.Random(0)
    return [
        {
            "history": [
                {name: value for name, value in record.items() if name not in ("timestamp", "title", "value")}
                | {"timestamp": record["timestamp"].isoformat()}
                for record in histories[place % len(histories)][-records:]
            ],
            "candidates": draw.sample(ids, 10),
        }
        for place in range(number)
    ]


def test_what_batching_is_worth(verbalizers, histories, items):  # noqa: F811
    """On a processor the work is the tokens, and one request alone keeps a core busy with them: little is to be won.

    What a batch saves is the prior of each title, which is computed once for all that show it, and the calls between
    the passes. They are meant for an accelerator, most of which one request leaves idle.
    """
    reasoner = LocalReasoner(load_language_model(device="cpu"), "title")
    bodies = to_bodies(histories, CLIENTS, 8, list(items))
    seconds = {}
    for batch in (1, CLIENTS):
        service = Service(verbalizers["successors"], reasoner, items, "invented", limits=Limits(batch, timeout_s=600))
        with served(service) as port:
            _, seconds[batch] = load(port, "/recommend", bodies)
    gain = seconds[1] / seconds[CLIENTS]
    print(
        f"\n/recommend by SmolLM2-135M, title, {CLIENTS} clients: {CLIENTS / seconds[CLIENTS]:.2f} requests per "
        f"second of a core in batches, {CLIENTS / seconds[1]:.2f} one at a time: {gain:.2f} times"
    )
    assert gain > LEAST_GAIN


@pytest.fixture(scope="module")
def student(verbalizers, items) -> StudentVerbalizer:  # noqa: F811
    """One that drops all but the newest three records, which get their successors."""
    model = keep_newest(to_log(*items, duration=6_000.0), newest=3)
    return StudentVerbalizer(items, model, successors=verbalizers["successors"].successors)


class Nothing:
    """Writes nothing and ranks nothing: what is left is HTTP, JSON and the checks of a request."""

    fingerprint = "nothing"

    def verbalize(self, histories, progress=None):  # noqa: F811
        return [""] * len(histories)

    def entry(self):
        return {"id": "nothing"}


@pytest.mark.parametrize("name", ["student", "successors", "template"])
def test_how_long_a_text_takes_among_32_clients(name, verbalizers, student, histories, items):  # noqa: F811
    """Each client asks again as soon as it is answered, so one that waits for all others waits for 32 requests."""
    bodies = [{"history": body["history"]} for body in to_bodies(histories, 640, 100, list(items))]
    p99, cpu = {}, {}
    for writer, verbalizer in (("nothing", Nothing()), (name, {**verbalizers, "student": student}[name])):
        with served(Service(verbalizer, Nothing(), items, "invented")) as port:
            load(port, "/verbalize", bodies[:CLIENTS])
            outcome, used = load(port, "/verbalize", bodies)
        p99[writer] = outcome["times"][int(0.99 * len(bodies))]
        cpu[writer] = used / len(bodies)
    print(
        f"\n/verbalize by {name}, 100 records, {CLIENTS} clients: p99 {p99[name] * 1e3:.0f} ms on the clock "
        f"({p99['nothing'] * 1e3:.0f} ms for an empty text); {cpu[name] * 1e3:.2f} ms of a processor per request "
        f"({cpu['nothing'] * 1e3:.2f} ms), {CLIENTS * cpu[name] * 1e3:.0f} ms for all clients in turn"
    )
    assert cpu[name] < MOST_OF_AN_EMPTY_TEXT * cpu["nothing"]
