"""The ceiling is the posterior: by enumeration on tiny worlds, by a second computation on a built log, and met."""

from collections import Counter
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.sources.streaming_simulation import SimulationConfig, read_streaming_simulation
from logs2lang.dataset_builders.sources.streaming_simulation.ceiling import (
    CandidatePool,
    TargetLaw,
    candidate_posterior,
    ceiling_scores,
    tastes_at,
)

EVENING = pd.Timestamp("2025-01-15T20:00Z")


def posterior_by_enumeration(law, weights, shown):
    """P(target | shown set), over every order in which the others can be drawn one after another."""
    joint = []
    for target in shown:
        chance = 0.0
        for order in permutations([work for work in shown if work != target]):
            pool, path = sum(weights) - weights[target], 1.0
            for work in order:
                path *= weights[work] / pool
                pool -= weights[work]
            chance += path
        joint.append(law[target] * chance)
    return np.array(joint) / sum(joint)


@pytest.mark.parametrize("shown", [(0, 1, 2), (1, 3, 4), (0, 4, 5)])
def test_the_posterior_is_exact_on_a_world_of_six_works(shown):
    law, weights = np.array([0.3, 0.1, 0.2, 0.15, 0.05, 0.2]), np.array([1.0, 2.0, 3.0, 8.0, 5.0, 1.0])
    chosen = list(shown)
    remaining = weights.sum() - weights[chosen].sum()
    posterior = candidate_posterior(np.log(law[None, chosen]), weights[None, chosen], np.array([remaining]))
    assert posterior[0] == pytest.approx(posterior_by_enumeration(law, weights, shown), rel=1e-4)


def test_in_a_world_of_two_kinds_the_ceiling_is_the_share_of_the_liked_kind():
    # Both kinds are equally popular, and four of five plays are of the liked kind. Beside a target of one kind stands
    # a work of the other: the liked one is right in four of five cases, and popularity in one of two.
    posterior = candidate_posterior(np.log([[0.8, 0.2]]), np.ones((1, 2)), np.array([1e6]))
    assert posterior[0] == pytest.approx([0.8, 0.2], abs=1e-5)


def test_a_candidate_that_can_never_be_drawn_must_be_the_target():
    posterior = candidate_posterior(np.log([[0.01, 0.9]]), np.array([[0.0, 5.0]]), np.array([100.0]))
    assert posterior[0] == pytest.approx([1, 0])


def test_a_law_mixes_the_people_of_the_account():
    # The first person likes tag x three times as much, the second y; works a (x) and b (y) are equally popular. So the
    # laws are (3/4, 1/4) and (1/4, 3/4), and the account's is 0.6 of the one and 0.4 of the other.
    tastes = pd.DataFrame(
        {
            "user": "u",
            "person": [0, 1],
            "period": 0,
            "since": pd.Timestamp("2025-01-01T00:00Z"),
            "share": [0.6, 0.4],
            "log_normaliser": np.log(0.5 * 3 + 0.5 * 1),
            "taste": [np.log([3, 1]), np.log([1, 3])],
        }
    )
    law = TargetLaw(tastes, {"a": np.array([1, 0]), "b": np.array([0, 1])}, pd.Series(np.log(0.5), index=["a", "b"]))
    log_law = law.log_probabilities(["u"], pd.DatetimeIndex([EVENING]), np.array([["a", "b"]]))
    assert np.exp(log_law)[0] == pytest.approx([0.6 * 3 / 4 + 0.4 / 4, 0.6 / 4 + 0.4 * 3 / 4])


def test_the_taste_of_the_moment_is_the_last_that_began():
    starts = pd.to_datetime(["2025-01-01", "2025-01-31"], utc=True)
    tastes = pd.DataFrame({"user": "u", "period": [0, 1], "since": starts, "taste": ["old", "new"]})
    moments = pd.to_datetime(["2025-01-30T23:59", "2025-01-31T00:00", "2026-01-01T00:00"], utc=True)
    assert tastes_at(tastes, ["u"] * 3, moments)["taste"].tolist() == ["old", "new", "new"]


