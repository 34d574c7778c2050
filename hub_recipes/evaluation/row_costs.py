"""What a row costs: the tokens that its language models read and write per example, and the seconds that takes."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any, NamedTuple

from ..models.token_usage import TokenUsage


class Cost(NamedTuple):
    """What one stage of a row took, over all examples."""

    usage: TokenUsage
    seconds: float


class Meter:
    """Reads the counters of a language model and the clock now, and again when `read` is called.

    Args:
        usage ([`TokenUsage`], *optional*): The counters; `None` for a stage without a model, or one that cannot tell.
        needs_model (`bool`, *optional*, defaults to `True`): Whether a stage without counters costs an unknown amount
            instead of no tokens.
    """

    def __init__(self, usage: TokenUsage | None, needs_model: bool = True):
        self.usage, self.needs_model = usage, needs_model
        self.before = None if usage is None else usage.copy()
        self.started = perf_counter()

    def read(self, prompts: int) -> Cost | None:
        """What was counted since.

        Args:
            prompts (`int`): How many prompts the stage had to put.

        Returns:
            `Cost` or `None`: `None` where the counters do not tell it: fewer prompts were put, because a cache on disk
            held the other answers, or there are no counters.
        """
        seconds = perf_counter() - self.started
        if self.usage is None or self.before is None:
            return None if self.needs_model else Cost(TokenUsage(), seconds)
        counted = self.usage.since(self.before)
        return Cost(counted, seconds) if counted.prompts >= prompts else None


def to_costs(stages: Sequence[Cost | None], examples: int) -> dict[str, Any]:
    """The costs of a row per example, as `results.json` holds them; empty where a stage could not be measured.

    Args:
        stages (`list[Cost | None]`): Writing and answering.
        examples (`int`): How many examples all of them ran on, in batches.

    Example:
        >>> written, answered = Cost(TokenUsage(2, 100, 20), 3.0), Cost(TokenUsage(2, 60), 1.0)
        >>> to_costs([written, answered], examples=2)
        {'tokens_read': 80.0, 'tokens_written': 10.0, 'seconds_per_example': 2.0}
        >>> to_costs([None, answered], examples=2)
        {}
    """
    known = [stage for stage in stages if stage is not None]
    if len(known) < len(stages) or not examples:
        return {}
    return {
        "tokens_read": sum(stage.usage.read for stage in known) / examples,
        "tokens_written": sum(stage.usage.written for stage in known) / examples,
        "seconds_per_example": sum(stage.seconds for stage in known) / examples,
    }
