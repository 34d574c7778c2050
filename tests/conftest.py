"""A Hub on loopback, and the environment that makes a new process a stranger to this machine."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from huggingface_hub import HfApi, constants
from hypothesis import settings
from loopback_hub import TOKEN, LoopbackHub, serve, stranger_environment

# A property holds or not; how long an example takes depends on what else the machine does.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")


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
    """See `stranger_environment`."""
    return partial(stranger_environment, hub.endpoint, tmp_path)
