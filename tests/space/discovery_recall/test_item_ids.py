import doctest

import numpy as np
import pandas as pd
import pytest

from logs2lang.space.discovery_recall import item_ids
from logs2lang.space.discovery_recall.item_ids import to_comparable, to_examples, to_flags, to_rankings


@pytest.mark.parametrize(
    "predictions",
    [
        [["7", "a"], ["8"]],
        [[7, "a"], [8]],
        [("7", "a"), 8],
        [np.array(["7", "a"]), np.int64(8)],
        pd.Series([["7", "a"], ["8"]]),
        pd.Series([np.array([7, "a"], dtype=object), np.array([8])]),
    ],
)
@pytest.mark.parametrize("references", [["7", "8"], [7, 8], np.array([7, 8]), pd.Series(["7", "8"]), (7, "8")])
def test_ids_compare_as_strings_whatever_holds_them(predictions, references):
    rankings, targets = to_rankings(predictions, references)
    assert [list(ranking) for ranking in rankings] == [["7", "a"], ["8"]]
    assert targets == ["7", "8"]


def test_a_table_of_ids_is_a_ranking_per_row():
    rankings, targets = to_rankings(np.array([[1, 2], [3, 4]]), np.array([1, 3]))
    assert (rankings, targets) == ([[1, 2], [3, 4]], [1, 3])


def test_ids_of_one_type_stay_as_they_are():
    rankings = [["a"], ["b"]]
    assert to_comparable(rankings, ["a", "a"])[0] is rankings


def test_leading_zeros_make_another_id():
    assert to_rankings(["07"], [7]) == ([("07",)], ["7"])


@pytest.mark.parametrize("nothing", [None, "", float("nan"), pd.NA, [], (), [None], [""]])
def test_what_says_nothing_is_no_answer(nothing):
    (ranking, answered), _ = to_rankings([nothing, "a"], ["a", "a"])
    assert not ranking or ranking[0] == ""
    assert list(answered) == ["a"]


def test_a_column_of_strings_with_gaps_is_understood():
    assert to_rankings(pd.Series(["a", None], dtype="string"), ["a", "a"]) == ([("a",), ("",)], ["a", "a"])


@pytest.mark.parametrize("value", [1.0, True, b"a", ["a"], {"a": 1}, object()])
def test_what_is_no_id_is_refused_and_shown(value):
    with pytest.raises(ValueError, match=r"An item id must be a string or an integer; got .*"):
        to_rankings([[value]], ["a"])


def test_a_float_is_refused_with_its_usual_cause():
    with pytest.raises(ValueError, match="table with missing values"):
        to_rankings([5.0], [5])


@pytest.mark.parametrize("nothing", [None, "", float("nan")])
def test_an_example_without_a_target_is_refused_by_its_place(nothing):
    with pytest.raises(ValueError, match=r"references\[1\] is empty"):
        to_rankings(["a", "b"], ["a", nothing])


def test_lengths_that_differ_are_both_said():
    with pytest.raises(ValueError, match="got 3 predictions and 2 references"):
        to_rankings(["a", "b", "c"], ["a", "b"])
    with pytest.raises(ValueError, match="got 1 is_discovery and 2 references"):
        to_examples(["a", "b"], ["a", "b"], is_discovery=[True])
    with pytest.raises(ValueError, match="got 3 histories and 2 references"):
        to_examples(["a", "b"], ["a", "b"], histories=[[], [], []])


@pytest.mark.parametrize(("given", "word"), [({}, "neither"), ({"is_discovery": [True], "histories": [[]]}, "both")])
def test_one_of_is_discovery_and_histories_must_come(given, word):
    with pytest.raises(ValueError, match=f"Give either is_discovery or histories; got {word}"):
        to_examples(["a"], ["a"], **given)


def test_a_discovery_is_a_target_that_the_history_lacks():
    histories = [["b", "a"], [], ("b",), np.array([7, 8]), [7, "8"]]
    examples = to_examples(["x"] * 5, ["a", "a", "a", "7", 8], histories=histories)
    assert examples.is_discovery.tolist() == [False, True, True, False, False]


@pytest.mark.parametrize("history", ["a b", None, 7])
def test_a_history_must_be_a_list(history):
    with pytest.raises(ValueError, match=r"histories\[1\] must be a list of the item ids"):
        to_examples(["a", "b"], ["a", "b"], histories=[[], history])


def test_flags_may_be_zero_and_one_but_no_words():
    assert to_flags([1, 0, np.True_]).tolist() == [True, False, True]
    assert to_flags(np.array([True, False])).tolist() == [True, False]
    for wrong in (["True", "False"], [2, 0], [True, None], [1.0, 0.0]):
        with pytest.raises(ValueError, match="must be True or False"):
            to_flags(wrong)


@pytest.mark.parametrize("column", [None, "abc", {"a": 1}, {"a"}])
def test_a_column_must_be_a_list(column):
    with pytest.raises(ValueError, match="predictions must be a list"):
        to_rankings(column, ["a", "b", "c"])


def test_an_iterator_is_read_once():
    examples = to_examples(iter(["a"]), iter(["a"]), histories=iter([["a"]]))
    assert (examples.targets, examples.is_discovery.tolist()) == (["a"], [False])


def test_what_came_is_left_as_it_was():
    predictions, references, histories = [[1, "b"], None], ["b", 2], [["b"], [2]]
    to_examples(predictions, references, histories=histories)
    assert (predictions, references, histories) == ([[1, "b"], None], ["b", 2], [["b"], [2]])


def test_the_examples_of_the_docstrings_run():
    outcome = doctest.testmod(item_ids)
    assert outcome.attempted > 0
    assert outcome.failed == 0
