import subprocess
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from logs2lang.commands import doctor
from logs2lang.commands.doctor import Finding


def finding_of(requirement: str, extra: str | None = None) -> Finding:
    return doctor._library(Requirement(requirement), extra)


def test_a_library_within_its_bounds_is_ok_and_says_its_version():
    assert finding_of("duckdb>=1.4") == Finding("duckdb", "ok", metadata.version("duckdb"))


def test_a_library_out_of_its_bounds_is_a_problem_with_the_command_that_mends_it():
    found = finding_of("duckdb>=999")
    assert found.status == "problem"
    assert found.found == f"{metadata.version('duckdb')}, not >=999"
    assert found.remedy == "pip install 'duckdb>=999'"


def test_a_missing_library_stops_the_main_job_only_when_no_extra_brings_it():
    assert finding_of("no-such-library-of-ours>=1").status == "problem"
    optional = finding_of("no-such-library-of-ours>=1", "space")
    assert optional.status == "note"
    assert optional.remedy == "pip install 'logs2lang[space]'"


def test_libraries_come_from_the_requirements_of_the_package_without_those_of_developers():
    requirements = ["duckdb>=1.4", 'trl>=1.0; extra == "train"', 'pytest>=8; extra == "dev"']
    assert [found.name for found in doctor._libraries(requirements)] == ["duckdb", "trl"]


def test_what_can_be_fetched_is_a_note_online_and_a_problem_offline():
    online, offline = (doctor._fetchable("model", network, "logs2lang evaluate") for network in (True, False))
    assert (online.status, offline.status) == ("note", "problem")
    assert "logs2lang evaluate" in offline.remedy


def test_a_broken_installation_is_reported_before_anything_that_needs_it(monkeypatch):
    monkeypatch.setattr(metadata, "requires", lambda name: ["no-such-library-of-ours>=1"])
    findings = doctor.diagnose()
    assert findings[-1].name == "no-such-library-of-ours"
    assert not doctor.can_run(findings)


def test_little_memory_is_a_problem_and_busy_memory_a_note(monkeypatch):
    class Memory:
        def __init__(self, total: float, available: float):
            self.total, self.available = total * 2**30, available * 2**30

    statuses = []
    for memory in (Memory(2, 1), Memory(16, 1), Memory(16, 8)):
        monkeypatch.setattr("psutil.virtual_memory", lambda memory=memory: memory)
        statuses.append(doctor._memory().status)
    assert statuses == ["problem", "note", "ok"]


def test_a_package_index_that_does_not_answer_in_time_is_a_note(monkeypatch):
    def hang(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    assert doctor._package_index(0.1).status == "note"


def test_a_hub_that_cannot_be_reached_is_a_note_that_names_the_endpoint(monkeypatch):
    def refuse(*args, **kwargs):
        raise ConnectionError

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", refuse)
    found = doctor._hub(0.1)
    assert found.status == "note"
    assert "ConnectionError" in found.found


@pytest.mark.parametrize(
    ("version", "status", "found"),
    [
        (None, "note", "none (only for builds on Spark)"),
        (11, "note", "11, not >=17 (only for builds on Spark)"),
        (21, "ok", "21"),
    ],
)
def test_java_is_looked_for_and_the_main_job_runs_without_it(monkeypatch, version, status, found):
    monkeypatch.setattr("logs2lang.dataset_builders.spark.java.java_version", lambda: version)
    finding = doctor._java()
    assert (finding.status, finding.found) == (status, found)
    assert (finding.remedy is None) == (status == "ok")


def test_links_of_a_cache_are_not_counted_twice(tmp_path):
    (tmp_path / "blob").write_bytes(b"12345")
    (tmp_path / "snapshot").symlink_to(tmp_path / "blob")
    assert doctor._size(tmp_path) == 5


@pytest.mark.parametrize(("status", "runs"), [("ok", True), ("note", True), ("problem", False)])
def test_only_problems_stop_the_main_job(status, runs):
    findings = [Finding("memory", "ok", "8 GiB"), Finding("model", status, "…", "mend")]
    assert doctor.to_json(findings)["can_run"] is runs
