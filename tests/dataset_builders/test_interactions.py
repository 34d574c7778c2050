from dataclasses import replace

import ibis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.interactions import (
    BROKEN_ENCODING,
    EMPTY_ITEM,
    EMPTY_TIME,
    EMPTY_USER,
    IMPOSSIBLE_DURATION,
    IMPOSSIBLE_TIME,
    NAMELESS_ITEM,
    OTHER_UNIT,
    ROUNDED_ID,
    UNREADABLE_TIME,
    canonicalize,
)
from logs2lang.dataset_builders.raw_log import OWN_LOG, RawLog, connect
from logs2lang.dataset_builders.schema import INTERACTION_COLUMNS, ITEM_COLUMNS

GOOD = {
    "user_id": "ann",
    "item_id": "i1",
    "timestamp": "1714521600",  # 2024-05-01
    "event": "play",
    "duration_s": "60",
    "value": "4.5",
    "device": "tv",
}


@pytest.fixture
def connection(tmp_path):
    return connect(tmp_path, threads=2)


def raw_log(rows, items=None, rejected=None, time_format="auto"):
    placed = [
        {**GOOD, **row, "source_file": "log.csv", "source_row": place} for place, row in enumerate(rows, start=2)
    ]
    types = dict.fromkeys(GOOD, "string") | {"source_file": "string", "source_row": "int64"}
    return RawLog("toy", ibis.memtable(placed, schema=types), items, rejected, time_format, OWN_LOG)


def used_rows(log):
    return log.interactions.to_pyarrow().to_pylist()


def test_a_good_row_gets_its_types(connection):
    log = canonicalize(raw_log([{}]), connection)
    assert log.interactions.columns == INTERACTION_COLUMNS
    types = {name: str(kind) for name, kind in log.interactions.schema().items()}
    assert types["timestamp"] == "timestamp('UTC', 6)"
    assert types["duration_s"] == types["value"] == "float32"
    (row,) = used_rows(log)
    assert row["timestamp"].isoformat() == "2024-05-01T00:00:00+00:00"
    assert (row["duration_s"], row["value"], row["event"]) == (60.0, 4.5, "play")


DAMAGES = [
    ({"user_id": ""}, EMPTY_USER),
    ({"user_id": None}, EMPTY_USER),
    ({"user_id": " \t"}, EMPTY_USER),
    ({"user_id": "nan"}, EMPTY_USER),
    ({"user_id": "<NA>"}, EMPTY_USER),
    ({"user_id": "\u00a0"}, EMPTY_USER),
    ({"item_id": "NULL"}, EMPTY_ITEM),
    ({"item_id": ""}, EMPTY_ITEM),
    ({"timestamp": ""}, EMPTY_TIME),
    ({"timestamp": None}, EMPTY_TIME),
    ({"timestamp": "soon"}, UNREADABLE_TIME),
    ({"timestamp": "2024-02-30"}, UNREADABLE_TIME),
    ({"timestamp": "0"}, IMPOSSIBLE_TIME),
    ({"timestamp": "86399"}, IMPOSSIBLE_TIME),
    ({"timestamp": "86400"}, OTHER_UNIT),
    ({"timestamp": "1714521"}, OTHER_UNIT),
    ({"timestamp": "-1714521600"}, IMPOSSIBLE_TIME),
    ({"timestamp": "1969-12-31"}, IMPOSSIBLE_TIME),
    ({"timestamp": "2100-01-01"}, IMPOSSIBLE_TIME),
    ({"timestamp": "1e300"}, IMPOSSIBLE_TIME),
    ({"timestamp": "infinity"}, IMPOSSIBLE_TIME),
    ({"timestamp": "nan"}, IMPOSSIBLE_TIME),
    ({"duration_s": "-1"}, IMPOSSIBLE_DURATION),
    ({"duration_s": "604801"}, IMPOSSIBLE_DURATION),
    ({"duration_s": "inf"}, IMPOSSIBLE_DURATION),
    ({"item_id": "8,80123E+12"}, ROUNDED_ID),
    ({"user_id": "8.8E+12"}, ROUNDED_ID),
    ({"item_id": "caf\ufffd"}, BROKEN_ENCODING),
    ({"device": "t\x00v"}, BROKEN_ENCODING),
]
EDGES = [
    {"timestamp": "1970-01-02"},
    {"timestamp": "100000001"},  # March 1973; earlier numbers are in another unit than those of 2024
    {"timestamp": "4102444799"},  # the last second of 2099
    {"duration_s": "0"},
    {"duration_s": "604800"},
    {"duration_s": ""},
    {"value": ""},
    {"value": "-3"},
    {"device": None},
]


