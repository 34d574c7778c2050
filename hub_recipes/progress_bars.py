"""Progress of long work in the terminal: a bar per row with the time left, on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager

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

from hub_recipes.evaluation import Progress as Report


@contextmanager
def progress_bars() -> Iterator[Report]:
    """Show a bar per row; yields the callable that moves them.

    Example:
        >>> with progress_bars() as report:
        ...     report("template", "answering", 3, 10)
    """
    columns = (
        TextColumn("{task.fields[row]}"),
        TextColumn("[dim]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[tuple[str, str], TaskID] = {}
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def report(row: str, stage: str, done: int, total: int) -> None:
            if (row, stage) not in tasks:
                tasks[row, stage] = bars.add_task(stage, total=total, row=row)
            bars.update(tasks[row, stage], completed=done)

        yield report
