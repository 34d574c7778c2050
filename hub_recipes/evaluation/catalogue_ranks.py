"""The rank of each target among all candidates of the catalogue.

Ten candidates are a sample, and a sample can put systems in another order than the whole catalogue does (Krichene and
Rendle, 2020). Classical recommenders score the catalogue in full; a reasoner that answers by title or tags scores each
item as a branch after the text, in passes of 64. Nothing is sorted: a rank is one more than the number of candidates
that score higher, and equal scores stand in an order drawn from the seed, the example and the item.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset

from logs2lang.dataset_builders.schema import EXAMPLE_ID

from ..reasoners.ranking import ROUNDING
from .whole_catalogue import Catalogue

EXAMPLES_AT_ONCE = 128
"""With ten thousand items, 10 MB per array of scores."""

_MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
"""Of splitmix64 (Steele, Lea and Flood, 2014)."""

ScoreCatalogue = Callable[[Dataset], np.ndarray]
"""Scores of shape `[examples, items]` for some examples; `-inf` where nothing is known of an item."""


@dataclass(frozen=True, eq=False)
class CatalogueRanks:
    """Where targets ended up among all candidates.

    Args:
        target_ranks (`np.ndarray` of `int`, shape `[examples]`): From 1.
        picks (`np.ndarray` of `str`, shape `[examples]`): The item ranked first.
        tells_apart (`bool`): Whether any two candidates of any example had different scores.
    """

    target_ranks: np.ndarray
    picks: np.ndarray
    tells_apart: bool


@dataclass(frozen=True, eq=False)
class CatalogueChoice:
    """Examples whose candidates are all of a catalogue; prepared once, for every row that ranks them.

    Args:
        catalogue ([`Catalogue`]): What stands to choose.
        parts (`list[_Part]`): The examples, some at a time.
    """

    catalogue: Catalogue
    parts: Sequence["_Part"]

    @classmethod
    def of(cls, examples: Dataset, catalogue: Catalogue, seed: int = 0) -> "CatalogueChoice":
        """Work out the candidates.

        Args:
            examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.
            catalogue ([`Catalogue`]): Of their dataset.
            seed (`int`, *optional*, defaults to 0): Another seed puts equal scores in another order.
        """
        starts = range(0, len(examples), EXAMPLES_AT_ONCE)
        some = (examples.select(range(start, min(start + EXAMPLES_AT_ONCE, len(examples)))) for start in starts)
        return cls(catalogue, [_Part.of(part, catalogue, seed) for part in some])

    @property
    def num_candidates(self) -> np.ndarray:
        """How many items stand to choose, per example."""
        return np.concatenate([part.num_candidates for part in self.parts])

    def rank(self, score: ScoreCatalogue, report: Callable[[int], Any] | None = None) -> CatalogueRanks:
        """Rank each target among all candidates.

        Args:
            score (`Callable`): See `ScoreCatalogue`.
            report (`Callable[[int], None]`, *optional*): Called with the number of finished examples.
        """
        found, done = [], 0
        for part in self.parts:
            found.append(part.rank(score(part.examples)))
            done += len(part.examples)
            if report is not None:
                report(done)
        ranks, picks, differing = (np.concatenate(column) for column in zip(*found, strict=True))
        return CatalogueRanks(ranks, self.catalogue.item_ids.to_numpy()[picks], bool(differing.any()))


@dataclass(frozen=True, eq=False)
class _Part:
    """Some examples, and what stands to choose for each."""

    examples: Dataset
    targets: np.ndarray
    num_items: int
    packed: np.ndarray
    num_candidates: np.ndarray
    draws: "_Draws"

    @classmethod
    def of(cls, examples: Dataset, catalogue: Catalogue, seed: int) -> "_Part":
        allowed = catalogue.candidates(examples)
        draws = _Draws.of(seed, examples[EXAMPLE_ID][:], catalogue.item_ids)
        packed = np.packbits(allowed, axis=1)  # an eighth of the memory, and one pass to unpack
        return cls(examples, catalogue.targets(examples), allowed.shape[1], packed, allowed.sum(axis=1), draws)

    def rank(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each example: the target's rank, the number of the pick, and whether scores differ."""
        allowed = np.unpackbits(self.packed, axis=1, count=self.num_items).view(bool)
        scores = np.where(allowed, scores, -np.inf).astype(scores.dtype, copy=False)
        own = scores[np.arange(len(scores)), self.targets][:, None]
        best = scores.max(axis=1, keepdims=True)
        tolerance = _tolerance(own, best)
        higher, at_least = scores > own + tolerance, scores >= own - tolerance
        level = at_least & ~higher & allowed
        ahead = self.draws.lower_than(level, self.targets)
        picks = self.draws.lowest((scores >= best - tolerance) & allowed)
        known = scores.min(axis=1, where=allowed, initial=np.inf)
        return 1 + higher.sum(axis=1) + ahead, picks, best[:, 0] > known


def _tolerance(own: np.ndarray, best: np.ndarray) -> np.ndarray:
    """How far apart scores are that differ by rounding alone, as in `ranking.order_of`."""
    largest = np.maximum(*(np.where(np.isfinite(one), np.abs(one), 0) for one in (own, best)))
    return (ROUNDING * np.finfo(own.dtype).eps * largest).astype(own.dtype)


@dataclass(frozen=True, eq=False)
class _Draws:
    """A number for each example and item, the same wherever it is asked for."""

    of_examples: np.ndarray
    of_items: np.ndarray

    @classmethod
    def of(cls, seed: int, examples: Sequence[str], item_ids: pd.Index) -> "_Draws":
        return cls(_hashes([f"{seed}/{example}" for example in examples]), _hashes(item_ids.tolist()))

    def at(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The numbers of these examples and items."""
        mixed = (self.of_examples[rows] ^ self.of_items[items]) * _MIX[0]
        mixed ^= mixed >> np.uint64(32)
        mixed *= _MIX[1]
        mixed ^= mixed >> np.uint64(29)
        return mixed

    def lower_than(self, level: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """How many of the marked items of each example have a lower number than its target."""
        rows, items = np.nonzero(level)
        own = self.at(np.arange(len(level)), targets)
        return np.bincount(rows[self.at(rows, items) < own[rows]], minlength=len(level))

    def lowest(self, level: np.ndarray) -> np.ndarray:
        """The marked item of each example with the lowest number; at least one is marked."""
        rows, items = np.nonzero(level)
        drawn = self.at(rows, items)
        starts = np.searchsorted(rows, np.arange(len(level)))
        lowest = np.flatnonzero(drawn == np.minimum.reduceat(drawn, starts)[rows])
        _, first = np.unique(rows[lowest], return_index=True)
        return items[lowest[first]]


def _hashes(texts: Sequence[str]) -> np.ndarray:
    return pd.util.hash_array(np.array(texts, dtype=object), categorize=False)