def test_each_bad_row_is_set_aside_with_its_reason(connection):
    log = canonicalize(raw_log([{}, *(damage for damage, _ in DAMAGES)]), connection)
    found = {row["source_row"]: row["reason"] for row in log.quarantine.to_pyarrow().to_pylist()}
    # Row 2 is the good one.
    assert found == {place: reason for place, (_, reason) in enumerate(DAMAGES, start=3)}
    assert sum(log.counts["quarantined_by_reason"].values()) == len(DAMAGES)
    assert log.counts["used"] == 1


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("duration_s", "nan"),
        ("duration_s", "1:30"),
        ("value", "good"),
        ("value", "nan"),
        ("value", "-inf"),
        ("value", "1e39"),
        ("value", "1,234"),
    ],
)
def test_a_number_that_cannot_be_read_costs_no_row(connection, name, written):
    raw = raw_log([{}, {"item_id": "i2", name: written}])
    log = canonicalize(raw, connection)
    assert log.counts["quarantined"] == 0
    assert {row["item_id"]: row[name] is None for row in used_rows(log)}["i2"]
    assert log.notes == (
        f"1 values of {name}, such as {written!r}, are not numbers and were left out of their rows; with "
        f"`build tabular`, --map {name}=- leaves out the whole column.",
    )
    with pytest.raises(InputError, match=f"of {name} are not numbers, such as .*--strict"):
        canonicalize(raw, connection, strict=True)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (["4,5"], [4.5]),
        (["4/5", "3/5"], [4, 3]),
        (["4.5 / 5"], [4.5]),
        (["4 out of 5"], [4]),
        (["1.234,5"], [1234.5]),
        (["1,234.5"], [1234.5]),
        (["1,234", "0,5"], [1.234, 0.5]),
        (["-1,25"], [-1.25]),
        (["4,5/5"], [4.5]),
    ],
)
def test_values_as_people_write_them(connection, written, value):
    rows = [{"item_id": f"i{place}", "value": text} for place, text in enumerate(written)]
    read = sorted((row["item_id"], row["value"]) for row in used_rows(canonicalize(raw_log(rows), connection)))
    assert [number for _, number in read] == pytest.approx(value)


def test_values_on_several_scales_are_said(connection):
    log = canonicalize(raw_log([{"value": "4/5"}, {"item_id": "i2", "value": "8/10"}]), connection)
    assert "several scales" in log.notes[0]


def test_durations_in_other_units_and_as_clock_times(connection):
    raw = replace(raw_log([{"duration_s": "11000"}, {"item_id": "i2", "duration_s": "00:20:10"}]), duration_unit="ms")
    assert sorted(row["duration_s"] for row in used_rows(canonicalize(raw, connection))) == [11.0, 1210.0]


def test_durations_that_are_hardly_seconds_are_said(connection):
    log = canonicalize(raw_log([{"duration_s": "11000"}, {"item_id": "i2", "duration_s": "9000"}]), connection)
    assert "2.8 at the median" in log.notes[0]
    assert "duration_s=COLUMN:ms" in log.notes[0]


def test_ids_lose_what_pandas_added_on_both_sides(connection):
    items = ibis.memtable({"item_id": ["7.0"], "title": ["Alien"]})
    log = canonicalize(
        raw_log([{"item_id": "7", "user_id": "3.0"}, {"item_id": "7.0", "user_id": "3"}], items), connection
    )
    assert {(row["user_id"], row["item_id"]) for row in used_rows(log)} == {("3", "7")}
    assert (log.counts["items"], log.counts["items_without_metadata"]) == (1, 0)
    assert [note.split(" are read as ")[1] for note in log.notes] == ["'3'.", "'7'."]


def test_versions_are_no_whole_numbers(connection):
    log = canonicalize(raw_log([{"item_id": "1.0"}, {"item_id": "1.5"}]), connection)
    assert {row["item_id"] for row in used_rows(log)} == {"1.0", "1.5"}
    assert log.notes == ()


