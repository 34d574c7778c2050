"""The training targets of SASRec in batches: windows of sequences, cut again in every epoch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .training_log import TrainingLog


@dataclass(frozen=True, eq=False)
class Sequences:
    """The choices of all users, one user after the other. Two of them are equal when their content is.

    Args:
        items (`np.ndarray` of shape `[interactions]`): Item numbers.
        starts (`np.ndarray` of shape `[users]`): Where each user's choices begin.
        num_items (`int`): Size of the catalogue.
    """

    items: np.ndarray
    starts: np.ndarray
    num_items: int

    @classmethod
    def of(cls, log: TrainingLog) -> "Sequences":
        """The sequences of a log."""
        return cls(log.items, np.flatnonzero(np.diff(log.users, prepend=-1)), log.num_items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequences) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    @property
    def num_targets(self) -> int:
        """Every choice but the first of each user."""
        return len(self.items) - len(self.starts)

    @property
    def _content(self) -> tuple[bytes, bytes, int]:
        return self.items.tobytes(), self.starts.tobytes(), self.num_items


@dataclass(frozen=True)
class Batch:
    """Windows side by side, padded on the right.

    Args:
        items (`np.ndarray` of shape `[windows, longest]`): What is read.
        targets (`np.ndarray` of shape `[windows, longest]`): What was chosen next; -1 after a window's end.
        lengths (`np.ndarray` of shape `[windows]`): How many items each window has.
    """

    items: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray


def batches(sequences: Sequences, window: int, batch_targets: int, rng: np.random.Generator) -> Iterator[Batch]:
    """One epoch: every choice but the first of each user is a target exactly once.

    Windows of one batch have nearly the same length, so that hardly anything is padding.

    Args:
        sequences ([`Sequences`]): What users chose.
        window (`int`): Most items that are read at once.
        batch_targets (`int`): Targets of a batch; up to a window more.
        rng (`np.random.Generator`): Cuts the windows, and orders the batches.
    """
    lengths = np.diff(sequences.starts, append=len(sequences.items)) - 1
    starts, lengths = cut_windows(sequences.starts, lengths, window, rng)
    by_length = np.lexsort((rng.random(len(lengths)), lengths))
    groups = np.cumsum(lengths[by_length]) // batch_targets
    parts = np.split(by_length, np.flatnonzero(np.diff(groups)) + 1)
    for part in rng.permutation(len(parts)):
        yield to_batch(sequences.items, starts[parts[part]], lengths[parts[part]])


def cut_windows(
    starts: np.ndarray, lengths: np.ndarray, window: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cut sequences into pieces of `window` items; the first piece of each has a random length, so the cuts move.

    Args:
        starts (`np.ndarray` of shape `[sequences]`): Where each sequence begins.
        lengths (`np.ndarray` of shape `[sequences]`): How long it is; an empty one has no piece.
        window (`int`): Most items of a piece.
        rng (`np.random.Generator`): Draws the lengths of the first pieces.

    Returns:
        `tuple[np.ndarray, np.ndarray]`: Where each piece begins, and how long it is.

    Example:
        >>> starts, lengths = cut_windows(np.array([0, 9]), np.array([8, 0]), 3, np.random.default_rng(0))
        >>> starts.tolist(), lengths.tolist()
        ([0, 3, 6], [3, 3, 2])
    """
    first = rng.integers(1, window + 1, len(lengths))
    pieces = np.where(lengths > 0, 1 + np.ceil(np.maximum(lengths - first, 0) / window), 0).astype(int)
    owner = np.repeat(np.arange(len(lengths)), pieces)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begins = np.maximum(first[owner] + (place - 1) * window, 0)
    ends = np.minimum(first[owner] + place * window, lengths[owner])
    return starts[owner] + begins, ends - begins


def to_batch(items: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> Batch:
    """Read windows out of the choices of all users.

    Example:
        >>> to_batch(np.array([7, 8, 9, 5, 6]), starts=np.array([0, 3]), lengths=np.array([2, 1])).targets
        array([[ 8,  9],
               [ 6, -1]])
    """
    steps = np.arange(lengths.max())
    inside = steps < lengths[:, None]
    places = np.where(inside, starts[:, None] + steps, 0)
    return Batch(items[places], np.where(inside, items[places + 1], -1), lengths)
