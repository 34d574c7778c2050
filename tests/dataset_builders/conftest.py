"""Tiny logs with visible arithmetic: what every test of the builder starts from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest
from ibis.backends.duckdb import Backend as DuckDB

from logs2lang.dataset_builders.raw_log import OWN_LOG, RawLog, connect

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
Row = tuple[str, str, int]
"""user, item, hours after the first of January 2024"""


@pytest.fixture
def connection(tmp_path) -> Iterator[DuckDB]:
    opened = connect(tmp_path)
    yield opened
    opened.disconnect()


def raw_log(
    connection: DuckDB, rows: Sequence[Row], events: Mapping[Row, str] | None = None, items: Any = None
) -> RawLog:
    """A raw log out of (user, item, hour) rows; `events` names the event of some of them."""
    table = {
        "user_id": [user for user, _, _ in rows],
        "item_id": [item for _, item, _ in rows],
        "timestamp": pa.array([START + timedelta(hours=hour) for _, _, hour in rows], pa.timestamp("us", "UTC")),
        "event": [(events or {}).get(row, "play") for row in rows],
        "source_file": ["tiny"] * len(rows),
        "source_row": list(range(1, len(rows) + 1)),
    }
    for name, content in {"tiny_rows": table, "tiny_items": items}.items():
        if content is not None:
            connection.con.register(f"{name}_view", pa.table(content))
            connection.raw_sql(f"CREATE TABLE {name} AS FROM {name}_view")
    catalogue = None if items is None else connection.table("tiny_items")
    return RawLog("tiny", connection.table("tiny_rows"), catalogue, None, "auto", OWN_LOG)


@pytest.fixture(scope="session")
def make_source() -> Callable[..., Callable[[DuckDB], RawLog]]:
    """`make_source(rows, events=..., items=...)` is a source as `build_dataset` takes it."""

    def make(rows: Sequence[Row], **others: Any) -> Callable[[DuckDB], RawLog]:
        return lambda connection: raw_log(connection, rows, **others)

    return make


@pytest.fixture(scope="session")
def crowd() -> list[Row]:
    """Thirty users with 8 to 15 of 40 items each, an hour apart, overlapping in time."""
    rows = []
    for user in range(30):
        for place in range(8 + user % 8):
            rows.append((f"u{user}", f"m{(user * 7 + place * (1 + user % 3)) % 40}", user + place))
    return rows
