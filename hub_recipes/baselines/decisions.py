"""Examples as numbers: what stands to choose, and what the user chose before."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from scipy import sparse

from logs2lang.dataset_builders.schema import CANDIDATES, EVENT, HISTORY, ITEM_ID, NOISE_EVENTS


@dataclass(frozen=True, eq=False)
class Decisions:
    """Examples under the numbers of a recommender's items.

    A history is its choices among the items that the recommender knows: noise events and unknown items are left out.

    Args:
        candidates (`np.ndarray` of shape `[examples, candidates]`): Number of each candidate; -1 when unknown.
        example (`np.ndarray` of shape `[records]`): To which example a record belongs, ascending.
        item (`np.ndarray` of shape `[records]`): Number of its item; oldest first within an example.
        age (`np.ndarray` of shape `[records]`): 0 for an example's newest record, 1 for the one before.
        shared (`np.ndarray` of shape `[candidates]`, *optional*): The candidates, where all examples have the same:
            a whole catalogue is scored in another way than ten items.
    """

    candidates: np.ndarray
    example: np.ndarray
    item: np.ndarray
    age: np.ndarray
    shared: np.ndarray | None = None

    @classmethod
    def of(cls, examples: Dataset, item_ids: pd.Index, shown: Sequence[str] | None = None) -> "Decisions":
        """Number the items of examples.

        Args:
            examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`, all with equally many candidates.
            item_ids (`pandas.Index`): The items that the recommender knows; an item's number is its place here.
            shown (`list[str]`, *optional*): Items to choose from, for every example, in place of its own candidates.
        """
        table: pa.Table = examples.select_columns([HISTORY, CANDIDATES]).with_format("arrow")[:]
        records = pc.list_flatten(table[HISTORY])
        example = np.repeat(np.arange(len(table)), pc.list_value_length(table[HISTORY]).to_numpy())
        item = _numbers(records, item_ids)
        noise = pc.is_in(pc.struct_field(records, EVENT), pa.array(NOISE_EVENTS)).to_numpy()
        chosen = (item >= 0) & ~noise
        history = _with_ages(example[chosen], item[chosen])
        if shown is None:
            candidates = _numbers(pc.list_flatten(table[CANDIDATES]), item_ids)
            return cls(candidates.reshape(len(table), -1), *history)
        shared = item_ids.get_indexer(pd.Index(np.array(shown, dtype=object), dtype=item_ids.dtype))
        return cls(np.broadcast_to(shared, (len(table), len(shared))), *history, shared)

    def latest(self, count: int) -> "Decisions":
        """The same decisions, with the newest `count` records of each history."""
        kept = self.age < count
        return replace(self, example=self.example[kept], item=self.item[kept], age=self.age[kept])

    def sum_records(self, weights: np.ndarray | None = None) -> sparse.csr_matrix:
        """The matrix of shape `[examples, records]` that sums values of records into their examples.

        Args:
            weights (`np.ndarray` of shape `[records]`, *optional*): How much each record counts; 1 by default.
        """
        weights = np.ones(len(self.item)) if weights is None else weights
        shape = (len(self.candidates), len(self.item))
        return sparse.csr_matrix((weights, (self.example, np.arange(len(self.item)))), shape=shape)

    def of_known(self, scores: np.ndarray) -> np.ndarray:
        """Scores of shape `[examples, candidates]` with `-inf` where a candidate is unknown."""
        return np.where(self.candidates >= 0, scores, -np.inf)


def _numbers(rows: pa.ChunkedArray, item_ids: pd.Index) -> np.ndarray:
    return item_ids.get_indexer(pd.Index(pc.struct_field(rows, ITEM_ID).to_numpy(), dtype=item_ids.dtype))


def _with_ages(example: np.ndarray, item: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ends = example.searchsorted(example, side="right")
    return example, item, ends - 1 - np.arange(len(example))
