"""How popular the items of a catalogue are, and whether the picks of a row just follow that."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from logs2lang.dataset_builders.schema import TARGET, Item

from ..baselines.training_log import TrainingLog
from .results import GROUP_NAMES

PICK = "pick"


@dataclass(frozen=True, eq=False)
class CataloguePopularity:
    """How many users chose each item in training.

    Args:
        audience (`pandas.Series` of `int`): Users by item id; without the items that nobody chose.
        num_users (`int`): Of the training interactions.
        num_items (`int`): Of the catalogue.
    """

    audience: pd.Series
    num_users: int
    num_items: int

    @classmethod
    def of(cls, interactions: pd.DataFrame, items: Mapping[str, Item]) -> "CataloguePopularity":
        """Count, leaving out what says little about taste.

        Args:
            interactions (`pandas.DataFrame`): As `BuiltDataset.training_interactions` returns them.
            items (`dict[str, Item]`): The catalogue.
        """
        log = TrainingLog.of(interactions)
        return cls(pd.Series(log.audience, index=log.item_ids), log.num_users, len(items))

    def bits(self, item_ids: Iterable[str]) -> np.ndarray:
        """How surprising it is that a user chose each item: `-log2` of the share of users who did.

        The self-information of Zhou et al. (2010, PNAS 107), as RecTools computes it in `MeanInvUserFreq`: an item
        that nobody chose counts as if one user had.

        Example:
            >>> popularity = CataloguePopularity(pd.Series({"a": 4, "b": 1}), num_users=8, num_items=3)
            >>> popularity.bits(["a", "b", "never chosen"]).tolist()
            [1.0, 3.0, 3.0]
        """
        users = self.audience.reindex(list(item_ids)).fillna(0).to_numpy(float)
        return np.log2(max(self.num_users, 1)) - np.log2(np.maximum(users, 1))

    def names(self, item_ids: Sequence[str]) -> list[str]:
        """Whether each item belongs to the head, the middle or the tail of the catalogue, or is cold.

        The head are the most popular items that have a third of all choices together, the middle those that have the
        next third, the tail the rest, and cold is what nobody chose in training. Of equally popular items the smaller
        id counts as the more popular one.

        Example:
            >>> popularity = CataloguePopularity(pd.Series({"a": 4, "b": 3, "c": 3, "d": 2}), 9, num_items=5)
            >>> popularity.names(["a", "b", "c", "d", "e"])
            ['head', 'middle', 'middle', 'tail', 'cold']
        """
        ranked = self.audience.sort_index().sort_values(ascending=False, kind="stable")
        ranked = ranked[ranked > 0]
        before = (ranked.cumsum() - ranked) / max(ranked.sum(), 1)  # the share of choices that more popular ones have
        third = pd.Series(np.minimum((before * 3).to_numpy(float).astype(int), 2), index=ranked.index)
        return [GROUP_NAMES["popularity"][place] for place in third.reindex(list(item_ids)).fillna(3).astype(int)]


def novelty_measures(judged: pd.DataFrame, popularity: CataloguePopularity) -> dict[str, Any]:
    """How popular the picks are against the targets, and how much of the catalogue is ever picked.

    Args:
        judged (`pandas.DataFrame`): As `row_measures.judge` returns it.
        popularity ([`CataloguePopularity`]): Of the training interactions.

    Returns:
        `dict`: `novelty` of the picks and `target_novelty`, both in bits (see [`CataloguePopularity.bits`]; a row
        below its targets follows popularity); `coverage`: the share of the catalogue that is picked at least once, and
        `target_coverage`, what always picking the target would reach on these examples. `None` without a valid pick.
    """
    picks = judged[PICK].dropna()
    return {
        "novelty": float(popularity.bits(picks).mean()) if len(picks) else None,
        "target_novelty": float(popularity.bits(judged[TARGET]).mean()) if len(judged) else None,
        "coverage": picks.nunique() / popularity.num_items if len(picks) else None,
        "target_coverage": judged[TARGET].nunique() / popularity.num_items if len(judged) else None,
    }