def test_what_remains_is_available_untouched_and_not_drawn():
    weights = pd.Series({"drawn": 1, "target": 2, "touched": 4, "left": 8, "later": 16})
    first_seen = pd.Series(pd.Timestamp("2025-01-01T00:00Z"), index=weights.index)
    first_seen["later"] = pd.Timestamp("2025-02-01T00:00Z")
    touched = pd.DataFrame({"user": ["u", "u", "v"], "item_id": ["touched", "target", "left"]})
    pool = CandidatePool(weights, first_seen, touched)
    assert pool.remaining(["u"], pd.DatetimeIndex([EVENING]), np.array([["drawn", "target"]])).tolist() == [8]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("build") / "dataset"
    config = SimulationConfig(events=21_000, accounts=700, difficulty=0.4, days=60, returns=0.1, binge=0.2)
    build_dataset(lambda connection: read_streaming_simulation(connection, config), folder)
    return BuiltDataset.open(folder)


@pytest.fixture(scope="module")
def discoveries(dataset):
    return dataset.examples("test").filter(lambda is_new: is_new, input_columns="is_discovery")


def recall(scores, examples):
    """Recall@1 of scores per candidate; ties fall by a seeded draw."""
    scores = np.asarray(scores, dtype=float)
    jitter = np.random.default_rng(0).random(scores.shape) * 1e-6
    return (np.argmax(scores + jitter, axis=1) == np.array(examples["target_index"])).mean()


def per_candidate(examples, score):
    return [[score(row["history"], candidate["item_id"]) for candidate in row["candidates"]] for row in examples]


def test_on_a_built_log_the_ceiling_is_met(dataset, discoveries):
    scores = ceiling_scores(dataset, discoveries)
    expected = scores.max(axis=1).mean()
    assert len(discoveries) > 200
    assert recall(scores, discoveries) == pytest.approx(expected, abs=3 * np.sqrt(0.25 / len(discoveries)))
    assert 0.6 < expected < 0.9


def posterior_by_hand(dataset, example) -> np.ndarray:
    """The posterior of one example from the tables as they were written, with loops, sets and scipy's quadrature.

    Nothing of `ceiling.py` is used, nor the normaliser that the simulator wrote down: Z is summed over all works.
    """
    works, items, tags = dataset.truth("works"), dataset.items(), dataset.truth("tags")
    popularity = np.exp(works["log_popularity"].to_numpy())
    place = dict(zip(tags["tag"], tags["position"], strict=True))
    of_work = [[place[tag] for tag in items[item_id]["tags"]] for item_id in works["item_id"]]
    row_of = {item_id: row for row, item_id in enumerate(works["item_id"])}
    shown = [candidate["item_id"] for candidate in example["candidates"]]

    tastes = dataset.truth("tastes")
    own = tastes[(tastes["user"] == example["user"]) & (tastes["since"] <= example["timestamp"])]
    law = np.zeros(len(works))
    for person in own[own["since"] == own["since"].max()].itertuples():
        pull = np.array([sum(person.taste[tag] for tag in places) for places in of_work])
        weights = popularity * np.exp(pull)
        law += person.share * weights / weights.sum()

    log = dataset.training_interactions()
    chosen = log[~log["event"].isin(["trailer", "autoplay", "abandon"])]
    users_of = chosen.groupby("item_id")["user"].nunique().to_dict()
    records = dataset.truth("records")
    in_the_log = set(records.loc[records["timestamp"] <= example["timestamp"], "item_id"])
    touched = set(records.loc[records["user"] == example["user"], "item_id"])
    rest = sum(users_of.get(item_id, 0) for item_id in in_the_log - touched - set(shown))

    def drawn(target):
        rates = [users_of.get(item_id, 0) / rest for item_id in shown if item_id != target]
        return quad(lambda t: np.exp(-t) * np.prod([-np.expm1(-rate * t) for rate in rates]), 0, 200, limit=500)[0]

    joint = np.array([law[row_of[item_id]] * drawn(item_id) for item_id in shown])
    return joint / joint.sum()


def test_on_a_built_log_every_posterior_is_what_a_second_computation_says(dataset, discoveries):
    few = discoveries.select(range(12))
    second = np.array([posterior_by_hand(dataset, example) for example in few])
    assert ceiling_scores(dataset, few) == pytest.approx(second, rel=1e-3, abs=1e-5)


