"""Log records with what the catalogue and other users' choices say of them, as a prompt to a writer shows them.

A writer that sees titles alone can bring in nothing that the log does not say. Here each line of the template is
continued by year and tags, and by the titles that other users chose next, as far as a number of tokens has room.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any

from ..schema import ALL_USERS, ITEM_ID, TITLE, Item
from ..successor_lists import Successor, SuccessorLists
from .prompts import detail_text, sanitize, template_text

RECORD_TOKENS = 3072
"""Tokens for all records of a prompt: about what 80 plain records of MovieLens take."""

_PIECE = re.compile(r"[A-Za-z]{1,4}|[^\sA-Za-z]")

NEXT_TITLES = 5
"""How many successors the line of a record names."""


def items_of(history: Sequence[Mapping[str, Any]]) -> set[str]:
    """The ids of the items of a history."""
    return {record[ITEM_ID] for record in history}


def best_successors(
    record: Mapping[str, Any], touched: Collection[str], successors: SuccessorLists, fold: int = ALL_USERS
) -> list[Successor]:
    """The first successors of a record's item that the user has not touched already; at most `NEXT_TITLES`.

    Args:
        record (`dict`): A history record.
        touched (`set[str]`): The item ids of the whole history; see `items_of`.
        successors ([`SuccessorLists`]): What other users chose after each item.
        fold (`int`, *optional*, defaults to -1): Which users are left out of the counts of successors.
    """
    found = successors.after(record[ITEM_ID], fold)
    return list(islice((one for one in found if one.item_id not in touched), NEXT_TITLES))


def next_text(
    record: Mapping[str, Any],
    touched: Collection[str],
    items: Mapping[str, Item],
    successors: SuccessorLists,
    fold: int = ALL_USERS,
) -> str:
    """What others chose after a record's item, as a further field of its line; empty where nothing is known.

    Example:
        >>> from pathlib import Path
        >>> lists = SuccessorLists(Path(), {ALL_USERS: {"i7": [Successor("i1", 3, 2.0), Successor("i2", 1, 0.9)]}})
        >>> items = {"i1": {"title": "Heat"}, "i2": {"title": "Alien"}}
        >>> next_text({"item_id": "i7"}, {"i7"}, items, lists)
        ' | next: Heat; Alien'
    """
    found = best_successors(record, touched, successors, fold)
    return f" | next: {'; '.join(sanitize(items[one.item_id][TITLE]) for one in found)}" if found else ""


def estimate_tokens(text: str) -> int:
    """How many tokens a text takes, without a tokenizer: pieces of up to four letters, every digit and every mark.

    With SmolLM2's tokenizer it is right within 3% on template lines, and 10 to 25% too high on titles and tags.

    Example:
        >>> estimate_tokens("1996 | Fargo")
        7
    """
    return len(_PIECE.findall(text))


def newest_within(history: Sequence[Any], room: int) -> Sequence[Any]:
    """The newest records whose plain lines take at most `room` tokens, and never fewer than one.

    Args:
        history (`list[Record]`): Oldest first.
        room (`int`): In tokens, as `estimate_tokens` counts them.
    """
    lines, _ = _plain_lines(history, room)
    return history[len(history) - len(lines) :]


def described_text(
    history: Sequence[Mapping[str, Any]],
    items: Mapping[str, Item],
    successors: SuccessorLists | None = None,
    fold: int = ALL_USERS,
    room: int = RECORD_TOKENS,
) -> str:
    """The lines of the template, continued by what is known of their items.

    Where not everything has room, plain lines have the first claim to it, then year and tags, then what others chose
    next; of each the newest first.

    Args:
        history (`list[Record]`): Oldest first.
        items (`dict[str, Item]`): The catalogue; items that it lacks get no year and no tags.
        successors ([`SuccessorLists`], *optional*): What other users chose after each item.
        fold (`int`, *optional*, defaults to -1): Which users are left out of the counts of successors.
        room (`int`, *optional*, defaults to 3072): Most tokens, as `estimate_tokens` counts them.

    Example:
        >>> from datetime import datetime, timezone
        >>> record = {"timestamp": datetime(1998, 3, 12, 20, 15, tzinfo=timezone.utc), "item_id": "i7",
        ...     "title": "Fargo", "event": "rate", "duration_s": None, "value": 4.0, "device": None}
        >>> fargo = {"title": "Fargo", "year": 1996, "tags": ["Crime"], "series": None}
        >>> items = {"i7": fargo, "i1": {"title": "Heat"}}
        >>> from pathlib import Path
        >>> lists = SuccessorLists(Path(), {ALL_USERS: {"i7": [Successor("i1", 3, 2.0)]}})
        >>> print(described_text([record], items, lists))
        1998-03-12 20:15 | rate | i7 | Fargo | value=4 | year=1996 | tags=Crime | next: Heat
        >>> print(described_text([record], items, lists, room=40))
        1998-03-12 20:15 | rate | i7 | Fargo | value=4 | year=1996 | tags=Crime
    """
    lines, left = _plain_lines(history, room)
    shown = history[len(history) - len(lines) :]
    touched = items_of(history)

    def details(record: Mapping[str, Any]) -> str:
        return detail_text(items.get(record[ITEM_ID]))

    def following(record: Mapping[str, Any]) -> str:
        return "" if successors is None else next_text(record, touched, items, successors, fold)

    for describe in (details, following):
        for place in range(len(shown) - 1, -1, -1):
            further = describe(shown[place])
            left -= estimate_tokens(further)
            if left < 0:
                return "\n".join(lines)
            lines[place] += further
    return "\n".join(lines)


def _plain_lines(history: Sequence[Any], room: int) -> tuple[list[str], int]:
    """The template's lines of the newest records that have room, and how many tokens they leave."""
    lines = template_text(history).split("\n") if history else []
    left = room
    for place in range(len(lines) - 1, -1, -1):
        after = left - estimate_tokens(lines[place])
        if after < 0 and place < len(lines) - 1:
            return lines[place + 1 :], left
        left = after
    return lines, left
