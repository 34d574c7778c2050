"""Items that the same users chose (Sarwar et al., 2001; Linden et al., 2003)."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from datasets import Dataset
from scipy import sparse

from logs2lang.dataset_builders.schema import Item

from .decisions import Decisions
from .pair_counts import PairCounts, sum_over_history
from .recommender import Progress
from .training_log import TrainingLog

SHRINKAGE = 0.01
"""Users who would choose both items by popularity alone; as good as none, so that lift stays a lift."""

ITEMS_PER_USER = 1_000
"""So many of a user's newest interactions count: the pairs of one user grow with the square."""


class ItemKnn:
    """Scores a candidate by its similarity to each of the last choices, summed.

    With `n_i` users who chose `i`, `n_ij` who chose both and `n` users in all, `cosine` is
    `n_ij / sqrt(n_i * n_j)` and `lift` is `n_ij / (n_i * n_j / n + SHRINKAGE)`. All items are neighbours.

    Args:
        similarity (`str`): `"cosine"`, which also grows with popularity, or `"lift"`, which divides it out.
        records (`int`, *optional*, defaults to 20): How many of the newest choices are read.
    """

    def __init__(self, similarity: Literal["cosine", "lift"], records: int = 20):
        self.similarity = similarity
        self.records = records

    def fit(
        self, interactions: pd.DataFrame, items: Mapping[str, Item], progress: Progress | None = None
    ) -> "ItemKnn":
        """Count who chose what together; see [`Recommender`]."""
        log = TrainingLog.of(interactions)
        pairs = to_common_users(log)
        self.item_ids = log.item_ids
        self.table = pairs.cosine() if self.similarity == "cosine" else pairs.lift(SHRINKAGE)
        return self

    def score(self, examples: Dataset, shown: Sequence[str] | None = None) -> np.ndarray:
        """Score the candidates; see [`Recommender`]."""
        return sum_over_history(self.table, Decisions.of(examples, self.item_ids, shown).latest(self.records))


def to_common_users(log: TrainingLog) -> PairCounts:
    """How many users chose both items of each pair, however often each of them did.

    Args:
        log ([`TrainingLog`]): Users with more than `ITEMS_PER_USER` interactions count with their newest ones.
    """
    ends = log.users.searchsorted(log.users, side="right")
    newest = ends - np.arange(len(log.users)) <= ITEMS_PER_USER
    users, items = log.users[newest], log.items[newest]
    ones = np.ones(len(users), dtype=np.float32)
    chose = sparse.csr_matrix((ones, (users, items)), shape=(log.num_users, log.num_items))
    chose.data[:] = 1  # a second time says nothing new
    audience, both = chose.sum(axis=0).A1, (chose.T @ chose).tocsr()
    both.sort_indices()
    return PairCounts(both, rows=audience, columns=audience, total=log.num_users)
