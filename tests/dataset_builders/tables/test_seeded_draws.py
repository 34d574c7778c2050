import ibis
import numpy as np
import pytest

from logs2lang.dataset_builders.tables.seeded_draws import PRIME, draw


@pytest.fixture(scope="module")
def grid() -> np.ndarray:
    """Draws in [0, 1) of 400 users by 400 items."""
    connection = ibis.duckdb.connect()
    users = ibis.range(0, 400).unnest().name("user").as_table()
    items = ibis.range(0, 400).unnest().name("item").as_table()
    pairs = users.cross_join(items)
    frame = connection.execute(pairs.mutate(draw=draw(0, pairs.user, pairs.item)))
    return frame.pivot(index="user", columns="item", values="draw").to_numpy() / PRIME


def test_draws_are_uniform(grid):
    counts, _ = np.histogram(grid, bins=100, range=(0, 1))
    chi_square = ((counts - 1600) ** 2 / 1600).sum()
    assert chi_square < 149  # 99 degrees of freedom: exceeded once in a thousand


def test_neighbouring_keys_are_uncorrelated(grid):
    along_items = np.corrcoef(grid[:, :-1].ravel(), grid[:, 1:].ravel())[0, 1]
    along_users = np.corrcoef(grid[:-1].ravel(), grid[1:].ravel())[0, 1]
    assert abs(along_items) < 0.01
    assert abs(along_users) < 0.01


@pytest.mark.parametrize("seed", [44_489, 2**31 - 1])
def test_large_seeds_draw_from_small_keys_too(seed):
    """Keys are 32-bit integers, and their product with a multiplier is not."""
    row = ibis.memtable({"user": [3]}, schema={"user": "int32"})
    assert 0 <= row.select(drawn=draw(seed, row.user)).execute()["drawn"][0] < PRIME


def test_another_seed_draws_otherwise():
    row = ibis.memtable({"user": [3], "item": [5]})
    drawn = row.select(first=draw(0, row.user, row.item), again=draw(0, row.user, row.item), other=draw(1, row.user))
    first, again, other = drawn.execute().iloc[0]
    assert first == again != other
