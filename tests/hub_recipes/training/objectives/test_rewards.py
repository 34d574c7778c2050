"""Rewards on hand-made completions: every number can be counted."""

import pickle
from math import log

import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.reasoners.ranking import Ranking
from logs2lang.training.objectives.rewards import AnswerReward, LengthReward, OracleReward
from logs2lang.verbalizers.rewrite import RewriteVerbalizer

ITEMS = {name: {"item_id": name, "title": f"Film {name}", "year": None, "tags": [], "series": None} for name in "tuvw"}
SHOWN = [{"item_id": name, "title": f"Film {name}"} for name in "tuvw"]


class Reader:
    """Ranks first the film whose letter ends the text; the letter x means that there is no answer."""

    probabilities = (0.7, 0.1, 0.1, 0.1)

    def rank(self, contexts, candidates, progress=None):
        return [self._rank(context[-1], shown) for context, shown in zip(contexts, candidates, strict=True)]

    def _rank(self, letter, shown):
        others = [item["item_id"] for item in shown if item["item_id"] != letter]
        return None if letter == "x" else Ranking([letter, *others], self.probabilities)


class Silent(Reader):
    """The same, without probabilities."""

    probabilities = ()


def said(*texts):
    return [[{"role": "assistant", "content": text}] for text in texts]


def batch(size, target="t", candidates=SHOWN):
    return {"history": [[]] * size, "candidates": [candidates] * size, "target": [target] * size}


def oracle_reward(kind="hit", oracle=Reader):
    return OracleReward(oracle(), RewriteVerbalizer(ITEMS), ITEMS, kind)


def test_the_oracle_rewards_hits_alone():
    rewards = oracle_reward()(said("likes t", "likes u", "x"), **batch(3), example_id=["e"] * 3)
    assert rewards == [1.0, 0.0, 0.0]


def test_a_probability_is_that_of_the_target():
    rewards = oracle_reward("probability")(said("t", "u", "x"), **batch(3), example_id=["e"] * 3)
    assert rewards == [0.7, 0.1, 0.0]


def test_an_oracle_that_is_too_sure_pays_more_for_the_better_text_by_probability_alone():
    """Two texts of four examples: one says nothing, the other is right on two of four, and the oracle sure of it."""
    says_nothing, says_much = [0.25] * 4, [0.99, 0.99, 0.0001, 0.0001]
    paid = {
        kind: [sum(reward_of(kind, probability) for probability in text) for text in (says_nothing, says_much)]
        for kind in ("probability", "log_likelihood")
    }
    assert paid["probability"][0] < paid["probability"][1]
    assert paid["log_likelihood"][0] > paid["log_likelihood"][1]


def reward_of(kind, probability):
    class Sure(Reader):
        probabilities = (probability, *[(1 - probability) / 3] * 3)

    (reward,) = oracle_reward(kind, Sure)(said("t"), **batch(1), example_id=["e"])
    return reward


def test_a_log_likelihood_is_zero_at_chance():
    rewards = oracle_reward("log_likelihood")(said("t", "u"), **batch(2), example_id=["e"] * 2)
    assert rewards == pytest.approx([log(0.7 / 0.25), log(0.1 / 0.25)])


def test_no_answer_has_the_lowest_log_likelihood():
    (reward,) = oracle_reward("log_likelihood")(said("x"), **batch(1), example_id=["e"])
    assert reward == pytest.approx(log(1e-6) + log(4))


@pytest.mark.parametrize("kind", ["probability", "log_likelihood"])
def test_what_is_dense_needs_probabilities(kind):
    with pytest.raises(InputError, match=f"no {kind} to reward.*oracle_reward: hit"):
        oracle_reward(kind, Silent)(said("t"), **batch(1), example_id=["e"])


def test_a_row_without_its_target_is_not_judged():
    rows = {"history": [[]] * 2, "candidates": [SHOWN, SHOWN], "target": ["t", "elsewhere"]}
    assert oracle_reward()(said("t", "t"), **rows, example_id=["e1", "e2"]) == [1.0, None]


@pytest.mark.parametrize("reward", [oracle_reward(), AnswerReward()], ids=["oracle", "answer"])
def test_a_batch_that_nobody_can_judge_stops_the_run(reward):
    with pytest.raises(InputError, match="None of the 2 rows"):
        reward(said("t", "u"), **batch(2, target="elsewhere"), example_id=["e"] * 2)


def test_what_is_watched_is_counted_by_group():
    watched = {}
    texts = said("t", "u", "t", "t", "x", "x")
    oracle_reward()(texts, **batch(6), example_id=["e1", "e1", "e2", "e2", "e3", "e3"], log_metric=watched.__setitem__)
    assert watched == {"oracle/hit_rate": 3 / 6, "oracle/invalid": 2 / 6, "oracle/equal_groups": 2 / 3}


def test_what_the_oracle_read_is_logged_beside_the_completion():
    columns = {}
    oracle_reward()(said(" t "), **batch(1), example_id=["e"], log_extra=columns.__setitem__)
    assert columns == {"text": ["t"], "pick": ["t"]}


def words(texts, **_):
    return {"input_ids": [text.split() for text in texts]}


def test_length_is_measured_against_the_template():
    reward = LengthReward(RewriteVerbalizer(ITEMS), words)
    watched = {}
    texts = said("one two three", "one", " ".join(["word"] * 10))
    template = ["a b c d e f g h i j"] * 3
    rewards = reward(texts, **batch(3), template_text=template, log_metric=watched.__setitem__)
    assert rewards == pytest.approx([1.0, 1 / 3, 0.0])
    assert watched["length/compression"] == pytest.approx((0.3 + 0.1 + 1.0) / 3)


def test_a_row_that_the_oracle_cannot_judge_has_no_length_either():
    rows = {"history": [[]] * 2, "candidates": [SHOWN, SHOWN], "target": ["t", "elsewhere"]}
    texts, asked = said("t", "t"), {**rows, "example_id": ["e1", "e2"], "template_text": ["a b c"] * 2}
    oracle, length = oracle_reward()(texts, **asked), LengthReward(RewriteVerbalizer(ITEMS), words)(texts, **asked)
    assert oracle == [1.0, None]
    assert length == pytest.approx([1.0, None])


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.7), (0.8, 0.7), (0.3, 1.0)])
def test_an_impossible_plateau_is_refused(low, high):
    with pytest.raises(InputError, match="expected 0 < low"):
        LengthReward(None, None, low, high)


def test_answers_count_plus_and_minus_one():
    rewards = AnswerReward()(said("A", "B", "no idea"), **batch(3), example_id=["e"] * 3)
    assert rewards == [1.0, -1.0, -1.0]


@pytest.mark.parametrize("make", [oracle_reward, AnswerReward], ids=["oracle", "answer"])
def test_rewards_come_back_from_a_pickle(make):
    reward, again = make(), pickle.loads(pickle.dumps(make()))
    row = {**batch(2), "example_id": ["e1", "e2"]}
    assert again(said("t", "A"), **row) == reward(said("t", "A"), **row)
    assert again.__name__ == reward.__name__


def test_a_reward_with_a_real_reasoner_comes_back_from_a_pickle(tiny_language_model):
    from logs2lang.reasoners.local import LocalReasoner

    reward = OracleReward(LocalReasoner(tiny_language_model), RewriteVerbalizer(ITEMS), ITEMS, "log_likelihood")
    row = {**batch(2), "example_id": ["e1", "e2"]}
    assert pickle.loads(pickle.dumps(reward))(said("t", "u"), **row) == reward(said("t", "u"), **row)