def test_ids_that_a_spreadsheet_rounded_are_no_item(connection):
    with pytest.raises(
        InputError, match=r"id rounded by a spreadsheet or a decimal number \(1\).*8,80123E\+12.*export .* as text"
    ):
        canonicalize(raw_log([{"item_id": "8,80123E+12"}]), connection)
    log = canonicalize(raw_log([{}, {"item_id": "8.8e+12"}]), connection)
    assert log.notes[0].startswith(
        "1 row was set aside because of ids that were rounded by a spreadsheet or stored as decimal numbers."
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        ("123", "00123", "'123', the catalogue such as '00123'. Ids lose leading zeros"),
        ("123", "tt0123", "'123', the catalogue such as 'tt0123'"),
        ("B01", "X77", "'B01', the catalogue such as 'X77'. Specify the column"),
    ],
)
def test_a_catalogue_that_knows_no_item_is_refused_with_an_example_of_each_side(connection, ours, theirs, message):
    items = ibis.memtable({"item_id": [theirs], "title": ["Alien"]})
    with pytest.raises(InputError, match=message):
        canonicalize(raw_log([{"item_id": ours}], items), connection)


def test_a_catalogue_that_knows_hardly_any_item_or_some_in_another_spelling_is_said(connection):
    rows = [{"item_id": f"{place}"} for place in range(100, 130)]
    few = ibis.memtable({"item_id": ["100", "x"], "title": ["Alien", "Heat"]})
    assert canonicalize(raw_log(rows, few), connection).notes[0].startswith("Only 1 of 30 items of the log")
    spelled = ibis.memtable({"item_id": [f"{place:04}" if place < 110 else f"{place}" for place in range(100, 130)]})
    assert canonicalize(raw_log(rows, spelled), connection).notes[0].startswith("10 of 30 items")


def test_a_log_that_counts_from_0_is_used_from_its_first_second_on(connection):
    rows = [{"timestamp": "0"}, {"timestamp": "86399"}, {"timestamp": "90000"}]
    log = canonicalize(raw_log(rows, time_format="seconds"), connection)
    assert (log.counts["used"], log.counts["quarantined_by_reason"]) == (3, {})


def test_a_clock_that_was_never_set_is_no_time(connection):
    rows = [{"timestamp": "0"}, {"timestamp": "1714521600"}, {"timestamp": "1714521700"}]
    log = canonicalize(raw_log(rows, time_format="seconds"), connection)
    assert (log.counts["used"], log.counts["quarantined_by_reason"]) == (2, {IMPOSSIBLE_TIME: 1})


def test_units_that_were_mixed_are_said(connection):
    log = canonicalize(
        raw_log([{"timestamp": "1714521600"}, {"timestamp": "1714521600000", "value": "1"}]), connection
    )
    assert [row["timestamp"].isoformat() for row in used_rows(log)] == ["2024-05-01T00:00:00+00:00"] * 2
    (note,) = log.notes
    assert "1 of 2 times" in note


def test_the_first_time_that_cannot_be_read_is_named_with_the_flag(connection):
    with pytest.raises(InputError, match=r'row 2: time not readable: .*"1\. Mau 2024".*--time-format.*strptime'):
        canonicalize(raw_log([{"timestamp": "1. Mau 2024"}]), connection)


def test_rows_at_the_edge_are_used(connection):
    counts = canonicalize(raw_log(EDGES), connection).counts
    assert counts["used"] + counts["merged_duplicates"] == len(EDGES)


def test_the_first_reason_wins(connection):
    log = canonicalize(raw_log([{}, {"user_id": "", "item_id": "", "timestamp": "soon"}]), connection)
    assert log.counts["quarantined_by_reason"] == {EMPTY_USER: 1}


def test_raw_holds_the_row_as_it_came(connection):
    bad = canonicalize(raw_log([{}, {"timestamp": "soon"}]), connection).quarantine.to_pyarrow().to_pylist()[0]
    assert '"timestamp":"soon"' in bad["raw"]
    assert '"user_id":"ann"' in bad["raw"]


def test_only_rows_equal_in_all_seven_columns_are_merged(connection):
    rows = [{}, {}, {}, {"device": "phone"}, {"value": "4"}, {"event": "rate"}, {"device": None}, {"device": ""}]
    log = canonicalize(raw_log(rows), connection)
    # Three equal rows merge two; null and empty device merge one.
    assert (log.counts["used"], log.counts["merged_duplicates"]) == (5, 3)


def test_an_absent_event_is_an_interaction(connection):
    raw = raw_log([{}])
    without = RawLog("toy", raw.interactions.drop("event", "device"), None, None, "auto", OWN_LOG)
    (row,) = used_rows(canonicalize(without, connection))
    assert (row["event"], row["device"]) == ("interact", None)


def test_a_missing_required_column_is_named(connection):
    raw = raw_log([{}])
    with pytest.raises(InputError, match="'item_id'"):
        canonicalize(RawLog("toy", raw.interactions.drop("item_id"), None, None, "auto", OWN_LOG), connection)


