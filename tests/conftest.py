"""A Hub on loopback, and the environment that makes a new process a stranger to this machine."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants
from loopback_hub import TOKEN, LoopbackHub, serve


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Iterator[LoopbackHub]:
    """A new Hub with one user, who may also write to the namespace of a team."""
    # Large files then go by LFS over HTTP; the other way, Xet, is a store of its own behind the Hub.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with serve(tmp_path / "hub") as running:
        yield running


@pytest.fixture
def hub_api(hub) -> HfApi:
    return HfApi(endpoint=hub.endpoint, token=TOKEN)


@pytest.fixture
def stranger(hub, tmp_path) -> Callable[..., dict[str, str]]:
    """`stranger()` is the environment of a process that knows the Hub and has an empty cache."""

    def environment(name: str = "stranger", **others: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        home = Path(tmp_path / name)
        return {
            **kept,
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
            **others,
        }

    return environment
