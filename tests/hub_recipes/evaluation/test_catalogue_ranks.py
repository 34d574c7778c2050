"""Ranks among all of a catalogue, against lists that are sorted one by one."""

import json
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
from small_log import small_log_rows, write_small_log

from logs2lang.baselines import BASELINES
from logs2lang.baselines.sasrec_settings import SasRecSettings
from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.evaluation import catalogue_ranks
from logs2lang.evaluation.catalogue_evaluation import evaluate_catalogue, rank_summary
from logs2lang.evaluation.catalogue_ranks import CatalogueChoice
from logs2lang.evaluation.whole_catalogue import Catalogue
from logs2lang.reasoners import local
from logs2lang.reasoners.local import LocalReasoner


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> BuiltDataset:
    folder = tmp_path_factory.mktemp("catalogue")
    build_dataset(write_small_log(folder), folder / "built", BuildOptions(num_candidates=5), prompts=False)
    return BuiltDataset.open(folder / "built")


@pytest.fixture(scope="module")
def catalogue(dataset) -> Catalogue:
    return Catalogue.of(dataset)


def test_all_candidates_are_what_was_there_and_was_never_touched(dataset, catalogue):
    """Worked out again from the raw log: u0's rows and everybody's first times."""
    examples, items = dataset.examples("test"), dataset.items()
    raw_of = {item_id: item["source_item_id"] for item_id, item in items.items()}
    series = {item["source_item_id"]: item["series"] for item in items.values()}
    first, touched = {}, defaultdict(set)
    for user, item, second, _ in small_log_rows():
        first[item] = min(first.get(item, second), second)
        touched[user].add(series[item] or item)
    allowed = catalogue.candidates(examples)
    users = {row["timestamp"].timestamp(): row for row in examples}
    ends = defaultdict(int)
    for user, _, second, event in small_log_rows():
        ends[user] = max(ends[user], second if event == "rate" else 0)
    checked = 0
    for number, example in enumerate(examples):
        moment = example["timestamp"].timestamp()
        (user,) = [user for user, end in ends.items() if end == moment]
        expected = {
            item for item in first if first[item] <= moment and (series[item] or item) not in touched[user]
        } | {raw_of[example["target"]]}
        found = {raw_of[item_id] for item_id in catalogue.item_ids[allowed[number]]}
        assert found == expected
        checked += 1
    assert checked == len(users) == 30


@pytest.mark.parametrize("name", BASELINES)
def test_a_catalogue_in_full_scores_as_its_items_one_by_one(dataset, catalogue, name):
    chosen = {"settings": SasRecSettings(max_targets=300, dim=8)} if name.startswith("sasrec") else {}
    recommender = BASELINES[name](**chosen).fit(dataset.training_interactions(), dataset.items())
    shown = [*catalogue.item_ids, "i-unknown"]
    examples = dataset.examples("test").select(range(6))
    listed = examples.map(
        lambda _: {"candidates": [{"item_id": one, "title": one} for one in shown]},
        features=examples.features,
        keep_in_memory=True,
    )
    np.testing.assert_allclose(recommender.score(examples, shown), recommender.score(listed), rtol=1e-5, atol=1e-6)


def test_a_rank_counts_what_is_better_and_draws_what_is_equal(dataset, catalogue, monkeypatch):
    monkeypatch.setattr(catalogue_ranks, "EXAMPLES_AT_ONCE", 7)
    examples = dataset.examples("test")
    allowed, targets = catalogue.candidates(examples), catalogue.targets(examples)
    draws = np.random.default_rng(0)
    table = draws.integers(0, 4, (len(examples), len(catalogue.item_ids))).astype(float)
    table[:, 3] = -np.inf  # nobody knows this item
    by_id = dict(zip(examples["example_id"], table, strict=True))
    score = lambda some: np.stack([by_id[one] for one in some["example_id"]])  # noqa: E731
    ranks = {seed: CatalogueChoice.of(examples, catalogue, seed).rank(score) for seed in (0, 1)}
    for row, (scores, target) in enumerate(zip(table, targets, strict=True)):
        others = np.delete(scores[allowed[row]], np.flatnonzero(np.flatnonzero(allowed[row]) == target))
        better, equal = (others > scores[target]).sum(), (others == scores[target]).sum()
        for one in ranks.values():
            assert 1 + better <= one.target_ranks[row] <= 1 + better + equal
            pick = catalogue.item_ids.get_loc(one.picks[row])
            assert allowed[row, pick]
            assert scores[pick] == scores[allowed[row]].max()
            assert (pick == target) == (one.target_ranks[row] == 1)
    assert (ranks[0].target_ranks != ranks[1].target_ranks).any()
    again = CatalogueChoice.of(examples, catalogue, 0).rank(score)
    assert (again.target_ranks == ranks[0].target_ranks).all()


