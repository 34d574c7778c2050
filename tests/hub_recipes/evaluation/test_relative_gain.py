import numpy as np
import pytest

from logs2lang.evaluation.relative_gain import relative_gain


def hits(pattern: str) -> np.ndarray:
    return np.array([letter == "x" for letter in pattern])


@pytest.mark.parametrize(
    ("row", "base", "gain"),
    [("xxx.", "x...", 2.0), ("x...", "xx..", -0.5), ("xx..", "..xx", 0.0), ("....", "x...", -1.0)],
)
def test_gain_is_the_share_of_hits_above_the_base(row, base, gain):
    assert relative_gain(hits(row), hits(base), seed=0)[0] == pytest.approx(gain)


def test_a_base_that_never_hits_has_no_gain_over_it():
    assert relative_gain(hits("xx.."), hits("...."), seed=0) == (None, None)
    assert relative_gain(hits(""), hits(""), seed=0) == (None, None)


def test_equal_rows_have_no_gain_and_no_doubt_about_it():
    assert relative_gain(hits("x.x."), hits("x.x."), seed=0) == (0.0, [0.0, 0.0])


def test_a_bound_is_open_where_resamples_without_a_base_hit_are_common():
    # One base hit among four: (3/4)^4 = 32% of the resamples hold none.
    gain, (low, high) = relative_gain(hits(".xxx"), hits("x..."), seed=0)
    assert gain == pytest.approx(2.0)
    assert low is not None
    assert high is None


def test_the_interval_is_that_of_a_bootstrap_that_resamples_examples():
    rng = np.random.default_rng(7)
    base = rng.random(300) < 0.3
    row = np.where(rng.random(300) < 0.7, base, rng.random(300) < 0.5)
    drawn = rng.integers(0, 300, size=(20_000, 300))
    expected = np.quantile(row[drawn].sum(1) / base[drawn].sum(1) - 1, [0.025, 0.975])
    assert relative_gain(row, base, seed=0)[1] == pytest.approx(expected, abs=0.02)


def test_pairing_narrows_the_interval():
    base, row = hits("x." * 100), hits("x." * 90 + "xx" * 10)
    low, high = relative_gain(row, base, seed=0)[1]
    shuffled = np.random.default_rng(0).permutation(row)
    loose_low, loose_high = relative_gain(shuffled, base, seed=0)[1]
    assert high - low < loose_high - loose_low
