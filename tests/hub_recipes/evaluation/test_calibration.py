from datetime import datetime, timezone

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.evaluation.calibration import calibration_measures
from logs2lang.evaluation.row_measures import judge, to_predictions
from logs2lang.reasoners.ranking import Ranking


def of(probabilities: list[float], hits: list[bool]) -> pd.DataFrame:
    return pd.DataFrame({"pick_probability": probabilities, "target_rank": [1 if hit else 2 for hit in hits]})


def example(number: int) -> dict:
    return {
        "example_id": f"u{number}",
        "timestamp": datetime(2024, 5, 1, tzinfo=timezone.utc),
        "history": [{"timestamp": datetime(2024, 4, 1, tzinfo=timezone.utc)}],
        "candidates": [{"item_id": "a"}, {"item_id": "b"}],
        "target": "a",
        "is_discovery": True,
    }


def test_the_curve_is_that_of_scikit_learn_and_the_error_its_weighted_distance():
    rng = np.random.default_rng(0)
    probabilities = rng.uniform(size=500)
    hits = rng.uniform(size=500) < probabilities**2  # sure of too much
    measures = calibration_measures(of(probabilities.tolist(), hits.tolist()))
    recalls, means = calibration_curve(hits, probabilities, n_bins=10)
    assert [one["recall"] for one in measures["reliability"]] == pytest.approx(recalls)
    assert [one["probability"] for one in measures["reliability"]] == pytest.approx(means)
    counts = np.histogram(probabilities, bins=10, range=(0, 1))[0]
    assert [one["n"] for one in measures["reliability"]] == counts.tolist()
    assert measures["ece"] == pytest.approx(np.sum(counts * np.abs(recalls - means)) / 500)
    assert measures["mean_probability"] == pytest.approx(probabilities.mean())


def test_a_row_that_is_right_as_often_as_it_says_has_no_error():
    assert calibration_measures(of([0.25] * 4, [True, False, False, False]))["ece"] == 0
    assert calibration_measures(of([1.0] * 4, [False] * 4))["ece"] == 1


def test_without_probabilities_there_is_nothing_to_calibrate():
    assert calibration_measures(of([np.nan, np.nan], [True, False])) == {}
    assert calibration_measures(of([0.5, np.nan], [True, False]))["n_calibrated"] == 1


def test_the_probability_of_the_pick_is_written_where_there_is_one():
    rankings = [Ranking(["b", "a"], [0.75, 0.25]), Ranking(["a"]), None]
    written = to_predictions("template", judge([example(1), example(2), example(3)], rankings))
    assert written["pick_probability"].tolist() == [0.75, pd.NA, pd.NA]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -0.5, 1.5])
def test_a_probability_that_is_no_number_is_refused_with_its_example(wrong):
    with pytest.raises(InputError, match=r"probabilities of example u1 are not all numbers between 0 and 1"):
        judge([example(1)], [Ranking(["b", "a"], [0.5, wrong])])


def test_rounding_above_one_is_one():
    judged = judge([example(1)], [Ranking(["b", "a"], [1.0000002, 0.0])])
    assert judged["pick_probability"].tolist() == [1.0]
