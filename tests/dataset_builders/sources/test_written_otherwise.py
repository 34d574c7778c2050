"""What other programs write for nothing, for lists and for objects, in logs and catalogues."""

import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.interactions import canonicalize
from logs2lang.dataset_builders.sources.tabular import read_tabular

HEAD = "user_id,item_id,timestamp\n"


def records(count: int = 3) -> list[dict]:
    return [{"user_id": f"u{row}", "item_id": f"i{row}", "timestamp": 1_714_521_600 + row} for row in range(count)]


@pytest.fixture
def log(tmp_path) -> str:
    path = tmp_path / "log.csv"
    path.write_text(HEAD + "".join(f"{','.join(map(str, row.values()))}\n" for row in records()))
    return str(path)


def tags_of(connection, log: str, items: str) -> list[list[str]]:
    raw = read_tabular(connection, log, items=items)
    rows = canonicalize(raw, connection).items.order_by("item_id").to_pyarrow().to_pylist()
    return [row["tags"] for row in rows]


@pytest.mark.parametrize(
    ("written", "tags"),
    [
        ("[['Toys', 'Puzzles']]", ["Toys", "Puzzles"]),
        ('[{"id": 28, "name": "Action"}, {"id": 12, "name": "Adventure"}]', ["Action", "Adventure"]),
        ("[{'id': 16, 'name': 'Animation'}]", ["Animation"]),
        ('{"history, biography": 9, "fiction": 3}', ["history, biography", "fiction"]),
        ('{"Sci-Fi",Drama}', ["Sci-Fi", "Drama"]),
        ("[Action, Drama]", ["Action", "Drama"]),
        ("('a', 'b')", ["a", "b"]),
        ("['a', None]", ["a"]),
        ("['Kid\\'s', \"Men's\"]", ["Kid's", "Men's"]),
        ("[8, 9]", ["8", "9"]),
        ("[nan]", []),
        ("[None]", []),
        ("null", []),
        ("nan", []),
        ("(500) Days|Romance", ["(500) Days", "Romance"]),
        ("[REC]|Horror", ["[REC]", "Horror"]),
    ],
)
def test_tags_of_many_programs(connection, log, tmp_path, written, tags):
    rows = [{"item_id": "i0", "title": "One", "genres": written}, {"item_id": "i1", "title": "Two", "genres": "Plain"}]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert tags_of(connection, log, str(tmp_path / "items.jsonl"))[:2] == [tags, ["Plain"]]


def test_typed_tags_may_be_nested(connection, log, tmp_path):
    columns = {"item_id": ["i0"], "genres": [[{"id": 28, "name": "Action"}]], "title": ["One"]}
    pq.write_table(pa.table(columns), tmp_path / "objects.parquet")
    pq.write_table(pa.table({**columns, "genres": [[["Toys"], ["Puzzles", None]]]}), tmp_path / "lists.parquet")
    assert tags_of(connection, log, str(tmp_path / "objects.parquet"))[0] == ["Action"]
    assert tags_of(connection, log, str(tmp_path / "lists.parquet"))[0] == ["Toys", "Puzzles"]


def test_tags_with_another_separator_are_told(connection, log, tmp_path):
    path = tmp_path / "items.tsv"
    path.write_text("item_id\ttitle\tgenres\ni0\tOne\tAction, Comedy\ni1\tTwo\tDrama, Sci-Fi\ni2\tThree\tDrama\n")
    raw = read_tabular(connection, log, items=str(path))
    assert "Tags such as 'Action, Comedy' are read as one tag" in " ".join(raw.notes)
    assert "--tag-separator ','" in " ".join(raw.notes)
    assert not read_tabular(connection, log, items=str(path), tag_separator=",").notes
    path.write_text("item_id\ttitle\tgenres\ni0\tOne\tAction|Comedy, dark\ni1\tTwo\tDrama\n")
    assert not read_tabular(connection, log, items=str(path)).notes


def test_rows_of_a_catalogue_that_disagree_are_told(connection, log, tmp_path):
    (tmp_path / "items.csv").write_text("item_id,title,year\ni0,Alpha,1990\ni0,Beta,2001\ni1,Gamma,1999\n")
    raw = read_tabular(connection, log, items=str(tmp_path / "items.csv"))
    assert "'i0' has 'Alpha' and 'Beta'; the first value is used." in " ".join(raw.notes)


