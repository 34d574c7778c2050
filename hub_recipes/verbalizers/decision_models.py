"""Models that decide on a record from its features: plain arrays, which can be read, checked and shown.

They are fitted with scikit-learn (`training.distillation`) and need none of it here, so no pickle is ever loaded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

_INTEGERS = frozenset({"decisions", "roots", "features", "lefts", "rights"})
MOST_LEAVES = 8
"""Of a tree: one bit each of a byte."""

_ALL_LEAVES = np.uint8(255)
_RECORDS_AT_ONCE = 8_192
"""Rows whose columns stay in a core's cache while all trees are asked."""


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


class _Tree(NamedTuple):
    """A tree as `BoostedTrees.scores` asks it: which leaves a node leaves, and the value of the lowest leaf left."""

    decision: int
    nodes: Sequence[tuple[int, np.float32, np.uint8]]
    values: np.ndarray


@dataclass(frozen=True)
class BoostedTrees:
    """Gradient-boosted regression trees. A record's score for a decision is the sum over the trees of that decision.

    The nodes of all trees lie in one row, each tree's root first and children after their parent. All nodes are asked
    about all records, with bitmaps of leaves (QuickScorer, Lucchese et al. 2015, doi 10.1145/2766462.2767733): ten
    times as fast in numpy as to send each record its own way.

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
        for start in range(0, len(features), _RECORDS_AT_ONCE):
            columns = np.ascontiguousarray(features[start : start + _RECORDS_AT_ONCE].T)
            for tree in self._trees:
                # A bit per leaf, the leftmost lowest: a node that sends a record right clears the leaves to its left.
                leaves = np.full(columns.shape[1], _ALL_LEAVES, np.uint8)
                for feature, threshold, kept in tree.nodes:
                    leaves &= (columns[feature] <= threshold).view(np.uint8) * _ALL_LEAVES | kept
                scores[start : start + _RECORDS_AT_ONCE, tree.decision] += tree.values[leaves]
        return scores

    @cached_property
    def _trees(self) -> list["_Tree"]:
        return [self._tree(*pair) for pair in zip(self.decisions.tolist(), self.roots.tolist(), strict=True)]

    def _tree(self, decision: int, root: int) -> "_Tree":
        nodes: list[tuple[int, np.float32, np.uint8]] = []
        values: list[np.float32] = []

        def visit(node: int) -> None:
            if self.features[node] < 0:
                values.append(self.values[node])
                return
            first = len(values)
            visit(self.lefts[node])
            of_left = (1 << len(values)) - (1 << first)
            nodes.append((int(self.features[node]), self.thresholds[node], np.uint8(~of_left & int(_ALL_LEAVES))))
            visit(self.rights[node])

        visit(root)
        lowest = [(bits & -bits).bit_length() - 1 for bits in range(1, 1 << MOST_LEAVES)]
        by_bits = [values[min(leaf, len(values) - 1)] for leaf in [0, *lowest]]
        return _Tree(decision, nodes, np.array(by_bits, np.float32))

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
        # A child comes after its only parent and within its tree, or a walk might never end, or take ages.
        for children in (self.lefts, self.rights):
            is_whole = is_whole and ((children > own) & (children < ends))[inner].all()
        children = np.concatenate([self.lefts[inner], self.rights[inner]])
        is_whole = is_whole and len(np.unique(children)) == len(children)
        if trees and is_whole:
            is_whole = np.add.reduceat(inner.astype(int), self.roots).max() < MOST_LEAVES
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
