"""Whether one row is better than another on the same examples, and not by chance.

Differences are taken example by example, so an example that is easy for both counts for neither. Beside each
difference stand a paired bootstrap interval and the p-value of Fisher's randomisation test (Smucker, Allan and
Carterette, CIKM 2007), both from SciPy, and the p-value after Holm's correction for the number of rows compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import bootstrap, permutation_test

from logs2lang.dataset_builders.input_error import InputError, did_you_mean
from logs2lang.dataset_builders.schema import EXAMPLE_ID, IS_DISCOVERY

from .metric import metric_scores
from .rank_measures import TARGET_RANK
from .results import ROW, Results

RESAMPLES = 9_999
LEVEL = 0.95
_BATCH = 1_000
"""Resamples at a time: a few thousand examples then fit the caches of a CPU."""


def compare(values: np.ndarray, base_values: np.ndarray, seed: int) -> dict[str, Any]:
    """How much higher a measure is than another on the same examples.

    Args:
        values (`np.ndarray` of shape `(n,)`): The measure of one row, per example.
        base_values (`np.ndarray` of shape `(n,)`): That of the other row, on the same examples.
        seed (`int`): Drives both tests.

    Returns:
        `dict`: `n`; `difference` of the means; `difference_interval`: 95%, the percentiles of a paired bootstrap; `p`:
        how often the difference is at least as large, in either direction, when the two values of each example change
        sides at random. No smaller p than 0.0002 can come from 9,999 resamples.

    Example:
        >>> found = compare(np.array([1, 1, 1, 0] * 20), np.array([1, 0, 0, 0] * 20), seed=0)
        >>> found["difference"], found["difference_interval"][0] > 0, found["p"]
        (0.5, True, 0.0002)
    """
    differences = np.asarray(values, dtype=float) - np.asarray(base_values, dtype=float)
    counts = {"n": len(differences)}
    if not differences.any():  # two rows that are alike everywhere; SciPy would warn of an interval without width
        return {**counts, "difference": 0.0, "difference_interval": [0.0, 0.0], "p": 1.0}
    shared: dict[str, Any] = {"n_resamples": RESAMPLES, "batch": _BATCH, "vectorized": True}
    interval = bootstrap(
        (differences,), np.mean, confidence_level=LEVEL, method="percentile", rng=np.random.default_rng(seed), **shared
    ).confidence_interval
    # Of two values that change sides only the sign of their difference changes.
    test = permutation_test(
        (differences,), np.mean, permutation_type="samples", rng=np.random.default_rng(seed), **shared
    )
    return {
        **counts,
        "difference": float(differences.mean()),
        "difference_interval": [float(interval.low), float(interval.high)],
        "p": float(test.pvalue),
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number, so that one false finding among all of them stays as rare as promised.

    The step-down procedure of Holm (1979). Four lines of arithmetic; the library that has it, statsmodels, is what a
    test holds them against.

    Args:
        p_values (`list[float]`): One per comparison.

    Returns:
        `list[float]`: The corrected ones, in the same order.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    rising = np.asarray(p_values, dtype=float)[order] * np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(rising), 1)
    return [float(value) for value in corrected]


def measure_names(cut_offs: Iterable[int]) -> tuple[str, ...]:
    """What rows are compared by: Recall@1 on discoveries, and over all examples Recall@1 and the widest NDCG."""
    return "discovery_recall@1", "recall@1", f"ndcg@{max(cut_offs, default=1)}"


def values_of(predictions: pd.DataFrame, measure: str) -> np.ndarray:
    """A measure of each example.

    Args:
        predictions (`pandas.DataFrame`): Of one row, as `row_measures.to_predictions` returns them.
        measure (`str`): `recall@k` or `ndcg@k`, with `discovery_` before it for discoveries alone.

    Example:
        >>> predictions = pd.DataFrame({"target_rank": [1, 3, None], "is_discovery": [True, True, False]})
        >>> values_of(predictions, "discovery_recall@1").tolist(), values_of(predictions, "ndcg@10").tolist()
        ([1.0, 0.0], [1.0, 0.5, 0.0])
    """
    name, _, k = measure.removeprefix("discovery_").partition("@")
    chosen = predictions[predictions[IS_DISCOVERY].astype(bool)] if measure.startswith("discovery_") else predictions
    ranks = chosen[TARGET_RANK].fillna(0).to_numpy(int)
    if name == "recall":
        return ((ranks > 0) & (ranks <= int(k))).astype(float)
    return metric_scores().discounted_gains(ranks, int(k))


def compare_with(results: Results, against: str, cut_offs: Sequence[int]) -> dict[str, Any]:
    """Every row against one of them, as `results.json` holds it under `comparison`.

    Args:
        results ([`Results`]): With predictions.
        against (`str`): Name of the row that the others are held against.
        cut_offs (`list[int]`): See [`measure_names`].

    Returns:
        `dict`: `against`, `resamples`, and `rows`: by row and measure what [`compare`] returns, with `p_holm`.

    Raises:
        InputError: There is no such row, or no other.
    """
    others = [row[ROW] for row in results.rows if row[ROW] != against]
    require_row(results, against, "--against")
    if not others:
        raise InputError(f"--against is {against!r}, but there is no other row to compare. Add some to --rows.")
    base = results.predictions_of(against)
    pairs = {name: (results.predictions_of(name), base) for name in others}
    return {"against": against, **compare_pairs(pairs, measure_names(cut_offs), results.context["seed"])}


def compare_runs(first: Results, second: Results, pairs: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Rows of one evaluation against rows of another on the same examples.

    Args:
        first ([`Results`]): What the other is held against.
        second ([`Results`]): A positive difference means that this one is better.
        pairs (`dict[str, tuple[str, str]]`): By a name of the pair, the row of the first and that of the second.

    Returns:
        `dict`: `resamples` and `rows`: by pair and measure what [`compare`] returns, with `p_holm`.

    Raises:
        InputError: The two were not measured on the same examples, or a row is missing.
    """
    for one, two in pairs.values():
        require_row(first, one, "The first run")
        require_row(second, two, "The second run")
    require_same_examples(first, second)
    found = {name: (second.predictions_of(two), first.predictions_of(one)) for name, (one, two) in pairs.items()}
    shared = set(first.context.get("cut_offs") or [10]) & set(second.context.get("cut_offs") or [10])
    return compare_pairs(found, measure_names(shared), seed=0)


