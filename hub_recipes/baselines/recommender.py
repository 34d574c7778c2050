"""What every classical recommender can do."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import pandas as pd
from datasets import Dataset

from logs2lang.dataset_builders.schema import Item

Progress = Callable[[float], None]
"""Called with the share of the fitting that is done, in [0, 1], by what takes long."""


class Recommender(Protocol):
    """Learns from the interactions of training, and scores the candidates of an example from its own history.

    Events that say little about taste (`schema.NOISE_EVENTS`) are neither learned from nor read in a history.
    """

    def fit(
        self, interactions: pd.DataFrame, items: Mapping[str, Item], progress: Progress | None = None
    ) -> "Recommender":
        """Learn.

        Args:
            interactions (`pandas.DataFrame`): As `BuiltDataset.training_interactions` returns them.
            items (`dict[str, Item]`): The catalogue.
            progress (`Callable[[float], None]`, *optional*): See `Progress`.

        Returns:
            The recommender itself.
        """

    def score(self, examples: Dataset, shown: Sequence[str] | None = None) -> np.ndarray:
        """Score the candidates.

        Args:
            examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.
            shown (`list[str]`, *optional*): Items to score for every example, in place of its own candidates; such as
                all of a catalogue, in full and not one by one.

        Returns:
            `np.ndarray` of shape `[examples, candidates]`: Higher is better; `-inf` for a candidate the recommender
            knows nothing about.
        """
