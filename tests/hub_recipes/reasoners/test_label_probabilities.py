from math import log

import pytest

from logs2lang.reasoners.label_probabilities import label_probabilities


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ({"A": 0.6, "B": 0.2}, [6 / 8, 2 / 8]),
        ({"A": 0.3, " A": 0.3, "A\n": 0.2, "B": 0.2}, [8 / 10, 2 / 10]),  # one label, spelled three ways
        ({"A": 0.5, "The": 0.4}, [5 / 6, 1 / 6]),  # B takes the 0.1 that is left
        ({"A": 0.5, "The": 0.05}, [50 / 55, 5 / 55]),  # 0.45 are left, but B is less probable than the last one listed
        ({"A": 0.5, "B": 0.25, "C": 0.25}, [2 / 3, 1 / 3]),  # C was not shown
    ],
)
def test_two_labels_share_what_was_listed_and_what_is_left(listed, expected):
    log_probs = {token: log(probability) for token, probability in listed.items()}
    assert label_probabilities(log_probs, 2) == pytest.approx(expected)


@pytest.mark.parametrize("listed", [{}, {"The": 0.5, "AB": 0.3}, {"C": 0.9}])
def test_no_label_that_was_shown_is_no_answer(listed):
    assert label_probabilities({token: log(probability) for token, probability in listed.items()}, 2) is None


def test_unseen_labels_come_after_the_seen_ones_and_are_equal():
    probabilities = label_probabilities({"J": log(0.2), "C": log(0.3), "x": log(0.25)}, 10)
    unseen = [probability for place, probability in enumerate(probabilities) if place not in (2, 9)]
    assert probabilities[2] > probabilities[9] > max(unseen)
    assert min(unseen) == max(unseen) > 0
    assert sum(probabilities) == pytest.approx(1)
