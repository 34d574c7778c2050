"""Quantiles of values that are counted: on every engine the same to the last bit."""

import math

import numpy as np


def quantiles(values: np.ndarray, counts: np.ndarray, shares: tuple[float, ...]) -> list[float]:
    """Quantiles of counted values, between two of them by a straight line, as DuckDB's `quantile_cont` has it.

    Args:
        values (`numpy.ndarray`): Different values, in order; at least one.
        counts (`numpy.ndarray`): How often each occurs.
        shares (`tuple[float, ...]`): Which quantiles, each in [0, 1].

    Example:
        >>> quantiles(np.array([10, 20]), np.array([3, 1]), (0.5, 0.9))
        [10.0, 17.0]
    """
    ends, last = np.cumsum(counts), int(counts.sum()) - 1
    places = [share * last for share in shares]
    around = [values[np.searchsorted(ends, (math.floor(place), math.ceil(place)), side="right")] for place in places]
    return [float(low + (high - low) * (place % 1)) for place, (low, high) in zip(places, around, strict=True)]
