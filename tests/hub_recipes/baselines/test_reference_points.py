"""MovieLens-100K against an independent implementation of the same rows and the same candidates."""

import math

import pytest

from logs2lang.baselines import BASELINES, rankings_from_scores
from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.schema import TARGET
from logs2lang.dataset_builders.sources.movielens import read_movielens

# Recall@1 on test, leave-last-out, candidates in proportion to popularity.
REFERENCE = {
    "random": 0.10,
    "popularity": 0.13,
    "inverse-popularity": 0.14,
    "year-closeness": 0.29,
    "tag-cosine": 0.17,
    "item-knn-cosine": 0.26,
    "item-knn-lift": 0.30,
    "markov-counts": 0.39,
    "markov-lift": 0.46,
}


@pytest.fixture(scope="module")
def movielens(tmp_path_factory) -> BuiltDataset:
    folder = tmp_path_factory.mktemp("movielens") / "built"
    build_dataset(read_movielens, folder)
    return BuiltDataset.open(folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCE)
def test_recall_lands_on_the_reference(name, movielens):
    examples = movielens.examples("test")
    recommender = BASELINES[name]().fit(movielens.training_interactions(), movielens.items())
    rankings = rankings_from_scores(recommender.score(examples), examples, seed=0)
    hits = [ranking.pick == target for ranking, target in zip(rankings, examples[TARGET], strict=True)]
    # Both are samples of 943 decisions: other seeds decide other candidates, and the order of 44% of the targets.
    deviation = math.sqrt(2 * REFERENCE[name] * (1 - REFERENCE[name]) / len(hits))
    assert len(hits) == 943
    assert sum(hits) / len(hits) == pytest.approx(REFERENCE[name], abs=3 * deviation)
