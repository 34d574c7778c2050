"""A build on Spark gives the rows of a build on one machine, in the same order, and leaves nothing half done."""

import csv
import os
import random
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from logs2lang.dataset_builders import user_groups
from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import Source, build_dataset
from logs2lang.dataset_builders.dataset_folder.export import filled_splits, shards_of
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import CONFIG_FEATURES, CONFIGS
from logs2lang.dataset_builders.sources.streaming_simulation import SimulationConfig, read_streaming_simulation
from logs2lang.dataset_builders.sources.tabular import read_tabular
from logs2lang.dataset_builders.spark import cluster_tables, spark_engine
from logs2lang.dataset_builders.spark.group_task import GroupTask
from logs2lang.dataset_builders.spark.spark_engine import on_spark

pytestmark = pytest.mark.xdist_group("spark")

USERS, ITEMS, ROWS, FILES = 60, 80, 2600, 3


@pytest.fixture
def small_parts(monkeypatch) -> None:
    """Several chunks of the log, groups of users and shards of successors, although the log is small."""
    monkeypatch.setattr(user_groups, "EVENTS_PER_GROUP", 600)
    monkeypatch.setattr(cluster_tables, "CHUNK_ROWS", 600)
    monkeypatch.setattr(spark_engine, "ROWS_PER_SHARD", 2500)


def shuffled_files(folder: Path) -> Source:
    """A log in several files, its rows in no order: ties in time, repeats, impressions, series, and rows that are bad
    in several ways."""
    rng = random.Random(0)
    rows = [
        [
            f"u{rng.randrange(USERS)}",
            f"film{min(rng.randrange(ITEMS), rng.randrange(ITEMS))}",
            str(1_600_000_000 + rng.randrange(900) * 997),
            rng.choices(["play", "rate", "trailer", "impression"], [6, 2, 1, 3])[0],
            rng.choice(["4,5", "3", "1/5", "good", ""]),
            rng.choice(["tv", "web", ""]),
        ]
        for _ in range(ROWS)
    ]
    rows[3][2], rows[8][0], rows[11][1], rows[14][2], rows[17] = "soon", "", "nan", "123456789", ["short"]
    rows += rows[20:40]
    rng.shuffle(rows)
    for file in range(FILES):
        with (folder / f"log{file}.csv").open("w", newline="") as opened:
            csv.writer(opened).writerows([["user", "item", "time", "event", "rating", "device"], *rows[file::FILES]])
    with (folder / "films.csv").open("w", newline="") as opened:
        films = [
            [
                f"film{film}",
                f"Film &amp; {film % 60}",
                1990 + film % 9,
                "Drama|Crime",
                f"Show {film // 3}" * (film < 20),
            ]
            for film in range(ITEMS - 5)
        ]
        csv.writer(opened).writerows([["item", "title", "year", "genres", "series"], *films, ["", "nameless"]])
    return partial(read_tabular, interactions=str(folder / "log*.csv"), items=str(folder / "films.csv"))


def lake(folder: Path) -> Source:
    """Such records in Parquet files: the device in their folders, and no two files with the same columns."""
    shuffled_files(folder)
    for file, device in enumerate(("tv", "web", "__HIVE_DEFAULT_PARTITION__")):
        lines = (folder / f"log{file}.csv").read_text().splitlines()
        header, *rows = (row for row in csv.reader(lines) if len(row) > 1)
        columns = dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))
        del columns["device"]
        if file == 0:
            columns["file_row_number"] = ["a column of the file's own"] * len(rows)
        if file == 1:
            columns["rating"] = [float(rating) if rating.isdigit() else None for rating in columns["rating"]]
        target = folder / "lake" / f"device={device}" / "part.parquet"
        target.parent.mkdir(parents=True)
        pq.write_table(pa.table(columns), target, row_group_size=200)
    log = str(folder / "lake" / "*" / "*.parquet")
    return partial(read_tabular, interactions=log, items=str(folder / "films.csv"))


