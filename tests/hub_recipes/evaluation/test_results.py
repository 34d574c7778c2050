import json

import pandas as pd
import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.evaluation.results import (
    PREDICTIONS_FILE,
    RESULTS_FILE,
    SCHEMA_VERSION,
    Results,
    read_document,
    read_results,
)

CONTEXT = {"dataset": {"name": "toy"}, "split": "test", "n": 2}


def predictions(row: str, ranks: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"example_id": ["u-1", "u-2"], "row": row, "target_rank": ranks})


@pytest.fixture
def two_rows() -> Results:
    results = Results(CONTEXT).with_row(
        {"row": "template", "fingerprint": "f1", "n": 2}, predictions("template", [1, 3])
    )
    return results.with_row({"row": "popularity", "fingerprint": "f2", "n": 2}, predictions("popularity", [2, 2]))


def test_what_is_written_is_read_back(two_rows, tmp_path):
    two_rows.write(tmp_path / "new")
    again = read_results(tmp_path / "new")
    assert again.context == CONTEXT
    assert again.rows == two_rows.rows
    pd.testing.assert_frame_equal(again.predictions, two_rows.predictions)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [PREDICTIONS_FILE, RESULTS_FILE]


def test_a_row_run_again_takes_the_place_of_the_earlier_one(two_rows):
    changed = two_rows.with_row({"row": "template", "fingerprint": "f3", "n": 2}, predictions("template", [2, 1]))
    assert [row["fingerprint"] for row in changed.rows] == ["f3", "f2"]
    assert changed.predictions_of("template")["target_rank"].tolist() == [2, 1]
    assert changed.predictions_of("popularity")["target_rank"].tolist() == [2, 2]
    assert two_rows.predictions_of("template")["target_rank"].tolist() == [1, 3]


def test_a_row_counts_as_held_only_under_its_fingerprint(two_rows):
    assert two_rows.holds("template", "f1")
    assert not two_rows.holds("template", "f2")
    assert not two_rows.holds("profile", "f1")


def test_a_number_that_json_cannot_hold_stops_the_writing_and_leaves_the_earlier_file(two_rows, tmp_path):
    two_rows.write(tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        two_rows.with_row({"row": "profile", "mrr": float("nan")}, predictions("profile", [1, 1])).write(tmp_path)
    assert read_results(tmp_path).rows == two_rows.rows


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        ("{", "not readable as JSON"),
        ("[]", "schema_version None"),
        (json.dumps({"schema_version": 99, "rows": []}), "schema_version 99"),
        (json.dumps({"schema_version": SCHEMA_VERSION}), "lacks the rows or the dataset"),
        (json.dumps({"schema_version": SCHEMA_VERSION, "rows": [{}], "dataset": {}}), "lacks the rows or the dataset"),
    ],
)
def test_a_missing_damaged_or_foreign_file_is_the_users_to_mend(tmp_path, content, said):
    if content is not None:
        (tmp_path / RESULTS_FILE).write_text(content)
    with pytest.raises(InputError, match=said):
        read_document(tmp_path / RESULTS_FILE)


def test_results_without_their_predictions_are_refused(two_rows, tmp_path):
    two_rows.write(tmp_path)
    (tmp_path / PREDICTIONS_FILE).unlink()
    with pytest.raises(InputError, match=PREDICTIONS_FILE):
        read_results(tmp_path)
    (tmp_path / PREDICTIONS_FILE).write_bytes(b"PAR1 cut off")
    with pytest.raises(InputError, match=f"{PREDICTIONS_FILE} is missing or damaged"):
        read_results(tmp_path)
