"""Groups of examples: by the length of the history, the popularity of the target and the activity of the user.

Groups by the gap before the target are those of `row_measures.gap_name`.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset

from logs2lang.dataset_builders.schema import HISTORY, IS_DISCOVERY, TARGET, USER

from .catalogue_popularity import CataloguePopularity
from .rank_measures import rank_measures
from .results import FEWEST_EXAMPLES, GROUP_NAMES

_BOUNDS = (10, 20, 50)


def size_name(count: int) -> str:
    """The group of a number of records or interactions; a bound belongs to the larger group.

    Example:
        >>> size_name(0), size_name(10), size_name(50)
        ('under_10', '10_to_19', '50_and_more')
    """
    return GROUP_NAMES["history"][bisect_right(_BOUNDS, count)]


def group_columns(examples: Dataset, interactions: pd.DataFrame, popularity: CataloguePopularity) -> pd.DataFrame:
    """The group of each example, one column for each kind.

    Args:
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.
        interactions (`pandas.DataFrame`): As `BuiltDataset.training_interactions` returns them.
        popularity ([`CataloguePopularity`]): Of these interactions.
    """
    by_user = interactions[USER].value_counts()
    return pd.DataFrame(
        {
            "history": [size_name(len(history)) for history in examples[HISTORY]],
            "activity": [size_name(int(by_user.get(user, 0))) for user in examples[USER]],
            "popularity": popularity.names(examples[TARGET][:]),
        }
    )


def group_measures(
    judged: pd.DataFrame, groups: pd.DataFrame, cut_offs: Sequence[int]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Recall@1 and NDCG of each group, by kind and name; of a small group the number of its examples alone.

    Args:
        judged (`pandas.DataFrame`): As `row_measures.judge` returns it.
        groups (`pandas.DataFrame`): As [`group_columns`] returns it, for the same examples.
        cut_offs (`list[int]`): The NDCG is told at the largest.

    Returns:
        `dict`: `{kind: {name: {"n": ..., "n_discovery": ..., "recall@1": ..., ...}}}`, without groups that are empty.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for kind, names in GROUP_NAMES.items():
        slices = {name: np.flatnonzero(groups[kind] == name) for name in names}
        found[kind] = {name: _measured(judged.iloc[rows], max(cut_offs)) for name, rows in slices.items() if len(rows)}
    return found


def _measured(judged: pd.DataFrame, cut_off: int) -> dict[str, Any]:
    counts = {"n": len(judged), "n_discovery": int(judged[IS_DISCOVERY].sum())}
    if len(judged) < FEWEST_EXAMPLES:
        return counts
    measures = rank_measures(judged, [1, cut_off])
    return {**counts, **{name: measures[name] for name in ("recall@1", "recall@1_interval", f"ndcg@{cut_off}")}}
