from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from logs2lang.dataset_builders.prompting.prompts import template_text
from logs2lang.dataset_builders.schema import ALL_USERS, NO_TIME
from logs2lang.dataset_builders.successor_lists import Successor, SuccessorLists
from logs2lang.evaluation.order_measures import position_measures
from logs2lang.evaluation.row_measures import (
    TextJudge,
    gap_name,
    judge,
    measure,
    measure_gains,
    text_measures,
    to_predictions,
)
from logs2lang.reasoners.ranking import Ranking

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


def record(title: str, before: timedelta) -> dict:
    return {
        "timestamp": NOON - before,
        "item_id": f"id of {title}",
        "title": title,
        "event": "play",
        "duration_s": None,
        "value": None,
        "device": None,
    }


def example(number: int, target: str, before: timedelta = timedelta(days=2), is_discovery: bool = True) -> dict:
    return {
        "example_id": f"u{number}-6",
        "timestamp": NOON,
        "history": [record("Heat", timedelta(days=9)), record("Fargo", before)],
        "candidates": [{"item_id": item, "title": item} for item in "abc"],
        "target": target,
        "is_discovery": is_discovery,
    }


def ranking(order: str) -> Ranking:
    return Ranking(list(order), [1 / 3] * 3)


@pytest.fixture
def judged() -> pd.DataFrame:
    """Target first, target second, target third, and no valid answer."""
    examples = [example(1, "a"), example(2, "a"), example(3, "a", timedelta(0), is_discovery=False), example(4, "a")]
    return judge(examples, [ranking("abc"), ranking("bac"), ranking("bca"), None])


@pytest.mark.parametrize(
    ("seconds", "name"),
    [
        (0, "same_second"),
        (0.9, "same_second"),
        (1, "under_an_hour"),
        (3599, "under_an_hour"),
        (3600, "under_a_day"),
        (86_399, "under_a_day"),
        (86_400, "a_day_and_more"),
        (1e9, "a_day_and_more"),
    ],
)
def test_a_gap_on_a_bound_belongs_to_the_longer_bin(seconds, name):
    assert gap_name(seconds) == name


def test_a_log_without_times_has_no_gaps():
    timeless = {"timestamp": NO_TIME, "history": [{**record("Heat", timedelta(0)), "timestamp": NO_TIME}]}
    judged = judge([{**example(1, "a"), **timeless}], [ranking("abc")])
    assert to_predictions("template", judged)["gap"].isna().all()


def test_each_example_is_judged_on_its_own_line(judged):
    assert judged["target_rank"].tolist()[:3] == [1, 2, 3]
    assert judged["pick"].tolist()[:3] == ["a", "b", "b"]
    assert pd.isna(judged["pick"][3])
    assert judged["pick_position"].tolist()[:3] == [0, 1, 1]
    assert np.isnan(judged["target_rank"][3])
    assert judged["gap"].tolist() == ["a_day_and_more", "a_day_and_more", "same_second", "a_day_and_more"]


