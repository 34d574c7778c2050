"""From scores to rankings."""

from collections.abc import Sequence

import numpy as np
from datasets import Dataset

from logs2lang.dataset_builders.schema import CANDIDATES, EXAMPLE_ID, ITEM_ID

from ..reasoners.ranking import Ranking, order_of, tie_draws


def rankings_from_scores(
    scores: np.ndarray | Sequence[np.ndarray], examples: Dataset, *, seed: int = 0
) -> list[Ranking]:
    """Rank the candidates of each example, the highest score first.

    Equal scores, and those that differ by rounding alone, are put in an order drawn from the seed, the example and
    the item. The order of the candidates plays no part, so that a recommender that cannot tell them apart is right as
    often as chance.

    Args:
        scores (`np.ndarray` of shape `[examples, candidates]`): One score per candidate.
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.
        seed (`int`, *optional*, defaults to 0): Another seed breaks ties another way.

    Returns:
        `list[Ranking]`: One per example, without probabilities.
    """
    item_ids = np.array([[candidate[ITEM_ID] for candidate in shown] for shown in examples[CANDIDATES]], dtype=object)
    order = order_of(np.asarray(scores), tie_draws(seed, examples[EXAMPLE_ID][:], item_ids))
    return [Ranking(ranked) for ranked in np.take_along_axis(item_ids, order, axis=1).tolist()]
