"""A Hub and an object store on loopback, and the environment that makes a new process a stranger to this machine."""

import os
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import s3fs
from huggingface_hub import HfApi, constants
from hypothesis import settings
from loopback_hub import TOKEN, LoopbackHub, serve, stranger_environment
from moto.server import ThreadedMotoServer

from logs2lang.dataset_builders.spark.java import MIN_JAVA, java_version

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


@pytest.fixture(scope="session")
def java() -> None:
    """What Spark runs on; tests that need it are skipped without, but never where CI says so."""
    pytest.importorskip("pyspark", reason="needs the extra `spark`")
    if (java_version() or 0) < MIN_JAVA:
        complain = pytest.fail if os.environ.get("CI") else pytest.skip
        complain("no Java: `sudo apt-get install openjdk-17-jre-headless`, or run `make java`")


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of a server that speaks S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint, monkeypatch) -> Iterator[s3fs.S3FileSystem]:
    """A store with an empty bucket `logs`, which this process may read and write."""
    for name, value in {"AWS_ENDPOINT_URL": s3_endpoint, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "of-the-test")
    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    if store.exists("logs"):
        store.rm("logs", recursive=True)
    store.mkdir("logs")
    yield store
    s3fs.S3FileSystem.clear_instance_cache()
