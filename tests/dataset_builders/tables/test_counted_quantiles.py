import duckdb
import numpy as np
import pytest

from logs2lang.dataset_builders.tables.counted_quantiles import quantiles


@pytest.mark.parametrize("count", [1, 2, 3, 10, 97, 500])
def test_quantiles_of_counted_values_are_those_of_duckdb(count):
    drawn = np.random.default_rng(count).integers(10**9, 10**9 + 40 * count, count)
    shares = ", ".join(f"quantile_cont(value, {share})" for share in (0, 0.5, 0.8, 0.9, 1))
    found = duckdb.connect().execute(f"SELECT {shares} FROM (SELECT unnest($1) AS value)", [drawn.tolist()]).fetchone()
    ours = quantiles(*np.unique(drawn, return_counts=True), (0, 0.5, 0.8, 0.9, 1))
    assert ours == pytest.approx(list(found), abs=1e-6)
    assert list(map(int, ours)) == list(map(int, found))
