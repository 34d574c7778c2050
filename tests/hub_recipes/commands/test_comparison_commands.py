"""`logs2lang compare`, and what `logs2lang evaluate` does with its measures, through the console entry."""

import json
import re

import pytest

from logs2lang.commands.measure_help import MEASURE_LINES
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.evaluation.evaluation import evaluate_rows


@pytest.fixture(scope="module")
def run_folder(simulation_folder, tmp_path_factory):
    """Evaluates some rows, and returns the folder."""
    dataset = BuiltDataset.open(simulation_folder)

    def run(rows: str, **choices: object):
        output = tmp_path_factory.mktemp("run")
        evaluate_rows(dataset, rows.split(","), output=output, **{"split": "validation", **choices})
        return output

    return run


def test_two_runs_are_compared_row_by_row(run_main, run_folder, tmp_path):
    first, second = run_folder("popularity,random", seed=0), run_folder("random,popularity", seed=0, history_length=5)
    code, out, _ = run_main("compare", first, second, "--output", tmp_path / "compared")
    assert code == 0
    comparison = json.loads((tmp_path / "compared" / "comparison.json").read_text())
    assert comparison["rows"]["popularity"]["recall@1"]["difference"] == 0  # it reads no history
    assert "Fisher" in out
    table = (tmp_path / "compared" / "comparison.md").read_text()
    assert "| popularity | Recall@1 | " in table


def test_rows_of_other_names_are_paired(run_main, run_folder):
    first, second = run_folder("popularity"), run_folder("inverse-popularity")
    code, out, _ = run_main("compare", first, second, "--rows", "popularity=inverse-popularity")
    assert code == 0
    assert "popularity=inverse" in out
    code, _, err = run_main("compare", first, second)
    assert (code, "Pair them with --rows A=B" in err) == (2, True)


@pytest.mark.parametrize(
    ("choices", "message"),
    [({"limit": 5}, "not measured on the same examples"), ({"split": "test"}, "their split differs")],
)
def test_runs_of_different_examples_end_with_one_sentence(run_main, run_folder, choices, message):
    code, out, err = run_main("compare", run_folder("random"), run_folder("random", **choices))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_folder_without_results_ends_with_one_sentence(run_main, run_folder, tmp_path):
    code, _, err = run_main("compare", run_folder("random"), tmp_path)
    assert (code, "results.json does not exist" in err) == (2, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--k", "1,11"], "--k is 11, but each example has 10 candidates"),
        (["--k", "one"], "--k is 'one'; give whole numbers"),
        (["--seeds", ""], "--seeds is ''; give whole numbers"),
        (["--against", "template"], "--against is 'template', which is no row of this table"),
        (["--calibration", "popularity"], "Row 'popularity' has no probabilities"),
        (["--calibration", "template"], "--calibration names the row 'template', which is not in this table"),
        (["--tables", "rank"], "Did you mean 'ranks'?"),
    ],
)
def test_what_cannot_be_measured_ends_with_one_sentence(run_main, simulation_folder, tmp_path, options, message):
    words = ["evaluate", simulation_folder, "--rows", "popularity,random", "-o", tmp_path / "out"]
    code, out, err = run_main(*words, *options)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out" / "results.json").exists()


def test_every_table_is_printed_within_a_hundred_columns(run_main, simulation_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    words = ["evaluate", simulation_folder, "--rows", "popularity,inverse-popularity", "--split", "train"]
    tables = "main,ranks,discoveries,behaviour,groups"
    code, out, _ = run_main(*words, "--tables", tables, "--against", "popularity", "-o", tmp_path)
    assert code == 0
    assert max(map(len, out.split("Written:")[0].splitlines())) <= 100
    for heading in ("Discovery Recall@1", "NDCG@10", "Novelty", "target: tail", "p, Holm"):
        assert heading in re.sub(r"\s+", " ", out)
    row = json.loads((tmp_path / "results.json").read_text())["rows"][0]
    for name in ("ndcg@10", "novelty"):
        assert f"{row[name]:.{3 if name == 'ndcg@10' else 2}f}" in out
    assert {"results.md", "results.tex", "results_by_group.svg"} <= {path.name for path in tmp_path.iterdir()}


def test_help_explains_every_measure_with_its_source(run_main, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    _, out, _ = run_main("evaluate", "--help")
    shown = re.sub(r"\s+", " ", out)
    for line in MEASURE_LINES:
        assert re.sub(r"\[/?(?:bold)?\]|\[/\]", "", line) in shown
    measures = ("recall@k", "ndcg@k", "mrr", "mean_rank", "ece", "novelty", "coverage", "order_kept", "position_bias")
    for name in (*measures, "tokens_read", "compression", "gain"):
        assert any(name in line for line in MEASURE_LINES)