@pytest.mark.parametrize("layout", [{"indent": 1}, {}, {"separators": (",\n", ":")}])
def test_a_json_array_is_refused_in_every_layout(connection, tmp_path, layout):
    (tmp_path / "log.json").write_text(json.dumps(records(), **layout))
    with pytest.raises(InputError, match=r"is one JSON array; .*jq -c"):
        read_tabular(connection, str(tmp_path / "log.json"))


def test_an_array_with_an_object_on_each_line_is_no_log_of_one_row(connection, log, tmp_path):
    lines = ",\n".join(map(json.dumps, records()))
    (tmp_path / "items.json").write_text(f"[\n{lines}\n]\n")
    with pytest.raises(InputError, match=r"items\.json is one JSON array"):
        read_tabular(connection, log, items=str(tmp_path / "items.json"))


def test_an_array_of_python_dicts_is_refused_with_what_reads_it(connection, tmp_path):
    (tmp_path / "log.json").write_text(str(records()))
    with pytest.raises(InputError, match=r"ast\.literal_eval"):
        read_tabular(connection, str(tmp_path / "log.json"))


@pytest.mark.parametrize("nothing", ["NA", "N/A", "#N/A", "none", "undefined", "(null)", "<null>", "NaT", "-", "?"])
def test_a_word_for_nothing_is_no_user(connection, tmp_path, nothing):
    rows = "".join(f"{nothing},i{row},{1_714_521_600 + row}\n" for row in range(3))
    (tmp_path / "log.csv").write_text(f"{HEAD}ann,i7,1714521600\n{rows}")
    counts = canonicalize(read_tabular(connection, str(tmp_path / "log.csv")), connection).counts
    assert (counts["used"], counts["quarantined_by_reason"]) == (1, {"empty user": 3})


def test_parts_of_objects_are_columns(connection, tmp_path):
    rows = [
        {
            "user": {"id": row % 2, "plan": f"p{row}"},
            "item": {"id": row, "title": f"T{row}"},
            "ts": 1_714_521_600 + row,
        }
        for row in range(4)
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "log.parquet")
    for name in ("log.jsonl", "log.parquet"):
        log = canonicalize(read_tabular(connection, str(tmp_path / name)), connection)
        found = {(row["user_id"], row["item_id"]) for row in log.interactions.to_pyarrow().to_pylist()}
        assert found == {("0", "0"), ("1", "1"), ("0", "2"), ("1", "3")}
        with pytest.raises(
            InputError, match=r"has objects in 'user', .* user_id=user\.id; the parts are user\.id, user"
        ):
            read_tabular(connection, str(tmp_path / name), columns={"user_id": "user"})


def test_values_of_mongodb_are_unwrapped(connection, tmp_path):
    rows = [
        {
            "user": {"$oid": f"5f{row}"},
            "item": f"i{row}",
            "ts": {"$date": {"$numberLong": str(1_714_521_600_000 + row)}},
        }
        for row in range(3)
    ]
    rows.append({"user": {"$oid": "5f9"}, "item": "i9", "ts": {"$date": "2024-05-01T00:00:09Z"}})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:3]))
    log = canonicalize(read_tabular(connection, str(tmp_path / "log.jsonl")), connection)
    assert sorted(row["user_id"] for row in log.interactions.to_pyarrow().to_pylist()) == ["5f0", "5f1", "5f2"]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[3:]))
    (row,) = (
        canonicalize(read_tabular(connection, str(tmp_path / "log.jsonl")), connection)
        .interactions.to_pyarrow()
        .to_pylist()
    )
    assert row["timestamp"].isoformat() == "2024-05-01T00:00:09+00:00"


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (["1,234", "987", "12,345"], [None, 987.0, None]),
        (["1,5", "987", "1,234"], [1.5, 987.0, 1.234]),
    ],
)
def test_thousands_of_durations_are_no_decimals(connection, tmp_path, values, read):
    rows = [f"u{row}\ti{row}\t{1_714_521_600 + row}\t{value}\n" for row, value in enumerate(values)]
    (tmp_path / "log.tsv").write_text("user_id\titem_id\ttimestamp\tduration_s\n" + "".join(rows))
    log = canonicalize(read_tabular(connection, str(tmp_path / "log.tsv")), connection)
    rows = sorted(log.interactions.to_pyarrow().to_pylist(), key=lambda row: row["user_id"])
    assert [row["duration_s"] for row in rows] == pytest.approx(read, nan_ok=True)
    assert any("not numbers" in note for note in log.notes) is (None in read)


