"""What is said of a record in numbers, each by hand on a history of three or four."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs2lang.dataset_builders.schema import ALL_USERS, NO_TIME
from logs2lang.dataset_builders.successor_lists import Successor, SuccessorLists
from logs2lang.verbalizers.action import strengths_of, strongest_first
from logs2lang.verbalizers.record_features import LogFacts, RecordFeatures, feature_names

INTERACTIONS = pd.DataFrame(
    {
        "item_id": ["i0", "i0", "i0", "i1"],
        "event": ["play", "play", "rate", "play"],
        "duration_s": np.array([100, 100, 100, np.nan], np.float32),
    }
)
ITEMS = {"i0": {"tags": ["Crime", "Drama"]}, "i1": {"tags": ["Crime"]}, "i2": {"tags": None}}
LOG = LogFacts.of(INTERACTIONS)
NAMES = feature_names(LOG.events)


def features_of(history: list[dict], **choices) -> dict[str, list[float]]:
    table = RecordFeatures(ITEMS, LOG, **choices).of([history])
    return dict(zip(NAMES, table.T.round(4).tolist(), strict=True))


def test_place_and_age_are_counted_from_the_newest(to_history):
    found = features_of(to_history("a", "b", "c", "d"))  # one a day
    assert found["place from the newest (log2)"] == pytest.approx(np.log2([4, 3, 2, 1]), abs=1e-4)
    assert found["days before the newest (log2)"] == pytest.approx(np.log2([4, 3, 2, 1]), abs=1e-4)
    assert found["records in the history (log2)"] == [2, 2, 2, 2]


def test_what_was_played_is_held_against_the_usual_time_of_the_work(to_history):
    history = to_history("a", "b", "a", "c")
    for record, played in zip(history, (25, 50, 500, None), strict=True):
        record |= {"duration_s": played, "item_id": {"a": "i0", "b": "i1", "c": "i2"}[record["title"]]}
    found = features_of(history)
    assert found["share of the work played"] == [0.25, 0, 1, 0]  # nobody's time was logged for i1
    assert found["time played unknown"] == [0, 1, 0, 1]


def test_events_and_ratings_are_told_and_what_is_missing_is_told_too(to_history):
    history = to_history("a", "b")
    history[0] |= {"event": "rate", "value": 8.0}
    history[1] |= {"event": "seen for the first time"}
    found = features_of(history)
    assert (found["event is rate"], found["event is play"]) == ([1, 0], [0, 0])
    assert (found["rating"], found["rating unknown"]) == ([8, 0], [0, 1])


def test_repeats_are_counted_within_a_history_alone(to_history):
    one, other = to_history("a", "b", "c"), to_history("a")
    one[2]["item_id"] = "i0"
    table = RecordFeatures(ITEMS, LOG).of([one, other])
    found = dict(zip(NAMES, table.T.tolist(), strict=True))
    assert found["times in the history (log2)"] == [1, 0, 1, 0]
    assert found["chosen again later"] == [1, 0, 0, 0]


def test_popularity_is_that_of_the_training_log(to_history):
    assert features_of(to_history("a", "b", "c"))["popularity (log2)"] == [2, 1, 0]  # of 3, 1 and 0 interactions


def test_successors_are_those_of_the_fold(to_history):
    of_all = {"i0": [Successor("i8", 9, 3.0), Successor("i9", 2, 1.0)]}
    lists = SuccessorLists(Path(), {ALL_USERS: of_all, 1: {}})
    features = RecordFeatures(ITEMS, LOG, lists)
    (of_all_users,), (of_fold,) = (
        features.of([to_history("a")], [fold])[
            :, [NAMES.index("successors (log2)"), NAMES.index("lift of the best successors (log2)")]
        ]
        for fold in (ALL_USERS, 1)
    )
    assert of_all_users == pytest.approx(np.log2([3, 3]))  # two successors, of lift 2 on average
    assert of_fold == pytest.approx([0, 0])


def test_records_are_placed_as_an_action_verbalizer_is_asked_about_them(to_history):
    lists = {"i0": [Successor("i8", 9, 2.0)], "i1": [Successor("i8", 9, 4.0)], "i2": [Successor("i9", 2, 4.2)]}
    successors = SuccessorLists(Path(), {ALL_USERS: lists})
    histories = [to_history("a", "b", "c"), to_history("a", "b"), []]
    table = RecordFeatures(ITEMS, LOG, successors).of(histories)
    placed = (2 ** table[:, NAMES.index("place by that lift, from the highest (log2)")] - 1).tolist()
    asked = [strongest_first(strengths_of(history, successors)) for history in histories]
    assert placed == [order.index(place) for order in asked for place in range(len(order))] == [2, 1, 0, 1, 0]


def test_shared_tags_are_the_share_of_the_other_records_that_have_them(to_history):
    found = features_of(to_history("a", "b", "c"))
    # Crime of i0 is in one of two others, Drama in none; Crime of i1 in one of two; i2 has no tags.
    assert found["tags shared with the rest"] == [0.25, 0.5, 0]


def test_histories_side_by_side_have_the_features_they_have_alone(to_history):
    histories = [to_history("a", "b"), [], to_history("c"), to_history(*"abcdefg")]
    features = RecordFeatures(ITEMS, LOG)
    together = features.of(histories)
    assert np.array_equal(together, np.concatenate([features.of([history]) for history in histories]))
    assert together.shape == (10, len(NAMES))


def test_a_log_without_times_has_no_ages(to_history):
    history = [{**record, "timestamp": NO_TIME} for record in to_history("a", "b")]
    assert features_of(history)["days before the newest (log2)"] == [0, 0]


@given(
    durations=st.lists(st.none() | st.floats(), min_size=1, max_size=4),
    rating=st.none() | st.floats(),
    days=st.integers(-700_000, 700_000),
)
def test_whatever_a_log_holds_the_features_are_finite(to_history, durations, rating, days):
    history = to_history(*"abcd"[: len(durations)])
    for record, played in zip(history, durations, strict=True):
        record |= {"duration_s": played, "value": rating}
    history[0]["timestamp"] += timedelta(days=days)
    assert np.isfinite(RecordFeatures(ITEMS, LOG).of([history])).all()


def test_unknown_items_are_not_remembered(to_history):
    features = RecordFeatures(ITEMS, LOG)
    features.of([[{**record, "item_id": f"unknown-{record['title']}"} for record in to_history(*"abcdef")]])
    features.of([to_history("a")])
    assert list(features._facts[ALL_USERS]) == ["i0"]


def test_a_catalogue_that_grew_is_the_same_one_and_another_is_not():
    assert LOG.known_share({**ITEMS, "new": {}}) == 1
    assert LOG.known_share({"i0": {}}) == 0.5
    assert LOG.known_share({"other": {}}) == 0
