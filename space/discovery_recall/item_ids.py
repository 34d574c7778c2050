"""What callers pass, as columns of equal length whose item ids compare as strings."""

from collections import deque
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

NO_ANSWER = ""
"""An empty id: what stands where nothing was answered. No target can be empty, so it matches nothing."""

RANKING_TYPES = (list, tuple, np.ndarray)
Ranking: TypeAlias = list | tuple


class Examples(NamedTuple):
    """Checked columns, one entry per example. Ids are all of one type, `str` or `int`."""

    rankings: list[Ranking]
    """Predicted item ids, best first; empty, or an empty id first, where there is no answer."""
    targets: list
    """The item the user took next."""
    is_discovery: np.ndarray
    """Whether the target was new to the user (`bool`, shape `(n,)`)."""


def to_examples(predictions: Any, references: Any, is_discovery: Any = None, histories: Any = None) -> Examples:
    """Check what the caller gave, and bring it into columns.

    Args:
        predictions (`list`): Per example an item id, or a ranked list of them; `None`, `""` and `[]` are no answer.
        references (`list`): Per example the item id of the target.
        is_discovery (`list[bool]`, *optional*): Whether the user had never touched the target.
        histories (`list[list]`, *optional*): The item ids the user touched before; a target not among them is a
            discovery. Exactly one of `is_discovery` and `histories` must be given.

    Raises:
        ValueError: The columns differ in length, both or neither of the last two came, or an id is none.

    Example:
        >>> examples = to_examples(["a", None], ["a", "b"], histories=[["c"], ["b"]])
        >>> examples.rankings, examples.targets, examples.is_discovery.tolist()
        ([('a',), ('',)], ['a', 'b'], [True, False])
    """
    references = to_list("references", references)
    rankings, targets = to_rankings(predictions, references)
    if (is_discovery is None) == (histories is None):
        raise ValueError(
            f"Give either is_discovery or histories; got {'neither' if histories is None else 'both'}. is_discovery "
            "says whether each target was new to its user; histories lists what the user touched before, and a "
            "target that is not among them counts as new."
        )
    flags = to_flags(is_discovery) if histories is None else to_discovery(histories, references)
    check_length("is_discovery", len(flags), len(targets))
    return Examples(rankings, targets, flags)


def to_rankings(predictions: Any, references: Any) -> tuple[list[Ranking], list]:
    """Predictions as ranked lists, and the targets to look for in them.

    Example:
        >>> to_rankings([["b", "a"], 7, ""], ["a", "7", "c"])
        ([('b', 'a'), ('7',), ('',)], ['a', '7', 'c'])
    """
    predictions, targets = to_list("predictions", predictions), to_list("references", references)
    check_length("predictions", len(predictions), len(targets))
    # Tuples of ids, here and below: a million new lists would keep the garbage collector busy for seconds.
    bare = set(map(type, predictions)).isdisjoint(RANKING_TYPES)
    rankings: list[Ranking] = (
        list(zip(predictions)) if bare else [_to_ranking(prediction) for prediction in predictions]
    )
    rankings, targets = to_comparable(rankings, targets)
    if NO_ANSWER in targets:
        raise ValueError(
            f"references[{targets.index(NO_ANSWER)}] is empty. Every example needs the item that the user chose "
            "next; leave out examples without one."
        )
    return rankings, targets


def to_list(name: str, values: Any) -> list:
    """A column as a list: of a list, an array, a tensor, a `pandas.Series` or a column of a dataset."""
    if values is None or isinstance(values, (str, bytes, dict, set)):
        raise ValueError(f"{name} must be a list with one entry per example; got {type(values).__name__}.")
    return values.tolist() if hasattr(values, "tolist") else list(values)


def check_length(name: str, length: int, expected: int) -> None:
    if length != expected:
        raise ValueError(
            f"{name} and references must both have one entry per example; got {length} {name} and {expected} "
            "references."
        )


def to_comparable(rankings: list[Ranking], targets: list) -> tuple[list[Ranking], list]:
    """Ids as strings, unless all are strings or all are integers already, which compare alike and much sooner.

    Example:
        >>> to_comparable([[1, "b"]], [1]), to_comparable([[1, 2]], [1])
        (([('1', 'b')], ['1']), ([[1, 2]], [1]))
    """
    if _are_strings([*rankings, targets]):
        return rankings, targets
    kinds = set(map(type, chain(chain.from_iterable(rankings), targets)))
    if kinds == {int}:
        return rankings, targets
    to_text = str if all(map(_is_id_type, kinds)) else to_id
    return [tuple(map(to_text, ranking)) for ranking in rankings], list(map(to_text, targets))


def to_id(value: Any) -> str:
    """An item id as a string; `""` for the values with which tables say that there is none.

    Example:
        >>> to_id(50), to_id("50"), to_id(None), to_id(float("nan"))
        ('50', '50', '', '')
    """
    if _is_id_type(type(value)):
        return str(value)
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return NO_ANSWER
    gaps = " A table with missing values may have turned integers into floats; read that column as strings."
    raise ValueError(
        f"An item id must be a string or an integer; got {value!r} "
        f"({type(value).__name__}).{gaps if isinstance(value, float) else ''}"
    )


def to_flags(values: Any) -> np.ndarray:
    """`is_discovery` as booleans; 0 and 1 pass, words do not, because `bool("False")` is true."""
    flags = np.asarray(to_list("is_discovery", values))
    if flags.size and not (flags.dtype.kind in "biu" and np.isin(flags, (0, 1)).all()):
        raise ValueError("is_discovery must be True or False for every example; got other values.")
    return flags.astype(bool)


def to_discovery(histories: Any, references: Any) -> np.ndarray:
    """Whether each target is missing from the user's history.

    Example:
        >>> to_discovery([["a", "b"], []], ["b", "b"]).tolist()
        [False, True]
    """
    past = [_to_history(history, at) for at, history in enumerate(to_list("histories", histories))]
    targets = to_list("references", references)
    check_length("histories", len(past), len(targets))
    seen, targets = to_comparable(past, targets)
    return np.array([target not in items for items, target in zip(seen, targets, strict=True)], dtype=bool)


def _to_history(history: Any, at: int) -> Ranking:
    if isinstance(history, RANKING_TYPES):
        return history.tolist() if isinstance(history, np.ndarray) else history
    raise ValueError(
        f"histories[{at}] must be a list of the item ids that the user touched before (empty for a new user); got "
        f"{type(history).__name__}."
    )


def _to_ranking(prediction: Any) -> Ranking:
    if isinstance(prediction, RANKING_TYPES):
        return prediction.tolist() if isinstance(prediction, np.ndarray) else prediction
    return [] if prediction is None else [prediction]


def _are_strings(lists: list[Ranking]) -> bool:
    # Joining looks at the type of every entry, in C, three times sooner than asking each for it.
    try:
        deque(map("".join, lists), maxlen=0)
    except TypeError:
        return False
    return True


def _is_id_type(kind: type) -> bool:
    return issubclass(kind, (str, int, np.integer)) and kind is not bool
