"""The training interactions as numbers: who chose what, in order."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from logs2lang.dataset_builders.schema import EVENT, ITEM_ID, NOISE_EVENTS, TIMESTAMP, USER


@dataclass(frozen=True, eq=False)
class TrainingLog:
    """What users chose, by user and then in time.

    Args:
        item_ids (`pandas.Index`): The items that anybody chose; an item's number is its place here.
        users (`np.ndarray` of shape `[interactions]`): Number of the user, from 0, ascending.
        items (`np.ndarray` of shape `[interactions]`): Number of the item.
    """

    item_ids: pd.Index
    users: np.ndarray
    items: np.ndarray

    @classmethod
    def of(cls, interactions: pd.DataFrame) -> "TrainingLog":
        """Number the users and items of a log, and leave out what nobody chose.

        Args:
            interactions (`pandas.DataFrame`): `user`, `item_id`, `timestamp` and `event`. Interactions of a user at
                the same instant keep the order they have here.
        """
        chosen = interactions[~interactions[EVENT].isin(NOISE_EVENTS)]
        users, _ = pd.factorize(chosen[USER])
        items, item_ids = pd.factorize(chosen[ITEM_ID])
        order = np.lexsort((pd.DatetimeIndex(chosen[TIMESTAMP]).asi8, users))
        return cls(pd.Index(item_ids), users[order], items[order])

    @property
    def num_users(self) -> int:
        return int(self.users.max(initial=-1)) + 1

    @property
    def num_items(self) -> int:
        return len(self.item_ids)

    @cached_property
    def audience(self) -> np.ndarray:
        """How many users chose each item."""
        pairs = np.unique(self.users.astype(np.int64) * self.num_items + self.items)
        return np.bincount(pairs % self.num_items, minlength=self.num_items)
