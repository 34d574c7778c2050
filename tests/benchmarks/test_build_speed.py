"""Building the examples of a log of five million interactions, against the least that DuckDB needs to move the data.

The floor, in the same run: DuckDB sorting the log by user and time into Parquet, plus DuckDB copying the finished
examples from Parquet to Parquet. Run with `make bench`.
"""

import resource
import time
from collections.abc import Callable
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dataset_builders.build_options import BuildOptions
from dataset_builders.builder import to_split_log, write_examples
from dataset_builders.export import ROW_GROUP_ROWS
from dataset_builders.interactions import CanonicalLog
from dataset_builders.raw_log import connect

INTERACTIONS = 5_000_000
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


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def build_examples(folder: Path, output: Path) -> None:
    """From canonical interactions to the written config `examples`."""
    connection = connect(folder)
    interactions = connection.read_parquet(folder / "interactions.parquet")
    items = connection.read_parquet(folder / "items.parquet")
    options = BuildOptions()
    log = CanonicalLog(interactions, items, quarantine=items, counts={})
    write_examples(to_split_log(log, options, connection), output, options, connection)
    connection.disconnect()


def sort_log(folder: Path) -> None:
    connection = ibis.duckdb.connect(memory_limit="3GB")
    log = folder / "interactions.parquet"
    in_order = f"FROM '{log}' ORDER BY user_id, timestamp"
    connection.raw_sql(f"COPY ({in_order}) TO '{folder}/sorted.parquet' (FORMAT parquet)")


def copy_examples(folder: Path, output: Path) -> None:
    connection = ibis.duckdb.connect(memory_limit="3GB")
    options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS}"
    for shard in (output / "examples").glob("*.parquet"):
        connection.raw_sql(f"COPY (FROM '{shard}') TO '{folder}/{shard.name}' ({options})")


def test_building_examples_takes_at_most_twice_the_floor(tmp_path, capsys):
    movielens_like_log(tmp_path, INTERACTIONS)
    output = tmp_path / "dataset"
    build = seconds_of(lambda: build_examples(tmp_path, output))
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sort, copy = seconds_of(lambda: sort_log(tmp_path)), seconds_of(lambda: copy_examples(tmp_path, output))
    with capsys.disabled():
        print(f"\nbuild {build:.1f} s; floor {sort:.1f} s sort + {copy:.1f} s copy; ratio {build / (sort + copy):.2f}")
        print(f"peak memory {peak_gib:.2f} GiB")
    assert peak_gib < 4
    assert build <= 2 * (sort + copy)
