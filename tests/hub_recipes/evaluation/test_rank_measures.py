"""Against scikit-learn, and against trec_eval's own code on the run files that an evaluation writes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytrec_eval
from sklearn.metrics import ndcg_score

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.evaluation.evaluation import evaluate_rows
from logs2lang.evaluation.rank_measures import expected_ranks, rank_measures, to_cut_offs
from logs2lang.evaluation.results import Results, read_results

ROWS = ["popularity", "markov-lift", "random"]


def judged_of(ranks: list[int | None], num_candidates: int = 10) -> pd.DataFrame:
    """Examples whose targets stand at these ranks; `None` is an invalid answer."""
    rankings = []
    for rank in ranks:
        others = [f"i{place}" for place in range(1, num_candidates)]
        rankings.append([] if rank is None else [*others[: rank - 1], "target", *others[rank - 1 :]])
    return pd.DataFrame(
        {
            "ranked": rankings,
            "target": "target",
            "num_candidates": num_candidates,
            "target_rank": [np.nan if rank is None else rank for rank in ranks],
            "is_discovery": [place % 2 == 0 for place in range(len(ranks))],
        }
    )


@pytest.fixture(scope="module")
def evaluated(simulation_folder, tmp_path_factory) -> tuple[Path, Results]:
    output = tmp_path_factory.mktemp("ranks")
    evaluate_rows(BuiltDataset.open(simulation_folder), ROWS, split="validation", output=output)
    return output, read_results(output)


def test_every_cut_off_has_its_recall_ndcg_and_reciprocal_rank():
    measures = rank_measures(judged_of([1, 2, 4, None]), [1, 3])
    assert measures["recall@3"] == pytest.approx(2 / 4)
    assert measures["ndcg@3"] == pytest.approx((1 + 1 / np.log2(3)) / 4)
    assert measures["mrr@3"] == pytest.approx((1 + 1 / 2) / 4)
    assert measures["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 4) / 4)
    assert measures["mean_rank"] == pytest.approx((1 + 2 + 4 + 5.5) / 4)  # silence: the middle of ten places
    discoveries = rank_measures(judged_of([1, 4]), [1, 3])  # the two of the four above
    for name in ("recall@3", "ndcg@3", "mrr@3", "mrr"):
        assert measures[f"discovery_{name}"] == pytest.approx(discoveries[name])
    assert measures["discovery_mean_rank"] == pytest.approx((1 + 4) / 2)


def test_ndcg_is_that_of_scikit_learn():
    ranks = np.random.default_rng(1).integers(1, 11, size=300).tolist()
    relevant, shown = np.arange(1, 11) == np.array(ranks)[:, None], np.tile(-np.arange(1.0, 11), (300, 1))
    measures = rank_measures(judged_of(ranks), [1, 3, 5, 10])
    for k in (1, 3, 5, 10):
        assert measures[f"ndcg@{k}"] == pytest.approx(ndcg_score(relevant, shown, k=k))


def test_a_target_that_was_not_ranked_has_the_mean_of_the_places_left():
    only_a_pick = judged_of([1]).assign(ranked=[["i1"]], target_rank=[np.nan])
    assert expected_ranks(only_a_pick).tolist() == [6.0]  # places 2 to 10


@pytest.mark.parametrize("k", [0, -1, 11])
def test_a_cut_off_without_candidates_is_refused(k):
    with pytest.raises(InputError, match=f"--k is {k}, but each example has 10 candidates"):
        to_cut_offs([1, k], 10)


def test_trec_eval_reads_the_run_files_and_finds_the_same_numbers(evaluated):
    output, results = evaluated
    qrels = pytrec_eval.parse_qrel((output / "trec" / "qrels.txt").open())
    asked = {"recall.1,3,5,10", "ndcg_cut.1,3,5,10", "recip_rank"}
    assert sorted(path.name for path in (output / "trec").glob("*.run")) == sorted(f"{row}.run" for row in ROWS)
    for name in ROWS:
        run = pytrec_eval.parse_run((output / "trec" / f"{name}.run").open())
        found = pd.DataFrame(pytrec_eval.RelevanceEvaluator(qrels, asked).evaluate(run).values())
        row = results.row(name)
        assert len(found) == row["n"]
        assert row["mrr"] == pytest.approx(found["recip_rank"].mean(), abs=1e-6)
        for k in (1, 3, 5, 10):
            assert row[f"recall@{k}"] == pytest.approx(found[f"recall_{k}"].mean(), abs=1e-6)
            assert row[f"ndcg@{k}"] == pytest.approx(found[f"ndcg_cut_{k}"].mean(), abs=1e-6)


def test_written_predictions_give_the_same_numbers(evaluated):
    _, results = evaluated
    for name in ROWS:
        ranks = results.predictions_of(name)["target_rank"].to_numpy(float)
        row = results.row(name)
        for k in (1, 3, 5, 10):
            assert row[f"recall@{k}"] == pytest.approx((ranks <= k).mean())
            assert row[f"mrr@{k}"] == pytest.approx(np.where(ranks <= k, 1 / ranks, 0).mean())
        assert row["mean_rank"] == pytest.approx(ranks.mean())


def test_a_row_is_run_again_where_other_cut_offs_are_asked_for(simulation_folder, tmp_path):
    dataset = BuiltDataset.open(simulation_folder)
    evaluate_rows(dataset, ["popularity"], limit=5, output=tmp_path)
    row = evaluate_rows(dataset, ["popularity"], limit=5, output=tmp_path, cut_offs=[2]).row("popularity")
    assert "recall@2" in row
    assert "recall@3" not in row
