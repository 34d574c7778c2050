"""How sure the judge of stage 1 is, and what is refused of it."""

import pytest

from dataset_builders.input_error import InputError
from hub_recipes.reasoners.local import LocalReasoner
from hub_recipes.training.arguments import VerbalizerArguments
from hub_recipes.training.oracles import at_temperature, oracle_entry, to_oracle

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


def test_an_endpoint_has_no_temperature():
    arguments = VerbalizerArguments(oracle="m", oracle_url="http://127.0.0.1:9", oracle_temperature=2.0, dataset="d")
    with pytest.raises(InputError, match="an endpoint is asked for a pick"):
        to_oracle(arguments)


@pytest.mark.parametrize(("thinking", "told"), [(True, {}), (False, {"enable_thinking": False})])
def test_an_endpoint_is_told_whether_to_think(thinking, told):
    arguments = VerbalizerArguments(
        oracle="m", oracle_url="http://127.0.0.1:9", oracle_answer="label", oracle_thinking=thinking, dataset="d"
    )
    assert to_oracle(arguments).extra_body.get("chat_template_kwargs", {}) == told
    assert ("thinking" in oracle_entry(arguments)) is not thinking
