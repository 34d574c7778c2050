"""Building the examples of a log of five million interactions, against the least that DuckDB needs to move the data.

The floor, in the same run: DuckDB sorting the log by user and time into Parquet, plus DuckDB copying the finished
examples from Parquet to Parquet. Run with `make bench`.
"""

import resource
import time
from collections.abc import Callable
from pathlib import Path

import ibis
from build_speed_log import build_examples, movielens_like_log

from dataset_builders.export import ROW_GROUP_ROWS

INTERACTIONS = 5_000_000


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


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
