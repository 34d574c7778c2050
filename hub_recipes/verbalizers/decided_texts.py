"""The text that decisions on the records of a history amount to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from logs2lang.dataset_builders.prompting.described_records import NEXT_TITLES, items_of, next_text
from logs2lang.dataset_builders.prompting.prompts import detail_text, has_clock, sanitize, template_text
from logs2lang.dataset_builders.schema import ALL_USERS, ITEM_ID, TITLE, Item, Record
from logs2lang.dataset_builders.successor_lists import SuccessorLists

from .successors import best_after, two_lists
from .verbalizer import History

DROP = "drop"
KEEP = "keep"
DETAIL = "detail"
NEXT = "next"
DECISIONS = (DROP, KEEP, DETAIL)
WITH_NEXT = (*DECISIONS, NEXT)
"""With a space before it, each is one token of SmolLM2: a hundred records cost a hundred tokens."""

NOTHING_KEPT = "(no records)"
"""The text where every record was dropped: true, short, and it names nothing."""


@dataclass(frozen=True)
class Decisions:
    """What is to become of the records of a history.

    Args:
        of_records (`tuple[str, ...]`): One of `DECISIONS` per record, oldest first.
        undecided (`int`): How many records got no decision; they are kept unchanged.
    """

    of_records: tuple[str, ...]
    undecided: int


def execute(
    decisions: Decisions,
    history: History,
    items: Mapping[str, Item],
    successors: SuccessorLists | None = None,
    fold: int = ALL_USERS,
    as_lists: bool = False,
) -> str:
    """Apply decisions to the records they are about.

    Args:
        decisions ([`Decisions`]): One per record.
        history (`list[Record]`): Oldest first.
        items (`dict[str, Item]`): The catalogue, for year, tags and series of records kept in detail.
        successors ([`SuccessorLists`], *optional*): What other users chose after each item; only `next` needs it.
        fold (`int`, *optional*, defaults to -1): Which users are left out of the counts of successors.
        as_lists (`bool`, *optional*, defaults to `False`): Names works in two lists instead of a line per record: the
            titles that are kept, and what others chose most often after the records decided `next`, five titles for
            each of these records.

    Returns:
        `str`: One line per kept record, as the template writes it, in the order of time; or two lists. `NOTHING_KEPT`
        where no record is kept.

    Example:
        >>> from pathlib import Path
        >>> from logs2lang.dataset_builders.successor_lists import Successor
        >>> lists = SuccessorLists(Path(), {ALL_USERS: {"i8": [Successor("i1", 3, 2.0)]}})
        >>> items = {"i1": {"title": "Casino"}, "i7": {"title": "Fargo", "year": 1996, "tags": None, "series": None}}
        >>> history = [{"item_id": "i7", "title": "Fargo"}, {"item_id": "i8", "title": "Heat"}]
        >>> print(execute(Decisions(("detail", "next"), 0), history, items, lists, as_lists=True))
        Recent, newest last: Fargo (year=1996); Heat
        Viewers of these went on to: Casino
    """
    pairs = zip(decisions.of_records, history, strict=True)
    kept = [(decision, record) for decision, record in pairs if decision != DROP]
    if not kept:
        return NOTHING_KEPT
    write = _write_lists if as_lists else _write_lines
    return write(kept, history, items, successors, fold)


def _write_lines(
    kept: Sequence[tuple[str, Record]],
    history: History,
    items: Mapping[str, Item],
    successors: SuccessorLists | None,
    fold: int,
) -> str:
    # Most records of a long history are dropped, and a line takes longer to write than a decision.
    lines = template_text([record for _, record in kept], has_clock(history)).split("\n")
    touched = items_of(history)
    return "\n".join(
        line + _addition(decision, record, touched, items, successors, fold)
        for (decision, record), line in zip(kept, lines, strict=True)
    )


def _addition(
    decision: str,
    record: Record,
    touched: Collection[str],
    items: Mapping[str, Item],
    successors: SuccessorLists | None,
    fold: int,
) -> str:
    """What a decision adds to the line of a record."""
    if decision == DETAIL:
        return detail_text(items.get(record[ITEM_ID]))
    if decision != NEXT or successors is None:
        return ""
    return next_text(record, touched, items, successors, fold)


def _write_lists(
    kept: Sequence[tuple[str, Record]],
    history: History,
    items: Mapping[str, Item],
    successors: SuccessorLists | None,
    fold: int,
) -> str:
    recent: dict[str, str] = {}
    for decision, record in reversed(kept):  # a work stands where it was seen last, as was decided there
        title = sanitize(record[TITLE])
        recent.setdefault(title, title + _in_brackets(decision, record, items))
    asked = [record for decision, record in kept if decision == NEXT]
    best = [] if successors is None else best_after(asked, items_of(history), successors, fold)
    return two_lists(list(recent.values())[::-1], [items[item_id] for item_id in best[: NEXT_TITLES * len(asked)]])


def _in_brackets(decision: str, record: Record, items: Mapping[str, Item]) -> str:
    """What the catalogue knows of a work that is kept in detail."""
    known = detail_text(items.get(record[ITEM_ID])) if decision == DETAIL else ""
    return f" ({known.removeprefix(' | ').replace(' | ', ', ')})" if known else ""
