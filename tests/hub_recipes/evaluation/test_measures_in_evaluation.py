"""What an evaluation measures besides hits, on a simulated log: seeds, groups, costs, comparisons."""

from functools import partial
from types import SimpleNamespace
from zlib import crc32

import numpy as np
import pandas as pd
import pytest

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.evaluation import table_rows
from logs2lang.evaluation.evaluation import evaluate_rows
from logs2lang.evaluation.results import read_results
from logs2lang.reasoners.local import LocalReasoner
from logs2lang.reasoners.ranking import Ranking


@pytest.fixture(scope="module")
def dataset(simulation_folder) -> BuiltDataset:
    return BuiltDataset.open(simulation_folder)


@pytest.fixture
def small_sasrec(monkeypatch):
    small = partial(table_rows.SasRecSettings, layers=1, dim=8, heads=1, epochs=1, max_targets=2_000)
    monkeypatch.setattr(table_rows, "SasRecSettings", small)


class FirstShown:
    """Ranks the candidates as they are shown; by label, so that their order counts."""

    language_model = SimpleNamespace(tokenizer=lambda texts, **_: {"input_ids": [text.split() for text in texts]})

    def entry(self):
        return {"id": "first", "base_model": None, "trained": None, "answer": "label", "fingerprint": "first"}

    def rank(self, contexts, candidates, progress=None):
        return [Ranking([item["item_id"] for item in shown]) for shown in candidates]


class TextDecides(FirstShown):
    """Ranks by title, in an order that depends on the text alone."""

    def entry(self):
        return {**super().entry(), "answer": "title"}

    def rank(self, contexts, candidates, progress=None):
        return [
            Ranking(sorted((item["item_id"] for item in shown), key=lambda one: crc32(f"{context}{one}".encode())))
            for context, shown in zip(contexts, candidates, strict=True)
        ]


class NoNumber(FirstShown):
    def rank(self, contexts, candidates, progress=None):
        return [Ranking([item["item_id"] for item in shown], [float("nan")] * len(shown)) for shown in candidates]


@pytest.mark.usefixtures("small_sasrec")
def test_what_is_trained_is_trained_once_per_seed(dataset):
    results = evaluate_rows(dataset, ["sasrec", "popularity"], split="validation", limit=60, seeds=[0, 1, 2])
    spread = results.row("sasrec")["seeds"]
    assert spread["seeds"] == [0, 1, 2]
    values = spread["ndcg@10"]["values"]
    assert values[0] == results.row("sasrec")["ndcg@10"]  # the row itself was trained with seed 0
    assert len(set(values)) > 1
    assert spread["ndcg@10"]["mean"] == pytest.approx(np.mean(values))
    assert spread["ndcg@10"]["sd"] == pytest.approx(np.std(values, ddof=1))
    assert "seeds" not in results.row("popularity")


def test_where_order_counts_a_reasoner_sees_the_candidates_in_another_order_per_seed(dataset):
    results = evaluate_rows(dataset, ["template"], split="validation", reasoner=FirstShown(), seeds=[0, 1])
    row = results.row("template")
    assert (row["order_kept"], row["order_unchanged"], row["picks_by_position"][0]) == (1.0, 1.0, 1.0)
    assert row["position_p"] < 1e-6
    assert len(set(row["seeds"]["ndcg@10"]["values"])) == 2
    again = evaluate_rows(dataset, ["template"], split="validation", reasoner=FirstShown(), seeds=[0, 1])
    assert again.row("template")["seeds"] == row["seeds"]


def test_random_decisions_are_drawn_once_per_seed(dataset):
    rows = ["action:random", "action:keep"]
    results = evaluate_rows(dataset, rows, split="validation", reasoner=TextDecides(), seeds=[0, 1])
    drawn = results.row("action:random")
    assert drawn["seeds"]["ndcg@10"]["values"][0] == drawn["ndcg@10"]  # the row itself was drawn by seed 0
    assert len(set(drawn["seeds"]["ndcg@10"]["values"])) == 2
    assert "seeds" not in results.row("action:keep")


