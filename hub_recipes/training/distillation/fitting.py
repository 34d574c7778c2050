"""Models of a teacher's decisions, fitted with scikit-learn and kept as plain arrays."""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from ...verbalizers.decision_models import BoostedTrees, LinearModel

NEVER = -1e6
"""The score of a decision that the teacher never made."""

STAGES = 30
LEARNING_RATE = 0.3
TREE_DEPTH = 3
SUBSAMPLE = 0.5


def fit_linear(features: np.ndarray, decided: np.ndarray, num_decisions: int) -> LinearModel:
    """Fit a multinomial logistic regression on standardised features.

    Args:
        features (`np.ndarray`, shape `(records, features)`): See `RecordFeatures`.
        decided (`np.ndarray` of `int`, shape `(records,)`): What the teacher decided, as places of decisions.
        num_decisions (`int`): How many decisions there are; some may never have been made.
    """
    means, deviations = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    deviations[deviations < 1e-6] = 1  # a feature that is the same everywhere says nothing
    made = np.unique(decided)
    weights = np.zeros((num_decisions, features.shape[1]))
    intercepts = np.full(num_decisions, NEVER)
    intercepts[made] = 0
    if len(made) > 1:
        fitted = LogisticRegression(max_iter=2_000).fit((features - means) / deviations, decided)
        # Of two classes scikit-learn keeps one row, for the second; half of it to each side is the same decision.
        halves = np.array([[-0.5], [0.5]]) if len(made) == 2 else np.eye(len(made))
        weights[made] = halves @ fitted.coef_
        intercepts[made] = halves @ fitted.intercept_
    return LinearModel(*(array.astype(np.float32) for array in (weights, intercepts, means, deviations)))


def fit_trees(features: np.ndarray, decided: np.ndarray, num_decisions: int, seed: int = 0) -> BoostedTrees | None:
    """Fit gradient-boosted trees, few and shallow ones, so that a record takes about a microsecond.

    Args:
        features (`np.ndarray`, shape `(records, features)`): See `RecordFeatures`.
        decided (`np.ndarray` of `int`, shape `(records,)`): What the teacher decided, as places of decisions.
        num_decisions (`int`): How many decisions there are; some may never have been made.
        seed (`int`, *optional*, defaults to 0): Draws the half of the records that each stage is fitted on.

    Returns:
        [`BoostedTrees`]: `None` where the teacher always decided alike, so that there is nothing to ask about.
    """
    made = np.unique(decided)
    if len(made) < 2:
        return None
    fitted = GradientBoostingClassifier(
        init="zero",
        n_estimators=STAGES,
        learning_rate=LEARNING_RATE,
        max_depth=TREE_DEPTH,
        subsample=SUBSAMPLE,
        random_state=seed,
    ).fit(features, decided)
    intercepts = np.full(num_decisions, NEVER, np.float32)
    intercepts[made] = 0
    scored = made[-1:] if len(made) == 2 else made  # of two classes the first has the score 0
    return _to_trees(fitted.estimators_, scored, intercepts)


def _to_trees(estimators: Any, scored: np.ndarray, intercepts: np.ndarray) -> BoostedTrees:
    """The nodes of scikit-learn's trees in one row."""
    trees = [(decision, tree.tree_) for stage in estimators for decision, tree in zip(scored, stage, strict=True)]
    sizes = np.array([tree.node_count for _, tree in trees])
    roots = np.cumsum(sizes) - sizes
    parts = {
        "features": [np.where(tree.children_left < 0, -1, tree.feature) for _, tree in trees],
        "thresholds": [_round_down(tree.threshold) for _, tree in trees],
        "lefts": [np.maximum(0, tree.children_left) + root for (_, tree), root in zip(trees, roots, strict=True)],
        "rights": [np.maximum(0, tree.children_right) + root for (_, tree), root in zip(trees, roots, strict=True)],
        "values": [LEARNING_RATE * tree.value[:, 0, 0] for _, tree in trees],
    }
    kinds = {"thresholds": np.float32, "values": np.float32}
    return BoostedTrees(
        intercepts,
        np.array([decision for decision, _ in trees], np.int32),
        roots.astype(np.int32),
        **{name: np.concatenate(arrays).astype(kinds.get(name, np.int32)) for name, arrays in parts.items()},
    )


def _round_down(thresholds: np.ndarray) -> np.ndarray:
    """The largest numbers of single precision that are not above: features of that precision compare as before."""
    rounded = thresholds.astype(np.float32)
    return np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def with_price(model: LinearModel | BoostedTrees, price: float) -> LinearModel | BoostedTrees:
    """A copy that writes less: decisions stand in the order of what they write, from nothing to a list of titles.

    Args:
        model ([`LinearModel`] or [`BoostedTrees`]): What is copied.
        price (`float`): Taken from a decision's score for each decision that writes less than it does.
    """
    prices = price * np.arange(len(model.intercepts), dtype=np.float32)
    return replace(model, intercepts=model.intercepts - prices)