def test_no_other_ranking_of_a_drawn_world_is_right_more_often():
    """Targets drawn from the law and candidates beside them one after another, as the build does it."""
    rng = np.random.default_rng(0)
    law, weights = np.array([0.3, 0.1, 0.2, 0.15, 0.05, 0.2]), np.array([1.0, 2.0, 3.0, 8.0, 5.0, 1.0])
    rankings = {"posterior": [], "law": law, "law by weight": law / weights, "weight": weights}
    hits, expected = Counter(), 0.0
    for _ in range(4_000):
        target = rng.choice(6, p=law)
        others = [work for work in range(6) if work != target]
        beside = rng.choice(others, size=2, replace=False, p=weights[others] / weights[others].sum())
        shown = np.array([target, *beside])
        remaining = weights.sum() - weights[shown].sum()
        posterior = candidate_posterior(np.log(law[None, shown]), weights[None, shown], np.array([remaining]))[0]
        expected += posterior.max() / 4_000
        for name, scores in rankings.items():
            ranked = posterior if name == "posterior" else np.asarray(scores)[shown]
            hits[name] += int(np.argmax(ranked) == 0)
    # Two standard errors of 4,000 draws are 0.016.
    assert hits["posterior"] / 4_000 == pytest.approx(expected, abs=0.016)
    assert max(hits.values()) - hits["posterior"] < 0.016 * 4_000


@pytest.mark.parametrize("sign", [1, -1])
def test_no_rule_without_taste_beats_chance(dataset, discoveries, sign):
    items, pool = dataset.items(), CandidatePool.of(dataset)

    def mean_year(history):
        return np.mean([items[record["item_id"]]["year"] for record in history[-5:]])

    rules = {
        "popularity": lambda history, item: pool.weights.get(item, 0),
        "year": lambda history, item: items[item]["year"],
        "year closeness": lambda history, item: -abs(items[item]["year"] - mean_year(history)),
        "id": lambda history, item: int(item[1:]),
        "source id": lambda history, item: int(items[item]["source_item_id"].removeprefix("work-")),
        "id closeness": lambda history, item: -abs(int(item[1:]) - int(history[-1]["item_id"][1:])),
        "kind": lambda history, item: "season" in items[item]["description"],
        "title length": lambda history, item: len(items[item]["title"]),
        "first seen": lambda history, item: pool.first_seen[item].value / 1e9,
    }
    found = {
        name: recall(sign * np.array(per_candidate(discoveries, rule), dtype=float), discoveries)
        for name, rule in rules.items()
    }
    # 0.1 and three standard errors of at least 200 examples
    assert {name: value for name, value in found.items() if abs(value - 0.1) > 0.064} == {}


def test_counting_tags_beats_chance_and_stays_below_the_ceiling(dataset, discoveries):
    items = dataset.items()

    def shared_tags(history, item):
        watched = Counter(tag for record in history for tag in items[record["item_id"]]["tags"])
        return sum(watched[tag] for tag in items[item]["tags"])

    counted = recall(per_candidate(discoveries, shared_tags), discoveries)
    assert 0.2 < counted < recall(ceiling_scores(dataset, discoveries), discoveries) - 0.2


def test_a_work_seen_before_is_recognised(dataset):
    examples = dataset.examples("test").filter(lambda is_new: not is_new, input_columns="is_discovery")
    scores = ceiling_scores(dataset, examples)
    assert scores[np.arange(len(examples)), examples["target_index"][:]].tolist() == [1] * len(examples)


def test_truth_is_exported_under_opaque_ids(dataset):
    records, items = dataset.truth("records"), dataset.items()
    assert {"user", "item_id"} <= set(records.columns)
    assert "user_id" not in records.columns
    assert set(records["item_id"]) <= set(items)
    assert set(records["user"]) == set(dataset.truth("tastes")["user"])
    assert set(dataset.examples("test")["user"]) <= set(records["user"])


def test_a_log_without_truth_has_no_ceiling(dataset, tmp_path):
    bare = BuiltDataset(tmp_path, dataset.report)
    with pytest.raises(InputError, match="has no true"):
        ceiling_scores(bare, dataset.examples("test"))
