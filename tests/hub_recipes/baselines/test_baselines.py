"""What holds for every row, by name."""

import subprocess
import sys

import numpy as np
import pytest

from logs2lang.baselines import BASELINES

LEARNED = [name for name in BASELINES if name not in ("random", "inverse-popularity")]
LOG = ("abcde", "bcdea", "cdeab", "deabc", "ace", "bda")


@pytest.fixture
def items(catalogue):
    return catalogue(**{item: (1990 + place, "st"[place % 2]) for place, item in enumerate("abcde")})


def test_the_rows_are_these():
    assert list(BASELINES) == [
        "random",
        "popularity",
        "inverse-popularity",
        "year-closeness",
        "tag-cosine",
        "item-knn-cosine",
        "item-knn-lift",
        "markov-counts",
        "markov-lift",
        "sasrec",
        "sasrec-lift",
    ]


@pytest.mark.parametrize("name", BASELINES)
def test_there_is_one_score_per_candidate_whatever_else_is_asked(name, items, training, examples):
    recommender = BASELINES[name]().fit(training(*LOG), items)
    together = recommender.score(examples(("ab", "cde"), ("e", "abd")))
    assert together.shape == (2, 3)
    alone = np.concatenate([recommender.score(examples(pair)) for pair in (("ab", "cde"), ("e", "abd"))])
    assert together == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("name", BASELINES)
def test_the_order_of_candidates_plays_no_part(name, items, training, examples):
    recommender = BASELINES[name]().fit(training(*LOG), items)
    forward, backward = recommender.score(examples(("ab", "cde"), ("ab", "edc")))
    assert forward == pytest.approx(backward[::-1], rel=1e-5)


@pytest.mark.parametrize("name", LEARNED)
def test_what_is_unknown_comes_last(name, items, training, examples):
    known, unknown = BASELINES[name]().fit(training(*LOG), items).score(examples(("ab", "cq")))[0]
    assert known > unknown


@pytest.mark.parametrize("name", BASELINES)
def test_noise_events_change_nothing(name, items, training, examples):
    noisy = training(*(f"!d{word}!a!e" for word in LOG))
    clean, beside_noise = (
        BASELINES[name]().fit(log, items).score(examples((history, "cde")))
        for log, history in ((training(*LOG), "ab"), (noisy, "a!cb!d!e"))
    )
    assert clean.tolist() == beside_noise.tolist()


def test_torch_is_imported_when_it_is_needed():
    code = "import sys, logs2lang.baselines; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