def test_equal_scores_are_right_as_often_as_chance(dataset, catalogue):
    examples = dataset.examples("test")
    flat = lambda some: np.zeros((len(some), len(catalogue.item_ids)))  # noqa: E731
    shares = []
    for seed in range(60):
        choice = CatalogueChoice.of(examples, catalogue, seed)
        ranks = choice.rank(flat)
        shares.append(((ranks.target_ranks - 0.5) / choice.num_candidates).mean())
        assert not ranks.tells_apart
    assert abs(np.mean(shares) - 0.5) < 4 * (1 / 12 / 60 / len(examples)) ** 0.5


def test_rank_summary_is_what_a_list_of_gains_says():
    ranks, discovery = np.array([1, 2, 10, 11, 0]), np.array([True, True, False, True, False])
    summary = rank_summary(ranks, discovery, [1, 10])
    assert summary["recall@1"] == 1 / 5
    assert summary["recall@10"] == 3 / 5
    assert summary["ndcg@10"] == pytest.approx((1 + 1 / np.log2(3) + 1 / np.log2(11)) / 5)
    assert summary["discovery_ndcg@10"] == pytest.approx((1 + 1 / np.log2(3)) / 3)
    assert summary["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 10 + 1 / 11) / 5)
    assert (summary["mean_rank"], summary["n"], summary["n_discovery"]) == (6, 5, 3)


@pytest.fixture
def reasoner(tiny_language_model) -> LocalReasoner:
    return LocalReasoner(tiny_language_model, answer="title")


def test_passes_of_a_few_branches_give_the_scores_of_one(reasoner, dataset, monkeypatch):
    shown = list(dataset.items().values())[:9]
    whole = reasoner.branch_scores(["likes war films", "likes crime"], [shown, shown])
    monkeypatch.setattr(local, "BRANCHES_PER_PASS", 4)
    parts = reasoner.branch_scores(["likes war films", "likes crime"], [shown, shown])
    np.testing.assert_allclose(np.stack(parts), np.stack(whole), rtol=1e-4, atol=1e-4)


def test_a_text_is_ranked_as_a_list_of_all_candidates_is(reasoner, dataset, catalogue):
    results = evaluate_catalogue(dataset, ["template", "popularity"], limit=3, reasoner=reasoner, history_length=2)
    from logs2lang.dataset_builders.dataset_folder.chosen_examples import choose_examples
    from logs2lang.verbalizers.template import TemplateVerbalizer

    examples = choose_examples(dataset.examples("test"), 3, 0, 2)
    allowed, items = catalogue.candidates(examples), dataset.items()
    texts = TemplateVerbalizer().verbalize(examples["history"][:])
    shown = [[items[one] for one in catalogue.item_ids[row]] for row in allowed]
    expected = [
        ranking.item_ids.index(target) + 1
        for ranking, target in zip(reasoner.rank(texts, shown), examples["target"], strict=True)
    ]
    assert results.predictions_of("template")["target_rank"].tolist() == expected
    assert results.row("template")["mean_rank"] == np.mean(expected)
    assert results.row("popularity")["gain"] is None or isinstance(results.row("popularity")["gain"], float)


def test_a_label_reasoner_cannot_rank_a_catalogue(tiny_language_model, dataset):
    with pytest.raises(InputError, match="answers by label, and every item has to be scored"):
        evaluate_catalogue(dataset, ["template"], limit=2, reasoner=LocalReasoner(tiny_language_model, "label"))


def test_more_candidates_than_labels_are_refused(tiny_language_model, dataset):
    shown = list(dataset.items().values())[:11]
    with pytest.raises(InputError, match="The labels A to J allow 10 candidates, but an example has 11"):
        LocalReasoner(tiny_language_model, "label").rank(["a text"], [shown])
    (ranking,) = LocalReasoner(tiny_language_model, "title").rank(["a text"], [shown])
    assert len(ranking.item_ids) == 11


def test_the_command_writes_ranks_and_keeps_both_kinds_apart(run_main, dataset, tmp_path):
    words = ["evaluate", dataset.folder, "--rows", "popularity,tag-cosine,ceiling", "-o", tmp_path / "all"]
    code, out, _ = run_main(*words, "--num-candidates", "all")
    assert code == 0
    document = json.loads((tmp_path / "all" / "results.json").read_text())
    assert document["all_candidates"] == 40
    assert {row["row"] for row in document["rows"]} == {"popularity", "tag-cosine"}
    assert "drawn" in document["unavailable"]["ceiling"]
    predictions = pd.read_parquet(tmp_path / "all" / "predictions.parquet")
    ranks = predictions[predictions["row"] == "popularity"]["target_rank"].to_numpy()
    (row,) = [row for row in document["rows"] if row["row"] == "popularity"]
    assert row["recall@10"] == (ranks <= 10).mean()
    assert "popularity" in out
    code, _, err = run_main(*words[:-1], tmp_path / "all")
    assert code == 2
    assert "examples_sha256" in err
