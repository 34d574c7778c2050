"""Where the targets were ranked: recall, NDCG and reciprocal rank at several cut-offs, and the mean rank.

Recall, NDCG and their intervals are the metric's own; see `space/discovery_recall`. With one target per example every
one of these measures is a function of the target's rank, so no library is asked for them: RecTools 0.19 pins NumPy
below 2, and ranx 0.3.21 brings numba and ten more packages and sorts every ranking again. In tests, trec_eval itself
(`pytrec-eval-terrier`) reads the run files that are written here and must find the same numbers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import IS_DISCOVERY, TARGET

from .metric import load_metric, metric_scores
from .results import CUT_OFFS

RANKED = "ranked"
NUM_CANDIDATES = "num_candidates"
TARGET_RANK = "target_rank"


def to_cut_offs(asked: Sequence[int] | None, num_candidates: int) -> list[int]:
    """The cut-offs to measure at, in rising order, 1 always among them.

    Args:
        asked (`list[int]`, *optional*): Those that the user asked for; `CUT_OFFS`, as far as there are so many
            candidates, when `None`.
        num_candidates (`int`): Of an example.

    Raises:
        InputError: One is below 1, or above the number of candidates.

    Example:
        >>> to_cut_offs(None, 5), to_cut_offs([10, 2], 10)
        ([1, 3, 5], [1, 2, 10])
    """
    if asked is None:
        return [k for k in CUT_OFFS if k <= num_candidates]
    for k in asked:
        if not 1 <= k <= num_candidates:
            raise InputError(
                f"--k is {k}, but each example has {num_candidates} candidates, so k must lie between 1 and "
                f"{num_candidates}. Choose another k, or build with more --num-candidates."
            )
    return sorted({1, *asked})


def rank_measures(judged: pd.DataFrame, cut_offs: Sequence[int]) -> dict[str, Any]:
    """Where the targets were ranked, over all examples and over discoveries.

    Args:
        judged (`pandas.DataFrame`): As `row_measures.judge` returns it.
        cut_offs (`list[int]`): How many of the first places count, each in turn.

    Returns:
        `dict`: for each k `recall@k` with its interval, `ndcg@k` and `mrr@k`; `mrr` and `mean_rank`; all of them over
        all examples, and with `discovery_` before the name over discoveries; `n`, `n_discovery` and `invalid`.
    """
    ranks = judged[TARGET_RANK].fillna(0).to_numpy(int)
    expected, is_discovery = expected_ranks(judged), judged[IS_DISCOVERY].to_numpy(bool)
    measures = load_metric().compute(
        predictions=judged[RANKED].tolist(),  # an invalid answer is an empty ranking, which counts as a miss
        references=judged[TARGET].tolist(),
        is_discovery=is_discovery.tolist(),
        k=list(cut_offs),
    )
    scores = metric_scores()
    for prefix, chosen in (("", np.ones(len(ranks), dtype=bool)), ("discovery_", is_discovery)):
        measures[f"{prefix}mrr"] = scores.mean(scores.reciprocal_ranks(ranks[chosen]))
        measures[f"{prefix}mean_rank"] = scores.mean(expected[chosen])
        for k in cut_offs:
            measures[f"{prefix}mrr@{k}"] = scores.mean(scores.reciprocal_ranks(ranks[chosen], k))
    return measures


def expected_ranks(judged: pd.DataFrame) -> np.ndarray:
    """The rank of each target, from 1. One that was not ranked has the mean of the places that are left.

    So an answer that names one candidate alone, and an invalid one, have the rank that the rest in random order gives.

    Example:
        >>> ranked = [["a", "b", "c"], ["b"], []]
        >>> judged = pd.DataFrame({"ranked": ranked, "num_candidates": 3, "target_rank": [1, None, None]})
        >>> expected_ranks(judged).tolist()
        [1.0, 2.5, 2.0]
    """
    left = (judged[RANKED].map(len) + 1 + judged[NUM_CANDIDATES]) / 2
    return judged[TARGET_RANK].astype(float).fillna(left).to_numpy(float)