def test_strict_names_the_first_bad_row(connection):
    with pytest.raises(InputError, match=r"2 row\(s\).*log.csv, row 3: empty user"):
        canonicalize(raw_log([{}, {"user_id": ""}, {"item_id": ""}]), connection, strict=True)
    assert canonicalize(raw_log([{}]), connection, strict=True).counts["used"] == 1


def test_a_log_without_a_usable_row_is_refused(connection):
    with pytest.raises(InputError, match=r"No row of 'toy' can be used: empty user \(1\)"):
        canonicalize(raw_log([{"user_id": ""}]), connection)
    with pytest.raises(InputError, match=r"The first: log.csv, row 2: time not readable: .*\"1 May\".*ISO 8601"):
        canonicalize(raw_log([{"timestamp": "1 May"}]), connection)
    with pytest.raises(InputError, match="'toy' has no rows"):
        canonicalize(raw_log([]), connection)


def test_rejected_lines_count_as_input(connection):
    rejected = ibis.memtable(
        {"source_file": ["log.csv"], "source_row": [9], "raw": ["x"], "reason": ["too few columns"]}
    )
    counts = canonicalize(raw_log([{}], rejected=rejected), connection).counts
    assert (counts["input_rows"], counts["used"], counts["quarantined"]) == (2, 1, 1)


ITEM = {"title": "", "year": None, "tags": None, "source_file": "items.csv"}


def item_table(*rows):
    types = dict.fromkeys(("item_id", "title", "year", "tags", "source_file"), "string") | {"source_row": "int64"}
    placed = [{**ITEM, **row, "source_row": place} for place, row in enumerate(rows, start=2)]
    return ibis.memtable(placed, schema=types)


def test_every_item_has_a_row_and_a_title(connection):
    items = item_table(
        {"item_id": "i1", "title": " Alien ", "year": "1979", "tags": "Horror| |Sci-Fi"}, {"item_id": "i9"}
    )
    log = canonicalize(raw_log([{}, {"item_id": "i2"}], items), connection)
    assert log.items.columns == ITEM_COLUMNS
    rows = {row["item_id"]: row for row in log.items.to_pyarrow().to_pylist()}
    assert list(rows) == ["i1", "i2", "i9"]
    assert (rows["i1"]["title"], rows["i1"]["year"], rows["i1"]["tags"]) == ("Alien", 1979, ["Horror", "Sci-Fi"])
    assert (rows["i2"]["title"], rows["i2"]["year"], rows["i2"]["tags"]) == ("i2", None, [])
    assert rows["i9"]["title"] == "i9"
    # Of the two items somebody used, i2 has no metadata.
    assert (log.counts["items"], log.counts["items_without_metadata"]) == (3, 1)


def test_items_that_share_a_title_are_counted_and_those_that_share_the_year_too(connection):
    """Heat of 1986, of 1995 twice, undated once; Solo undated twice; Fargo alone."""
    shared = [("Heat", year) for year in ("1986", "1995", "1995", None)] + [("Solo", None), ("Solo", None)]
    named = [*shared, ("Fargo", "1996")]
    items = item_table(*[{"item_id": f"i{n}", "title": title, "year": year} for n, (title, year) in enumerate(named)])
    counts = canonicalize(raw_log([{"item_id": "i0"}], items), connection).counts
    assert (counts["items_sharing_title"], counts["items_sharing_title_and_year"]) == (6, 4)


def test_the_first_row_of_an_item_is_kept(connection):
    items = item_table({"item_id": "i1", "title": "Zulu"}, {"item_id": "i1", "title": "Alien"})
    log = canonicalize(raw_log([{}], items), connection)
    assert [row["title"] for row in log.items.to_pyarrow().to_pylist()] == ["Zulu"]
    assert log.counts["merged_items"] == 1


def test_a_catalogue_row_without_id_is_set_aside(connection):
    log = canonicalize(raw_log([{}], item_table({"item_id": "i1"}, {"item_id": " "})), connection)
    assert log.counts["catalogue_quarantined_by_reason"] == {NAMELESS_ITEM: 1}
    assert log.items_quarantine.to_pyarrow().to_pylist()[0]["source_row"] == 3


