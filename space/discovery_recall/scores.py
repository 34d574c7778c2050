"""The arithmetic of Discovery Recall: where each target was ranked first, means and their intervals second."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

LEVEL = 0.95
"""How often an interval should hold the truth."""


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


def summarise(ranks: np.ndarray, valid: np.ndarray, is_discovery: np.ndarray, ks: Sequence[int]) -> dict[str, Any]:
    """Means over the examples, with the counts they stand on.

    Args:
        ranks (`np.ndarray` of `int`, shape `(n,)`): As [`target_ranks`] gives them.
        valid (`np.ndarray` of `bool`, shape `(n,)`): Whether there was an answer.
        is_discovery (`np.ndarray` of `bool`, shape `(n,)`): Whether the target was new to the user.
        ks (`list[int]`): How many of the first places count as a hit, each in turn.

    Returns:
        `dict`: for each k `discovery_recall@k` and `recall@k`, each with its interval, `discovery_ndcg@k` and
        `ndcg@k`; `mrr`; `n_discovery`, `n` and `invalid`.

    Example:
        >>> yes, no = True, False
        >>> scores = summarise(np.array([1, 2, 0]), np.array([yes, yes, no]), np.array([yes, no, yes]), [1])
        >>> scores["discovery_recall@1"], scores["recall@1"], scores["mrr"], scores["invalid"]
        (0.5, 0.3333333333333333, 0.5, 1)
    """
    measures: dict[str, Any] = {}
    for k in ks:
        hits = _is_among(ranks, k)
        for name, of_name in (("discovery_recall", hits[is_discovery]), ("recall", hits)):
            measures[f"{name}@{k}"] = mean(of_name)
            measures[f"{name}@{k}_interval"] = recall_interval(of_name)
        gains = discounted_gains(ranks, k)
        measures[f"discovery_ndcg@{k}"], measures[f"ndcg@{k}"] = mean(gains[is_discovery]), mean(gains)
    return {
        **measures,
        "mrr": mean(reciprocal_ranks(ranks)),
        "n_discovery": int(is_discovery.sum()),
        "n": len(ranks),
        "invalid": int((~valid).sum()),
    }


def reciprocal_ranks(ranks: np.ndarray, k: int | None = None) -> np.ndarray:
    """One divided by the place of each target: the reciprocal rank of Voorhees (TREC-8, 1999).

    Args:
        ranks (`np.ndarray` of `int`, shape `(n,)`): As [`target_ranks`] gives them.
        k (`int`, *optional*): Targets behind the first k places count 0, as those that are not ranked always do.

    Returns:
        `np.ndarray` of shape `(n,)`, in [0, 1].

    Example:
        >>> reciprocal_ranks(np.array([1, 4, 0])).tolist(), reciprocal_ranks(np.array([1, 4, 0]), k=3).tolist()
        ([1.0, 0.25, 0.0], [1.0, 0.0, 0.0])
    """
    return np.divide(1, ranks, out=np.zeros(ranks.shape), where=_is_among(ranks, k))


def discounted_gains(ranks: np.ndarray, k: int | None = None) -> np.ndarray:
    """`1 / log2(1 + rank)` of each target: the normalised discounted gain of Järvelin and Kekäläinen (2002).

    Each example has one target, so the best list has it first and a gain of 1, and nothing is left to divide by.

    Args:
        ranks (`np.ndarray` of `int`, shape `(n,)`): As [`target_ranks`] gives them.
        k (`int`, *optional*): Targets behind the first k places count 0, as those that are not ranked always do.

    Returns:
        `np.ndarray` of shape `(n,)`, in [0, 1].

    Example:
        >>> discounted_gains(np.array([1, 3, 0])).tolist(), discounted_gains(np.array([1, 3, 0]), k=2).tolist()
        ([1.0, 0.5, 0.0], [1.0, 0.0, 0.0])
    """
    return np.divide(1, np.log2(ranks + 1), out=np.zeros(ranks.shape), where=_is_among(ranks, k))


def _is_among(ranks: np.ndarray, k: int | None) -> np.ndarray:
    """Whether each target is ranked, among the first k where there is such a limit."""
    return (ranks > 0) & (True if k is None else ranks <= k)


def mean(values: np.ndarray) -> float | None:
    """The mean, or `None` where there is nothing to take it of."""
    return float(values.mean()) if len(values) else None


def recall_interval(hits: np.ndarray) -> list[float] | None:
    """The 95% interval of a mean of hits, by Wilson (1927): the recalls under which so many hits are no surprise.

    One formula for every count. With no hit at all it reaches from 0 to about `3.8 / n`, and claims no certainty.

    Args:
        hits (`np.ndarray` of `bool`, shape `(n,)`): Whether each example is a hit.

    Returns:
        `list[float]`: `[low, high]`, or `None` without examples.

    Example:
        >>> [round(bound, 3) for bound in recall_interval(np.array([True, False] * 50))]
        [0.404, 0.596]
        >>> [round(bound, 3) for bound in recall_interval(np.zeros(32, dtype=bool))]
        [0.0, 0.107]
    """
    if not len(hits):
        return None
    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(LEVEL, method="wilson")
    return [float(interval.low), float(interval.high)]
