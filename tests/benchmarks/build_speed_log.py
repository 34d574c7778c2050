"""A log shaped like MovieLens, of any size, and the build of its examples: shared by the benchmarks here."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend as DuckDB

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import SplitLog, to_split_log, write_examples
from logs2lang.dataset_builders.interactions import CanonicalLog
from logs2lang.dataset_builders.raw_log import connect

ITEMS = 20_000
DAY = 86_400


def movielens_like_log(folder: Path, interactions: int, seed: int = 0) -> None:
    """Write a log shaped like MovieLens: 165 ratings a user on average, at least 20, in a few sittings; Zipf items."""
    rng = np.random.default_rng(seed)
    lengths = np.maximum(20, rng.lognormal(4.5, 1.1, interactions // 165))
    lengths = (lengths * interactions / lengths.sum()).astype(int) + 1
    users, total = np.repeat(np.arange(len(lengths)), lengths), int(lengths.sum())
    weights = 1 / np.arange(1, ITEMS + 1) ** 0.9
    first_day = rng.integers(0, 3650, len(lengths))[users]
    seconds = 10**9 + (first_day + rng.integers(0, 3, total) * 30) * DAY + rng.integers(0, 240, total) * 60
    log = {
        "user_id": pa.array(users.astype(str)),
        "item_id": pa.array(rng.choice(ITEMS, total, p=weights / weights.sum()).astype(str)),
        "timestamp": pa.array(seconds * 10**6).cast(pa.timestamp("us", "UTC")),
        "event": pa.array(["rate"] * total),
        "duration_s": pa.nulls(total, pa.float32()),
        "value": pa.array(rng.integers(1, 6, total), pa.float32()),
        "device": pa.nulls(total, pa.string()),
    }
    pq.write_table(pa.table(log), folder / "interactions.parquet")
    items = {
        "item_id": [str(item) for item in range(ITEMS)],
        "title": [f"The story of number {item}" for item in range(ITEMS)],
        "year": pa.array(rng.integers(1930, 2000, ITEMS), pa.int16()),
        "tags": [["Drama", "Comedy"]] * ITEMS,
        "series": pa.nulls(ITEMS, pa.string()),
        "description": pa.nulls(ITEMS, pa.string()),
    }
    pq.write_table(pa.table(items), folder / "items.parquet")


@contextmanager
def keyed_log(folder: Path) -> Iterator[tuple[SplitLog, BuildOptions, DuckDB]]:
    """The log that `movielens_like_log` wrote, with its targets chosen, on a connection of its own."""
    connection = connect(folder)
    interactions = connection.read_parquet(folder / "interactions.parquet")
    items = connection.read_parquet(folder / "items.parquet")
    options = BuildOptions()
    log = CanonicalLog(interactions, items, quarantine=items, items_quarantine=items, counts={})
    yield to_split_log(log, options, connection), options, connection
    connection.disconnect()


def build_examples(folder: Path, output: Path) -> None:
    """From canonical interactions to the written config `examples`."""
    with keyed_log(folder) as (log, options, connection):
        write_examples(log, output, options, connection)
