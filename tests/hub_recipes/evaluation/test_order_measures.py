import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from logs2lang.evaluation.order_measures import order_kept, order_measures


def test_kept_order_is_spearmans_correlation():
    rng = np.random.default_rng(0)
    for _ in range(50):
        places = rng.permutation(10)
        assert order_kept(places) == pytest.approx(spearmanr(places, np.arange(10)).statistic)


def test_a_pick_alone_keeps_no_order():
    assert np.isnan(order_kept([3]))
    assert np.isnan(order_kept([]))


def test_a_row_that_copies_the_given_order_is_told_from_one_that_draws_its_own():
    copied = pd.DataFrame({"pick_position": [0.0] * 40, "num_candidates": 10, "order_kept": 1.0})
    measures = order_measures(copied)
    assert (measures["order_kept"], measures["order_unchanged"]) == (1.0, 1.0)
    assert measures["position_p"] < 1e-6
    rng = np.random.default_rng(0)
    drawn = [rng.permutation(10) for _ in range(400)]
    own = pd.DataFrame(
        {
            "pick_position": [float(places[0]) for places in drawn],
            "num_candidates": 10,
            "order_kept": [order_kept(places) for places in drawn],
        }
    )
    measures = order_measures(own)
    assert abs(measures["order_kept"]) < 3 / np.sqrt(400 * 9)
    assert measures["order_unchanged"] == 0
    assert measures["position_p"] > 0.01


def test_where_only_picks_are_named_no_order_is_told():
    picks = pd.DataFrame({"pick_position": [0.0, 1.0], "num_candidates": 2, "order_kept": np.nan})
    measures = order_measures(picks)
    assert (measures["order_kept"], measures["order_unchanged"]) == (None, None)
    assert measures["position_bias"] == 0
