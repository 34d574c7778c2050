"""Which examples of a split are used: training, writing texts and evaluating all choose here."""

from collections.abc import Sequence

import numpy as np
from datasets import Dataset

from ..input_error import InputError
from ..schema import HISTORY, IS_DISCOVERY


def choose_examples(
    examples: Dataset, limit: int | None, seed: int, history_length: int | None, discoveries: bool = False
) -> Dataset:
    """The examples to use, in the order of the dataset.

    Args:
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.
        limit (`int` or `None`): How many to draw by `seed`; all when `None` or when there are no more.
        seed (`int`): Decides the draw.
        history_length (`int` or `None`): How many of the newest records of each history to keep; all when `None`.
        discoveries (`bool`, *optional*, defaults to `False`): Only examples whose target the user never touched.

    Returns:
        `datasets.Dataset`: The chosen rows.

    Raises:
        InputError: `limit` or `history_length` is below 1, or there is nothing to choose from.
    """
    if history_length is not None:
        _require_positive("history_length", history_length)
    places = choose_places(len(examples), limit, seed, examples[IS_DISCOVERY] if discoveries else None)
    if places is not None:
        examples = examples.select(places)
    if history_length is None:
        return examples
    return examples.map(
        lambda example: {HISTORY: example[HISTORY][-history_length:]}, features=examples.features, keep_in_memory=True
    )


def choose_places(
    count: int, limit: int | None, seed: int, are_discoveries: Sequence[bool] | np.ndarray | None
) -> np.ndarray | None:
    """Which of a split's examples are used, by their place.

    Args:
        count (`int`): How many examples the split has.
        limit (`int` or `None`): How many to draw by `seed`.
        seed (`int`): Decides the draw.
        are_discoveries (`list[bool]` or `None`): Of each example, if only discoveries are wanted.

    Returns:
        `np.ndarray` of `int64` or `None`: In order; `None` for all.

    Raises:
        InputError: As for `choose_examples`.

    Example:
        >>> choose_places(4, None, 0, [True, False, False, True])
        array([0, 3])
    """
    if limit is not None:
        _require_positive("limit", limit)
    if not count:
        raise InputError("This split has no examples. Choose another --split, or build from a longer log.")
    places = None if are_discoveries is None else np.flatnonzero(are_discoveries)
    if places is not None and not len(places):
        raise InputError(
            "No target of this split is a discovery: users had touched all of them before. Run "
            "without --discoveries, or choose another --split."
        )
    left = count if places is None else len(places)
    if limit is None or limit >= left:
        return places
    drawn = np.sort(np.random.default_rng(seed).permutation(left)[:limit])
    return drawn if places is None else places[drawn]


def _require_positive(name: str, value: int) -> None:
    if value < 1:
        raise InputError(f"{name} is {value}; expected at least 1, or nothing for all.")
