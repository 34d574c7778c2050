"""The steps of a run, with the time left and the few numbers that say whether it learns."""

from typing import Any

from transformers import TrainerCallback

from ...console.progress import Report

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
"""Logged measures that are shown, and what they are called there."""


class TrainingProgress(TrainerCallback):
    """Reports the steps of the main process.

    Args:
        title (`str`): What is done.
    """

    report: Report | None = None
    """Set for as long as training is shown."""

    def __init__(self, title: str):
        self._title = title
        self._numbers: dict[str, str] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._tell(args, state)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._tell(args, state)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        seen = {title: f"{logs[name]:.3g}" for name, title in SHOWN.items() if (logs or {}).get(name) is not None}
        self._numbers |= seen
        self._tell(args, state)

    def _tell(self, args: Any, state: Any) -> None:
        if self.report is None or not state.is_world_process_zero:
            return
        rows = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        examples = rows / (getattr(args, "num_generations", None) or 1)  # a group of answers is about one example
        numbers = ", ".join(f"{title} {number}" for title, number in self._numbers.items())
        self.report(self._title, "step", state.global_step, state.max_steps, numbers, examples)
