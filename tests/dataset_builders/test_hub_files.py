import subprocess
import sys

import pytest

SCRIPT = """
import sys
from logs2lang.dataset_builders.hub_files import HubFile, file_from_hub
from logs2lang.dataset_builders.input_error import InputError
try:
    print(file_from_hub(HubFile(*sys.argv[1:])).read_text())
except InputError as error:
    print(error)
"""


@pytest.fixture
def fetch(stranger):
    """What another process reads of a file on the Hub, or the error that it gets."""

    def run(*words, **others):
        environment = stranger(**others)
        command = [sys.executable, "-c", SCRIPT, *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    return run


def test_a_file_of_a_pinned_commit_is_read_from_the_hub(hub_api, fetch):
    hub_api.create_repo("tester/log", repo_type="dataset")
    place = {"path_in_repo": "raw/log.csv", "repo_id": "tester/log", "repo_type": "dataset"}
    first = hub_api.upload_file(path_or_fileobj=b"first", **place)
    hub_api.upload_file(path_or_fileobj=b"second", **place)
    assert fetch("tester/log", first.oid, "raw/log.csv").strip() == "first"
    missing = fetch("tester/log", first.oid, "raw/other.csv")
    assert missing.startswith("raw/other.csv of the dataset tester/log cannot be fetched from the Hub (")
    assert missing.strip().endswith("give their folder with --folder.")


def test_a_hub_that_does_not_answer_is_one_sentence(fetch):
    said = fetch("tester/log", "0" * 40, "log.csv", HF_ENDPOINT="http://127.0.0.1:9")
    assert said.startswith("log.csv of the dataset tester/log cannot be fetched from the Hub (")
    assert len(said.splitlines()) == 1
