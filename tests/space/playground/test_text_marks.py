import pytest

from logs2lang.dataset_builders.schema import ALL_USERS
from logs2lang.dataset_builders.successor_lists import Successor, SuccessorLists
from logs2lang.space.playground.text_marks import TextMarks


def item(item_id, title, tags=(), year=None, series=None):
    return {"item_id": item_id, "title": title, "tags": list(tags), "year": year, "series": series}


ITEMS = {
    each["item_id"]: each
    for each in (
        item("i0", "Fog", ["film noir"], 1947),
        item("i1", "Dew: Part 2", ["comedy"], 1993, series="Dew"),
        item("i2", "Haze", ["comedy"], 1999),
        item("i3", "Never Seen", ["western"], 1947),
    )
}
HISTORY = [{"item_id": item_id, "title": ITEMS[item_id]["title"]} for item_id in ("i0", "i1", "i2", "i1")]


@pytest.fixture
def marks():
    return TextMarks(HISTORY, ITEMS)


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ("Fog", [0]),
        ("saw Dew: Part 2", [1, 3]),
        ("binges Dew", [1, 3]),  # the series of the title
        ("Fog and Haze", [0, 2]),
        ("likes film noir", [0]),
        ("comedy 3, western 1", [1, 2, 3]),
        ("1990s mostly", [1, 2, 3]),
        ("comedy, and above all Fog", [0]),  # a title says more than a tag
        ("Never Seen", []),
        ("nothing at all", []),
    ],
)
def test_a_sentence_speaks_of(marks, text, records):
    assert marks.sentences(text)[0].records == records


@pytest.mark.parametrize(
    ("text", "unsupported"),
    [
        ("Fog; Haze", []),
        ("Fog and Never Seen", ["Never Seen"]),
        ('liked "Made Up Entirely" and "fog"', ["Made Up Entirely"]),
        ("“Never Seen” twice: Never Seen", ["Never Seen"]),
        ("Dew and Dew: Part 2", []),
        ("", []),
    ],
)
def test_titles_that_the_log_does_not_hold(marks, text, unsupported):
    assert marks.unsupported(text) == unsupported


@pytest.fixture
def followed(tmp_path):
    """Of a decision in which Haze followed Fog, and so did a candidate, Never Seen; another one followed nothing."""
    films = {**ITEMS, "i4": item("i4", "Faraway")}
    lists = SuccessorLists(tmp_path, {ALL_USERS: {"i0": [Successor("i2", 3, 2.0), Successor("i3", 2, 1.5)]}})
    return TextMarks(HISTORY[:2], films, lists, ["i3", "i4"])


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Fog", ["record"]),
        ("Haze", ["successor"]),
        ("Never Seen", ["candidate"]),
        ("Faraway", ["unsupported"]),  # a candidate that no count speaks for was made up by whoever wrote the text
        ("Fog; Haze", ["record", "", "successor"]),
    ],
)
def test_what_a_title_is(followed, text, kinds):
    assert [span.kind for sentence in followed.sentences(text) for span in sentence.spans] == kinds


def test_a_candidate_is_named_by_its_id(followed):
    assert followed.sentences("Never Seen")[0].spans[0].item_id == "i3"


def test_a_successor_speaks_of_the_records_it_follows(followed):
    assert followed.sentences("went on to: Haze")[0].records == [0]


def test_a_full_stop_inside_a_title_ends_no_sentence():
    films = {"i0": item("i0", "G.I. Joe: Retaliation")}
    marks = TextMarks([{"item_id": "i0", "title": "G.I. Joe: Retaliation"}], films)
    first, second = marks.sentences("Saw G.I. Joe: Retaliation. Twice")
    assert [span.kind for span in first.spans] == ["", "record", ""]
    assert (first.records, second.records) == ([0], [])


@pytest.mark.parametrize("text", ["One. Two; three!\n\nFour", "2025-01-01 | play | Fog\n", "no end", "a.b.c", "\n\n"])
def test_no_letter_is_lost(marks, text):
    assert "".join(span.text for sentence in marks.sentences(text) for span in sentence.spans) == text


def test_sentences_end_at_full_stops_semicolons_and_lines(marks):
    pieces = ["".join(span.text for span in sentence.spans) for sentence in marks.sentences("A b. C 1.5; d\nE")]
    assert pieces == ["A b. ", "C 1.5; ", "d\n", "E"]
