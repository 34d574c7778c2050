"""Progress of long work on standard error: bars at a terminal, one plain line in ten seconds at most elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock, Thread
from time import monotonic, strftime
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .log_level import is_quiet

EVERY_S = 10.0
"""Between two lines; work that finishes before the first line prints nothing."""
SAME_S = 60.0
"""Between two lines without progress, which are worth less than lines that show progress."""

Say = Callable[[str], None]


class Report(Protocol):
    """Moves the progress of one piece of work."""

    def __call__(
        self, row: str, stage: str, done: int, total: int, numbers: str = "", examples_each: float = 1
    ) -> None:
        """Say how far it is.

        Args:
            row (`str`): What is at work.
            stage (`str`): What it is doing.
            done (`int`): How much of it is done.
            total (`int`): How much there is.
            numbers (`str`, *optional*): What is measured on the way, such as a loss.
            examples_each (`float`, *optional*, defaults to 1): How many examples one of `total` stands for.
        """


@contextmanager
def show_progress() -> Iterator[Report]:
    """Show how far long work is; yields what moves it.

    Example:
        >>> with show_progress() as report:
        ...     report("template", "answering", 3, 10)
    """
    console = Console(stderr=True)
    if is_quiet():
        yield lambda *args, **kwargs: None
    elif console.is_terminal:
        with _bars(console) as report:
            yield report
    else:
        with _told(ProgressLines()) as lines:
            yield lines.report


@contextmanager
def show_status() -> Iterator[Say]:
    """Show the current activity if the remaining amount is unknown; yields a function to report it."""
    console = Console(stderr=True)
    if is_quiet():
        yield lambda text: None
    elif console.is_terminal:
        with console.status("") as status:
            yield status.update
    else:
        with _told(ProgressLines()) as lines:
            yield lines.say


@contextmanager
def _bars(console: Console) -> Iterator[Report]:
    columns = (TextColumn("{task.fields[row]}"), TextColumn("[dim]{task.description}"), BarColumn())
    times = (MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    tasks: dict[tuple[str, str], TaskID] = {}
    with Progress(*columns, *times, TextColumn("[dim]{task.fields[numbers]}"), console=console) as bars:

        def report(row: str, stage: str, done: int, total: int, numbers: str = "", examples_each: float = 1) -> None:
            if (row, stage) not in tasks:
                tasks[row, stage] = bars.add_task(stage, total=total, row=row, numbers=numbers)
            bars.update(tasks[row, stage], completed=done, numbers=numbers)

        yield report


@contextmanager
def _told(lines: "ProgressLines") -> Iterator["ProgressLines"]:
    """Let a thread of its own write the lines: the work may say nothing for minutes."""
    over = Event()

    def tell() -> None:
        while not over.wait(EVERY_S):
            lines.tick()

    thread = Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield lines
    finally:
        over.set()
        thread.join()


@dataclass
class _Work:
    """What is at work, and how far it was when that began."""

    what: str
    since: float
    before: int = 0
    done: int = 0
    total: int | None = None
    numbers: str = ""
    examples_each: float = 1

    def line(self, now: float) -> str:
        seconds = now - self.since
        if self.total is None:
            return f"{self.what}, {_clock(seconds)} so far"
        parts = [f"{self.what}: {self.done:,} of {self.total:,}", *([self.numbers] if self.numbers else [])]
        moved = self.done - self.before
        if not moved:
            return ", ".join([*parts, f"{_clock(seconds)} so far"])
        rate = moved / max(seconds, 1e-9)
        left = _clock((self.total - self.done) / rate)
        return ", ".join([*parts, f"{rate * self.examples_each:.3g} examples per second", f"{left} left"])


class ProgressLines:
    """Plain lines about the work that was reported last.

    Args:
        write (`Callable[[str], None]`, *optional*): Where a line goes; to standard error by default.
        clock (`Callable[[], float]`, *optional*): Returns seconds.
        time (`Callable[[], str]`, *optional*): Returns the time of day, with which a line begins.

    Example:
        >>> now = iter([0.0, 0.0, 20.0])
        >>> lines = ProgressLines(print, now.__next__, lambda: "09:30:00")
        >>> lines.report("template", "answering", 0, 100)
        >>> lines.report("template", "answering", 40, 100)
        >>> lines.tick()
        09:30:00 template, answering: 40 of 100, 2 examples per second, 0:30 left
    """

    def __init__(
        self,
        write: Say | None = None,
        clock: Callable[[], float] = monotonic,
        time: Callable[[], str] = lambda: strftime("%H:%M:%S"),
    ):
        self._write = write or (lambda line: print(line, file=sys.stderr, flush=True))
        self._clock = clock
        self._time = time
        self._work: _Work | None = None
        self._said: Any = None
        self._said_at = float("-inf")
        self._lock = Lock()

    def report(self, row: str, stage: str, done: int, total: int, numbers: str = "", examples_each: float = 1) -> None:
        """See [`Report`]."""
        now, what = self._clock(), f"{row}, {stage}" if stage else row
        with self._lock:
            if self._work is None or self._work.what != what:
                self._work = _Work(what, now, done)
            self._work.done, self._work.total = done, total
            self._work.numbers, self._work.examples_each = numbers, examples_each

    def say(self, text: str) -> None:
        """What is at work from now on."""
        now = self._clock()
        with self._lock:
            self._work = _Work(text, now)

    def tick(self) -> None:
        """Write a line, unless nothing moved and the last one is not long ago."""
        now = self._clock()
        with self._lock:
            if self._work is None:
                return
            state = (self._work.what, self._work.done, self._work.numbers)
            if state == self._said and now - self._said_at < SAME_S:
                return
            self._said, self._said_at = state, now
            line = self._work.line(now)
        self._write(f"{self._time()} {line}")


def _clock(seconds: float) -> str:
    """A span of time as clocks show it.

    Example:
        >>> _clock(65), _clock(3_725)
        ('1:05', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
