"""What every way of recommending returns for one example."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ranking:
    """The candidates of one example, best first.

    Args:
        item_ids (`Sequence[str]`): Candidate ids, best first.
        probabilities (`Sequence[float]`, *optional*): One per item id, in the same order, summing to 1. Empty for a
            ranker that has none, such as a classical recommender or a generated answer.
    """

    item_ids: Sequence[str]
    probabilities: Sequence[float] = ()

    @property
    def pick(self) -> str:
        """The item ranked first."""
        return self.item_ids[0]
