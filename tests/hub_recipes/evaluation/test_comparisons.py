"""Against statsmodels for Holm, and against the exact binomial test, which Fisher's is for hits and misses."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.evaluation.comparisons import compare, compare_runs, compare_with, holm, values_of
from logs2lang.evaluation.results import Results


def results(ranks: dict[str, list[int | None]], **context: object) -> Results:
    """Rows with these ranks on the same examples, each a discovery."""
    frames = [
        pd.DataFrame(
            {
                "example_id": [f"e{place}" for place in range(len(of_row))],
                "row": name,
                "is_discovery": True,
                "target_rank": pd.array(of_row, dtype="Int32"),
            }
        )
        for name, of_row in ranks.items()
    ]
    shared = {"split": "test", "num_candidates": 10, "cut_offs": [1, 10], "seed": 0}
    dataset = {"content_sha256": {"examples": "abc"}}
    rows = [{"row": name} for name in ranks]
    return Results({"dataset": dataset, **shared, **context}, rows, pd.concat(frames, ignore_index=True))


@pytest.mark.parametrize("n", [1, 2, 7, 20])
def test_holm_is_that_of_statsmodels(n):
    rng = np.random.default_rng(n)
    for _ in range(3):
        p_values = rng.choice([0.0002, 0.004, 0.03, 0.2, 1.0], size=n) * rng.uniform(0.5, 1, size=n)
        assert holm(p_values.tolist()) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())
    assert holm([]) == []


def test_for_hits_and_misses_the_test_is_the_exact_one_of_those_that_differ():
    hits = np.array([1] * 30 + [0] * 12 + [1] * 20 + [0] * 38)
    base = np.array([0] * 30 + [1] * 12 + [1] * 20 + [0] * 38)
    found = compare(hits, base, seed=0)
    assert found["difference"] == pytest.approx(18 / 100)
    assert found["p"] == pytest.approx(binomtest(30, 42).pvalue, abs=0.003)
    low, high = found["difference_interval"]
    half = 1.96 * np.std(hits - base) / 10
    assert (low, high) == pytest.approx((0.18 - half, 0.18 + half), abs=0.015)


def test_rows_that_are_alike_differ_by_nothing():
    same = np.array([1.0, 0.0, 0.5])
    assert compare(same, same, seed=0) == {"n": 3, "difference": 0.0, "difference_interval": [0.0, 0.0], "p": 1.0}


def test_no_difference_is_found_where_there_is_none_more_often_than_promised():
    rng = np.random.default_rng(3)
    found = [compare(rng.integers(0, 2, 60), rng.integers(0, 2, 60), seed)["p"] < 0.05 for seed in range(40)]
    assert sum(found) <= 6  # expected 2 of 40; 7 or more happen 1 time in 300


def test_every_row_is_held_against_the_chosen_one_and_corrected_for_their_number():
    same = [1, 2] * 30
    run = results({"template": same, "better": [1] * 60, "same": same, "worse": [2] * 60})
    comparison = compare_with(run, "template", [1, 10])
    assert comparison["against"] == "template"
    assert list(comparison["rows"]) == ["better", "same", "worse"]
    better = comparison["rows"]["better"]
    assert better["recall@1"]["difference"] == pytest.approx(0.5)
    assert better["ndcg@10"]["difference"] == pytest.approx((1 - 1 / np.log2(3)) / 2)
    assert comparison["rows"]["worse"]["recall@1"]["difference"] == pytest.approx(-0.5)
    for measure in comparison["measures"]:
        p_values = [row[measure]["p"] for row in comparison["rows"].values()]
        corrected = [row[measure]["p_holm"] for row in comparison["rows"].values()]
        assert corrected == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


def test_discoveries_are_compared_among_themselves():
    predictions = pd.DataFrame({"target_rank": [1, 1, 2], "is_discovery": [False, True, True]})
    assert values_of(predictions, "discovery_recall@1").tolist() == [1.0, 0.0]
    assert values_of(predictions, "recall@1").tolist() == [1.0, 1.0, 0.0]


def test_two_runs_are_compared_on_the_same_examples():
    first, second = results({"template": [2] * 40}), results({"template": [1] * 40, "other": [2] * 40})
    pairs = {"template": ("template", "template"), "template=other": ("template", "other")}
    found = compare_runs(first, second, pairs)["rows"]
    assert found["template"]["recall@1"]["difference"] == 1
    assert found["template=other"]["recall@1"]["difference"] == 0
    longer = replace(second, context={**second.context, "history_length": 20})
    assert compare_runs(first, longer, pairs)["rows"] == found


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (results({"template": [1] * 30}), "they have 40 and 30, 30 of them in common"),
        (results({"template": [1] * 40}, split="validation"), r"their split differs \('test' and 'validation'\)"),
        (results({"template": [1] * 40}, num_candidates=100), "their number of candidates differs"),
        (results({"template": [1] * 40}, dataset={"content_sha256": {"examples": "x"}}), "their dataset differs"),
        (results({"profile": [1] * 40}), "The second run names the row 'template', which these results do not have"),
    ],
)
def test_runs_of_other_examples_are_refused(other, message):
    with pytest.raises(InputError, match=message):
        compare_runs(results({"template": [2] * 40}), other, {"template": ("template", "template")})


def test_a_row_that_is_not_there_has_nothing_to_be_held_against():
    with pytest.raises(InputError, match=r"--against names the row 'tempalte'.*Did you mean 'template'\?"):
        compare_with(results({"template": [1], "other": [1]}), "tempalte", [1])
    with pytest.raises(InputError, match="there is no other row to compare"):
        compare_with(results({"template": [1]}), "template", [1])
