"""What is wrong with a Spark is said before one is started."""

import socket

import pytest

from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.spark import java, session
from logs2lang.dataset_builders.spark.spark_engine import on_spark


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def refused(tmp_path, make_source, crowd, master: str) -> str:
    with pytest.raises(InputError) as caught:
        build_dataset(make_source(crowd), tmp_path / "built", engine=on_spark(master))
    assert list(tmp_path.iterdir()) == []
    return str(caught.value)


@pytest.mark.parametrize("master", ["localhost", "local[two]", "spark://host", "http://host:7077", ""])
def test_a_wrong_master_is_refused_with_examples(tmp_path, make_source, crowd, master):
    said = refused(tmp_path, make_source, crowd, master)
    assert said.startswith(f"{master!r} is not the master of a Spark cluster")
    assert "spark://HOST:7077" in said


def test_a_master_that_does_not_answer_is_named(tmp_path, make_source, crowd):
    master = f"spark://127.0.0.1:{free_port()}"
    assert refused(tmp_path, make_source, crowd, master).startswith(f"No Spark master answers at {master}")


def test_a_missing_java_is_said_with_what_installs_it(tmp_path, make_source, crowd, monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = refused(tmp_path, make_source, crowd, "local[2]")
    assert said == f"Spark needs Java, and there is none. {java.REMEDY}"


@pytest.mark.parametrize(("said", "version"), [('openjdk version "1.8.0_402"', 8), ('java version "21" 2023', 21)])
def test_the_version_of_java_is_read(tmp_path, monkeypatch, said, version):
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java.java_version() == version


def test_an_old_java_is_refused(tmp_path, make_source, crowd, monkeypatch):
    monkeypatch.setattr(session, "java_version", lambda: 11)
    assert refused(tmp_path, make_source, crowd, "local[2]").startswith("Spark needs Java 17 or later, and this is")


def test_a_missing_pyspark_is_said_with_what_installs_it(tmp_path, make_source, crowd, monkeypatch):
    monkeypatch.setattr(session, "find_spec", lambda name: None)
    assert "pip install 'logs2lang[spark]'" in refused(tmp_path, make_source, crowd, "local[2]")