def simulation(folder: Path) -> Source:
    config = SimulationConfig(events=2000, accounts=40, films=60, series=20)
    return partial(read_streaming_simulation, config=config)


def rows_of(folder: Path, config: str, split: str) -> pa.Table:
    schema = CONFIG_FEATURES[config].arrow_schema
    return pa.concat_tables([pq.read_table(shard).cast(schema) for shard in shards_of(folder, config, split)])


def without_hashes(report: dict) -> dict:
    """A report but for what says how the rows lie in files."""
    return {name: value for name, value in report.items() if name != "content_sha256"}


@pytest.mark.parametrize(
    ("to_source", "options"),
    [
        (shuffled_files, BuildOptions(seed=7)),
        (shuffled_files, BuildOptions(protocol="temporal", candidates="impressions", ties="file", seed=99_999)),
        (lake, BuildOptions(seed=3)),
        (simulation, BuildOptions(candidates="uniform", history=12, num_successors=7)),
    ],
    ids=["leave-last-out", "temporal", "lake", "simulation"],
)
def test_rows_and_report_are_those_of_one_machine(
    spark, small_parts, tmp_path, to_source: Callable[[Path], Source], options: BuildOptions
):
    source = to_source(tmp_path)
    here = build_dataset(source, tmp_path / "here", options)
    there = build_dataset(source, tmp_path / "there", options, engine=on_spark("local[2]"))
    assert without_hashes(there) == without_hashes(here)
    assert len(shards_of(tmp_path / "there", "examples", "test")) > 1
    for config in CONFIGS:
        assert filled_splits(tmp_path / "there", config) == filled_splits(tmp_path / "here", config)
        for split in filled_splits(tmp_path / "here", config):
            assert rows_of(tmp_path / "there", config, split).equals(rows_of(tmp_path / "here", config, split)), config
    others = [*Path(tmp_path / "here").glob("*.parquet"), *Path(tmp_path / "here").glob("truth/*")]
    for path in others:
        theirs = pq.read_table(tmp_path / "there" / path.relative_to(tmp_path / "here"))
        assert theirs.to_pydict() == pq.read_table(path).to_pydict()  # whether a column may be null is the engine's
    assert {path.name for path in (tmp_path / "there").iterdir()} == {
        path.name for path in (tmp_path / "here").iterdir()
    }
    assert not list(tmp_path.glob("*.log")) + list(tmp_path.glob(".there*"))


def test_a_killed_worker_costs_only_its_task(spark, small_parts, tmp_path, make_source, crowd, monkeypatch):
    killed = tmp_path / "killed"

    class KilledOnce(GroupTask):
        def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            done = list(GroupTask.__call__(self, batches))
            if not killed.exists():
                killed.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield from done

    here = build_dataset(make_source(crowd), tmp_path / "here")
    monkeypatch.setattr(spark_engine, "GroupTask", KilledOnce)
    there = build_dataset(make_source(crowd), tmp_path / "there", engine=on_spark("local[2]"))
    assert killed.exists()
    assert without_hashes(there) == without_hashes(here)


def test_a_failure_on_an_executor_is_one_sentence_and_leaves_the_earlier_build(
    spark, tmp_path, make_source, crowd, monkeypatch
):
    class Failing(GroupTask):
        def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            raise OSError(28, "No space left on device")

    earlier = build_dataset(make_source(crowd), tmp_path / "built")
    monkeypatch.setattr(spark_engine, "GroupTask", Failing)
    with pytest.raises(InputError, match=r"A disk that Spark works on is full\. .* The stack trace is in .*\.log\.$"):
        build_dataset(make_source(crowd), tmp_path / "built", BuildOptions(seed=1), engine=on_spark("local[2]"))
    (log,) = tmp_path.glob("spark-*.log")
    assert "Traceback" in log.read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"built", log.name}
    assert str(earlier["options"]["seed"]) in (tmp_path / "built" / "build_report.json").read_text()
