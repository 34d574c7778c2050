"""What a writer is shown of each record, and what is left out first where room is short."""

from datetime import datetime, timezone
from pathlib import Path

import pytest

from logs2lang.dataset_builders.prompting.described_records import described_text, estimate_tokens, newest_within
from logs2lang.dataset_builders.prompting.prompts import template_text
from logs2lang.dataset_builders.schema import ALL_USERS
from logs2lang.dataset_builders.successor_lists import Successor, SuccessorLists

TITLES = {"i1": "Fargo", "i2": "Heat", "i3": "Alien"}
HISTORY = [
    {
        "timestamp": datetime(1998, 3, day, 20, 15, tzinfo=timezone.utc),
        "item_id": item_id,
        "title": title,
        "event": "rate",
        "duration_s": None,
        "value": None,
        "device": None,
    }
    for day, (item_id, title) in enumerate(TITLES.items(), start=10)
]
KNOWN = {"year": 1996, "tags": ["Crime"], "series": None}
ITEMS = {
    item_id: {"item_id": item_id, "title": title, **KNOWN} for item_id, title in {**TITLES, "i9": "Se7en"}.items()
}

PLAIN = [f"1998-03-{day} 20:15 | rate | {item} | {title}" for day, (item, title) in enumerate(TITLES.items(), 10)]
DETAIL = " | year=1996 | tags=Crime"
NEXT = " | next: Se7en"


SUCCESSORS = SuccessorLists(Path(), {ALL_USERS: {item_id: [Successor("i9", 3, 2.0)] for item_id in TITLES}})


def test_pieces_are_counted_as_letters_by_four_digits_and_marks():
    # 1998-03-10 20:15 has 12 digits and 3 marks, "| rate | i1 |" has 6 pieces, Fargo and Alien two each, Heat one.
    assert [estimate_tokens(line) for line in PLAIN] == [23, 22, 23]
    # "| year=1996" has 7, "| tags=Crime" 5; "| next: Se7en" has 6.
    assert (estimate_tokens(DETAIL), estimate_tokens(NEXT)) == (12, 6)


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (68 + 3 * 12 + 3 * 6, [PLAIN[0] + DETAIL + NEXT, PLAIN[1] + DETAIL + NEXT, PLAIN[2] + DETAIL + NEXT]),
        (68 + 3 * 12 + 2 * 6, [PLAIN[0] + DETAIL, PLAIN[1] + DETAIL + NEXT, PLAIN[2] + DETAIL + NEXT]),
        (68 + 3 * 12 + 5, [PLAIN[0] + DETAIL, PLAIN[1] + DETAIL, PLAIN[2] + DETAIL]),
        (68 + 2 * 12 + 11, [PLAIN[0], PLAIN[1] + DETAIL, PLAIN[2] + DETAIL]),
        (68, PLAIN),
        (45 + 11, PLAIN[1:]),
        (1, PLAIN[2:]),
    ],
)
def test_successors_go_first_then_tags_then_the_oldest_records(room, expected):
    assert described_text(HISTORY, ITEMS, SUCCESSORS, room=room).split("\n") == expected


def test_an_item_that_the_catalogue_lacks_keeps_its_plain_line():
    assert described_text(HISTORY, {}) == template_text(HISTORY)


def test_no_history_is_no_text():
    assert described_text([], ITEMS, SUCCESSORS) == ""
    assert newest_within([], 10) == []