def test_the_catalogue_has_an_identity_of_its_own(connection):
    """A log of 2 rows, one bad; a catalogue of 4: i1, i1 again, one without an id, one that could not be read."""
    rejected = ibis.memtable(
        {"source_file": ["items.csv"], "source_row": [9], "raw": ["x"], "reason": ["too few columns"]}
    )
    items = item_table({"item_id": "i1"}, {"item_id": "i1"}, {"item_id": " "})
    raw = replace(raw_log([{}, {"user_id": ""}], items), rejected_items=rejected)
    counts = canonicalize(raw, connection).counts
    assert (counts["input_rows"], counts["used"], counts["quarantined"]) == (2, 1, 1)
    assert (counts["catalogue_rows"], counts["merged_items"], counts["catalogue_quarantined"]) == (4, 1, 2)
    assert counts["catalogue_quarantined_by_reason"] == {NAMELESS_ITEM: 1, "too few columns": 1}


def test_rows_are_those_that_were_counted_apart(connection):
    with pytest.raises(RuntimeError, match="Rows of 'toy' were lost"):
        canonicalize(replace(raw_log([{}]), counted=2), connection)
    items = item_table({"item_id": "i1"})
    with pytest.raises(RuntimeError, match="Rows of the catalogue of 'toy' were lost"):
        canonicalize(replace(raw_log([{}], items), counted_items=2), connection)


def test_a_catalogue_of_which_no_row_can_be_used_stops(connection):
    with pytest.raises(InputError, match=r"No row of the catalogue of 'toy' can be used: catalogue row without"):
        canonicalize(raw_log([{}], item_table({"item_id": ""})), connection)


def test_a_year_is_four_leading_digits(connection):
    years = {"1995": 1995, "1995.0": 1995, "1995-03-01": 1995, "95": None, "19955": None, "9999": None, "": None}
    items = item_table(*({"item_id": f"i{written}", "year": written} for written in years))
    log = canonicalize(raw_log([{"item_id": "i1995"}], items), connection)
    found = {row["item_id"]: row["year"] for row in log.items.to_pyarrow().to_pylist()}
    assert {written: found[f"i{written}"] for written in years} == years


def test_entities_of_a_catalogue_are_decoded_once(connection):
    titles = {
        "Tom &amp; Jerry": "Tom & Jerry",
        "Don&#39;t Look &#x4E;ow": "Don't Look Now",
        "Am&eacute;lie": "Amélie",
        "a &amp;lt; b": "a &lt; b",  # once
        "AT&T; R&D &nothing; &copy": "AT&T; R&D &nothing; &copy",  # no entities
    }
    rows = [
        {"item_id": f"i{place}", "title": title, "tags": "Arts &amp; Crafts"} for place, title in enumerate(titles)
    ]
    log = canonicalize(raw_log([{}], item_table(*rows)), connection)
    found = {row["item_id"]: row for row in log.items.to_pyarrow().to_pylist()}
    assert [found[f"i{place}"]["title"] for place in range(len(titles))] == list(titles.values())
    assert found["i0"]["tags"] == ["Arts & Crafts"]


def test_the_result_does_not_depend_on_threads(tmp_path):
    rows = [{"user_id": f"u{i % 7}", "item_id": f"i{i % 5}", "timestamp": str(10**9 + i % 11)} for i in range(300)]
    sets = []
    for threads in (1, 2):
        folder = tmp_path / str(threads)
        folder.mkdir()
        log = canonicalize(raw_log(rows), connect(folder, threads=threads))
        sets.append(sorted(map(str, used_rows(log))))
    assert sets[0] == sets[1]


values = st.one_of(
    st.none(),
    st.sampled_from(["", " ", "nan", "inf", "-1", "1e400", "\ufffd", "\x00", "1714521600", "2024-05-01", "u1"]),
    st.text(max_size=4),
)
damaged_rows = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, values)), max_size=12)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged_rows)
def test_no_row_is_ever_lost(connection, rows):
    log = canonicalize(raw_log([{}, *rows]), connection)
    counts = log.counts
    assert counts["input_rows"] == 1 + len(rows)
    assert counts["used"] + counts["merged_duplicates"] + counts["quarantined"] == 1 + len(rows)
    assert counts["used"] == len(used_rows(log))
    assert sum(counts["quarantined_by_reason"].values()) == len(log.quarantine.to_pyarrow())


def test_files_follow_one_another_as_people_count(connection):
    raw = raw_log([{"item_id": "part-10"}, {"item_id": "part-9"}])
    named = raw.interactions.mutate(source_file=raw.interactions.item_id)
    rows = used_rows(canonicalize(replace(raw, interactions=named), connection, file_order=True))
    assert [row["item_id"] for row in sorted(rows, key=lambda row: row["file_order"])] == ["part-9", "part-10"]
