"""Small hand-written exports in the services' formats; people, films and songs in them are invented."""

from collections.abc import Callable
from pathlib import Path

import pytest

from logs2lang.dataset_builders.interactions import CanonicalLog, canonicalize
from logs2lang.dataset_builders.sources.viewing_history import read_viewing_history

EXPORTS = Path(__file__).parent / "exports"


@pytest.fixture(scope="session")
def exports() -> Path:
    """A folder with one folder per kind of export."""
    return EXPORTS


@pytest.fixture
def write(tmp_path) -> Callable[..., Path]:
    """`write(name, text, encoding)` makes a file and returns its path."""

    def make(name: str, text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return make


@pytest.fixture
def read(connection) -> Callable[..., CanonicalLog]:
    """`read(path, ...)` is the canonical log of an export."""

    def make(path: Path, **options) -> CanonicalLog:
        return canonicalize(read_viewing_history(connection, path, **options), connection)

    return make


@pytest.fixture(scope="session")
def told() -> Callable[..., list[tuple]]:
    """`told(log, "event", ...)` lists columns of the interactions, in the order of time; timestamps as text."""

    def columns(log: CanonicalLog, *names: str) -> list[tuple]:
        rows = log.interactions.order_by("timestamp", "item_id").to_pyarrow().to_pylist()
        return [tuple(str(row[name]) if name == "timestamp" else row[name] for name in names) for row in rows]

    return columns


@pytest.fixture(scope="session")
def items() -> Callable[..., dict[str, tuple]]:
    """`items(log, "series", ...)` maps item ids to columns of the catalogue."""

    def columns(log: CanonicalLog, *names: str) -> dict[str, tuple]:
        return {row["item_id"]: tuple(row[name] for name in names) for row in log.items.to_pyarrow().to_pylist()}

    return columns
