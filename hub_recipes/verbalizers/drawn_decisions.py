"""Decisions by lot: the texts of an action verbalizer that has learned nothing."""

from collections.abc import Mapping, Sequence

import numpy as np

from dataset_builders.schema import Item
from hub_recipes.verbalizers.action import Decisions, draw_decisions, execute
from hub_recipes.verbalizers.verbalizer import History, Progress


class DrawnDecisions:
    """Draws by lot what becomes of each record, and carries it out as the `action` verbalizer does.

    An oracle has to have read such texts before it judges them: GRPO tries every mixture of decisions, and a reasoner
    that knows profiles alone finds records strange, whatever they say. Each history has shares of its own, so that all
    dropped, all kept and all in detail are among the texts.

    Args:
        items (`dict[str, Item]`): The catalogue, for records in detail.
        seed (`int`, *optional*, defaults to 0): Decides the draws; the same histories in the same order get the same
            texts.

    Example:
        >>> DrawnDecisions({}).verbalize([[]])
        ['(no records)']
    """

    def __init__(self, items: Mapping[str, Item], seed: int = 0):
        self.items = items
        self.seed = seed

    @property
    def fingerprint(self) -> str:
        return f"drawn-decisions-{self.seed}"

    def verbalize(self, histories: Sequence[History], progress: Progress | None = None) -> list[str]:
        """Write each history as text; see [`Verbalizer`]."""
        draws = np.random.default_rng(self.seed)
        decisions = [Decisions(draw_decisions(draws, len(history)), undecided=0) for history in histories]
        texts = [execute(drawn, history, self.items) for drawn, history in zip(decisions, histories, strict=True)]
        if progress is not None:
            progress(len(texts))
        return texts
