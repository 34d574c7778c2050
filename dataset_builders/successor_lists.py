"""The successors of every item, as texts read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .input_error import InputError
from .schema import ALL_USERS, COUNT, FOLD, ITEM_ID, LIFT, SUCCESSOR_ID


class Successor(NamedTuple):
    """An item that users chose soon after another.

    Args:
        item_id (`str`): What they chose.
        chosen (`int`): How often; `count` in the config.
        lift (`float`): `chosen` over what popularity alone lets expect, plus one.
    """

    item_id: str
    chosen: int
    lift: float


@dataclass
class SuccessorLists:
    """The config `successors` of a built dataset, read fold by fold when it is asked for.

    Args:
        folder (`Path`): The folder of the config.

    Example:
        >>> lists = BuiltDataset.open("data/ml").successors()  # doctest: +SKIP
        >>> lists.after("i7")[0].item_id  # doctest: +SKIP
        'i93'
    """

    folder: Path
    _folds: dict[int, Mapping[str, Sequence[Successor]]] = field(default_factory=dict, repr=False)

    def after(self, item_id: str, fold: int = ALL_USERS) -> Sequence[Successor]:
        """What was chosen soon after an item, the best first; empty if nothing was, or the item is unknown.

        Args:
            item_id (`str`): The item.
            fold (`int`, *optional*, defaults to -1): Which users are left out of the counts; -1 for none.
        """
        if fold not in self._folds:
            self._folds[fold] = _read_fold(self.folder, fold)
        return self._folds[fold].get(item_id, ())


def _read_fold(folder: Path, fold: int) -> dict[str, list[Successor]]:
    columns = [ITEM_ID, SUCCESSOR_ID, COUNT, LIFT]
    try:
        table = pq.read_table(folder, columns=columns, filters=[(FOLD, "=", fold)])
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"{folder} cannot be read ({str(error).splitlines()[0]}). Build the dataset again with `logs2lang build`."
        ) from error
    ids = table[ITEM_ID].to_numpy()
    successors = list(map(Successor, *(table[name].to_pylist() for name in columns[1:])))
    # Rows lie by item and rank: an item's list is a slice.
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]]) if len(ids) else np.empty(0, int)
    ends = np.r_[starts[1:], len(ids)]
    return {ids[start]: successors[start:end] for start, end in zip(starts, ends, strict=True)} if len(ids) else {}
