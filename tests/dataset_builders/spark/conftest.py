"""One local Spark for all tests of this folder: starting one takes longer than a small build."""

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from logs2lang.dataset_builders.spark.java import MIN_JAVA, java_version

SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
    # Each query of a test runs once, on a few rows: compiling it would take longer than running it.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}


@pytest.fixture(scope="session")
def spark(tmp_path_factory) -> Iterator[Any]:
    """A Spark with two workers here; without Java its tests are skipped, but never where CI says so."""
    pyspark = pytest.importorskip("pyspark.sql", reason="needs the extra `spark`")
    if (java_version() or 0) < MIN_JAVA:
        complain = pytest.fail if os.environ.get("CI") else pytest.skip
        complain("no Java: `sudo apt-get install openjdk-17-jre-headless`, or run `make java`")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = pyspark.SparkSession.builder.master("local[2,4]")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    folder = tmp_path_factory.mktemp("spark")
    started = builder.config("spark.sql.warehouse.dir", str(folder)).getOrCreate()
    started.sparkContext.setLogLevel("ERROR")
    yield started
    started.stop()
