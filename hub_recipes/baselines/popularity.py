"""How many users chose an item, and nothing about the user at hand."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from datasets import Dataset

from logs2lang.dataset_builders.schema import Item

from .decisions import Decisions
from .recommender import Progress
from .training_log import TrainingLog


class Popularity:
    """Scores a candidate by the number of users who chose it in training.

    Args:
        inverse (`bool`, *optional*, defaults to `False`): The rarest first, and what nobody chose in training before
            all others. No sensible recommender, but a test of the candidates: where it beats chance, their
            rarity gives targets away.
    """

    def __init__(self, inverse: bool = False):
        self.inverse = inverse

    def fit(
        self, interactions: pd.DataFrame, items: Mapping[str, Item], progress: Progress | None = None
    ) -> "Popularity":
        """Count; see [`Recommender`]."""
        log = TrainingLog.of(interactions)
        self.item_ids, self.audience = log.item_ids, log.audience
        return self

    def score(self, examples: Dataset, shown: Sequence[str] | None = None) -> np.ndarray:
        """Score the candidates; see [`Recommender`]. What nobody chose in training has a count of 0."""
        candidates = Decisions.of(examples, self.item_ids, shown).candidates
        counts = np.where(candidates >= 0, self.audience[candidates], 0).astype(float)
        return -counts if self.inverse else counts