def test_whole_decimals_are_ids_without_their_zeros(connection, tmp_path):
    columns = {"user_id": ["ann"], "item_id": pa.array([Decimal("12.00")], pa.decimal128(10, 2)), "timestamp": [10**9]}
    pq.write_table(pa.table(columns), tmp_path / "log.parquet")
    log = canonicalize(read_tabular(connection, str(tmp_path / "log.parquet")), connection)
    assert log.interactions.to_pyarrow()["item_id"].to_pylist() == ["12"]


def test_rows_of_another_encoding_name_the_option(connection, tmp_path):
    (tmp_path / "log.csv").write_bytes(f"{HEAD}ann,i1,1714521600\nbob,caf\u00e9,1714521601\n".encode("latin-1"))
    log = canonicalize(read_tabular(connection, str(tmp_path / "log.csv")), connection)
    assert "1 row was set aside because of bytes that are no text in this encoding" in " ".join(log.notes)
    assert "--encoding" in " ".join(log.notes)


@pytest.mark.parametrize(
    ("first", "message"),
    [
        ("sep=;\nuser_id;item_id;timestamp\n", r"begins with 'sep=;', a line for Excel\. Delete it"),
        ("# exported 2024-05-01\nuser_id,item_id,timestamp\n", r"begins with a comment, '# exported 2024-05-01'"),
        ('"user_id" "item_id" "timestamp"\n'.replace(" ", "\t"), r"R's write\.table"),
    ],
    ids=["excel", "comment", "R"],
)
def test_first_lines_that_name_no_columns(connection, tmp_path, first, message):
    rows = "".join(f"{row}\tu{row}\ti{row}\t{1_714_521_600 + row}\n" for row in range(5))
    (tmp_path / "log.csv").write_text(first + rows)
    with pytest.raises(InputError, match=message):
        read_tabular(connection, str(tmp_path / "log.csv"))


def test_a_log_that_counts_from_its_beginning_keeps_its_first_day(connection, tmp_path):
    (tmp_path / "log.csv").write_text(HEAD + "".join(f"u{row},i{row},{row * 20_000}\n" for row in range(10)))
    with pytest.raises(InputError, match="--time-format seconds"):
        canonicalize(read_tabular(connection, str(tmp_path / "log.csv")), connection)
    log = canonicalize(read_tabular(connection, str(tmp_path / "log.csv"), time_format="seconds"), connection)
    assert (log.counts["used"], log.counts["quarantined"]) == (10, 0)


def test_rows_after_tomorrow_are_told(connection, tmp_path):
    (tmp_path / "log.csv").write_text(f"{HEAD}ann,i1,2024-05-01\nbob,i2,2090-05-31\n")
    log = canonicalize(read_tabular(connection, str(tmp_path / "log.csv")), connection)
    assert log.counts["used"] == 2
    assert "1 row is dated after tomorrow, the latest 2090-05-31." in " ".join(log.notes)


def test_a_day_and_a_clock_in_two_columns_are_joined(connection, tmp_path):
    (tmp_path / "log.csv").write_text(
        "user_id,item_id,date,time\nann,i1,13/05/2024,17:07:09\nann,i2,14/05/2024,08:00:00\n"
    )
    with pytest.raises(InputError, match=r"join them: --map timestamp=date\+time\."):
        read_tabular(connection, str(tmp_path / "log.csv"))
    raw = read_tabular(connection, str(tmp_path / "log.csv"), columns={"timestamp": "date+time"})
    times = canonicalize(raw, connection).interactions.to_pyarrow()["timestamp"].to_pylist()
    assert sorted(time.isoformat() for time in times) == ["2024-05-13T17:07:09+00:00", "2024-05-14T08:00:00+00:00"]
