"""What every way of recommending returns for one example, and how scores become an order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

ROUNDING = 64
"""Scores that lie within so many units of rounding, of the largest score beside them, are equal."""


@dataclass(frozen=True)
class Ranking:
    """The candidates of one example, best first.

    Args:
        item_ids (`Sequence[str]`): Candidate ids, best first.
        probabilities (`Sequence[float]`, *optional*): One per item id, in the same order, summing to 1. Empty for a
            ranker that has none, such as a classical recommender or a generated answer.
    """

    item_ids: Sequence[str]
    probabilities: Sequence[float] = ()

    @property
    def pick(self) -> str:
        """The item ranked first."""
        return self.item_ids[0]


def order_of(scores: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """The places of the candidates, the best score first.

    Scores that differ by rounding alone are equal, and equal scores stand in the order of their draws. Sums of the
    same numbers in another order differ in their last digits, and would else favour one place of the list.

    Args:
        scores (`np.ndarray` of shape `[..., candidates]`): Higher is better; `-inf` for the unknown.
        draws (`np.ndarray` of shape `[..., candidates]`): See [`tie_draws`].

    Returns:
        `np.ndarray` of shape `[..., candidates]`: Places from 0.

    Example:
        >>> order_of(np.array([0.1 + 0.2, 0.3, 0.4]), np.array([2, 1, 0])).tolist()
        [2, 1, 0]
    """
    scores = np.asarray(scores)
    scores = scores if scores.dtype.kind == "f" else scores.astype(float)
    places = np.argsort(-scores, axis=-1, kind="stable")
    falling = np.take_along_axis(scores, places, axis=-1)
    largest = np.max(np.abs(scores), axis=-1, keepdims=True, where=np.isfinite(scores), initial=0)
    upper, lower = falling[..., :-1], falling[..., 1:]
    with np.errstate(invalid="ignore"):  # -inf minus -inf: two unknown ones are equal
        apart = upper - lower > ROUNDING * np.finfo(scores.dtype).eps * largest
    group = np.zeros(places.shape, dtype=np.int64)
    np.put_along_axis(group, places[..., 1:], apart.cumsum(axis=-1), axis=-1)
    return np.lexsort((draws, group), axis=-1)


def tie_draws(seed: int, examples: Sequence[str], item_ids: np.ndarray) -> np.ndarray:
    """What puts equal scores in order: drawn from the seed, the example and the item, whatever place they stand at.

    Args:
        seed (`int`): Another seed gives another order.
        examples (`list[str]`): What each example is known by.
        item_ids (`np.ndarray` of `str`, shape `[examples, candidates]`): The candidates of each.

    Returns:
        `np.ndarray` of the shape of `item_ids`.
    """
    keys = [f"{seed}/{example}/{item}" for example, row in zip(examples, item_ids, strict=True) for item in row]
    return pd.util.hash_array(np.array(keys, dtype=object), categorize=False).reshape(item_ids.shape)


def to_ranking(item_ids: Sequence[str], scores: np.ndarray, probabilities: np.ndarray, seed: int) -> Ranking:
    """The candidates of one example by their scores; what is equal in an order drawn from the seed.

    Args:
        item_ids (`list[str]`): The candidates, in any order.
        scores (`np.ndarray` of shape `[candidates]`): Higher is better.
        probabilities (`np.ndarray` of shape `[candidates]`): What each score stands for.
        seed (`int`): See [`tie_draws`].
    """
    draws = tie_draws(seed, [" ".join(sorted(item_ids))], np.array([item_ids], dtype=object))[0]
    order = order_of(scores, draws).tolist()
    return Ranking([item_ids[place] for place in order], [float(probabilities[place]) for place in order])
