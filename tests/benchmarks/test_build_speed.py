"""Building the examples of a log of five million interactions, against the least that DuckDB needs to move the data.

The floor, in the same run: DuckDB sorting the log by user and time into Parquet, plus DuckDB copying the finished
examples from Parquet to Parquet. Held to by the clock, which is worth something on an idle machine only, and by the
time of all processors together. Run with `make bench`.
"""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ibis
from build_speed_log import build_examples, movielens_like_log

from logs2lang.dataset_builders.dataset_folder.export import ROW_GROUP_ROWS

INTERACTIONS = 5_000_000


@dataclass(frozen=True)
class Cost:
    """What some work took, in seconds: on the clock, and of all processors together."""

    wall: float
    processor: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.wall + other.wall, self.processor + other.processor)


def cost_of(work: Callable[[], object]) -> Cost:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - processor)


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
    sort = cost_of(lambda: sort_log(tmp_path))
    build = cost_of(lambda: build_examples(tmp_path, output))
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    copy = cost_of(lambda: copy_examples(tmp_path, output))
    floor = sort + copy
    with capsys.disabled():
        for clock in ("wall", "processor"):
            spent, least = getattr(build, clock), getattr(floor, clock)
            parts = f"{getattr(sort, clock):.1f} sort + {getattr(copy, clock):.1f} copy"
            print(f"\n{clock}: build {spent:.1f} s; floor {parts}; ratio {spent / least:.2f}")
        print(f"peak memory {peak_gib:.2f} GiB")
    assert peak_gib < 4
    assert build.processor <= 2 * floor.processor
    assert build.wall <= 2 * floor.wall
