"""Which examples of a split are used: training, writing texts and evaluating all choose here."""

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
    for name, value in (("limit", limit), ("history_length", history_length)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; expected at least 1, or nothing for all.")
    if not len(examples):
        raise InputError("This split has no examples. Choose another --split, or build from a longer log.")
    if discoveries:
        examples = examples.select(np.flatnonzero(examples[IS_DISCOVERY]))
        if not len(examples):
            raise InputError(
                "No target of this split is a discovery: users had touched all of them before. Run "
                "without --discoveries, or choose another --split."
            )
    if limit is not None and limit < len(examples):
        examples = examples.select(np.sort(np.random.default_rng(seed).permutation(len(examples))[:limit]))
    if history_length is None:
        return examples
    return examples.map(
        lambda example: {HISTORY: example[HISTORY][-history_length:]}, features=examples.features, keep_in_memory=True
    )
