"""No knowledge at all: what every other row must beat."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from datasets import Dataset

from logs2lang.dataset_builders.schema import CANDIDATES, Item

from .recommender import Progress


class RandomChoice:
    """Scores all candidates the same, so that `rankings_from_scores` draws their order."""

    def fit(
        self, interactions: pd.DataFrame, items: Mapping[str, Item], progress: Progress | None = None
    ) -> "RandomChoice":
        """Learn nothing; see [`Recommender`]."""
        return self

    def score(self, examples: Dataset, shown: Sequence[str] | None = None) -> np.ndarray:
        """Score the candidates; see [`Recommender`]."""
        return np.zeros((len(examples), len(examples[CANDIDATES][0] if shown is None else shown)))
