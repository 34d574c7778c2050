import doctest
from math import comb

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score

from logs2lang.space.discovery_recall import scores
from logs2lang.space.discovery_recall.scores import (
    discounted_gains,
    recall_interval,
    reciprocal_ranks,
    summarise,
    target_rank,
    target_ranks,
)


def hits(count: int, n: int) -> np.ndarray:
    return np.arange(n) < count


@pytest.mark.parametrize(
    ("ranking", "rank"),
    [
        (["t"], 1),
        (["x", "t"], 2),
        (["x", "y", "t", "z"], 3),
        (["x", "x", "x", "t"], 2),  # x keeps its first place and takes no other
        (["x", "t", "t"], 2),
        (["x"], 0),
        ([], 0),
    ],
)
def test_rank_counts_from_one_and_each_id_once(ranking, rank):
    assert target_rank(ranking, "t") == rank
    assert target_rank(tuple(ranking), "t") == rank


def test_a_ranking_without_a_first_choice_ranks_nothing():
    ranks, valid = target_ranks([["t"], ["", "t"], [], ["x"], ["x", "", "t"]], ["t"] * 5)
    assert ranks.tolist() == [1, 0, 0, 0, 3]
    assert valid.tolist() == [True, False, False, True, True]


def test_the_item_zero_is_an_answer():
    ranks, valid = target_ranks([[0]], [0])
    assert (ranks.tolist(), valid.tolist()) == ([1], [True])


@pytest.mark.parametrize(("k", "discovery", "overall"), [(1, 1 / 3, 1 / 5), (2, 2 / 3, 3 / 5), (9, 2 / 3, 4 / 5)])
def test_recall_is_the_share_of_targets_among_the_first_k(k, discovery, overall):
    ranks = np.array([1, 2, 0, 2, 4])
    is_discovery = np.array([True, True, True, False, False])
    measures = summarise(ranks, ranks != 0, is_discovery, [k])
    assert measures[f"discovery_recall@{k}"] == pytest.approx(discovery)
    assert measures[f"recall@{k}"] == pytest.approx(overall)
    assert measures["mrr"] == pytest.approx((1 + 1 / 2 + 0 + 1 / 2 + 1 / 4) / 5)
    assert (measures["n_discovery"], measures["n"], measures["invalid"]) == (3, 5, 1)


@pytest.mark.parametrize("k", [1, 2, 3, 10, None])
def test_gains_and_reciprocal_ranks_are_those_of_scikit_learn(k):
    ranks = np.random.default_rng(0).integers(1, 11, size=200)
    relevant, shown = np.arange(1, 11) == ranks[:, None], np.tile(-np.arange(1.0, 11), (200, 1))
    assert discounted_gains(ranks, k).mean() == pytest.approx(ndcg_score(relevant, shown, k=k))
    if k is None:  # with one target the average precision is the reciprocal rank; scikit-learn has no cut-off for it
        assert reciprocal_ranks(ranks).mean() == pytest.approx(label_ranking_average_precision_score(relevant, shown))
    else:
        assert reciprocal_ranks(ranks, k).mean() == pytest.approx(np.where(ranks <= k, 1 / ranks, 0).mean())


@pytest.mark.parametrize(("k", "discovery", "overall"), [(1, 1 / 2, 1 / 3), (3, 1 / 2, 1 / 2), (7, 1 / 2, 1 / 2)])
def test_ndcg_is_the_mean_of_discounted_gains(k, discovery, overall):
    ranks, is_discovery = np.array([1, 0, 3]), np.array([True, True, False])  # gains of 1, 0 and 1 / log2(4)
    measures = summarise(ranks, ranks != 0, is_discovery, [k])
    assert measures[f"discovery_ndcg@{k}"] == pytest.approx(discovery)
    assert measures[f"ndcg@{k}"] == pytest.approx(overall)


def test_without_examples_there_are_counts_but_no_means():
    nothing = np.array([], dtype=bool)
    measures = summarise(nothing.astype(int), nothing, nothing, [1])
    assert {name: value for name, value in measures.items() if value is not None} == {
        "n_discovery": 0,
        "n": 0,
        "invalid": 0,
    }


def test_measures_are_plain_numbers_that_json_can_write():
    ranks = np.array([1, 0])
    measures = summarise(ranks, ranks > 0, np.array([True, True]), [1])
    values = [measures.pop("discovery_recall@1_interval"), measures.pop("recall@1_interval")]
    assert {type(bound) for interval in values for bound in interval} == {float}
    assert {type(value) for value in measures.values()} == {float, int}


@pytest.mark.parametrize(("count", "n"), [(0, 100), (1, 100), (30, 100), (3, 40), (199, 200), (32, 32)])
def test_the_interval_is_wilsons_for_every_number_of_hits(count, n):
    z, share = 1.959964, count / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    assert recall_interval(hits(count, n)) == pytest.approx([middle - half, middle + half], abs=1e-6)


def test_one_hit_more_moves_the_interval_a_little():
    none, one = recall_interval(hits(0, 100)), recall_interval(hits(1, 100))
    assert none == pytest.approx([0, 0.037], abs=0.001)
    assert one == pytest.approx([0.002, 0.054], abs=0.001)


@pytest.mark.parametrize(("recall", "n"), [(0.02, 32), (0.1, 60), (0.3, 60), (0.5, 200), (0.98, 32)])
def test_the_interval_holds_the_true_recall_nine_times_in_ten_or_more(recall, n):
    covered = 0.0
    for count in range(n + 1):
        low, high = recall_interval(hits(count, n))
        covered += (low <= recall <= high) * comb(n, count) * recall**count * (1 - recall) ** (n - count)
    assert covered > 0.9  # [0, 0] without a hit would leave 0.48 for recall 0.02


def test_an_interval_needs_examples():
    assert recall_interval(hits(0, 0)) is None


def test_several_cut_offs_share_their_counts():
    ranks = np.array([1, 2, 0, 2, 4])
    is_discovery = np.array([True, True, True, False, False])
    together = summarise(ranks, ranks != 0, is_discovery, [1, 2, 9])
    for k in (1, 2, 9):
        alone = summarise(ranks, ranks != 0, is_discovery, [k])
        assert {name: together[name] for name in alone} == alone
    assert len(together) == 3 * 6 + 4


def test_the_examples_of_the_docstrings_run():
    outcome = doctest.testmod(scores)
    assert outcome.attempted > 0
    assert outcome.failed == 0
