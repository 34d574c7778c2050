"""Whether a ranking follows the order in which the candidates stood, instead of what the text says.

Candidates stand in seeded order, so that order says nothing. A language model can follow it all the same, in the two
ways that GR2 names as hacks of the reward (Liang et al., arXiv 2602.07774, and its technical report, arXiv
2606.31984): it keeps the given order, or it favours a place.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chisquare

from .rank_measures import NUM_CANDIDATES

PICK_POSITION = "pick_position"
ORDER_KEPT = "order_kept"


def order_kept(places: Sequence[int]) -> float:
    """How far a ranking keeps the order in which the candidates stood: Spearman's rank correlation of the two.

    Args:
        places (`list[int]`): The place of each candidate in the list, from 0, in the order of the ranking.

    Returns:
        `float`: 1 for the same order, -1 for the reverse, around 0 for one that has nothing to do with it; no number
        where fewer than two are ranked.

    Example:
        >>> order_kept([0, 1, 2]), order_kept([2, 1, 0]), order_kept([1, 0, 2])
        (1.0, -1.0, 0.5)
    """
    n = len(places)
    if n < 2:
        return np.nan
    # Without ties the correlation is this sum of squares (Spearman, 1904), which is quick for a whole catalogue.
    apart = np.asarray(places, dtype=float) - np.arange(n)
    return float(1 - 6 * (apart @ apart) / (n * (n**2 - 1)))


def order_measures(judged: pd.DataFrame) -> dict[str, Any]:
    """The two hacks over a slice of the examples.

    Args:
        judged (`pandas.DataFrame`): As `row_measures.judge` returns it.

    Returns:
        `dict`: what [`position_measures`] returns; `order_kept`, the mean of Spearman's correlations, whose standard
        error without any preference is `1 / sqrt(n (candidates - 1))`; and `order_unchanged`, the share of rankings
        that are the given order. `None` where nothing but a pick was ranked.
    """
    kept = judged[ORDER_KEPT].dropna().to_numpy(float) if ORDER_KEPT in judged else np.empty(0)
    return {
        **position_measures(judged),
        "order_kept": float(kept.mean()) if len(kept) else None,
        "order_unchanged": float((kept == 1).mean()) if len(kept) else None,
    }


def position_measures(judged: pd.DataFrame) -> dict[str, Any]:
    """Whether some places of the candidate list are picked more often than others.

    Candidates stand in seeded order, so picks that follow the content are spread evenly.

    Returns:
        `dict`: `picks_by_position` (list of shares of all valid picks, first candidate first); `position_bias`: the
        total variation distance of those shares from even ones, 0 when even and `1 - 1 / candidates` when one place
        takes all; and `position_p`: how often even picks would be spread so unevenly (Pearson's chi-squared test). A
        small sample is never quite even: 60 picks among ten have a bias of about 0.15 by chance alone.

    Example:
        >>> measures = position_measures(pd.DataFrame({"pick_position": [0, 0, 0, 1], "num_candidates": [2, 2, 2, 2]}))
        >>> measures["position_bias"], measures["picks_by_position"], round(measures["position_p"], 3)
        (0.25, [0.75, 0.25], 0.317)
    """
    picked = judged[PICK_POSITION].dropna().astype(int)
    if picked.empty:
        return {"position_bias": None, "position_p": None, "picks_by_position": None}
    counts = np.bincount(picked, minlength=judged[NUM_CANDIDATES].max())
    shares = counts / len(picked)
    return {
        "position_bias": float(np.abs(shares - 1 / len(shares)).sum() / 2),
        "position_p": float(chisquare(counts).pvalue) if len(counts) > 1 else None,
        "picks_by_position": shares.tolist(),
    }
