"""What users choose soon after an item: a Markov chain with a window."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from datasets import Dataset
from scipy import sparse

from logs2lang.dataset_builders.schema import Item

from .decisions import Decisions
from .pair_counts import PairCounts, sum_over_history
from .recommender import Progress
from .training_log import TrainingLog

SHRINKAGE = 0.1
"""Times that popularity alone would make one item follow another."""


class Markov:
    """Scores a candidate by how often it followed the last choices.

    `n_ij` counts how often `j` is among the next `window` choices of a user after `i`. The scores of the records are
    summed, each at half the weight of the one after it: what came last says most about what comes next.

    Args:
        lift (`bool`): `True`: divide `n_ij` by the count that popularity alone expects, plus `SHRINKAGE`. `False`: add
            to the sum the share of `j` in all that followed anything, at most 1, so that popularity decides where
            nothing was counted.
        window (`int`, *optional*, defaults to 10): How many choices count as following.
        records (`int`, *optional*, defaults to 5): How many of the newest choices are read.
    """

    def __init__(self, lift: bool, window: int = 10, records: int = 5):
        self.lift = lift
        self.window = window
        self.records = records

    def fit(self, interactions: pd.DataFrame, items: Mapping[str, Item], progress: Progress | None = None) -> "Markov":
        """Count what follows what; see [`Recommender`]."""
        log = TrainingLog.of(interactions)
        followers = to_followers(log, self.window)
        self.item_ids = log.item_ids
        self.table = followers.lift(SHRINKAGE) if self.lift else followers.counts
        self.shares = followers.columns / max(followers.total, 1)
        return self

    def score(self, examples: Dataset, shown: Sequence[str] | None = None) -> np.ndarray:
        """Score the candidates; see [`Recommender`]."""
        decisions = Decisions.of(examples, self.item_ids, shown).latest(self.records)
        scores = sum_over_history(self.table, decisions, weights=0.5**decisions.age)
        return scores if self.lift else scores + self.shares[decisions.candidates]


def to_followers(log: TrainingLog, window: int) -> PairCounts:
    """How often the second item of each pair is chosen within `window` choices after the first.

    Args:
        log ([`TrainingLog`]): What users chose, in order.
        window (`int`): At least 1.
    """
    counts = sum((_at_distance(log, distance) for distance in range(1, window + 1)), start=_none(log))
    return PairCounts(counts, rows=counts.sum(axis=1).A1, columns=counts.sum(axis=0).A1, total=counts.sum())


def _at_distance(log: TrainingLog, distance: int) -> sparse.csr_matrix:
    same_user = log.users[:-distance] == log.users[distance:]
    pairs = log.items[:-distance][same_user], log.items[distance:][same_user]
    return sparse.csr_matrix((np.ones(len(pairs[0])), pairs), shape=(log.num_items, log.num_items))


def _none(log: TrainingLog) -> sparse.csr_matrix:
    return sparse.csr_matrix((log.num_items, log.num_items))
