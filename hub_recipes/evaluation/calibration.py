"""Whether a row is right as often as its probabilities say."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binned_statistic

from logs2lang.dataset_builders.input_error import InputError

from .rank_measures import TARGET_RANK

BINS = 10
PICK_PROBABILITY = "pick_probability"
"""What the row says about its pick: the softmax over the candidates."""


def no_probabilities(row: str) -> InputError:
    """The refusal of a reliability plot for a row that has no probabilities."""
    return InputError(
        f"Row {row!r} has no probabilities, so its calibration cannot be measured. Choose for --calibration rows that "
        "a reasoner reads, with --answer label, title or tags."
    )


def calibration_measures(judged: pd.DataFrame) -> dict[str, Any]:
    """The expected calibration error of Guo et al. (2017, arXiv 1706.04599), with what a reliability plot shows.

    Args:
        judged (`pandas.DataFrame`): As `row_measures.judge` returns it; `pick_probability` is missing where a row says
            no probability.

    Returns:
        `dict`: `ece`: the mean over all picks of how far, in ten bins of equal width, the share of hits lies from the
        mean probability; `mean_probability` of the picks; `n_calibrated`, the picks with a probability; and
        `reliability`, per bin that has any `n`, `probability` and `recall`. Empty where no pick has a probability.

    Example:
        >>> judged = pd.DataFrame({"pick_probability": [0.9, 0.9, 0.3, None], "target_rank": [1, 2, 2, 1]})
        >>> measures = calibration_measures(judged)
        >>> round(measures["ece"], 3), measures["n_calibrated"]
        (0.367, 3)
        >>> measures["reliability"][1]
        {'n': 2, 'probability': 0.9, 'recall': 0.5}
    """
    said = judged[PICK_PROBABILITY].notna().to_numpy() if PICK_PROBABILITY in judged else np.zeros(len(judged), bool)
    if not said.any():
        return {}
    probabilities = judged[PICK_PROBABILITY][said].to_numpy(float)
    hits = judged[TARGET_RANK][said].eq(1).fillna(False).to_numpy(float)
    means, _, bins = binned_statistic(probabilities, [probabilities, hits], bins=BINS, range=(0, 1))
    counts = np.bincount(bins - 1, minlength=BINS)
    filled = np.flatnonzero(counts)
    reliability = [
        {"n": int(counts[at]), "probability": float(means[0, at]), "recall": float(means[1, at])} for at in filled
    ]
    gaps = sum(one["n"] * abs(one["recall"] - one["probability"]) for one in reliability)
    return {
        "ece": gaps / len(probabilities),
        "mean_probability": float(probabilities.mean()),
        "n_calibrated": len(probabilities),
        "reliability": reliability,
    }
