"""The grid on a log of its own, from files to tables."""

import json

import numpy as np
import pandas as pd
import pytest
from small_log import write_small_log

from logs2lang.evaluation.protocol_grid import GRID_FILE, Cell, grid_tables, reversals, to_cells

ONE_CELL = ["--protocols", "temporal", "--candidates", "uniform", "--num-candidates", "5"]
ROWS = "popularity,markov-counts,item-knn-cosine"


def test_the_grid_is_written_by_one_command(run_main, tmp_path):
    write_small_log(tmp_path)
    log = ["--interactions", tmp_path / "log.csv", "--items", tmp_path / "items.csv"]
    output = tmp_path / "grid"
    words = ["grid", "tabular", *log, "-o", output, "--rows", ROWS, "--num-candidates", "5,100,all", "--threads", "1"]
    code, out, err = run_main(*words, "--candidates", "popularity", "--min-history", "2", "--k-core", "2")
    assert code == 0, err
    document = json.loads((output / GRID_FILE).read_text())
    cells = {cell["name"]: cell for cell in document["cells"]}
    protocols = ("leave_last_out", "temporal")
    assert set(cells) == {f"{one}-{rest}" for one in protocols for rest in ("popularity-5", "all")}
    assert set(document["unavailable"]) == {f"{one}-popularity-100" for one in protocols}
    assert "has 99 items beside it" in document["unavailable"]["temporal-popularity-100"]
    assert {cell["options"]["min_user_interactions"] for cell in cells.values()} == {2}
    for name, cell in cells.items():
        predictions = pd.read_parquet(output / name / "predictions.parquet")
        for row, measures in cell["rows"].items():
            ranks = predictions[predictions["row"] == row]["target_rank"].to_numpy(float)
            gains = np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0)
            assert measures["ndcg@10"] == pytest.approx(gains.mean())
            assert measures["recall@1"] == pytest.approx((ranks == 1).mean())
    # The candidates of a whole catalogue include the five: no target ranks higher among all.
    few, every = cells["leave_last_out-popularity-5"], cells["leave_last_out-all"]
    assert few["n"] == every["n"]
    assert few["rows"]["popularity"]["mean_rank"] < every["rows"]["popularity"]["mean_rank"]
    assert len(document["agreement"]) == 4 * 3 / 2
    assert all(-1 <= pair["kendall_tau"] <= 1 for pair in document["agreement"] if pair["kendall_tau"] is not None)
    table = (output / "grid.md").read_text()
    assert table == grid_tables(document)
    assert f"{every['rows']['popularity']['ndcg@10']:.3f}" in table
    assert "leave_last_out-all" in out


def test_a_pair_is_reversed_where_both_orders_are_sure():
    draws = np.random.default_rng(0)
    better = draws.random((200, 1)) + draws.normal(0, 0.1, (200, 2)) + [[0.3, 0.0]]
    assert reversals(["a", "b"], better, better[:, [1, 0]]) == [["a", "b"]]
    unsure = better + draws.normal(0, 9, (200, 2))
    assert reversals(["a", "b"], better, unsure[:, [1, 0]]) == []


def test_all_candidates_are_one_cell_of_each_protocol():
    cells = to_cells(["temporal", "leave_last_out"], ["popularity", "uniform"], ["all", 7])
    assert len(cells) == 6
    assert cells[2] == Cell("temporal", "all")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--num-candidates", "10,1000"], "'1000'; expected 2 to 100, or all"),
        (["--protocols", "temporall"], "Did you mean 'temporal'"),
        (["--candidates", ","], "--candidates is empty; choose from popularity, uniform"),
        (["--k-core", "3", "--min-user-interactions", "2"], "--k-core is short for"),
        (["--since", "soon"], "--since is 'soon'; expected an ISO time"),
        (["--rows", "popularty"], "Did you mean 'popularity'"),
        ([*ONE_CELL, "--min-value", "6"], "No cell of the grid can be evaluated. The filters leave no interaction"),
    ],
)
def test_what_cannot_be_is_one_sentence(run_main, tmp_path, words, said):
    write_small_log(tmp_path)
    code, _, err = run_main("grid", "tabular", "--interactions", tmp_path / "log.csv", "-o", tmp_path / "out", *words)
    assert code == 2
    assert said in err


def test_help_names_every_source_but_a_person_s_own(run_main):
    code, out, _ = run_main("grid", "--help")
    assert code == 0
    assert all(name in out for name in ("tabular", "movietweetings", "movielens-100k", "streaming-simulation"))
    assert "viewing-history" not in out
    _, out, _ = run_main("grid", "tabular", "--help")
    assert "logs2lang grid tabular" in out
