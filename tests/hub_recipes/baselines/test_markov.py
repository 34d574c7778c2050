import numpy as np
import pytest

from logs2lang.baselines.markov import SHRINKAGE, Markov


def scores(log, pairs, examples, **choices):
    return Markov(**{"lift": False, **choices}).fit(log, {}).score(examples(*pairs))


def test_what_follows_within_the_window_is_counted(training, examples):
    log = training("abc", "ac")
    narrow, wide = (scores(log, [("a", "bc")], examples, window=window)[0] for window in (1, 2))
    assert np.floor(narrow).tolist() == [1, 1]
    assert np.floor(wide).tolist() == [1, 2]


def test_what_came_before_does_not_follow(training, examples):
    assert np.floor(scores(training("ab"), [("b", "a")], examples)).tolist() == [[0]]


def test_a_window_ends_with_its_user(training, examples):
    assert np.floor(scores(training("ab", "cd"), [("b", "cd")], examples)).tolist() == [[0, 0]]


def test_each_record_weighs_half_as_much_as_the_one_after_it(training, examples):
    log = training(*["ax"] * 4, *["by"] * 4)
    ab, ba = np.floor(scores(log, [("ab", "xy"), ("ba", "xy")], examples)).tolist()
    assert (ab, ba) == ([2, 4], [4, 2])


def test_only_the_last_choices_are_read(training, examples):
    assert np.floor(scores(training("ax", "by"), [("ab!a", "xy")], examples, records=1)).tolist() == [[0, 1]]


def test_popularity_decides_where_nothing_was_counted(training, examples):
    shares = scores(training("ab", "cx", "cx", "cy"), [("a", "xy")], examples)[0]
    assert shares == pytest.approx([2 / 4, 1 / 4])  # four items followed something: b, x twice, and y


def test_lift_divides_by_what_popularity_expects(training, examples):
    log = training("ab", "ap", "cp", "cp")
    # Four pairs; a begins two, p ends three: 2 * 3 / 4 of them are expected to be both. b ends one.
    expected = [1 / (2 * 1 / 4 + SHRINKAGE), 1 / (2 * 3 / 4 + SHRINKAGE)]
    assert scores(log, [("a", "bp")], examples, lift=True)[0] == pytest.approx(expected)


def test_lift_is_unmoved_by_an_item_that_follows_everything(training, examples):
    log = training("ap", "ap", "bp", "ab")
    assert scores(log, [("a", "bp")], examples)[0].argmax() == 1
    assert scores(log, [("a", "bp")], examples, lift=True)[0].argmax() == 0


def test_trailers_neither_follow_nor_fill_the_window(training, examples):
    with_trailer, without = (scores(training(word), [("a", "bc")], examples, window=1) for word in ("a!cb", "ab"))
    assert with_trailer[0][0] == without[0][0]
    assert with_trailer[0][1] == without[0][1] == -np.inf
