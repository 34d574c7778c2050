"""A standalone cluster of Spark on loopback: a master, and workers that start executors in processes of their own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyspark

_START_S = 90
_MEMORY = "1g"
_EXECUTOR = "CoarseGrainedExecutorBackend"


@dataclass
class Cluster:
    """What is running.

    Args:
        master (`str`): Its address, as `--master` takes it.
        workers (`list[psutil.Popen]`): The processes that start executors.
    """

    master: str
    workers: list[psutil.Popen]

    def executors(self) -> list[psutil.Process]:
        """The processes that run tasks."""
        children = [child for worker in self.workers for child in worker.children(recursive=True)]
        return [child for child in children if _EXECUTOR in " ".join(_words(child))]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has just ended
        return []


@contextmanager
def standalone_cluster(folder: Path, workers: int = 2) -> Iterator[Cluster]:
    """A cluster whose workers have one core each, until the block ends.

    Args:
        folder (`Path`): Where workers keep what they do.
        workers (`int`, *optional*, defaults to 2): How many.
    """
    port = _free_port()
    home = Path(pyspark.__file__).parent
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_WORKER_DIR": str(folder),
    }
    master = f"spark://127.0.0.1:{port}"
    daemon = str(home / "bin" / "spark-class"), "org.apache.spark.deploy"
    quiet = ["--webui-port", "0"]
    commands = [[daemon[0], f"{daemon[1]}.master.Master", *quiet, "--host", "127.0.0.1", "--port", str(port)]]
    commands += [[daemon[0], f"{daemon[1]}.worker.Worker", *quiet, "-c", "1", "-m", _MEMORY, master]] * workers
    running: list[psutil.Popen] = []
    try:
        for command in commands:
            with (folder / f"daemon-{len(running)}.log").open("w") as log:
                running.append(psutil.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment))
            _wait_for(port, running[0])
        yield Cluster(master, running[1:])
    finally:
        for process in reversed(running):
            for one in (*process.children(recursive=True), process):
                one.kill()
        psutil.wait_procs(running, timeout=10)


def _wait_for(port: int, process: psutil.Popen) -> None:
    until = time.monotonic() + _START_S
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, "the master ended at once"
        assert time.monotonic() < until, "the master does not answer"
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
