"""The four methods of stage 2 on a random model, and what they refuse."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import EXAMPLE_ID
from logs2lang.model_cards.render import Home, render_adapter_card
from logs2lang.reasoners.local import LocalReasoner
from logs2lang.reasoners.questions import question
from logs2lang.train_reasoner import main
from logs2lang.training.grpo.oracles import oracle_entry
from logs2lang.training.runs.arguments import VerbalizerArguments
from logs2lang.training.runs.run_record import read_run
from logs2lang.training.runs.texts import to_writer
from logs2lang.verbalizers.decision_rules import RuleDecisions

from .conftest import BASE_ID

pytestmark = pytest.mark.slow


def words(output: str, **others) -> list[str]:
    choices = {
        "base_model": BASE_ID,
        "base_model_id": BASE_ID,
        "dataset": "built",
        "output_dir": output,
        "history_length": 3,
        "validation_limit": 4,
        "per_device_train_batch_size": 4,
        "max_steps": 4,
        "save_steps": 1,
        "logging_steps": 1,
        "learning_rate": 1e-3,
        "use_cpu": True,
        **others,
    }
    return [word for name, value in choices.items() for word in (f"--{name}", *str(value).split())]


def weights(folder: str) -> dict[str, torch.Tensor]:
    return load_file(Path(folder) / "adapter" / "adapter_model.safetensors")


METHODS = {
    "exact": {"method": "exact", "answer": "label", "beta": 0.1},
    "sft": {"method": "sft", "answer": "title", "temperature": 3.0, "subtract_prior": False},
    "history_lm": {"method": "history_lm", "answer": "title"},
    "grpo": {"method": "grpo", "num_generations": 4, "max_completion_length": 4, "validation_limit": 0},
}


@pytest.mark.parametrize("method", METHODS)
def test_a_method_trains_records_and_answers(method, at_training_folder):
    assert main(words(method, **METHODS[method])) == 0
    run = json.loads(Path(method, "adapter", "run.json").read_text())
    assert (run["role"], run["method"], run["steps"]) == ("reasoner", method, 4)
    assert any(weight.abs().max() > 0 for name, weight in weights(method).items() if "lora_B" in name)
    items = list(BuiltDataset.open("built").items().values())[:3]
    answer = {"grpo": "generate", "exact": "label"}.get(method, "title")
    assert run["answer"] == answer
    reasoner = LocalReasoner.from_pretrained(f"{method}/adapter", device="cpu")
    as_trained = (reasoner.answer, reasoner.temperature, reasoner.subtract_prior)
    assert as_trained == (answer, *((3.0, False) if method == "sft" else (1.0, True)))
    (ranking,) = reasoner.rank(["x"], [items])
    assert ranking is None or ranking.pick in {item["item_id"] for item in items}
    assert oracle_entry(VerbalizerArguments(oracle=f"{method}/adapter"))["answer"] == answer


@pytest.mark.parametrize("choices", [{}, {"temperature": 3.0, "subtract_prior": False}], ids=["prior", "no prior"])
def test_the_card_of_a_title_reasoner_ranks_without_this_package(choices, at_training_folder, capsys):
    """A stranger with plain transformers gets from the card the probabilities that the tables are made of."""
    output = f"titles-{len(choices)}"
    assert main(words(output, method="sft", answer="title", max_steps=1, validation_limit=0, **choices)) == 0
    run = {**read_run(Path(output, "adapter")), "base_model": BASE_ID}
    report = BuiltDataset.open("built").report
    card = render_adapter_card(run, report, None, Home(f"{output}/adapter", "built", "discovery_recall"))
    ours, plain = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert "logs2lang" not in plain
    assert question("title") in card
    capsys.readouterr()
    exec(plain, {})
    probabilities = json.loads(capsys.readouterr().out)
    exec(ours, {})
    assert sorted(probabilities, reverse=True) == pytest.approx(json.loads(capsys.readouterr().out), abs=1e-5)


@pytest.mark.parametrize("method", ["exact", "history_lm", "grpo"])
def test_pieces_end_with_the_same_weights(method, at_training_folder):
    assert main(words(f"{method}-whole", **METHODS[method])) == 0
    codes = [main(words(f"{method}-pieces", **METHODS[method], minutes=0)) for _ in range(4)]
    assert codes == [75, 75, 75, 0]
    whole, pieces = weights(f"{method}-whole"), weights(f"{method}-pieces")
    assert all(torch.equal(whole[name], pieces[name]) for name in whole)


def test_candidates_come_in_another_order_each_time(at_training_folder, tiny_language_model):
    from logs2lang.training.objectives.prompt_rows import to_reasoner_rows

    dataset = BuiltDataset.open("built")
    examples = dataset.examples("train").select(range(5))
    rows = to_reasoner_rows(examples, ["text"] * 5, dataset.items(), tiny_language_model, shuffles=3, seed=0)
    orders = [[candidate["item_id"] for candidate in row["candidates"]] for row in rows]
    of_first = [orders[place] for place in (0, 5, 10)]
    assert len({tuple(order) for order in of_first}) == 3
    assert len({frozenset(order) for order in of_first}) == 1
    again = to_reasoner_rows(examples, ["text"] * 5, dataset.items(), tiny_language_model, shuffles=3, seed=0)
    assert again[:] == rows[:]


def test_texts_of_a_frozen_verbalizer_are_read_by_example(at_training_folder):
    examples = BuiltDataset.open("built").examples("train")
    Path("texts").mkdir(exist_ok=True)
    frame = pd.DataFrame({EXAMPLE_ID: examples[EXAMPLE_ID][:], "text": "likes films"})
    frame.to_parquet("texts/train.parquet")
    chosen = {"texts": "texts", "verbalizer": "rewrite", "validation_limit": 0}
    assert main(words("from-texts", **METHODS["exact"] | chosen)) == 0
    frame.iloc[:3].to_parquet("texts/train.parquet")
    with pytest.raises(InputError, match="has no text for"):
        main(words("from-few-texts", **METHODS["exact"] | chosen))


def test_texts_of_other_histories_are_not_trained_on(at_training_folder, run_main, tiny_model_folder):
    words_of = ("verbalize", "built", "--split", "train", "--model", tiny_model_folder, "-o", "longer/train.parquet")
    assert run_main(*words_of, "--history-length", 4)[0] == 0
    chosen = {"texts": "longer", "verbalizer": "template", "validation_limit": 0}
    with pytest.raises(InputError, match="the newest 4 records of each history, and the newest 3 records"):
        main(words("from-longer-texts", **METHODS["exact"] | chosen))
    assert main(words("from-longer-texts", **METHODS["exact"] | chosen | {"history_length": 4})) == 0


def test_action_without_an_adapter_is_drawn_at_random(training_folder):
    dataset = BuiltDataset.open(str(training_folder / "built"))
    histories = dataset.examples("train")["history"][:3]
    texts = to_writer("action", dataset).verbalize(histories)
    assert texts == RuleDecisions(dataset.items(), successors=dataset.successors()).verbalize(histories)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"texts": "nowhere"}, "cannot be read as verbalizations"),
        ({"verbalizer": "poem"}, "There is no verbalizer 'poem'"),
        ({"adapter": "elsewhere/adapter"}, "elsewhere/adapter"),
        ({"limit": 0}, "limit"),
        ({"method": "history_lm", "answer": "label"}, "answer: title"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_trained_is_one_sentence(others, message, at_training_folder):
    with pytest.raises(InputError, match=message):
        main(words("refused", **METHODS["exact"] | others))


BEST = {
    "load_best_model_at_end": True,
    "eval_strategy": "steps",
    "eval_steps": 1,
    "metric_for_best_model": "recall@1",
    "greater_is_better": True,
    "save_total_limit": 2,
}


@pytest.fixture
def best_at_the_second_step(monkeypatch):
    """Validation hits are 0.1, 0.9, 0.2, 0.3 and so on, whatever the model answers."""
    hits = iter([0.1, 0.9, 0.2, 0.3, 0.4])
    monkeypatch.setattr(
        "logs2lang.training.objectives.reasoner_objectives.RecallEvaluation.measure",
        lambda *_: {"recall@1": next(hits)},
    )


def test_the_best_weights_are_kept_where_they_are_asked_for(at_training_folder, best_at_the_second_step):
    assert main(words("best", **BEST)) == 0
    adapter = weights("best")
    kept = load_file("best/checkpoints/checkpoint-2/adapter_model.safetensors")
    last = load_file("best/checkpoints/checkpoint-4/adapter_model.safetensors")
    assert all(torch.equal(adapter[name], kept[name]) for name in kept)
    assert any(not torch.equal(adapter[name], last[name]) for name in last)
    run = json.loads(Path("best/adapter/run.json").read_text())
    assert (run["best_step"], run["metrics"]["eval_recall@1"]) == (2, 0.9)


def test_the_best_weights_are_found_again_in_pieces(at_training_folder, best_at_the_second_step):
    assert [main(words("best_pieces", **BEST, minutes=0)) for _ in range(4)] == [75, 75, 75, 0]
    kept = load_file("best_pieces/checkpoints/checkpoint-2/adapter_model.safetensors")
    assert all(torch.equal(weights("best_pieces")[name], kept[name]) for name in kept)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"metric_for_best_model": "loss"}, "metric_for_best_model is 'loss'.*recall@1"),
        ({"validation_limit": 0}, "nothing to evaluate on"),
        ({"save_steps": 2}, "eval_steps 1 and save_steps 2"),
    ],
    ids=["a measure that is none", "no validation examples", "a best step without a checkpoint"],
)
def test_a_best_step_that_cannot_be_found_is_refused(others, message, at_training_folder, tmp_path):
    with pytest.raises(InputError, match=message):
        main(words(str(tmp_path / "run"), **{**BEST, **others}))
