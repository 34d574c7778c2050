from collections import Counter

import numpy as np
import pytest

from logs2lang.baselines import rankings_from_scores


def ranked(scores, examples, seed=0):
    return ["".join(ranking.item_ids) for ranking in rankings_from_scores(np.array(scores), examples, seed=seed)]


def test_the_highest_score_comes_first_and_the_unknown_last(examples):
    assert ranked([[1, -np.inf, 3, 2]], examples(("a", "wxyz"))) == ["yzwx"]


def test_a_classical_recommender_has_no_probabilities(examples):
    assert rankings_from_scores([np.array([1, 2])], examples(("a", "xy")))[0].probabilities == ()


def test_ties_depend_on_the_seed_and_the_example_but_not_on_the_order_shown(examples):
    shown = "abcdefghij"
    equal = np.zeros((2, 10))
    once = ranked(equal, examples(("x", shown), ("x", shown)))
    assert once == ranked(equal, examples(("x", shown[::-1]), ("x", shown[3:] + shown[:3])))
    assert len({*once, *ranked(equal, examples(("x", shown), ("x", shown)), seed=1)}) == 4


def test_ties_favour_no_place(examples):
    number = 2_000
    picks = Counter(order[0] for order in ranked(np.zeros((number, 4)), examples(*[("x", "abcd")] * number)))
    # 500 each; 5 standard deviations of a binomial count are 97
    assert sorted(picks) == list("abcd")
    assert list(picks.values()) == pytest.approx([500] * 4, abs=97)


def test_scores_that_differ_by_rounding_alone_are_ties_and_favour_no_place(examples):
    number = 2_000
    rounded = np.tile([0.3, 0.3, 0.3, 0.1 + 0.2], (number, 1))  # the last is larger by one unit of rounding
    assert rounded[0, 3] > rounded[0, 0]
    picks = Counter(order[0] for order in ranked(rounded, examples(*[("x", "abcd")] * number)))
    assert list(picks.values()) == pytest.approx([500] * 4, abs=97)


def test_what_is_a_little_better_is_no_tie(examples):
    counts = [[1_000_000, 1_000_001, -np.inf, -np.inf]]
    assert ranked(counts, examples(("a", "wxyz")))[0][:2] == "xw"
