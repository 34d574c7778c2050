"""What can be said of a log record in numbers: all that a student of an action verbalizer decides from.

Everything is computed for many histories at once. A history of 100 records takes about 0.1 ms.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from logs2lang.dataset_builders.prompting.described_records import NEXT_TITLES
from logs2lang.dataset_builders.prompting.prompts import MAX_TAGS
from logs2lang.dataset_builders.schema import (
    ALL_USERS,
    DURATION,
    EVENT,
    ITEM_ID,
    TAGS,
    TIMESTAMP,
    VALUE,
    Item,
)
from logs2lang.dataset_builders.successor_lists import SuccessorLists

from .action import MOST_STRENGTH
from .language_model_verbalizer import folds_of
from .verbalizer import History

NUMBERS = (
    "place from the newest (log2)",
    "records in the history (log2)",
    "days before the newest (log2)",
    "share of the work played",
    "time played unknown",
    "rating",
    "rating unknown",
    "times in the history (log2)",
    "chosen again later",
    "popularity (log2)",
    "successors (log2)",
    "lift of the best successors (log2)",
    "place by that lift, from the highest (log2)",
    "tags shared with the rest",
)
"""The features of a record beside its event, in the order of the columns."""

MOST_EVENTS = 12
"""Events with a feature of their own; rarer ones have none."""

_LENGTH_QUANTILE = 0.9
_LARGEST = 1e6
"""A log may hold any number; beyond this one they are all alike."""

_COLUMNS = tuple(map(itemgetter, (ITEM_ID, EVENT, TIMESTAMP, DURATION, VALUE)))


def item_key(item_id: str) -> int:
    """A number that stands for an item in the arrays of a student.

    Example:
        >>> item_key("i7") == item_key("i7"), item_key("i7") == item_key("i8")
        (True, False)
    """
    return int.from_bytes(
        hashlib.blake2b(item_id.encode(errors="surrogatepass"), digest_size=8).digest(), "little", signed=True
    )


def feature_names(events: Sequence[str]) -> tuple[str, ...]:
    """What each column of the features is, as a card shows it.

    Args:
        events (`list[str]`): Those with a feature of their own.

    Example:
        >>> feature_names(["play"])[-2:]
        ('tags shared with the rest', 'event is play')
    """
    return (*NUMBERS, *(f"event is {event}" for event in events))


@dataclass(frozen=True)
class LogFacts:
    """What a student keeps of the log that it was taught on.

    Args:
        events (`tuple[str, ...]`): The most frequent events.
        keys (`np.ndarray` of `int64`, shape `(items,)`): See `item_key`; ascending.
        popularity (`np.ndarray` of `int32`, shape `(items,)`): How often the item was chosen in training.
        lengths (`np.ndarray` of `float32`, shape `(items,)`): Its usual full playing time in seconds, NaN where no
            time was logged: the 90th percentile, since most people watch a work to the end.
    """

    events: tuple[str, ...]
    keys: np.ndarray
    popularity: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, interactions: pd.DataFrame) -> "LogFacts":
        """Count the training interactions of a built dataset.

        Args:
            interactions (`pandas.DataFrame`): As `BuiltDataset.training_interactions` returns them.
        """
        by_item = interactions.groupby(ITEM_ID, sort=False)[DURATION].agg(
            popularity="size", length=lambda played: played.quantile(_LENGTH_QUANTILE)
        )
        keys = np.array([item_key(item_id) for item_id in by_item.index], np.int64)
        order = np.argsort(keys)
        return cls(
            tuple(map(str, interactions[EVENT].value_counts().index[:MOST_EVENTS])),
            keys[order],
            by_item["popularity"].to_numpy(np.int32)[order],
            by_item["length"].to_numpy(np.float32)[order],
        )

    def check(self) -> None:
        """Raises `ValueError` where the arrays do not fit each other."""
        shapes = {self.keys.shape, self.popularity.shape, self.lengths.shape}
        kinds = self.keys.dtype.kind + self.popularity.dtype.kind + self.lengths.dtype.kind
        if shapes != {(len(self.keys),)} or kinds != "iif":
            raise ValueError("what it says of items is damaged")
        if not (np.diff(self.keys) > 0).all() or (self.popularity < 0).any():
            raise ValueError("what it says of items is out of order")

    def known_share(self, items: Mapping[str, Item]) -> float:
        """The share of the log's items that a catalogue has, from 0 to 1; 1 where the log had none."""
        own = {item_key(item_id) for item_id in items}
        return float(np.mean([key in own for key in self.keys.tolist()])) if len(self.keys) else 1.0

    def of_item(self, item_id: str) -> tuple[int, float]:
        """Popularity and playing time of an item; 0 and NaN for one that was not in the log."""
        key = item_key(item_id)
        place = int(np.searchsorted(self.keys, key))
        if place == len(self.keys) or self.keys[place] != key:
            return 0, np.nan
        return int(self.popularity[place]), float(self.lengths[place])


