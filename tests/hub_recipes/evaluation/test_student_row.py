"""The row of a student beside its teacher's: two rules stand for them, so that every number can be counted by hand."""

import csv
import json
from functools import partial

import pandas as pd
import pytest
from small_student import keep_newest, to_log

from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.sources.tabular import read_tabular
from logs2lang.evaluation.evaluation import evaluate_rows
from logs2lang.evaluation.report import results_table
from logs2lang.evaluation.row_measures import measure_agreement
from logs2lang.evaluation.table_rows import to_row_names
from logs2lang.reasoners.ranking import Ranking
from logs2lang.verbalizers.student import StudentVerbalizer


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> BuiltDataset:
    """Twenty users who saw twelve of forty films."""
    folder = tmp_path_factory.mktemp("evaluation")
    with (folder / "log.csv").open("w", newline="") as file:
        rows = [
            (f"u{user}", f"m{(3 * user + day) % 40}", 1_600_000_000 + 86_400 * day)
            for user in range(20)
            for day in range(12)
        ]
        csv.writer(file).writerows([("user_id", "item_id", "timestamp"), *rows])
    build_dataset(partial(read_tabular, interactions=str(folder / "log.csv")), folder / "built")
    return BuiltDataset.open(folder / "built")


class HitsLongTexts:
    """Picks the target from a text of three lines, and from a shorter one for every second example."""

    language_model = None

    def __init__(self, dataset: BuiltDataset):
        rows = dataset.examples("test")
        keys = [frozenset(candidate["item_id"] for candidate in row["candidates"]) for row in rows]
        self.found = {
            key: (row["target"], place % 2 == 0) for place, (key, row) in enumerate(zip(keys, rows, strict=True))
        }

    def entry(self):
        return {"id": "hits-long-texts", "answer": "title", "trained": False}

    def rank(self, contexts, candidates, progress=None):
        return [self._rank(*pair) for pair in zip(contexts, candidates, strict=True)]

    def _rank(self, text, shown):
        ids = [item["item_id"] for item in shown]
        target, is_lucky = self.found[frozenset(ids)]
        others = [item_id for item_id in ids if item_id != target]
        is_hit = is_lucky or text.count("\n") == 2
        return Ranking([target, *others] if is_hit else [*others, target])


def rule(dataset: BuiltDataset, newest: int) -> StudentVerbalizer:
    items = dataset.items()
    student = keep_newest(to_log(*items), newest)
    return StudentVerbalizer(items, student, successors=dataset.successors(), fingerprint=f"newest {newest}")


@pytest.fixture
def evaluate(dataset, monkeypatch):
    from logs2lang.evaluation import evaluation

    monkeypatch.setattr(
        evaluation, "load_tokenizer", lambda: lambda texts, **_: {"input_ids": [text.split() for text in texts]}
    )

    def run(rows, **choices):
        own = {"action": rule(dataset, 2), "student": rule(dataset, 3)}
        return evaluate_rows(
            dataset, rows, reasoner=HitsLongTexts(dataset), verbalizers=own, history_length=4, **choices
        )

    return run


@pytest.mark.parametrize("rows", [["action", "student"], ["student", "action"]], ids=" then ".join)
def test_a_student_is_compared_with_its_teacher(evaluate, rows, tmp_path):
    results = evaluate(rows, output=tmp_path)
    row, teacher = results.row("student"), results.row("action")
    assert row["agreement"] == 3 / 4  # of four records each, the third from the newest is the one they differ on
    assert (row["recall@1"], teacher["recall@1"]) == (1, 0.5)
    assert row["teacher_gain"] == 1
    low, high = row["teacher_gain_interval"]
    assert 0 < low < 1 < high
    assert row["histories_per_second"] > 0
    assert "agreement" not in teacher
    stored = pd.read_parquet(tmp_path / "predictions.parquet")
    assert set(stored["decided"]) == {"drop drop next next", "drop next next next"}
    assert json.loads((tmp_path / "results.json").read_text())["rows"] == results.rows
    table = results_table(results.document())
    assert "| student | 75.0% | 1.000 [" in table
    assert "| action | — | 0.500 [" in table


def test_without_its_teacher_there_is_nothing_to_agree_with(evaluate):
    results = evaluate(["student", "popularity"])
    assert "agreement" not in results.row("student")
    assert "What a student keeps" not in results_table(results.document())


def test_a_teacher_that_comes_later_joins_the_student(evaluate, tmp_path):
    evaluate(["student"], output=tmp_path)
    assert evaluate(["action"], output=tmp_path).row("student")["agreement"] == 3 / 4


def test_records_are_paired_from_the_newest_on():
    """A teacher with a short window leaves out the oldest records; those that both were shown are compared."""
    columns = {"target_rank": [1], "is_discovery": [True]}
    ours, theirs = (pd.DataFrame({**columns, "decided": [words]}) for words in ("drop keep next", "keep keep"))
    assert measure_agreement(ours, theirs, seed=0)["agreement"] == 1 / 2


def test_a_student_row_needs_a_folder():
    with pytest.raises(
        InputError, match="Write one with `logs2lang distill`, then pass --verbalizer-adapter student="
    ):
        to_row_names(["student"])
