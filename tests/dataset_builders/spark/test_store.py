"""A log in an object store, read there by executors."""

import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.export import shards_of
from logs2lang.dataset_builders.sources.tabular import read_tabular

pytestmark = pytest.mark.xdist_group("spark")


def test_executors_read_parquet_of_a_store(java, bucket, connection, tmp_path, make_source, crowd):
    """In a process of its own: a Spark that runs already does not know the address of this store."""
    rows = make_source(crowd)(connection).interactions.drop("source_file", "source_row").to_pyarrow()
    for day, part in (("2024-05-01", rows[:100]), ("2024-05-02", rows[100:])):
        (tmp_path / f"day={day}").mkdir()
        pq.write_table(part, tmp_path / f"day={day}" / "part.parquet", row_group_size=30)
        bucket.put(str(tmp_path / f"day={day}" / "part.parquet"), f"logs/day={day}/part.parquet")
    here = build_dataset(lambda machine: read_tabular(machine, f"{tmp_path}/day=*/*.parquet"), tmp_path / "here")
    log = ["--interactions", "s3a://logs/*/*.parquet"]
    build = [sys.executable, "-m", "logs2lang", "build", "tabular", *log, "--output", str(tmp_path / "there")]
    run = subprocess.run([*build, "--engine", "spark", "--master", "local[2]"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert here["splits"]["test"]["examples"] == 30
    for split in ("train", "test"):
        (ours,), theirs = (
            shards_of(tmp_path / "here", "examples", split),
            shards_of(tmp_path / "there", "examples", split),
        )
        rows = [row for shard in theirs for row in pq.read_table(shard).to_pylist()]
        assert rows == pq.read_table(ours).to_pylist()
