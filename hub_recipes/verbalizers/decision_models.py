"""Models that decide on a record from its features: plain arrays, which can be read, checked and shown.

They are fitted with scikit-learn (`training.distillation`) and need none of it here, so no pickle is ever loaded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

import numpy as np

_INTEGERS = frozenset({"decisions", "roots", "features", "lefts", "rights"})
_RECORDS_AT_ONCE = 4_096
"""Rows whose columns stay in a core's cache while all trees are walked."""


class DecisionModel(Protocol):
    """Scores every decision for every record."""

    kind: ClassVar[str]

    def scores(self, features: np.ndarray) -> np.ndarray:
        """The scores of each record; the highest decides.

        Args:
            features (`np.ndarray` of `float32`, shape `(records, features)`): See `RecordFeatures`.

        Returns:
            `np.ndarray`, shape `(records, decisions)`.
        """

    def check(self, num_features: int, num_decisions: int) -> None:
        """Raises `ValueError` where the arrays do not fit each other, as in a damaged or hostile file."""


@dataclass(frozen=True)
class LinearModel:
    """A logistic regression on standardised features.

    Args:
        weights (`np.ndarray` of `float32`, shape `(decisions, features)`): Of a feature's distance from its mean, in
            standard deviations.
        intercepts (`np.ndarray` of `float32`, shape `(decisions,)`): The scores of a record that is average in all.
        means (`np.ndarray` of `float32`, shape `(features,)`): Over the records that it was taught on.
        deviations (`np.ndarray` of `float32`, shape `(features,)`): Likewise; above 0.
    """

    weights: np.ndarray
    intercepts: np.ndarray
    means: np.ndarray
    deviations: np.ndarray

    kind: ClassVar[str] = "logistic regression"

    def scores(self, features: np.ndarray) -> np.ndarray:
        return ((features - self.means) / self.deviations) @ self.weights.T + self.intercepts

    def check(self, num_features: int, num_decisions: int) -> None:
        shapes = {
            "weights": (num_decisions, num_features),
            "intercepts": (num_decisions,),
            "means": (num_features,),
            "deviations": (num_features,),
        }
        _check_shapes(self, shapes)
        if not (self.deviations > 0).all():
            raise ValueError("deviations are not all above 0")


@dataclass(frozen=True)
class BoostedTrees:
    """Gradient-boosted regression trees. A record's score for a decision is the sum over the trees of that decision.

    The nodes of all trees lie in one row, each tree's root first and children after their parent.

    Args:
        intercepts (`np.ndarray` of `float32`, shape `(decisions,)`): Added to the sums.
        decisions (`np.ndarray` of `int32`, shape `(trees,)`): Which decision a tree scores.
        roots (`np.ndarray` of `int32`, shape `(trees,)`): Where each tree begins; ascending.
        features (`np.ndarray` of `int32`, shape `(nodes,)`): Which feature a node asks about; -1 for a leaf.
        thresholds (`np.ndarray` of `float32`, shape `(nodes,)`): A value up to this one goes left.
        lefts (`np.ndarray` of `int32`, shape `(nodes,)`): The node to go to, counted from the first of all.
        rights (`np.ndarray` of `int32`, shape `(nodes,)`): Likewise.
        values (`np.ndarray` of `float32`, shape `(nodes,)`): What a leaf adds to the score.
    """

    intercepts: np.ndarray
    decisions: np.ndarray
    roots: np.ndarray
    features: np.ndarray
    thresholds: np.ndarray
    lefts: np.ndarray
    rights: np.ndarray
    values: np.ndarray

    kind: ClassVar[str] = "gradient boosting"

    def scores(self, features: np.ndarray) -> np.ndarray:
        scores = np.tile(self.intercepts, (len(features), 1))
        roots = list(zip(self.decisions.tolist(), self.roots.tolist(), strict=True))
        for start in range(0, len(features), _RECORDS_AT_ONCE):
            columns = np.ascontiguousarray(features[start : start + _RECORDS_AT_ONCE].T)
            for decision, root in roots:
                scores[start : start + _RECORDS_AT_ONCE, decision] += self._walk(root, columns)
        return scores

    def _walk(self, node: int, columns: np.ndarray) -> Any:
        """What a tree adds to the score of each record. Both sides are computed: that is faster than to part rows."""
        if self.features[node] < 0:
            return self.values[node]
        goes_left = columns[self.features[node]] <= self.thresholds[node]
        return np.where(goes_left, self._walk(self.lefts[node], columns), self._walk(self.rights[node], columns))

    def check(self, num_features: int, num_decisions: int) -> None:
        trees, nodes = len(self.roots), len(self.features)
        rows = dict.fromkeys(("features", "thresholds", "lefts", "rights", "values"), (nodes,))
        _check_shapes(self, {**rows, "intercepts": (num_decisions,), "decisions": (trees,), "roots": (trees,)})
        own, inner = np.arange(nodes), self.features >= 0
        ends = np.append(self.roots[1:], nodes)[np.searchsorted(self.roots, own, side="right") - 1] if trees else own
        is_whole = (
            (self.features < num_features).all()
            and ((self.decisions >= 0) & (self.decisions < num_decisions)).all()
            and (not nodes or (trees and self.roots[0] == 0 and (np.diff(self.roots) > 0).all()))
            and (not trees or self.roots[-1] < nodes)
        )
        # A child comes after its parent and within its tree, or a walk might never end.
        for children in (self.lefts, self.rights):
            is_whole = is_whole and ((children > own) & (children < ends))[inner].all()
        if not is_whole:
            raise ValueError("its trees are no trees")


MODELS: dict[str, type[LinearModel] | type[BoostedTrees]] = {
    model.kind: model for model in (LinearModel, BoostedTrees)
}


def to_arrays(model: LinearModel | BoostedTrees) -> dict[str, np.ndarray]:
    """The arrays of a model, by name."""
    return {part.name: getattr(model, part.name) for part in fields(model)}


def to_model(
    kind: str, arrays: Mapping[str, np.ndarray], num_features: int, num_decisions: int
) -> LinearModel | BoostedTrees:
    """The model that `to_arrays` was asked about.

    Raises:
        ValueError: There is no such kind of model, or the arrays are not those of one.
    """
    if kind not in MODELS:
        raise ValueError(f"there is no kind of student {kind!r}, only {' and '.join(MODELS)}")
    of_kind = MODELS[kind]
    missing = [part.name for part in fields(of_kind) if part.name not in arrays]
    if missing:
        raise ValueError(f"it lacks {missing[0]}")
    model = of_kind(**{part.name: arrays[part.name] for part in fields(of_kind)})
    model.check(num_features, num_decisions)
    return model


def _check_shapes(model: Any, shapes: Mapping[str, Sequence[int]]) -> None:
    for name, shape in shapes.items():
        array = getattr(model, name)
        if array.shape != tuple(shape):
            raise ValueError(f"{name} has the shape {array.shape}, expected {tuple(shape)}")
        if array.dtype.kind != ("i" if name in _INTEGERS else "f"):
            raise ValueError(f"{name} has the type {array.dtype}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds what is no number")
