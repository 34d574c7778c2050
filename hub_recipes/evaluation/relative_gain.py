"""How much more often one row hits than another on the same examples, with a paired bootstrap interval."""

import numpy as np

BOOTSTRAP_RESAMPLES = 10_000
LEVEL = 0.95


def relative_gain(
    hits: np.ndarray, base_hits: np.ndarray, seed: int, resamples: int = BOOTSTRAP_RESAMPLES
) -> tuple[float | None, list[float | None] | None]:
    """The share by which `hits` exceeds `base_hits`, and its 95% interval.

    Examples are resampled in pairs, so that an example which is easy for both moves neither. A pair is one of four
    cases (both hit, one, the other, none), so a resample is a draw from the multinomial of the four counts.

    Args:
        hits (`np.ndarray` of `bool`, shape `(n,)`): Whether the row hit, per example.
        base_hits (`np.ndarray` of `bool`, shape `(n,)`): Whether the base hit, on the same examples.
        seed (`int`): Drives the bootstrap.
        resamples (`int`, *optional*, defaults to 10,000): How many resamples.

    Returns:
        `tuple`: The gain (0.1 = ten percent more hits), and `[low, high]`. Both are `None` when the base never hits. A
        bound is `None` (no bound) where so many resamples hold no hit of the base that the quantile is infinite.

    Example:
        >>> hits, base_hits = np.array([True, True, True, False] * 50), np.array([True, True, False, False] * 50)
        >>> gain, (low, high) = relative_gain(hits, base_hits, seed=0)
        >>> gain, low < gain < high
        (0.5, True)
    """
    if not base_hits.any():
        return None, None
    cases = np.bincount(2 * hits.astype(int) + base_hits, minlength=4)
    drawn = np.random.default_rng(seed).multinomial(len(hits), cases / len(hits), size=resamples)
    row_sum, base_sum = drawn[:, 2] + drawn[:, 3], drawn[:, 1] + drawn[:, 3]
    defined = row_sum + base_sum > 0
    with np.errstate(divide="ignore"):
        gains = row_sum[defined] / base_sum[defined] - 1
    tail = (1 - LEVEL) / 2
    # inverted_cdf picks a value that occurred; interpolating towards infinity would give no number at all.
    bounds = np.quantile(gains, [tail, 1 - tail], method="inverted_cdf")
    return float(hits.sum() / base_hits.sum() - 1), [float(bound) if np.isfinite(bound) else None for bound in bounds]
