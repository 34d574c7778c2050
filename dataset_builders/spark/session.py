"""The Spark session of a build, and what goes wrong with it as one sentence."""

import os
import re
import shlex
import socket
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..engine_errors import errors_to, our_words
from ..input_error import InputError
from .java import MIN_JAVA, REMEDY, java_version

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_MASTER = re.compile(r"local(\[(\d+|\*)(,\d+)?\])?|yarn|k8s://.+|spark://([^:/,]+):(\d+)(,[^:/,]+:\d+)*")
_EXAMPLES = "local[2], local[*], spark://HOST:7077, yarn or k8s://HOST:PORT"
_REACH_S = 5.0
_ATTEMPTS = 4
_SQL_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
}
"""What the rows of a build depend on."""

_ALONE = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
}
"""A Spark on this machine alone listens to no other."""

_NO_SPACE = "No space left on device"
_NOT_INSTALLED = "No module named 'logs2lang'"


@contextmanager
def spark_session(master: str, folder: Path) -> Iterator["SparkSession"]:
    """A session for one build.

    Args:
        master (`str`): Where Spark runs, such as `"local[2]"`, `"spark://HOST:7077"` or `"yarn"`. Where the program
            already has a session, that one is used, whatever its master.
        folder (`Path`): Where Spark's own messages and stack traces go, into a file that is deleted where all went
            well.

    Raises:
        InputError: There is no PySpark, no Java or no such master, or Spark fails; the message names the file.
    """
    _require_spark(master)
    log = folder / f"spark-{datetime.now(timezone.utc):%Y-%m-%dT%H-%M-%S}.log"
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    with warnings.catch_warnings():
        # No pandas is handed to Spark or taken from it but for a few counts.
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
        try:
            session = _started(master, log) if running is None else running.newSession()
            try:
                for name, value in _SQL_SETTINGS.items():
                    session.conf.set(name, value)
                yield session
            finally:
                if running is None:
                    with suppress(Exception):  # a JVM that has died cannot be stopped again
                        session.stop()
        except (PySparkException, Py4JError, ConnectionError) as error:
            with log.open("a", encoding="utf-8") as file:
                file.write(traceback.format_exc())
            raise InputError(_sentence(str(error), log)) from error
    log.unlink(missing_ok=True)


def _require_spark(master: str) -> None:
    if find_spec("pyspark") is None:
        raise InputError("Builds on Spark need PySpark. Install it with `pip install 'logs2lang[spark]'`.")
    found = _MASTER.fullmatch(master)
    if found is None:
        raise InputError(f"{master!r} is not the master of a Spark cluster. Write --master as {_EXAMPLES}.")
    version = java_version()
    if version is None:
        raise InputError(f"Spark needs Java, and there is none. {REMEDY}")
    if version < MIN_JAVA:
        raise InputError(f"Spark needs Java {MIN_JAVA} or later, and this is Java {version}. {REMEDY}")
    if found[4]:
        _reach(found[4], int(found[5]), master)


def _reach(host: str, port: int, master: str) -> None:
    """Stop where nothing listens: Spark itself would try for minutes."""
    try:
        socket.create_connection((host, port), timeout=_REACH_S).close()
    except OSError as error:
        raise InputError(
            f"No Spark master answers at {master} ({error}). Check the address and that the cluster is running, or "
            "use --master local[2] for this machine."
        ) from error


def _started(master: str, log: Path) -> "SparkSession":
    from pyspark.sql import SparkSession

    quoted = [
        shlex.quote(f"-Dlog4j2.configurationFile=file:{Path(__file__).with_name('log4j2.properties')}"),
        shlex.quote(f"-Dlogs2lang.log={log}"),
    ]
    builder = SparkSession.builder.appName("logs2lang").config("spark.driver.extraJavaOptions", " ".join(quoted))
    if master.startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_DRIVER_MEMORY", _share_of_memory())
        for name, value in _ALONE.items():
            builder = builder.config(name, value)
    with errors_to(log):
        return builder.master(_retrying(master)).getOrCreate()


def _share_of_memory() -> str:
    """A quarter of this machine's memory, as Spark writes it: its own default of 1 GiB is soon full of garbage. What a
    configuration file of Spark says comes first."""
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{max(1, available // 4 // 2**30)}g"


def _retrying(master: str) -> str:
    """A local master that runs a failed task again, as clusters do.

    Example:
        >>> _retrying("local[2]"), _retrying("local"), _retrying("local[2,1]"), _retrying("yarn")
        ('local[2,4]', 'local[1,4]', 'local[2,1]', 'yarn')
    """
    if not master.startswith("local") or "," in master:
        return master
    threads = master.removeprefix("local").strip("[]") or "1"
    return f"local[{threads},{_ATTEMPTS}]"


def _sentence(error: str, log: Path) -> str:
    """What Spark says, as one sentence; what one of our own functions said on an executor, in its words.

    Example:
        >>> _sentence("Job aborted.\\n  ...input_error.InputError: a.csv cannot be read. Check it.\\n", Path("x.log"))
        'a.csv cannot be read. Check it. The stack trace is in x.log.'
    """
    trace = f"The stack trace is in {log}."
    if ours := our_words(error):
        return f"{ours} {trace}"
    if _NO_SPACE in error:
        return f"A disk that Spark works on is full. Free some space, or set spark.local.dir to another one. {trace}"
    if _NOT_INSTALLED in error:
        return (
            "The Python of the executors has no logs2lang. Install it on all machines of the cluster, and name that "
            f"Python in PYSPARK_PYTHON. {trace}"
        )
    first = error.strip().splitlines()[0][:300] if error.strip() else "it stopped without a message"
    return f"Spark could not finish the build: {first.rstrip('.')}. {trace}"
