"""The Ray that texts are written on, and what goes wrong with it as one sentence."""

import logging
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from logs2lang.dataset_builders.engine_errors import errors_to, our_words
from logs2lang.dataset_builders.input_error import InputError

_AUTO = "auto"
_HOST_AND_PORT = re.compile(r"([^:/\s]+):(\d{1,5})")
_REACH_S = 5.0
_ANSWER_S = 20.0
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
"""Ray reports how it is used, and its core writes warnings to standard error, unless it is told otherwise."""
_AUTH_MODE, _AUTH_TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"


@contextmanager
def ray_session(address: str | None, cpus: int | None, log: Path) -> Iterator[None]:
    """A Ray for one run.

    Args:
        address (`str` or `None`): `"auto"` for the cluster that this machine is part of, or the `"HOST:PORT"` of its
            head; a Ray of this machine's own, which ends with the run, when `None`. Where the program already is
            connected to a Ray, that one is used.
        cpus (`int` or `None`): How many a Ray of this machine's own has; all that this process may use when `None`.
        log (`Path`): Where the stack trace goes if Ray fails.

    Raises:
        InputError: There is no Ray, or none at that address, or it fails; the message names `log`.
    """
    if find_spec("ray") is None:
        raise InputError("--engine ray needs Ray Data. Install it with `pip install 'logs2lang[ray]'`.")
    if address is not None:
        _require_reachable(address)
    if "ray" not in sys.modules:
        _prepare(address)
    import ray.data
    from ray.exceptions import RayError

    running = ray.is_initialized()
    if not running:
        _connect(address, cpus, log)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # it says as a stack trace what we say as a sentence
    settings = ray.data.DataContext.get_current()
    settings.enable_progress_bars = False  # ours say how far it is
    settings.print_on_execution_start = False
    settings.execution_no_progress_timeout_s = -1  # a shard of a large model may take an hour
    try:
        yield
    except RayError as error:
        raise InputError(to_sentence(_kept(log), log)) from error
    finally:
        if not running:
            ray.shutdown()


def _prepare(address: str | None) -> None:
    """Set what Ray reads from the environment when it is imported, and not again."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if address is None and _AUTH_MODE not in os.environ:
        # The ports of a Ray are open to the network, and who may use them may run programs.
        os.environ.update({_AUTH_MODE: "token", _AUTH_TOKEN: secrets.token_hex(32)})


def _connect(address: str | None, cpus: int | None, log: Path) -> None:
    import ray

    own: dict[str, Any] = {"num_cpus": cpus or _usable_cpus(), "include_dashboard": False}
    handled = signal.getsignal(signal.SIGTERM)
    try:
        with errors_to(log):  # its core says there what it does with our settings
            ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(own if address is None else {}),
            )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        _kept(log)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        where = f"The stack trace is in {log}."
        if address is None:
            raise InputError(f"Ray could not be started here ({reason}). Leave out --engine ray. {where}") from error
        raise InputError(
            f"No Ray could be used at {address} ({reason}). Start the cluster with `ray start`, run this command on "
            f"one of its machines, or leave out --address. {where}"
        ) from error
    else:
        log.unlink(missing_ok=True)
    finally:
        # Ray ends the process by an exit of its own; ours cleans up.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handled)


def _require_reachable(address: str) -> None:
    """Stop where nothing listens, or something other than Ray: Ray itself would try for minutes."""
    if address == _AUTO:
        return
    found = _HOST_AND_PORT.fullmatch(address)
    if found is None:
        raise InputError(f"--address is {address!r}; write it as auto or as HOST:PORT, such as 10.0.0.1:6379.")
    try:
        socket.create_connection((found[1], int(found[2])), timeout=_REACH_S).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"No Ray answers at {address} ({error}). Check the address and that the cluster is running, or leave out "
            "--address to use this machine alone."
        ) from error
    status = [sys.executable, "-m", "ray.scripts.scripts", "status", "--address", address]
    try:
        asked = subprocess.run(status, capture_output=True, text=True, timeout=_ANSWER_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"Something listens at {address} and does not answer as Ray does within {_ANSWER_S:.0f} seconds. Check "
            "the address, which `ray start --head` prints, or leave out --address to use this machine alone."
        ) from error
    if asked.returncode:
        said = (asked.stderr.strip() or asked.stdout.strip() or "no reason").splitlines()[-1][:300].rstrip(".")
        raise InputError(
            f"The Ray at {address} cannot be used ({said}). Check `ray status --address {address}`, or leave out "
            "--address to use this machine alone."
        )


def _usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _kept(log: Path) -> str:
    """The stack trace of the error that is being handled; it is kept in a file."""
    trace = traceback.format_exc()
    with log.open("a", encoding="utf-8") as file:
        file.write(trace)
    return trace


def to_sentence(trace: str, log: Path) -> str:
    """What a stack trace says, as one sentence; what one of our own functions said in an actor, in its words.

    Args:
        trace (`str`): As Python prints it.
        log (`Path`): Where it can be read.

    Example:
        >>> to_sentence("...\\n  logs2lang.x.InputError: data has no items. Build it again.\\n", Path("x.log"))
        'data has no items. Build it again. The stack trace is in x.log.'
        >>> to_sentence("Traceback:\\n  ...\\nActorDiedError: It died.\\n", Path("x.log"))
        'Ray could not finish the texts: ActorDiedError: It died. The stack trace is in x.log.'
    """
    where = f"The stack trace is in {log}."
    if ours := our_words(trace):
        return f"{ours} {where}"
    said = next((line for line in reversed(trace.splitlines()) if line.strip()), "it stopped without a message")
    return f"Ray could not finish the texts: {said.strip()[:300].rstrip('.')}. {where}"
