"""From scores to rankings."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from datasets import Dataset

from dataset_builders.schema import CANDIDATES, EXAMPLE_ID, ITEM_ID
from hub_recipes.reasoners.ranking import Ranking


def rankings_from_scores(
    scores: np.ndarray | Sequence[np.ndarray], examples: Dataset, *, seed: int = 0
) -> list[Ranking]:
    """Rank the candidates of each example, the highest score first.

    Equal scores are put in an order drawn from the seed, the example and the item. The order of the candidates plays
    no part, so that a recommender that cannot tell them apart is right as often as chance.

    Args:
        scores (`np.ndarray` of shape `[examples, candidates]`): One score per candidate.
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.
        seed (`int`, *optional*, defaults to 0): Another seed breaks ties another way.

    Returns:
        `list[Ranking]`: One per example, without probabilities.
    """
    item_ids = np.array([[candidate[ITEM_ID] for candidate in shown] for shown in examples[CANDIDATES]], dtype=object)
    ties = _draws(examples[EXAMPLE_ID][:], item_ids, seed)
    order = np.lexsort((ties, -np.asarray(scores, dtype=float)), axis=-1)
    return [Ranking(ranked) for ranked in np.take_along_axis(item_ids, order, axis=1).tolist()]


def _draws(example_ids: Sequence[str], item_ids: np.ndarray, seed: int) -> np.ndarray:
    keys = [f"{seed}/{example}/{item}" for example, row in zip(example_ids, item_ids, strict=True) for item in row]
    return pd.util.hash_array(np.array(keys, dtype=object), categorize=False).reshape(item_ids.shape)
