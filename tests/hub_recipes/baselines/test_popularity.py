import pytest

from logs2lang.baselines.popularity import Popularity
from logs2lang.baselines.random_choice import RandomChoice


def test_popularity_counts_the_users_of_training(training, examples):
    log = training("aab", "a", "!ba", "b")
    assert Popularity().fit(log, {}).score(examples(("c", "abz"))).tolist() == [[3, 2, 0]]


def test_inverse_popularity_puts_first_what_nobody_chose(training, examples):
    log = training("aab", "a", "!ba", "b")
    assert Popularity(inverse=True).fit(log, {}).score(examples(("c", "abz"))).tolist() == [[-3, -2, 0]]


@pytest.mark.parametrize("shown", ["ab", "abcdef"])
def test_random_choice_tells_nothing_apart(training, examples, shown):
    scores = RandomChoice().fit(training("a"), {}).score(examples(("a", shown), ("b", shown)))
    assert scores.tolist() == [[0] * len(shown)] * 2
