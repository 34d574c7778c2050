"""An empty place of each kind for texts, on servers that live as long as the tests of a worker."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis
from servers import Server, postgres, postgres_programs, postgres_url, redis_server, redis_url

from logs2lang.stores.opening import open_store
from logs2lang.stores.store import Store

_numbers = itertools.count()


@dataclass
class Place:
    """Where a store can be opened, and how it goes away and comes back."""

    address: str
    go_away: Callable[[], object]
    come_back: Callable[[], object]


@pytest.fixture(scope="session")
def postgres_running() -> Iterator[Server]:
    programs = postgres_programs()
    if programs is None:
        _complain("PostgreSQL")
    with postgres(programs) as server:
        yield server


@pytest.fixture(scope="session")
def redis_running() -> Iterator[Server]:
    program = shutil.which("redis-server")
    if program is None:
        _complain("Redis")
    with redis_server(program) as server:
        yield server


def _complain(name: str) -> None:
    """Skip, but never where CI says so."""
    complain = pytest.fail if os.environ.get("CI") else pytest.skip
    complain(f"{name} is not installed: run `make services`")


@pytest.fixture
def parquet_place(tmp_path) -> Place:
    folder, elsewhere = tmp_path / "texts", tmp_path / "elsewhere"
    return Place(str(folder), lambda: folder.rename(elsewhere), lambda: elsewhere.rename(folder))


@pytest.fixture
def postgres_place(postgres_running) -> Place:
    name, port = f"texts_{next(_numbers)}", postgres_running.port
    with psycopg.connect(postgres_url(port, "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return Place(postgres_url(port, name), postgres_running.kill, postgres_running.start)


@pytest.fixture
def redis_place(redis_running) -> Place:
    url = redis_url(redis_running.port, 0)
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return Place(url, redis_running.kill, redis_running.start)


@pytest.fixture(params=["parquet", "postgres", "redis"])
def place(request) -> Place:
    return request.getfixturevalue(f"{request.param}_place")


@pytest.fixture
def store(place) -> Iterator[Store]:
    with open_store(place.address) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "texts"
