"""Builds of one, five and 25 million interactions, with DuckDB and on Spark with two cores, in one run.

Each build is a process of its own. Its processor time and memory are those of the process and all that it started, so
the Java virtual machine and its Python workers count; what is shuffled is what Spark's own event log says. One size
takes minutes to hours, so choose: `pytest tests/benchmarks/test_spark_speed.py -k "1-million"`.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from build_speed_log import movielens_like_log

MILLIONS = (1, 5, 25)
MOST_TIMES_DUCKDB = 12
MOST_GIB = 12
WATCH_S = 1.0
BUILD = """
import sys
from functools import partial
from logs2lang import build_dataset, read_tabular
from logs2lang.dataset_builders.spark.spark_engine import on_spark

folder, engine = sys.argv[1:]
log = partial(read_tabular, interactions=f"{folder}/interactions.parquet", items=f"{folder}/items.parquet")
engines = {"duckdb": None, "spark": on_spark("local[2]")}
build_dataset(log, f"{folder}/{engine}", prompts=False, engine=engines[engine])
"""
"""Without the prompts: rendering them takes both engines the same time, and most of it."""
EVENT_LOG = """spark.eventLog.enabled true
spark.eventLog.dir file:{folder}
spark.eventLog.compress false
spark.eventLog.rolling.enabled false
"""


@dataclass
class Watched:
    """What a command took: seconds on the clock and of all processors, and its most memory in bytes."""

    seconds: float
    processor: float
    memory: int

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s, {self.processor:.0f} s of processor time, {self.memory / 2**30:.1f} GiB"


def watched(command: list[str], **environment: str) -> Watched:
    """Run a command, and watch it with all that it starts; processes that live less than a moment may be missed."""
    started, spent, most = time.perf_counter(), {}, 0
    process = psutil.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **environment}
    )
    while process.poll() is None:
        memory = 0
        for one in (process, *process.children(recursive=True)):
            try:
                spent[one.pid], memory = sum(one.cpu_times()[:2]), memory + one.memory_full_info().pss
            except psutil.Error:  # it has just ended
                continue
        most = max(most, memory)
        time.sleep(WATCH_S)
    assert process.returncode == 0, process.stderr.read().decode()
    return Watched(time.perf_counter() - started, sum(spent.values()), most)


def shuffled_bytes(folder: Path) -> int:
    """What the tasks of a run wrote for others to read, as the event log of Spark says."""
    written = 0
    for log in folder.iterdir():
        for line in log.read_text().splitlines():
            event = json.loads(line)
            if event["Event"] == "SparkListenerTaskEnd":
                written += event["Task Metrics"]["Shuffle Write Metrics"]["Shuffle Bytes Written"]
    return written


@pytest.mark.parametrize("millions", MILLIONS, ids=lambda millions: f"{millions}-million")
def test_spark_costs_a_bounded_multiple_of_duckdb(millions, tmp_path, capsys):
    movielens_like_log(tmp_path, millions * 1_000_000)
    events = tmp_path / "events"
    events.mkdir()
    (tmp_path / "spark-defaults.conf").write_text(EVENT_LOG.format(folder=events))
    alone = watched([sys.executable, "-c", BUILD, str(tmp_path), "duckdb"])
    on_spark = watched([sys.executable, "-c", BUILD, str(tmp_path), "spark"], SPARK_CONF_DIR=str(tmp_path))
    shuffled = shuffled_bytes(events)
    with capsys.disabled():
        print(f"\n{millions} million interactions: DuckDB {alone}; Spark {on_spark}, {shuffled / 1e6:.0f} MB shuffled")
    rows = [
        sum(pq.read_metadata(shard).num_rows for shard in (tmp_path / engine / "examples").glob("*.parquet"))
        for engine in ("duckdb", "spark")
    ]
    assert rows[0] == rows[1] > 0
    assert shuffled > 0
    assert on_spark.processor <= MOST_TIMES_DUCKDB * alone.processor
    assert max(alone.memory, on_spark.memory) < MOST_GIB * 2**30
