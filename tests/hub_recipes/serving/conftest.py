"""A service on a real socket, with a random model and the catalogue of a simulated log."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from loopback_service import listening_on_loopback

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.models.model_folders import VERBALIZER_CONFIG
from logs2lang.reasoners.local import LocalReasoner
from logs2lang.serving.app import to_app
from logs2lang.serving.service import Limits, Service
from logs2lang.stores.store import StoredText, StoreError, TextKey
from logs2lang.verbalizers.by_rule import to_rule_verbalizer


@contextmanager
def serving(service: Service, key: str | None = None) -> Iterator[httpx.Client]:
    """The service on loopback, and a client of it, until the block ends."""
    with (
        listening_on_loopback(to_app(service, key)) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client,
    ):
        client.get("/healthz")
        yield client


class MemoryStore:
    """A store in memory that goes away and comes back."""

    def __init__(self, *texts: StoredText):
        self.texts = {text.user: text for text in texts}
        self.is_away = False

    def get(self, users: list[str]) -> dict[str, StoredText]:
        if self.is_away:
            raise StoreError("The store at redis://localhost cannot be reached.")
        return {user: self.texts[user] for user in users if user in self.texts}

    def keys(self, users: list[str]) -> dict[str, TextKey]:
        return {user: text.key for user, text in self.get(users).items()}


@pytest.fixture(scope="session")
def dataset(simulation_folder) -> BuiltDataset:
    return BuiltDataset.open(simulation_folder)


@pytest.fixture(scope="session")
def to_service(dataset, tiny_language_model) -> Callable[..., Service]:
    """Makes a service of the simulated catalogue; what is not given is a rule and the random model."""
    items = dataset.items()

    def make(verbalizer: Any = "template", reasoner: Any = None, **choices: Any) -> Service:
        writer = to_rule_verbalizer(verbalizer, dataset) if isinstance(verbalizer, str) else verbalizer
        ranker = reasoner or LocalReasoner(tiny_language_model, "label")
        limits = Limits(**choices.pop("limits", {}))
        return Service(writer, ranker, items, dataset.name, limits=limits, **choices)

    return make


@pytest.fixture(scope="session")
def bodies(dataset) -> dict[str, Any]:
    """A request for each endpoint."""
    ids = list(dataset.items())
    history = [
        {"item_id": item_id, "timestamp": f"2026-11-{day:02}T20:15:00Z", "event": "play"}
        for day, item_id in enumerate(ids[:4], start=1)
    ]
    return {
        "/verbalize": {"history": history},
        "/recommend": {"history": history, "candidates": ids[4:9]},
        "ids": ids,
    }


@pytest.fixture(scope="module")
def client(to_service) -> Iterator[httpx.Client]:
    """Of a service that writes templates and has a small limit on bodies."""
    with serving(to_service(limits={"max_body_bytes": 200_000, "body_timeout_s": 1.0})) as running:
        yield running


@pytest.fixture
def serve() -> Iterator[Callable[..., httpx.Client]]:
    """Serves whatever a test makes, until it ends."""
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(serving(*args, **kwargs))


@pytest.fixture
def as_verbalizer() -> Callable[..., Path]:
    """Says beside an adapter that it is a verbalizer."""

    def say(folder: Path, kind: str, **choices: Any) -> Path:
        (folder / VERBALIZER_CONFIG).write_text(json.dumps({"verbalizer": kind, **choices}))
        return folder

    return say


def wait_for(url: str, seconds: float = 300) -> None:
    """Return once somebody answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            httpx.get(f"{url}/healthz", trust_env=False).raise_for_status()
            return
        except (OSError, httpx.HTTPError):
            time.sleep(0.2)
    raise RuntimeError(f"Nobody answers at {url}.")
