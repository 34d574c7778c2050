"""PostgreSQL and Redis from the system's packages, started on loopback with their data in folders of the test run."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import redis

PASSWORD = "do-not-show"
_START_S = 60


@dataclass
class Server:
    """A server that can be killed and started again where it was."""

    command: list[str]
    port: int
    answers: Callable[[int], bool]
    user: str | None = None
    _process: subprocess.Popen | None = field(default=None, repr=False)

    def start(self) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(self.command, user=self.user, **quiet)
        until = time.monotonic() + _START_S
        while not self.answers(self.port):
            assert self._process.poll() is None, f"{self.command[0]} ended at once"
            assert time.monotonic() < until, f"{self.command[0]} does not answer"
            time.sleep(0.05)

    def kill(self) -> None:
        """As a crash would end it: PostgreSQL takes its children along, and recovers when it is started again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT if "postgres" in self.command[0] else signal.SIGKILL)
        self._process.wait()


def free_port() -> int:
    """A port below those that systems give to outgoing connections."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


def postgres_programs() -> Path | None:
    """The folder of `initdb` and `postgres`; Debian keeps it off the PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which("initdb")
    return folders[-1] if folders else found and Path(found).parent


@contextmanager
def postgres(programs: Path) -> Iterator[Server]:
    user = "nobody" if os.getuid() == 0 else None  # PostgreSQL refuses to run as root
    with tempfile.TemporaryDirectory(prefix="logs2lang-postgres-") as folder:
        secret, data = Path(folder) / "password", Path(folder) / "data"
        secret.write_text(PASSWORD)
        if user is not None:
            shutil.chown(folder, user)
            shutil.chown(secret, user)
        login = ["--auth=scram-sha-256", f"--pwfile={secret}", "--username=tester"]
        make = [programs / "initdb", f"--pgdata={data}", "--encoding=UTF8", "--no-locale", "--no-sync", *login]
        subprocess.run(make, check=True, capture_output=True, user=user, cwd=folder)
        port = free_port()
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "shared_buffers=16MB"]
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(port)]
        command += [word for setting in settings for word in ("-c", setting)]
        with _running(Server(command, port, _postgres_answers, user)) as server:
            yield server


@contextmanager
def redis_server(program: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="logs2lang-redis-") as folder:
        port = free_port()
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--requirepass", PASSWORD]
        with _running(Server([*command, "--save", "", "--appendonly", "yes"], port, _redis_answers)) as server:
            yield server


@contextmanager
def _running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _postgres_answers(port: int) -> bool:
    try:
        psycopg.connect(postgres_url(port, "postgres"), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _redis_answers(port: int) -> bool:
    try:
        with closing(redis.Redis(port=port, password=PASSWORD)) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def postgres_url(port: int, database: str) -> str:
    return f"postgresql://tester:{PASSWORD}@127.0.0.1:{port}/{database}"


def redis_url(port: int, number: int) -> str:
    return f"redis://:{PASSWORD}@127.0.0.1:{port}/{number}"
