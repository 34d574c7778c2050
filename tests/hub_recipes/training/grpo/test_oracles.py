"""How sure the judge of stage 1 is, and what is refused of it."""

import logging

import pytest
from toy_taste import ITEMS, to_examples

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import template_text
from logs2lang.reasoners.local import LocalReasoner
from logs2lang.reasoners.ranking import Ranking
from logs2lang.training.grpo.oracles import at_temperature, oracle_entry, oracle_hits, to_oracle
from logs2lang.training.runs.arguments import VerbalizerArguments
from logs2lang.training.runs.run_record import write_run
from logs2lang.training.runs.training_examples import of_users

FILMS = [
    {"item_id": title, "title": title, "year": None, "tags": [], "series": None}
    for title in ("Heat", "Fargo", "Alien")
]


def test_a_warmer_oracle_picks_the_same_and_is_less_sure(tiny_language_model):
    oracle = LocalReasoner(tiny_language_model, "title", temperature=3.0)
    (sure,), (less_sure,) = (judge.rank(["Heat"], [FILMS]) for judge in (oracle, at_temperature(oracle, 9.0)))
    assert less_sure.item_ids == sure.item_ids
    assert less_sure.probabilities[0] < sure.probabilities[0]
    assert less_sure.probabilities[-1] > sure.probabilities[-1]


@pytest.mark.parametrize(
    ("answer", "temperature"), [("label", 2.0), ("generate", 2.0), ("tags", 0.0), ("title", float("nan"))]
)
def test_a_temperature_that_means_nothing_is_refused(tiny_language_model, answer, temperature):
    with pytest.raises(
        InputError, match=f"oracle_temperature is {temperature} for an oracle that answers by {answer}"
    ):
        at_temperature(LocalReasoner(tiny_language_model, answer), temperature)


def test_the_temperature_of_a_run_reaches_its_oracle_and_its_record(save_adapter, tmp_path):
    folder = save_adapter(tmp_path / "oracle")
    arguments = VerbalizerArguments(oracle=str(folder), oracle_answer="title", oracle_temperature=9.0, dataset="d")
    assert to_oracle(arguments).temperature == 9.0
    assert oracle_entry(arguments)["temperature"] == 9.0
    arguments.oracle_temperature = None
    assert "temperature" not in oracle_entry(arguments)


@pytest.mark.parametrize(("users_from", "warns"), [(0.5, False), (0.0, True)])
def test_hits_are_counted_on_both_halves_of_the_users(users_from, warns, save_adapter, tmp_path, monkeypatch, caplog):
    """The oracle has learned from the first half of the users, and by heart: it hits there alone."""
    monkeypatch.setattr(logging.getLogger("logs2lang"), "propagate", True)
    folder = save_adapter(tmp_path / "oracle")
    write_run({"name": "oracle", "config": {"users_below": 0.5}}, folder)
    examples, _ = to_examples(60, seed=0, records=6)
    known = {template_text(row["history"]): row["target"] for row in of_users(examples, 0, 0.5)}
    arguments = VerbalizerArguments(oracle=str(folder), dataset="d", users_from=users_from, oracle_check=10)
    counts = oracle_hits(ByHeart(known), Built(examples), arguments, seed=0)
    assert counts["own_users"] == {"hits": 10, "n": 10}
    assert counts["verbalizer_users"]["n"] == 10
    assert (counts["verbalizer_users"]["hits"] > 0) is warns
    assert ("was trained on the users from 0 to 0.5 of all" in caplog.text) is warns


class ByHeart:
    """Knows the targets of the texts that it was taught, and else takes what nobody took."""

    def __init__(self, known):
        self.known = known

    def rank(self, contexts, candidates):
        return [Ranking([self.known.get(text, "unknown")]) for text in contexts]


class Built:
    def __init__(self, examples):
        self._examples = examples

    def examples(self, split):
        return self._examples

    def items(self):
        return ITEMS


def test_an_endpoint_has_no_temperature():
    arguments = VerbalizerArguments(oracle="m", oracle_url="http://127.0.0.1:9", oracle_temperature=2.0, dataset="d")
    with pytest.raises(InputError, match="an endpoint, which is asked for a pick"):
        to_oracle(arguments)


@pytest.mark.parametrize(("thinking", "told"), [(True, {}), (False, {"enable_thinking": False})])
def test_an_endpoint_is_told_whether_to_think(thinking, told):
    arguments = VerbalizerArguments(
        oracle="m", oracle_url="http://127.0.0.1:9", oracle_answer="label", oracle_thinking=thinking, dataset="d"
    )
    assert to_oracle(arguments).extra_body.get("chat_template_kwargs", {}) == told
    assert ("thinking" in oracle_entry(arguments)) is not thinking
