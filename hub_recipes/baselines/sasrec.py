"""Self-attentive sequential recommendation (Kang and McAuley, 2018): the next choice, predicted from those before.

`torch` is imported when a network is fitted, not when this module is.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from datasets import Dataset

from logs2lang.dataset_builders.schema import Item

from .decisions import Decisions
from .recommender import Progress
from .sasrec_settings import SasRecSettings
from .training_log import TrainingLog

SMOOTHING = 10
"""Users added to every item's audience before its logarithm is taken, because the logit of a rare item is as uncertain
as its count."""


class SasRec:
    """Scores a candidate by its logit as the next choice.

    Two recommenders with the same settings that are fitted one after the other on the same interactions share one
    network, so the second costs nothing.

    Args:
        lift (`bool`, *optional*, defaults to `False`): Subtract the logarithm of the item's audience in training.
        settings ([`SasRecSettings`], *optional*): The network and its training.
    """

    def __init__(self, lift: bool = False, settings: SasRecSettings | None = None):
        self.lift = lift
        self.settings = settings or SasRecSettings()

    def fit(self, interactions: pd.DataFrame, items: Mapping[str, Item], progress: Progress | None = None) -> "SasRec":
        """Train the network, on an accelerator if there is one; see [`Recommender`]."""
        from .sasrec_batches import Sequences
        from .sasrec_training import Watch, fitted_network

        log = TrainingLog.of(interactions)
        self.item_ids, self.audience = log.item_ids, log.audience
        self.network = fitted_network(Sequences.of(log), self.settings, Watch(progress))
        return self

    def score(self, examples: Dataset, shown: Sequence[str] | None = None) -> np.ndarray:
        """Score the candidates; see [`Recommender`]. A history without any known item has logits of 0."""
        decisions = Decisions.of(examples, self.item_ids, shown)
        history = to_padded(decisions.latest(self.settings.window))
        shown_numbers = decisions.candidates if decisions.shared is None else decisions.shared
        logits = self.network.score(*history, shown_numbers)
        if self.lift:
            logits = logits - np.log(self.audience[decisions.candidates] + SMOOTHING)
        return decisions.of_known(logits)


def to_padded(decisions: Decisions) -> tuple[np.ndarray, np.ndarray]:
    """Histories as rows of equal length, padded on the right.

    Returns:
        `tuple[np.ndarray, np.ndarray]`: Item numbers of shape `[examples, longest]`, 0 after the end, and the lengths
        of shape `[examples]`.

    Example:
        >>> shown = np.zeros((2, 10))
        >>> to_padded(Decisions(shown, example=np.array([0, 1, 1]), item=np.array([7, 8, 9]), age=np.array([0, 1, 0])))
        (array([[7, 0],
               [8, 9]]), array([1, 2]))
    """
    lengths = np.bincount(decisions.example, minlength=len(decisions.candidates))
    padded = np.zeros((len(lengths), lengths.max(initial=1)), dtype=np.int64)
    padded[decisions.example, lengths[decisions.example] - 1 - decisions.age] = decisions.item
    return padded, lengths
