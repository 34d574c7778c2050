import numpy as np
import pandas as pd

from logs2lang.baselines.decisions import Decisions

KNOWN = pd.Index(list("abcde"))


def test_a_history_is_its_known_choices_and_their_ages(examples):
    decisions = Decisions.of(examples(("ab!cd", "e"), ("", "e"), ("zee", "a")), KNOWN)
    assert list(zip(decisions.example, KNOWN[decisions.item], decisions.age, strict=True)) == [
        (0, "a", 2),
        (0, "b", 1),
        (0, "d", 0),  # c was a trailer
        (2, "e", 1),  # z is unknown
        (2, "e", 0),
    ]


def test_unknown_candidates_have_no_number(examples):
    decisions = Decisions.of(examples(("a", "bz"), ("a", "ze")), KNOWN)
    assert decisions.candidates.tolist() == [[1, -1], [-1, 4]]
    scores = decisions.of_known(np.ones((2, 2)))
    assert scores.tolist() == [[1, -np.inf], [-np.inf, 1]]


def test_the_latest_records_are_the_newest_of_each_history(examples):
    latest = Decisions.of(examples(("abc", "e"), ("d", "e")), KNOWN).latest(2)
    assert KNOWN[latest.item].tolist() == ["b", "c", "d"]
    assert latest.example.tolist() == [0, 0, 1]


def test_values_of_records_are_summed_into_their_examples(examples):
    decisions = Decisions.of(examples(("ab", "e"), ("", "e"), ("c", "e")), KNOWN)
    values = np.array([[1, 10], [2, 20], [4, 40]])
    assert (decisions.sum_records() @ values).tolist() == [[3, 30], [0, 0], [4, 40]]
    assert (decisions.sum_records(0.5**decisions.age) @ values).tolist() == [[2.5, 25], [0, 0], [4, 40]]


def test_chosen_examples_are_read_in_their_own_order(examples):
    chosen = examples(("a", "b"), ("c", "d"), ("b", "e")).select([2, 0])
    decisions = Decisions.of(chosen, KNOWN)
    assert KNOWN[decisions.item].tolist() == ["b", "a"]
    assert decisions.candidates.tolist() == [[4], [1]]
