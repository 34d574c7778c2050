"""All candidates of a catalogue: which items stand to choose at a moment, for a user.

The rule is that of `dataset_builders.candidates`, without a draw: every item that was already in the log and that the
user never touched, and the target. A built dataset says so by itself: its training interactions and the histories and
targets of its examples tell when an item was first seen and what each user touched. An item that only a user without
an example chose after the end of training is unknown to it, and is no candidate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from scipy import sparse

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.export import filled_splits
from logs2lang.dataset_builders.schema import HISTORY, ITEM_ID, SERIES, TARGET, TIMESTAMP, USER


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The items of a log that anybody is known to have met.

    Args:
        item_ids (`pandas.Index`): An item's number is its place here.
        first_seen (`np.ndarray` of `int`, shape `[items]`): When it came into the log, in microseconds.
        users (`pandas.Index`): A user's number is its place here.
        touched (`sparse.csr_matrix` of `bool`, shape `[users, items]`): What each user ever touched; of a series every
            episode.
    """

    item_ids: pd.Index
    first_seen: np.ndarray
    users: pd.Index
    touched: sparse.csr_matrix

    @classmethod
    def of(cls, dataset: BuiltDataset) -> "Catalogue":
        """Read the training interactions and the examples of all splits."""
        known = pd.concat([_training(dataset), *(_of_split(dataset, split) for split in _splits(dataset))])
        first_seen = known.groupby(ITEM_ID)[TIMESTAMP].min()
        items = dataset.items()
        # A series of the name of an item is another work than the item.
        names = [(True, items[one][SERIES]) if items[one][SERIES] else (False, one) for one in first_seen.index]
        works = pd.factorize(pd.Series(names, dtype=object))[0]
        users, user_ids = pd.factorize(known[USER])
        items_touched = first_seen.index.get_indexer(pd.Index(known[ITEM_ID]))
        touched = _matrix(users, works[items_touched], len(user_ids), len(works))
        of_works = _matrix(works, np.arange(len(works)), len(works), len(works))
        return cls(first_seen.index, first_seen.to_numpy(), pd.Index(user_ids), (touched @ of_works).astype(bool))

    def targets(self, examples: Dataset) -> np.ndarray:
        """The number of each example's target."""
        return self.item_ids.get_indexer(examples[TARGET][:])

    def candidates(self, examples: Dataset) -> np.ndarray:
        """Which items stand to choose.

        Args:
            examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.

        Returns:
            `np.ndarray` of `bool`, shape `[examples, items]`.
        """
        moments = _microseconds(examples[TIMESTAMP][:])
        touched = self.touched[self.users.get_indexer(examples[USER][:])].toarray()
        allowed = (self.first_seen[None, :] <= moments[:, None]) & ~touched
        allowed[np.arange(len(examples)), self.targets(examples)] = True
        return allowed


def _matrix(rows: np.ndarray, columns: np.ndarray, height: int, width: int) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(len(rows), np.int32), (rows, columns)), shape=(height, width))


def _splits(dataset: BuiltDataset) -> Sequence[str]:
    return filled_splits(dataset.folder, "examples")


def _training(dataset: BuiltDataset) -> pd.DataFrame:
    return _frame(*(dataset.training_interactions()[name] for name in (USER, ITEM_ID, TIMESTAMP)))


def _of_split(dataset: BuiltDataset, split: str) -> pd.DataFrame:
    """What the histories and targets of one split tell."""
    columns = [USER, TIMESTAMP, TARGET, HISTORY]
    table: pa.Table = dataset.config("examples", split).select_columns(columns).with_format("arrow")[:]
    records = pc.list_flatten(table[HISTORY])
    of_records = np.repeat(table[USER].to_numpy(), pc.list_value_length(table[HISTORY]).to_numpy())
    histories = _frame(of_records, *(pc.struct_field(records, name).to_pandas() for name in (ITEM_ID, TIMESTAMP)))
    return pd.concat([histories, _frame(*(table[name].to_pandas() for name in (USER, TARGET, TIMESTAMP)))])


def _frame(users: object, items: object, times: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({USER: np.asarray(users), ITEM_ID: np.asarray(items), TIMESTAMP: _microseconds(times)})


def _microseconds(times: Any) -> np.ndarray:
    return pd.DatetimeIndex(times).as_unit("us").asi8
