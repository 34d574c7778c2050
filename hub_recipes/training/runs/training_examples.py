"""Which examples a run learns from.

Users are split by hash, so that a judge and what it judges share none. An example whose target is not among its
candidates teaches nothing.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from datasets import Dataset
from transformers.utils import logging

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import CANDIDATES, ITEM_ID, TARGET, USER

_DIGITS = 8  # of a hash: shares as fine as one user of four thousand million

logger = logging.get_logger(__name__)


def place_of(user: str) -> float:
    """Where a user stands among all hashes, in [0, 1); the folds of successors follow other digits.

    Example:
        >>> round(place_of("00a3c19f5e02d871"), 3)
        0.665
    """
    return int(hashlib.sha256(user.encode()).hexdigest()[:_DIGITS], 16) / 16**_DIGITS


def of_users(examples: Dataset, at_least: float, below: float) -> Dataset:
    """The examples of the users who stand in a share of all.

    Args:
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.
        at_least (`float`): Where the share begins, from 0.
        below (`float`): Where it ends, up to 1.

    Raises:
        InputError: There is no such share, or it contains no user.
    """
    if not 0 <= at_least < below <= 1:
        raise InputError(
            f"users_from is {at_least} and users_below {below}; expected 0 <= users_from < users_below <= 1, such as "
            "0.5 and 1 for the second half of the users."
        )
    if (at_least, below) == (0, 1):
        return examples
    chosen = np.flatnonzero([at_least <= place_of(user) < below for user in examples[USER]])
    if not len(chosen):
        raise InputError(
            f"None of the {len(examples)} examples belongs to a user from {at_least} to {below} of all. Choose a "
            "larger range with users_from and users_below, or build from a longer log."
        )
    return examples.select(chosen)


def judgeable(examples: Dataset) -> Dataset:
    """The examples whose target is among their candidates; how many others were left out is said.

    Raises:
        InputError: There is none.
    """
    pairs = zip(examples[TARGET], examples[CANDIDATES], strict=True)
    kept = [place for place, (target, candidates) in enumerate(pairs) if is_judgeable(target, candidates)]
    if not kept:
        raise InputError(
            "No example has its target among its candidates, so nothing can be learned from them. Build the dataset "
            "again with `logs2lang build`."
        )
    if len(kept) < len(examples):
        logger.warning(
            f"{len(examples) - len(kept)} of {len(examples)} examples lack their target; they were left out."
        )
    return examples.select(kept)


def is_judgeable(target: str, candidates: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the target is among the candidates: without it no pick is right, and none can be called wrong."""
    return any(candidate[ITEM_ID] == target for candidate in candidates)