def test_means_count_an_invalid_answer_as_a_miss(judged):
    measures = measure(judged)
    assert (measures["n"], measures["n_discovery"], measures["invalid"]) == (4, 3, 1)
    assert measures["recall@1"] == pytest.approx(1 / 4)
    assert measures["discovery_recall@1"] == pytest.approx(1 / 3)
    assert measures["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 0) / 4)


def test_no_discovery_leaves_no_discovery_recall(judged):
    measures = measure(judged[~judged["is_discovery"]])
    assert measures["n_discovery"] == 0
    assert measures["discovery_recall@1"] is None
    assert measures["discovery_recall@1_interval"] is None


def test_predictions_hold_ids_and_ranks_only(judged):
    predictions = to_predictions("template", judged)
    assert list(predictions.columns) == [
        "example_id",
        "row",
        "is_discovery",
        "gap",
        "pick",
        "target_rank",
        "pick_probability",
    ]
    assert predictions["target_rank"].isna().tolist() == [False, False, False, True]


def test_gains_compare_hits_example_by_example(judged):
    template = to_predictions("template", judged)
    better = template.assign(target_rank=pd.array([1, 1, 1, None], dtype="Int16"))
    gains = measure_gains(better, template, seed=0)
    assert gains["gain"] == pytest.approx(3 / 1 - 1)
    assert gains["discovery_gain"] == pytest.approx(2 / 1 - 1)  # the third example is no discovery


def test_even_picks_have_no_position_bias_and_one_place_all_of_it():
    even = pd.DataFrame({"pick_position": [0, 1, 2, 3], "num_candidates": 4})
    assert position_measures(even) == {"position_bias": 0.0, "position_p": 1.0, "picks_by_position": [0.25] * 4}
    stuck = pd.DataFrame({"pick_position": [3, 3, 3, np.nan], "num_candidates": 4})
    measures = position_measures(stuck)
    assert (measures["position_bias"], measures["picks_by_position"]) == (0.75, [0.0, 0.0, 0.0, 1.0])
    assert measures["position_p"] == pytest.approx(0.029, abs=0.001)  # chi-squared 9 with 3 degrees of freedom


def test_without_a_valid_pick_there_is_no_position_to_speak_of():
    silent = pd.DataFrame({"pick_position": [np.nan], "num_candidates": 4})
    assert set(position_measures(silent).values()) == {None}


def test_texts_are_judged_against_their_own_history():
    items = {title: {"title": title} for title in ("Heat", "Fargo", "Alien", "Se<7>en")}
    text_judge = TextJudge(items, lambda texts, **_: {"input_ids": [text.split() for text in texts]})
    history = example(1, "a")["history"]
    seen = [*history, record("Se<7>en", timedelta(0))]
    judged = text_judge([history, seen], ["Heat and Alien", "likes Fargo; Se‹7›en"])
    assert judged["tokens"].tolist() == [3, 3]
    assert judged["named_titles"].tolist() == [2, 2]
    assert judged["unsupported_titles"].tolist() == [1, 0]  # Alien; a title counts as it stands in a prompt


def test_a_copy_of_the_log_invents_nothing():
    """Whatever stands in it: films that are called like an event, a device or a number."""
    titles = ("rate", "TV", "Heat", "10", "2024", "Heat 2")
    items = {title: {"title": title} for title in titles}
    text_judge = TextJudge(items, lambda texts, **_: {"input_ids": [text.split() for text in texts]})
    seen = {**record("Heat", timedelta(days=1)), "event": "rate", "device": "TV", "value": 10.0}
    judged = text_judge([[seen]] * 2, [template_text([seen]), "Heat; 10; Heat 2"])
    assert judged["unsupported_titles"].tolist() == [0, 2]


def test_a_title_that_others_chose_next_is_supported():
    items = {title: {"title": title} for title in ("Heat", "Fargo", "Alien", "Tron")}
    history = example(1, "a")["history"]
    lists = SuccessorLists(Path(), {ALL_USERS: {"id of Heat": [Successor("Alien", 2, 1.0)]}, 3: {}})
    text_judge = TextJudge(items, lambda texts, **_: {"input_ids": [text.split() for text in texts]}, lists)
    judged = text_judge([history, history], ["Fargo | next: Alien; Tron"] * 2, folds=[ALL_USERS, 3])
    assert judged["unsupported_titles"].tolist() == [1, 2]  # in fold 3 nobody is known to have chosen Alien


def test_texts_that_name_no_title_have_no_unsupported_rate():
    frame = pd.DataFrame({"tokens": [5], "template_tokens": [10], "named_titles": [0], "unsupported_titles": [0]})
    assert text_measures(frame) == {"compression": 0.5, "named_titles": 0, "unsupported_title_rate": None}
    assert text_measures(frame.drop(columns="tokens")) == {}
