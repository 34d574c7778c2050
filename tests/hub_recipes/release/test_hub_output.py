"""Datasets that Spark writes to the Hub, over the real protocol."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_hub import TOKEN

from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.export import filled_splits
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import CONFIGS
from logs2lang.dataset_builders.sources.tabular import read_tabular
from logs2lang.release.hub_output import repo_of

pytestmark = pytest.mark.xdist_group("spark")

REPO = "tester/own"
READ = """
import json, sys
from datasets import load_dataset
for config, splits in json.loads(sys.argv[2]).items():
    for split in splits:
        ours, theirs = (load_dataset(place, config, split=split) for place in (sys.argv[1], "tester/own"))
        assert theirs.features == ours.features, config
        assert theirs.to_list() == ours.to_list(), config
"""


@pytest.fixture
def log(tmp_path) -> Path:
    rows = [
        f"u{user},m{(user * 7 + place) % 20},{10**9 + place * 997 + user}" for user in range(20) for place in range(9)
    ]
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,timestamp\n" + "\n".join([*rows, "ann,m1,soon"]) + "\n")
    return path


def build(log: Path, environment: dict[str, str], output: str = f"hf://datasets/{REPO}", engine: str = "spark"):
    command = [sys.executable, "-m", "logs2lang", "build", "tabular", "--interactions", str(log), "--output", output]
    on_spark = ["--engine", "spark", "--master", "local[2]"] if engine == "spark" else []
    (log.parent / "here").mkdir(exist_ok=True)
    environment = {**environment, "HF_HUB_DISABLE_XET": "1"}
    return subprocess.run(
        [*command, *on_spark], env=environment, cwd=log.parent / "here", capture_output=True, text=True
    )


def test_the_dataset_of_the_hub_is_that_of_one_machine(java, log, hub, hub_api, stranger, tmp_path):
    local = build_dataset(lambda machine: read_tabular(machine, str(log)), tmp_path / "local")
    run = build(log, stranger(HF_TOKEN=TOKEN))
    assert run.returncode == 0, run.stderr
    assert f"load_dataset('{REPO}', 'examples')" in run.stdout
    assert "set aside are not on the Hub; they are in own-quarantine.parquet" in run.stdout
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["own-quarantine.parquet"]
    assert hub.repo("dataset", REPO).private
    assert len(hub.repo("dataset", REPO).commits) == 2  # that of the new repository, and all files at once
    report = json.loads(hub.file("dataset", REPO, "build_report.json"))
    assert report["splits"] == local["splits"]
    assert not [path for path in hub_api.list_repo_files(REPO, repo_type="dataset") if "quarantine" in path]
    splits = json.dumps({config: filled_splits(tmp_path / "local", config) for config in CONFIGS})
    read = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "local"), splits],
        env=stranger(HF_TOKEN=TOKEN),
        capture_output=True,
        text=True,
    )
    assert read.returncode == 0, read.stderr


def test_a_repository_that_holds_files_is_left_alone(java, log, hub, hub_api, stranger):
    hub_api.create_repo(REPO, repo_type="dataset")
    hub_api.upload_file(path_or_fileobj=b"mine", path_in_repo="notes.txt", repo_id=REPO, repo_type="dataset")
    run = build(log, stranger(HF_TOKEN=TOKEN))
    assert run.returncode == 2
    assert f"{REPO} holds 1 files already. Choose a new name" in " ".join(run.stderr.split())
    assert hub.file("dataset", REPO, "notes.txt") == b"mine"


def test_a_build_that_fails_leaves_no_repository(java, log, hub, stranger):
    log.write_text("user_id,item_id,timestamp\nann,m1,soon\n")
    run = build(log, stranger(HF_TOKEN=TOKEN))
    assert run.returncode == 2
    assert ("dataset", REPO) not in hub.repos


def test_without_spark_the_hub_is_for_publish(log, stranger):
    run = build(log, stranger(HF_TOKEN=TOKEN), engine="duckdb")
    assert run.returncode == 2
    assert "publish that with `logs2lang publish`" in " ".join(run.stderr.split())


@pytest.mark.parametrize(
    "url", ["hf://datasets/own", "hf://me/own", "hf://datasets/me/own@main", "hf://datasets/a/b/c"]
)
def test_other_addresses_are_refused(url):
    with pytest.raises(InputError, match="Write it as hf://datasets/NAMESPACE/NAME"):
        repo_of(url)