def test_a_row_with_other_seeds_is_run_again_and_no_other(dataset, tmp_path):
    rows, reasoner = ["template", "popularity"], FirstShown()
    choices = {"split": "validation", "limit": 10, "output": tmp_path, "reasoner": reasoner}
    before = evaluate_rows(dataset, rows, **choices, created=None, command="first")
    after = evaluate_rows(dataset, rows, **choices, seeds=[1], command="second")
    assert before.row("popularity")["run"] == after.row("popularity")["run"]
    assert after.row("template")["run"]["command"] == "second"


def test_probabilities_that_are_no_numbers_end_with_the_row_and_the_example(dataset):
    with pytest.raises(InputError, match=r"Row template: The probabilities of example .* \(one is nan\)"):
        evaluate_rows(dataset, ["template"], split="validation", limit=3, reasoner=NoNumber())


def test_groups_and_novelty_are_counted_on_the_training_log(dataset):
    results = evaluate_rows(dataset, ["popularity", "inverse-popularity"], split="validation")
    examples, log = dataset.examples("validation"), dataset.training_interactions()
    row = results.row("popularity")
    activity = log["user"].value_counts().reindex(examples["user"][:]).fillna(0).to_numpy()
    names = np.select(
        [activity < 10, activity < 20, activity < 50], ["under_10", "10_to_19", "20_to_49"], "50_and_more"
    )
    counts = {name: group["n"] for name, group in row["by_group"]["activity"].items()}
    assert counts == pd.Series(names).value_counts().to_dict()
    for groups in row["by_group"].values():
        assert sum(group["n"] for group in groups.values()) == row["n"]
    assert row["novelty"] < results.row("inverse-popularity")["novelty"]
    assert row["target_novelty"] == results.row("inverse-popularity")["target_novelty"]
    picks = results.predictions_of("popularity")["pick"]
    assert row["coverage"] == picks.nunique() / len(dataset.items())


def test_a_comparison_is_kept_with_the_results(dataset, tmp_path):
    rows = ["popularity", "random", "markov-lift"]
    evaluate_rows(dataset, rows, split="validation", against="popularity", output=tmp_path)
    comparison = read_results(tmp_path).context["comparison"]
    assert (comparison["against"], set(comparison["rows"])) == ("popularity", {"random", "markov-lift"})
    with pytest.raises(InputError, match="--against is 'template', which is no row of this table"):
        evaluate_rows(dataset, rows, split="validation", against="template")


def test_runs_of_rows_that_were_not_kept_are_gone(dataset, tmp_path):
    evaluate_rows(dataset, ["popularity", "random"], split="validation", limit=5, output=tmp_path)
    evaluate_rows(dataset, ["random"], split="validation", limit=4, output=tmp_path, overwrite=True)
    assert [path.name for path in (tmp_path / "trec").glob("*.run")] == ["random.run"]
    assert len((tmp_path / "trec" / "qrels.txt").read_text().splitlines()) == 4
    assert len((tmp_path / "trec" / "random.run").read_text().splitlines()) == 40


def test_tokens_and_seconds_are_told_of_what_a_model_reads(dataset, tiny_language_model):
    reasoner = LocalReasoner(tiny_language_model, "label")
    before = tiny_language_model.usage.copy()
    row = evaluate_rows(dataset, ["template"], split="validation", limit=4, reasoner=reasoner).row("template")
    counted = tiny_language_model.usage.since(before)
    assert counted.prompts == 4
    assert row["tokens_read"] == counted.read / 4 > 50  # the template and ten candidates
    assert row["tokens_written"] == 0
    assert row["seconds_per_example"] > 0
    assert row["n_calibrated"] == 4


def test_costs_are_absent_where_texts_came_from_the_cache(dataset, tiny_language_model, text_cache):
    reasoner = LocalReasoner(tiny_language_model, "label")
    choices = {"split": "validation", "limit": 2, "history_length": 2, "reasoner": reasoner}
    first, second = (evaluate_rows(dataset, ["zero_shot"], **choices).row("zero_shot") for _ in range(2))
    assert first["tokens_written"] > 0
    assert "tokens_written" not in second
    assert first["recall@1"] == second["recall@1"]
