"""The arithmetic of Discovery Recall: where each target was ranked first, means and their intervals second."""

from collections.abc import Sequence
from typing import Any

import numpy as np

OUTSIDE = 0.05
"""How often a 95% interval may miss the truth."""


def target_rank(ranking: Sequence, target: Any) -> int:
    """The place of the target in a ranking.

    Args:
        ranking (`list`): Item ids, best first; an id that comes again keeps its first place and takes no other.
        target (`str` or `int`): The item the user took next.

    Returns:
        `int`: From 1; 0 where the target is not ranked.

    Example:
        >>> target_rank(["a", "a", "b"], "b"), target_rank(["a"], "b"), target_rank([], "b")
        (2, 0, 0)
    """
    try:
        place = ranking.index(target)
    except ValueError:
        return 0
    return len(set(ranking[:place])) + 1


def target_ranks(rankings: Sequence[Sequence], targets: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """The place of each target, and whether there was a valid answer at all.

    A ranking that is empty, or whose first place is, is no valid answer, and ranks nothing.

    Returns:
        `tuple[np.ndarray, np.ndarray]`: Ranks (`int`, 0 where the target is not ranked) and validity (`bool`), each
        of shape `(n,)`.

    Example:
        >>> ranks, valid = target_ranks([["a", "b"], [], ["", "b"]], ["b", "b", "b"])
        >>> ranks.tolist(), valid.tolist()
        ([2, 0, 0], [True, False, False])
    """
    # Only the ids at the first place become an array. The rest of a list is searched as it is, in C: turning ten
    # million ids into an array takes longer than finding a million of them.
    first = np.array([ranking[0] if ranking else "" for ranking in rankings], dtype=object)
    valid = first != ""
    ranks = (valid & (first == np.array(targets, dtype=object))).astype(np.int64)
    has_more = np.fromiter(map(len, rankings), dtype=np.int64, count=len(rankings)) > 1
    further = np.flatnonzero(valid & has_more & (ranks == 0)).tolist()
    ranks[further] = [target_rank(rankings[at], targets[at]) for at in further]
    return ranks, valid


def summarise(
    ranks: np.ndarray, valid: np.ndarray, is_discovery: np.ndarray, k: int, resamples: int, seed: int
) -> dict[str, Any]:
    """Means over the examples, with the counts they stand on.

    Args:
        ranks (`np.ndarray` of `int`, shape `(n,)`): As [`target_ranks`] gives them.
        valid (`np.ndarray` of `bool`, shape `(n,)`): Whether there was an answer.
        is_discovery (`np.ndarray` of `bool`, shape `(n,)`): Whether the target was new to the user.
        k (`int`): How many of the first places count as a hit.
        resamples (`int`): Of the bootstrap; 0 leaves the intervals out (`None`).
        seed (`int`): Drives the bootstrap.

    Returns:
        `dict`: `discovery_recall@k` and `recall@k`, each with its interval; `mrr`; `n_discovery`, `n`, `invalid`.

    Example:
        >>> yes, no = True, False
        >>> scores = summarise(np.array([1, 2, 0]), np.array([yes, yes, no]), np.array([yes, no, yes]), 1, 0, 0)
        >>> scores["discovery_recall@1"], scores["recall@1"], scores["mrr"], scores["invalid"]
        (0.5, 0.3333333333333333, 0.5, 1)
    """
    hits = (ranks > 0) & (ranks <= k)
    discovery_hits = hits[is_discovery]
    reciprocal_ranks = np.divide(1, ranks, out=np.zeros(len(ranks)), where=ranks > 0)
    return {
        f"discovery_recall@{k}": mean(discovery_hits),
        f"discovery_recall@{k}_interval": recall_interval(discovery_hits, resamples, seed),
        f"recall@{k}": mean(hits),
        f"recall@{k}_interval": recall_interval(hits, resamples, seed),
        "mrr": mean(reciprocal_ranks),
        "n_discovery": len(discovery_hits),
        "n": len(ranks),
        "invalid": int((~valid).sum()),
    }


def mean(values: np.ndarray) -> float | None:
    """The mean, or `None` where there is nothing to take it of."""
    return float(values.mean()) if len(values) else None


def recall_interval(hits: np.ndarray, resamples: int, seed: int) -> list[float] | None:
    """The 95% interval of a mean of hits: a percentile bootstrap, and an exact bound where that says nothing.

    A resample draws n examples with replacement, and each draw is a hit with probability p, the share of hits among
    the n. Hits are 0 or 1, so their sum in a resample is distributed exactly as Binomial(n, p): one such number
    stands for a resample of any size.

    With no miss or no hit every resample is the same and the bootstrap would claim certainty. There the free end is
    exact: the recall at which n misses (or n hits) in a row still happen 5 times in 100, about `3 / n` from the end.

    Args:
        hits (`np.ndarray` of `bool`, shape `(n,)`): Whether each example is a hit.
        resamples (`int`): How many resamples; 0 gives `None`.
        seed (`int`): Drives the draws; the same hits get the same interval.

    Returns:
        `list[float]`: `[low, high]`, or `None` without examples or without resamples.

    Example:
        >>> recall_interval(np.array([True, False] * 50), resamples=10_000, seed=0)
        [0.4, 0.6]
        >>> [round(bound, 3) for bound in recall_interval(np.zeros(32, dtype=bool), resamples=10_000, seed=0)]
        [0.0, 0.089]
    """
    n, hit_count = len(hits), int(hits.sum())
    if n == 0 or resamples == 0:
        return None
    if hit_count in (0, n):
        bound = OUTSIDE ** (1 / n)
        return [0.0, 1 - bound] if hit_count == 0 else [bound, 1.0]
    means = np.random.default_rng(seed).binomial(n, hit_count / n, size=resamples) / n
    return np.quantile(means, [OUTSIDE / 2, 1 - OUTSIDE / 2]).tolist()