def require_row(results: Results, name: str, asker: str) -> None:
    """Refuse the name of a row that these results do not have."""
    if results.row(name) is None:
        known = [row[ROW] for row in results.rows]
        hint = did_you_mean(name, known, f"The rows are {', '.join(known)}.")
        raise InputError(f"{asker} names the row {name!r}, which these results do not have. {hint}")


def require_same_examples(first: Results, second: Results) -> None:
    """Refuse two evaluations whose rows cannot be paired.

    The histories may differ, since how long they are is one of the things worth comparing; examples, candidates and
    targets may not.

    Raises:
        InputError: They were measured on other datasets, splits or examples.
    """
    told = {"dataset": "dataset", "split": "split", "num_candidates": "number of candidates"}
    for key, words in told.items():
        one, two = first.context.get(key), second.context.get(key)
        if key == "dataset":
            one, two = ((of or {}).get("content_sha256", {}).get("examples") for of in (one, two))
        if one != two:
            raise InputError(
                f"The two runs were not measured on the same examples: their {words} differs ({one!r} and {two!r}). "
                "Evaluate both on the same build and split."
            )
    examples = [_examples_of(results) for results in (first, second)]
    if not examples[0].equals(examples[1]):
        both = len(set(examples[0][EXAMPLE_ID]) & set(examples[1][EXAMPLE_ID]))
        raise InputError(
            f"The two runs were not measured on the same examples: they have {len(examples[0])} and "
            f"{len(examples[1])}, {both} of them in common. Evaluate both with the same --limit, --seed and "
            "--discoveries."
        )


def _examples_of(results: Results) -> pd.DataFrame:
    """Which examples were measured, in order."""
    rows = results.predictions_of(results.rows[0][ROW])
    return rows[[EXAMPLE_ID, IS_DISCOVERY]].astype({EXAMPLE_ID: "string", IS_DISCOVERY: bool})


def compare_pairs(
    pairs: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], measures: Sequence[str], seed: int
) -> dict[str, Any]:
    """Predictions against others on the same examples, corrected for their number.

    Args:
        pairs (`dict[str, tuple[pandas.DataFrame, pandas.DataFrame]]`): By a name of the pair, the predictions of a row
            and those that it is held against.
        measures (`list[str]`): See [`values_of`].
        seed (`int`): Drives the tests.

    Returns:
        `dict`: `resamples`, `measures` and `rows`: by pair and measure what [`compare`] returns, with `p_holm`.
    """
    rows: dict[str, dict[str, Any]] = {name: {} for name in pairs}
    for measure in measures:
        found = {
            name: compare(values_of(predictions, measure), values_of(base, measure), seed)
            for name, (predictions, base) in pairs.items()
            if len(values_of(base, measure))
        }
        corrected = holm([one["p"] for one in found.values()])
        for (name, one), p_holm in zip(found.items(), corrected, strict=True):
            rows[name][measure] = {**one, "p_holm": p_holm}
    return {"resamples": RESAMPLES, "measures": list(measures), "rows": rows}
