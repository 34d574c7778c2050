import numpy as np
import pytest

from logs2lang.baselines import item_knn
from logs2lang.baselines.item_knn import SHRINKAGE, ItemKnn

# Of five users three chose a, two chose b, four chose p; a and b have two in common, a and p two, b and p one.
LOG = ("abp", "ab", "ap", "p", "p")


def scores(similarity, log, pairs, examples, **choices):
    return ItemKnn(similarity, **choices).fit(log, {}).score(examples(*pairs))


def test_cosine_divides_common_users_by_the_mean_audience(training, examples):
    expected = [2 / np.sqrt(3 * 2), 2 / np.sqrt(3 * 4)]
    assert scores("cosine", training(*LOG), [("a", "bp")], examples)[0] == pytest.approx(expected)


def test_lift_divides_common_users_by_what_popularity_expects(training, examples):
    expected = [2 / (3 * 2 / 5 + SHRINKAGE), 2 / (3 * 4 / 5 + SHRINKAGE)]
    assert scores("lift", training(*LOG), [("a", "bp")], examples)[0] == pytest.approx(expected)


def test_lift_is_unmoved_by_an_item_that_everybody_chose(training, examples):
    everybody = training(*(f"{word}e" for word in ("abp", "ab", "ap", "p", "p")))
    with_a, with_p = scores("lift", everybody, [("a", "e"), ("p", "e")], examples)[:, 0]
    assert [with_a, with_p] == pytest.approx([1, 1], abs=SHRINKAGE)  # 3 / (3 * 5 / 5) and 4 / (4 * 5 / 5)
    cosines = scores("cosine", everybody, [("a", "be")], examples)[0]
    assert cosines[1] > 3 / 4  # 3 / sqrt(3 * 5): nearly as near as b, only for being everywhere


def test_the_records_of_a_history_are_summed(training, examples):
    alone, other, both = scores("cosine", training(*LOG), [("a", "p"), ("b", "p"), ("ab", "p")], examples)[:, 0]
    assert both == pytest.approx(alone + other)


def test_only_the_last_choices_are_read(training, examples):
    last, whole = scores("cosine", training(*LOG), [("b", "p"), ("ab!a", "p")], examples, records=1)[:, 0]
    assert whole == last


def test_coming_back_is_not_counted_twice(training, examples):
    once, twice = (scores("lift", training(word, "a", "b"), [("a", "b")], examples) for word in ("ab", "abab"))
    assert once == twice


def test_what_nobody_chose_comes_last_and_pairs_that_never_met_before_it(training, examples):
    assert scores("lift", training("ab", "c"), [("a", "bcz")], examples)[0].tolist()[1:] == [0, -np.inf]


def test_a_user_counts_with_the_newest_interactions(training, examples, monkeypatch):
    monkeypatch.setattr(item_knn, "ITEMS_PER_USER", 2)
    assert scores("cosine", training("abc", "a"), [("b", "ac")], examples)[0].tolist() == [0, 1]
