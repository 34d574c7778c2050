"""A build on a standalone cluster, whose executors are processes apart from the one that starts the build."""

import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from logs2lang.dataset_builders.schema import CONFIGS

pytestmark = pytest.mark.xdist_group("spark")

USERS, FILMS = 400, 120
_LIMIT_S = 240


@pytest.fixture
def cluster(java, tmp_path):
    from standalone_cluster import standalone_cluster

    (tmp_path / "workers").mkdir()
    with standalone_cluster(tmp_path / "workers") as running:
        yield running


def build(log: Path, output: Path, *words: str, python: str = sys.executable) -> subprocess.Popen:
    command = [
        sys.executable,
        "-m",
        "logs2lang",
        "build",
        "tabular",
        "--interactions",
        str(log),
        "--output",
        str(output),
    ]
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": python}
    return subprocess.Popen([*command, *words], stderr=subprocess.PIPE, text=True, env=environment)


def report_of(folder: Path) -> dict:
    """A build report but for what says how the rows lie in files."""
    report = json.loads((folder / "build_report.json").read_text())
    return {name: value for name, value in report.items() if name != "content_sha256"}


def rows_of(folder: Path, config: str) -> list[dict]:
    return [row for shard in sorted((folder / config).glob("*.parquet")) for row in pq.read_table(shard).to_pylist()]


@pytest.fixture
def log(tmp_path) -> Path:
    rows = [
        f"u{user},film{(user * 7 + day * day) % FILMS},{1_600_000_000 + 86_400 * day + user}\n"
        for user in range(USERS)
        for day in range(12)
    ]
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,timestamp\n" + "".join(rows))
    return path


@pytest.mark.slow
def test_a_cluster_that_loses_an_executor_builds_what_one_machine_builds(cluster, log, tmp_path):
    on_cluster = ("--engine", "spark", "--master", cluster.master)
    here, there = tmp_path / "here", tmp_path / "there"
    assert build(log, here).wait(_LIMIT_S) == 0
    building = build(log, there, *on_cluster)
    until = time.monotonic() + _LIMIT_S
    while not (running := cluster.executors()):
        assert building.poll() is None, building.stderr.read()
        assert time.monotonic() < until, "no executor was started"
        time.sleep(0.1)
    time.sleep(5)  # it has tasks by then
    running[0].kill()
    assert building.wait(_LIMIT_S) == 0, building.stderr.read()
    assert report_of(there) == report_of(here)
    for config in CONFIGS:
        assert rows_of(there, config) == rows_of(here, config), config
    assert not list(tmp_path.glob("spark-*.log"))

    bare = tmp_path / "bare"
    venv.create(bare)  # a Python without our packages
    failing = build(log, tmp_path / "elsewhere", *on_cluster, python=str(bare / "bin" / "python"))
    assert failing.wait(_LIMIT_S) == 2
    assert "name that Python in PYSPARK_PYTHON" in failing.stderr.read()
    assert not (tmp_path / "elsewhere").exists()