class _ItemFacts(NamedTuple):
    """What is known of an item before any history is seen."""

    popularity: float
    length: float
    successors: int
    lift: float
    tags: Sequence[int]


@dataclass
class RecordFeatures:
    """Turns histories into one row of numbers per record.

    Args:
        items (`dict[str, Item]`): The catalogue, for tags.
        log ([`LogFacts`]): For events, popularity and playing times.
        successors ([`SuccessorLists`], *optional*): What other users chose after each item.
    """

    items: Mapping[str, Item]
    log: LogFacts
    successors: SuccessorLists | None = None
    _facts: dict[int, dict[str, _ItemFacts]] = field(default_factory=dict, repr=False)
    _tags: dict[str, int] = field(default_factory=dict, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """What each column is; see `feature_names`."""
        return feature_names(self.log.events)

    def of(self, histories: Sequence[History], folds: Sequence[int] | None = None) -> np.ndarray:
        """The features of every record of some histories, one history after the other.

        Args:
            histories (`list[list[Record]]`): The records of each user, oldest first.
            folds (`list[int]`, *optional*): Which users are left out of the counts of successors, per history; no one
                when `None`.

        Returns:
            `np.ndarray` of `float32`, shape `(records, features)`: Finite; columns as `feature_names` has them.
        """
        own = np.array(folds_of(histories, folds), np.int64)
        known = np.unique(own)
        if len(known) < 2:
            return self._of_fold(histories, int(known[0]) if len(known) else ALL_USERS)
        sizes = np.array([len(history) for history in histories])
        table = np.empty((sizes.sum(), len(self.names)), np.float32)
        for fold in known.tolist():
            part = [history for history, of_one in zip(histories, own, strict=True) if of_one == fold]
            table[np.repeat(own == fold, sizes)] = self._of_fold(part, fold)
        return table

    def _of_fold(self, histories: Sequence[History], fold: int) -> np.ndarray:
        """The features where all histories leave out the same users."""
        sizes = np.array([len(history) for history in histories], np.int64)
        if not sizes.sum():
            return np.empty((0, len(self.names)), np.float32)
        # Column by column: a tuple for each record would keep the garbage collector busy.
        ids, events, times, durations, values = (
            list(map(column, chain.from_iterable(histories))) for column in _COLUMNS
        )
        history = np.repeat(np.arange(len(sizes)), sizes)
        item, known = pd.factorize(np.array(ids, object))
        facts = [self._facts_of(item_id, fold) for item_id in known]
        numbers = np.array([one[:4] for one in facts], np.float32)
        popularity, length, following, lift = numbers[item].T
        times_seen, again = _repeats(history * len(known) + item)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            played, rating = np.array(durations, np.float32), np.array(values, np.float32)
            share = np.clip(played / length, 0, 1)
        columns = [
            np.log2(1 + _newer(sizes)),
            np.log2(np.repeat(sizes, sizes)),
            np.log2(1 + _days_before_newest(times, sizes)),
            share,
            np.isnan(share),
            rating,
            np.isnan(rating),
            np.log2(times_seen),
            again,
            np.log2(1 + popularity),
            np.log2(1 + following),
            np.log2(1 + lift),
            np.log2(1 + _stronger(lift, history)),
            self._shared_tags([one.tags for one in facts], item, history, sizes),
        ]
        codes = {name: code for code, name in enumerate(self.log.events)}
        event = np.array([codes.get(name, -1) for name in events])
        columns += [event == code for code in codes.values()]
        table = np.empty((len(item), len(columns)), np.float32)
        for place, column in enumerate(columns):
            table[:, place] = column
        return np.clip(np.nan_to_num(table), -_LARGEST, _LARGEST)

    def _facts_of(self, item_id: str, fold: int) -> _ItemFacts:
        of_fold = self._facts.setdefault(fold, {})
        found = of_fold.get(item_id)
        if found is None:
            found = self._look_up(item_id, fold)
            if item_id in self.items:  # of unknown items there could be any number
                of_fold[item_id] = found
        return found

    def _look_up(self, item_id: str, fold: int) -> _ItemFacts:
        found = () if self.successors is None else self.successors.after(item_id, fold)
        best = found[:NEXT_TITLES]
        lift = sum(one.lift for one in best) / len(best) if best else 0.0
        item: Mapping[str, Any] = self.items.get(item_id, {})
        tags = dict.fromkeys((item.get(TAGS) or ())[:MAX_TAGS])
        codes = [self._tags.setdefault(tag, len(self._tags)) for tag in tags]
        return _ItemFacts(*self.log.of_item(item_id), len(found), lift, codes)

    def _shared_tags(
        self, tags: Sequence[Sequence[int]], item: np.ndarray, history: np.ndarray, sizes: np.ndarray
    ) -> np.ndarray:
        """Of each record: the share of the other records that have one of its tags, as a mean over its tags."""
        tag_counts = np.array([len(of_item) for of_item in tags])
        starts = np.cumsum(tag_counts) - tag_counts
        flat = np.fromiter(chain.from_iterable(tags), np.int64)
        counts = tag_counts[item]
        record = np.repeat(np.arange(len(item)), counts)
        within = np.arange(len(record)) - np.repeat(np.cumsum(counts) - counts, counts)
        tag = flat[starts[item[record]] + within]
        keys = history[record] * (len(self._tags) + 1) + tag
        _, pair, having = np.unique(keys, return_inverse=True, return_counts=True)
        others = np.maximum(1, sizes[history[record]] - 1)
        shares = np.bincount(record, (having[pair] - 1) / others, minlength=len(item))
        return shares / np.maximum(1, counts)


def _newer(sizes: np.ndarray) -> np.ndarray:
    """How many records of its history are newer than each record."""
    ends = np.repeat(np.cumsum(sizes), sizes)
    return ends - 1 - np.arange(len(ends))


def _stronger(lift: np.ndarray, history: np.ndarray) -> np.ndarray:
    """How many records of its history point more strongly to what comes next than each one, and of equals the newer
    ones: about the order of [`strongest_first`], which also leaves out successors that are in the history."""
    strength = np.minimum(MOST_STRENGTH, np.rint(lift))
    order = np.lexsort((-np.arange(len(lift)), -strength, history))
    stronger = np.empty(len(lift), np.int64)
    stronger[order] = np.arange(len(lift)) - np.searchsorted(history, history)
    return stronger


def _days_before_newest(times: Sequence[Any], sizes: np.ndarray) -> np.ndarray:
    days = np.array([time.toordinal() for time in times])
    filled = sizes[sizes > 0]
    newest = np.repeat(days[np.cumsum(filled) - 1], filled)
    return np.maximum(0, newest - days)


def _repeats(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often each key stands among all, and whether it comes again later."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    is_last = np.append(ordered[1:] != ordered[:-1], True)
    group = np.cumsum(is_last) - is_last
    counts, again = np.empty(len(keys), np.int64), np.empty(len(keys), bool)
    counts[order] = np.bincount(group)[group]
    again[order] = ~is_last
    return counts, again
