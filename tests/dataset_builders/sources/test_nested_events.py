import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.interactions import canonicalize
from logs2lang.dataset_builders.sources.tabular import read_tabular

START = 1714521600


@pytest.fixture
def read(connection):
    """The canonical log of a file, and its rows as (user, item, seconds, event)."""

    def read_file(path, **options):
        raw = read_tabular(connection, str(path), **options)
        log = canonicalize(raw, connection, file_order=options.get("order") == "file")
        rows = log.interactions.to_pyarrow().to_pylist()
        found = [(row["user_id"], row["item_id"], int(row["timestamp"].timestamp()), row["event"]) for row in rows]
        return log, sorted(found)

    return read_file


def write_lines(path, *rows):
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


def test_each_object_of_a_list_is_an_event(tmp_path, read):
    events = [{"aid": 7, "ts": START, "type": "clicks"}, {"aid": 8, "ts": START + 1, "type": "carts"}]
    path = write_lines(tmp_path / "log.jsonl", {"session": 0, "events": events}, {"session": 1, "events": events[:1]})
    log, rows = read(path, explode=["events"], columns={"event": "type"})
    assert rows == [("0", "7", START, "clicks"), ("0", "8", START + 1, "carts"), ("1", "7", START, "clicks")]
    assert log.counts["input_rows"] == 3


def test_rows_and_elements_that_are_no_events_are_set_aside_and_counted(tmp_path, read):
    good = {"aid": 7, "ts": START}
    rows = [{"session": 0, "events": [good, 5, {"ts": START}]}, {"session": 1, "events": []}, {"session": 2}]
    path = write_lines(tmp_path / "log.jsonl", *rows, {"session": 3, "events": "none"})
    path.write_text(path.read_text() + "{broken\n")
    log, used = read(path, explode=["events"])
    assert used == [("0", "7", START, "interact")]
    reasons = {"empty item": 2, "no list of events": 3, "not a JSON object": 1}
    assert log.counts["quarantined_by_reason"] == reasons
    assert log.counts["input_rows"] == 1 + sum(reasons.values())
    places = {(row["source_row"], row["reason"]) for row in log.quarantine.to_pyarrow().to_pylist()}
    assert places >= {(1, "empty item"), (2, "no list of events"), (5, "not a JSON object")}


def test_typed_lists_of_structs(tmp_path, read):
    events = [[{"item_id": 5, "timestamp": START, "uid": 9}], None]
    pq.write_table(pa.table({"uid": [1, 2], "events": events}), tmp_path / "log.parquet")
    log, rows = read(tmp_path / "log.parquet", explode=["events"])
    assert rows == [("1", "5", START, "interact")]
    assert log.counts["quarantined_by_reason"] == {"no list of events": 1}
    _, rows = read(tmp_path / "log.parquet", explode=["events"], columns={"user_id": "events.uid"})
    assert rows == [("9", "5", START, "interact")]


def test_lists_that_run_in_parallel(tmp_path, read):
    table = {"uid": [1, 2], "item_id": [[5, 6], [7]], "timestamp": [[START, START + 1], [START, START]]}
    pq.write_table(pa.table(table), tmp_path / "log.parquet")
    log, rows = read(tmp_path / "log.parquet", explode=["item_id", "timestamp"])
    assert rows == [("1", "5", START, "interact"), ("1", "6", START + 1, "interact")]
    assert log.counts["quarantined_by_reason"] == {"lists of different lengths": 1}


@pytest.mark.parametrize("written", ["['c', 'a', 'b']", '[""c"", ""a"", ""b""]'])
def test_events_without_times_keep_the_order_of_their_list(tmp_path, read, written):
    (tmp_path / "log.csv").write_text(f'user_id,films\nann,"{written}"\nann,"[1]"\n')
    log, _ = read(tmp_path / "log.csv", explode=["films"], columns={"item_id": "films"}, order="file")
    rows = sorted(log.interactions.to_pyarrow().to_pylist(), key=lambda row: row["file_order"])
    assert [row["item_id"] for row in rows] == ["c", "a", "b", "1"]


def test_titles_may_stand_in_the_events(tmp_path, read):
    events = [{"item_id": 7, "ts": START, "title": "Heat"}, {"item_id": 8, "ts": START + 1, "title": "Fargo"}]
    path = write_lines(tmp_path / "log.jsonl", {"user_id": "ann", "events": events})
    log, _ = read(path, items=str(path), explode=["events"])
    assert [item["title"] for item in log.items.to_pyarrow().to_pylist()] == ["Heat", "Fargo"]


def test_the_error_names_the_option_and_the_column(tmp_path, read):
    path = write_lines(tmp_path / "log.jsonl", {"session": 0, "events": [{"aid": 7, "ts": START}]})
    with pytest.raises(InputError, match=r"events holds lists; .*--explode events"):
        read(path)
    with pytest.raises(InputError, match=r"no column 'ts' for timestamp\..* --explode events"):
        read(path, columns={"timestamp": "ts"})
    with pytest.raises(InputError, match=r"no column 'event' to explode\. Did you mean 'events'"):
        read(path, explode=["event"])
    with pytest.raises(InputError, match=r"has no list in 'session'\. A list is written as JSON"):
        read(path, explode=["session"])
