import numpy as np
import pytest

from logs2lang.baselines.catalogue_closeness import TagCosine, YearCloseness


@pytest.fixture
def decades(catalogue):
    return catalogue(a=(1980, ""), b=(2000, ""), n=(None, ""), x=(1991, ""), y=(1980, ""), z=(None, ""))


def test_years_are_held_against_the_mean_year_of_the_history(decades, examples, training):
    closeness = YearCloseness().fit(training("a"), decades)
    # (1980 + 2000) / 2 = 1990; n has no year, and neither has z, which comes last
    assert closeness.score(examples(("anb", "xyz"))).tolist() == [[-1, -10, -np.inf]]


def test_only_the_last_choices_are_read(decades, examples, training):
    closeness = YearCloseness(records=1).fit(training("a"), decades)
    assert closeness.score(examples(("ab", "xy"), ("ab!a", "xy"))).tolist() == [[-9, -20]] * 2


def test_a_history_without_years_tells_nothing(decades, examples, training):
    closeness = YearCloseness().fit(training("a"), decades)
    scores = closeness.score(examples(("n", "xy"), ("", "xy")))
    assert (scores[:, 0] == scores[:, 1]).all()


def test_tags_are_compared_by_their_angle(catalogue, examples, training):
    items = catalogue(a=(None, "st"), b=(None, "s"), x=(None, "s"), y=(None, "st"), z=(None, "u"), n=(None, ""))
    scores = TagCosine().fit(training("a"), items).score(examples(("ab", "xyzn")))
    # The history counts s twice and t once: 2 / 1 for s, (2 + 1) / sqrt(2) for s and t, nothing for u
    assert scores.tolist() == [pytest.approx([2, 3 / np.sqrt(2), 0, 0])]


def test_tags_of_the_last_choices_only(catalogue, examples, training):
    items = catalogue(a=(None, "s"), b=(None, "t"), x=(None, "s"), y=(None, "t"))
    scores = TagCosine(records=1).fit(training("a"), items).score(examples(("ab", "xy"), ("ba", "xy"), ("a!b", "xy")))
    assert scores.tolist() == [[0, 1], [1, 0], [1, 0]]


@pytest.mark.parametrize("recommender", [YearCloseness(), TagCosine()])
def test_an_item_beside_the_catalogue_comes_last_and_a_new_one_does_not(recommender, catalogue, examples, training):
    items = catalogue(a=(1980, "s"), x=(1990, "t"))
    scores = recommender.fit(training("a"), items).score(examples(("a", "xq")))[0]  # nobody chose x in training
    assert scores[0] > scores[1] == -np.inf
