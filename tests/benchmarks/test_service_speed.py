"""The service under 32 clients at once: what batching is worth for /recommend, and how long /verbalize takes.

The server has this process to itself, and its clients another. Throughput is requests by the server's processor time,
so that other work on the machine takes none of it; latencies are those of the clients, on the clock, beside those of a
rule that writes next to nothing.
"""

import json
import random
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import httpx
import pytest
from test_verbalizer_speed import histories, items, verbalizers  # noqa: F401 (fixtures)
from tiny_model import save_tiny_model

from logs2lang.models.language_models import load_language_model
from logs2lang.reasoners.local import LocalReasoner
from logs2lang.serving.app import to_app
from logs2lang.serving.server import listen, to_server
from logs2lang.serving.service import Limits, Service

CLIENTS = 32
LEAST_GAIN = 3.0
MOST_OF_THE_RULE = 3.0
MOST_P99_S = 0.050


@contextmanager
def served(service: Service):
    """The port of a service that runs until the block ends."""
    listening = listen("127.0.0.1", 0)
    server = to_server(to_app(service))
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    port = listening.getsockname()[1]
    httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False, timeout=60)
    yield port
    server.should_exit = True
    thread.join()


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


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny_model(folder)
    return {"a random model of two layers": (str(folder), 256), "SmolLM2-135M": (None, 48)}


@pytest.mark.parametrize("name", ["a random model of two layers", "SmolLM2-135M"])
def test_what_batching_is_worth(name, models, verbalizers, histories, items):  # noqa: F811
    folder, requests = models[name]
    reasoner = LocalReasoner(load_language_model(*([folder] if folder else []), device="cpu"), "title")
    bodies = to_bodies(histories, requests, 8, list(items))
    seconds = {}
    for batch in (1, CLIENTS, 1, CLIENTS):
        service = Service(verbalizers["successors"], reasoner, items, "invented", limits=Limits(batch=batch))
        with served(service) as port:
            _, used = load(port, "/recommend", bodies)
        seconds[batch] = min(used, seconds.get(batch, used))
    gain = seconds[1] / seconds[CLIENTS]
    print(
        f"\n/recommend by {name}: {requests / seconds[CLIENTS]:.1f} requests per second of one core in batches of up to "
        f"{CLIENTS}, {requests / seconds[1]:.1f} one at a time: {gain:.2f} times"
    )
    # A model of this size fills the cores with one request already, so a batch can save it little but the loads.
    assert gain > (LEAST_GAIN if folder else 1.0)


@pytest.mark.parametrize("name", ["template", "successors"])
def test_how_long_a_text_takes_among_32_clients(name, verbalizers, histories, items):  # noqa: F811
    class Nothing:
        fingerprint = "nothing"

        def verbalize(self, histories, progress=None):
            return [""] * len(histories)

    bodies = [{"history": body["history"]} for body in to_bodies(histories, 1_600, 100, list(items))]
    p99, cpu = {}, {}
    for writer, verbalizer in (("nothing", Nothing()), (name, verbalizers[name])):
        service = Service(verbalizer, LocalReasoner(None), items, "invented")
        with served(service) as port:
            load(port, "/verbalize", bodies[:64])
            outcome, used = load(port, "/verbalize", bodies)
        p99[writer] = outcome["times"][int(0.99 * len(bodies))]
        cpu[writer] = used / len(bodies)
    print(
        f"\n/verbalize by {name}, 100 records, {CLIENTS} clients: p99 {p99[name] * 1e3:.0f} ms on the clock "
        f"({p99['nothing'] * 1e3:.0f} ms for an empty text); {cpu[name] * 1e3:.2f} ms of a processor per request "
        f"({cpu['nothing'] * 1e3:.2f} ms)"
    )
    assert CLIENTS * cpu[name] < MOST_P99_S
