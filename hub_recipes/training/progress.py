"""A bar over the steps of a run, with the time left and the few numbers that say whether it learns."""

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import TrainerCallback

SHOWN = {
    "loss": "loss",
    "reward": "reward",
    "oracle/hit_rate": "oracle hits",
    "answer/hit_rate": "hits",
    "recall@1": "recall@1",
    "eval_recall@1": "validation recall@1",
    "length/compression": "length",
    "kl": "kl",
}
"""Logged measures beside the bar, and what they are called there."""


class TrainingBar(TrainerCallback):
    """Shows the steps of the main process on stderr.

    Args:
        title (`str`): What is done.
    """

    def __init__(self, title: str):
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        numbers = TextColumn("[dim]{task.fields[numbers]}")
        self._bar = Progress(*columns, TimeRemainingColumn(), numbers, console=Console(stderr=True))
        self._title = title
        self._numbers: dict[str, str] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self._task = self._bar.add_task(
                self._title, total=state.max_steps, completed=state.global_step, numbers=""
            )
            self._bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self._bar.update(self._task, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if state.is_world_process_zero and self._bar.live.is_started:
            seen = {title: f"{logs[name]:.3g}" for name, title in SHOWN.items() if (logs or {}).get(name) is not None}
            self._numbers |= seen
            numbers = "  ".join(f"{title} {number}" for title, number in self._numbers.items())
            self._bar.update(self._task, numbers=numbers)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._bar.stop()
