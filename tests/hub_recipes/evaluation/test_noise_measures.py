"""Noise, repeats and taste in texts, by counts on one small history."""

from datetime import datetime, timedelta, timezone

import pandas as pd
import pytest
from datasets import Dataset

from logs2lang.dataset_builders.prompting.prompts import template_text
from logs2lang.dataset_builders.schema import EXAMPLE_FEATURES
from logs2lang.evaluation.noise_measures import noise_measures, tally_text

START = datetime(2025, 1, 1, tzinfo=timezone.utc)
TAGS = ["drama", "noir", "heists", "space", "time travel", "slow", "dark"]
ITEMS = {
    item_id: {"item_id": item_id, "title": title, "year": None, "tags": [], "series": None, "description": None}
    for item_id, title in {"i1": "Ferry of Ulmosk", "i2": "Ledger", "i3": "Teapot", "i4": "Ferry"}.items()
}
# (item, noise kind): Ledger and Teapot are noise alone, Ferry of Ulmosk is genuine although its trailer is not.
LOG = [("i1", "trailer"), ("i1", None), ("i1", None), ("i2", "accidental"), ("i3", "background_loop")]


def record(place, item_id):
    event = LOG[place][1] if LOG[place][1] == "trailer" else "play"
    moment = START + timedelta(hours=place)
    shown = {"timestamp": moment, "item_id": item_id, "title": ITEMS[item_id]["title"], "event": event}
    return {**shown, "duration_s": 60.0, "value": None, "device": None}


HISTORY = [record(place, item_id) for place, (item_id, _) in enumerate(LOG)]


@pytest.fixture
def examples():
    row = {
        "example_id": "u-6",
        "user": "u",
        "timestamp": START + timedelta(days=40),
        "history": HISTORY,
        "candidates": [{"item_id": "i4", "title": "Ferry"}],
        "target": "i4",
        "target_index": 0,
        "is_discovery": True,
    }
    return Dataset.from_list([row], features=EXAMPLE_FEATURES)


def truth(name):
    records = [
        {"user": "u", "item_id": item_id, "timestamp": pd.Timestamp(HISTORY[place]["timestamp"]), "noise_kind": kind}
        for place, (item_id, kind) in enumerate(LOG)
    ]
    # In the second period: 0.7 of the first person's taste and 0.3 of the second's.
    since = [pd.Timestamp(START), pd.Timestamp(START + timedelta(days=30))]
    people = [
        {"user": "u", "person": 0, "period": 0, "since": since[0], "share": 0.7, "taste": [0, 0, 0, 0, 0, 9, 9]},
        {"user": "u", "person": 0, "period": 1, "since": since[1], "share": 0.7, "taste": [5, 4, 3, 2, 0, 1, -1]},
        {"user": "u", "person": 1, "period": 1, "since": since[1], "share": 0.3, "taste": [0, 0, 0, 0, 9, 0, 0]},
    ]
    tags = {"tag": TAGS, "position": range(len(TAGS))}
    return {"records": pd.DataFrame(records), "tastes": pd.DataFrame(people), "tags": pd.DataFrame(tags)}[name]


def measures(text, examples):
    return noise_measures([text], examples, truth, ITEMS)


def test_a_text_that_keeps_what_was_watched_and_drops_the_rest_is_perfect(examples):
    found = measures("Watched Ferry of Ulmosk twice. Likes drama, noir, time travel, heists and space.", examples)
    assert found == {
        "noise_precision": 1,
        "dropped_titles": 2,
        "noise_recall": 1,
        "noise_titles": 2,
        "genuine_kept": 1,
        "genuine_titles": 1,
        "repeats_merged": 1,
        "repeated_titles": 1,
        "tag_agreement": 1,
        "texts": 1,
    }


def test_the_template_drops_nothing_and_merges_nothing(examples):
    found = measures(template_text(HISTORY), examples)
    assert (found["noise_precision"], found["noise_recall"], found["genuine_kept"]) == (None, 0, 1)
    assert (found["repeats_merged"], found["tag_agreement"]) == (0, 0)


def test_an_empty_text_drops_all_and_keeps_nothing(examples):
    found = measures("", examples)
    assert (found["noise_precision"], found["noise_recall"], found["genuine_kept"]) == (2 / 3, 1, 0)
    assert found["repeats_merged"] is None


def test_a_longer_title_is_not_its_beginning(examples):
    assert measures("Watched Ferry.", examples)["genuine_kept"] == 0


@pytest.mark.parametrize(
    ("text", "agreement"),
    [
        ("Likes DRAMA and Noir.", 2 / 5),
        ("Likes slow, dark stories", 0),
        ("slow dark drama noir heists space time travel", 3 / 5),  # only the first five tags count
        ("drama drama drama", 1 / 5),
        ("dramatic", 0),
    ],
)
def test_tags_are_compared_with_the_strongest_of_that_moment(examples, text, agreement):
    assert measures(text, examples)["tag_agreement"] == pytest.approx(agreement)


@pytest.mark.parametrize(
    ("named", "noise", "genuine", "expected"),
    [
        (["A"], [], ["A", "A"], {"genuine": 1, "repeated": 1, "merged": 1}),
        (["A", "A"], [], ["A", "A"], {"genuine": 1, "repeated": 1}),
        ([], ["A"], ["A"], {"genuine": 1, "genuine_dropped": 1}),
        (["B"], ["B", "B"], [], {"noise": 1, "repeated": 1, "merged": 1}),
        ([], [], [], {}),
    ],
)
def test_one_text_is_counted_by_titles(named, noise, genuine, expected):
    assert {name: count for name, count in tally_text(named, noise, genuine).items() if count} == expected


def test_a_log_without_truth_cannot_be_measured(examples):
    with pytest.raises(ValueError, match="no table 'records'"):
        noise_measures([""], examples, lambda name: None, ITEMS)
