import numpy as np
import pandas as pd
import pytest

from logs2lang.evaluation.catalogue_popularity import CataloguePopularity, novelty_measures


def log(choices: dict[str, int], event: str = "play") -> pd.DataFrame:
    """So many users chose each item, each user one."""
    rows = [(f"{item}-{user}", item) for item, users in choices.items() for user in range(users)]
    frame = pd.DataFrame(rows, columns=["user", "item_id"])
    return frame.assign(timestamp=pd.Timestamp("2024-01-01", tz="UTC"), event=event)


@pytest.fixture
def popularity() -> CataloguePopularity:
    """Sixteen users: eight chose a, four b, two c, two d; e stands in the catalogue alone."""
    return CataloguePopularity.of(log({"a": 8, "b": 4, "c": 2, "d": 2}), {item: {} for item in "abcde"})


def test_bits_are_the_surprise_at_a_choice(popularity):
    assert popularity.bits("abcde").tolist() == [1, 2, 3, 3, 4]  # of 16 users 8, 4, 2, 2, and none counts as one


def test_head_middle_and_tail_have_a_third_of_the_choices_each(popularity):
    # a begins at 0 of 16 choices, b at 8, c at 12 and d at 14; thirds end at 5.33 and at 10.67
    assert popularity.names("abcde") == ["head", "middle", "tail", "tail", "cold"]


def test_noise_makes_nothing_popular():
    noisy = pd.concat([log({"a": 1}), log({"b": 5}, event="trailer")])
    assert CataloguePopularity.of(noisy, {"a": {}, "b": {}}).names(["a", "b"]) == ["head", "cold"]


def test_picks_that_follow_popularity_are_less_novel_than_the_targets(popularity):
    judged = pd.DataFrame({"pick": ["a", "a", "b", None], "target": ["c", "d", "a", "e"]})
    measures = novelty_measures(judged, popularity)
    assert measures["novelty"] == pytest.approx((1 + 1 + 2) / 3)
    assert measures["target_novelty"] == pytest.approx((3 + 3 + 1 + 4) / 4)
    assert (measures["coverage"], measures["target_coverage"]) == (2 / 5, 4 / 5)


def test_without_picks_there_is_no_novelty_of_picks(popularity):
    measures = novelty_measures(pd.DataFrame({"pick": [None], "target": ["a"]}), popularity)
    assert (measures["novelty"], measures["coverage"], measures["target_novelty"]) == (None, None, 1.0)


def test_a_log_in_which_nobody_chose_anything_makes_everything_cold():
    nothing = CataloguePopularity.of(log({}), {"a": {}})
    assert nothing.names(["a"]) == ["cold"]
    assert np.isfinite(nothing.bits(["a"])).all()
