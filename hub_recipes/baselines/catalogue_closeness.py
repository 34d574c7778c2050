"""How near a candidate is to the history in what the catalogue says: its year, its tags.

Nothing is learned from other users, so an item that nobody chose in training is scored like any other. An item that
the catalogue says nothing about gets the lowest score.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from datasets import Dataset
from scipy import sparse

from logs2lang.dataset_builders.schema import TAGS, YEAR, Item

from .decisions import Decisions
from .recommender import Progress


class YearCloseness:
    """Prefers the candidate whose year is nearest to the mean of the years of the last few choices.

    Args:
        records (`int`, *optional*, defaults to 5): How many of the newest choices are read.
    """

    def __init__(self, records: int = 5):
        self.records = records

    def fit(
        self, interactions: pd.DataFrame, items: Mapping[str, Item], progress: Progress | None = None
    ) -> "YearCloseness":
        """Read the years of the catalogue; see [`Recommender`]."""
        self.item_ids = pd.Index(list(items), dtype=object)
        self.years = np.array([np.nan if item[YEAR] is None else item[YEAR] for item in items.values()], dtype=float)
        return self

    def score(self, examples: Dataset, shown: Sequence[str] | None = None) -> np.ndarray:
        """Score the candidates; see [`Recommender`]. A history without any year tells nothing."""
        decisions = Decisions.of(examples, self.item_ids, shown).latest(self.records)
        years = self.years[decisions.item]
        totals, known = (decisions.sum_records() @ values for values in (np.nan_to_num(years), ~np.isnan(years)))
        with np.errstate(invalid="ignore"):  # 0 / 0: no year in the history
            means = totals / known
        distances = np.abs(self.years[decisions.candidates] - means[:, None])
        return decisions.of_known(np.where(np.isnan(distances), -np.inf, -distances))


class TagCosine:
    """Prefers the candidate whose tags are those of the last choices.

    The cosine between the candidate's tags (1 or 0) and how often each tag stands in the history, up to a factor that
    is the same for all candidates of an example.

    Args:
        records (`int`, *optional*, defaults to 20): How many of the newest choices are read.
    """

    def __init__(self, records: int = 20):
        self.records = records

    def fit(
        self, interactions: pd.DataFrame, items: Mapping[str, Item], progress: Progress | None = None
    ) -> "TagCosine":
        """Read the tags of the catalogue; see [`Recommender`]."""
        self.item_ids = pd.Index(list(items), dtype=object)
        self.tags = to_tag_matrix([item[TAGS] for item in items.values()])
        return self

    def score(self, examples: Dataset, shown: Sequence[str] | None = None) -> np.ndarray:
        """Score the candidates; see [`Recommender`]. A candidate without tags scores 0, the lowest cosine there is."""
        decisions = Decisions.of(examples, self.item_ids, shown).latest(self.records)
        lengths = np.sqrt(np.maximum(self.tags.sum(axis=1).A1, 1))
        profiles = decisions.sum_records() @ self.tags[decisions.item]
        if decisions.shared is not None:
            cosines = (profiles @ (self.tags[decisions.shared].T / lengths[decisions.shared])).toarray()
            return decisions.of_known(cosines)
        tags = self.tags[decisions.candidates.ravel()]
        agreement = tags.multiply(profiles[np.repeat(np.arange(len(examples)), decisions.candidates.shape[1])])
        cosines = agreement.sum(axis=1).A1 / lengths[decisions.candidates.ravel()]
        return decisions.of_known(cosines.reshape(decisions.candidates.shape))


def to_tag_matrix(tags: Sequence[Sequence[str]]) -> sparse.csr_matrix:
    """Which item has which tag.

    Args:
        tags (`list[list[str]]`): The tags of each item.

    Returns:
        `sparse.csr_matrix` of shape `[items, tags]`: 1 where an item has a tag.

    Example:
        >>> to_tag_matrix([["noir"], [], ["slow", "noir"]]).toarray()
        array([[1., 0.],
               [0., 0.],
               [1., 1.]])
    """
    item = np.repeat(np.arange(len(tags)), [len(set(of_item)) for of_item in tags])
    tag, names = pd.factorize(np.array([tag for of_item in tags for tag in dict.fromkeys(of_item)], dtype=object))
    return sparse.csr_matrix((np.ones(len(tag)), (item, tag)), shape=(len(tags), len(names)))
