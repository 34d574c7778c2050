"""Reasoners that learn in seconds what can be read off the text; and what happens when training is cut short."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file
from toy_taste import ITEMS, NUM_CANDIDATES, to_examples
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.models.language_models import LanguageModel, load_language_model
from logs2lang.reasoners.local import LocalReasoner
from logs2lang.training.objectives.reasoner_objectives import ObjectiveSettings, train_objective

WEIGHTS = "adapter_model.safetensors"
EVERYBODY_LIKES_P = "p"


def with_adapter(folder: Path, rank: int = 16, dropout: float = 0.0) -> LanguageModel:
    torch.manual_seed(0)
    base = load_language_model(str(folder), device="cpu")
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=dropout, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    return LanguageModel(get_peft_model(base.model, config), base.tokenizer, base.model_id, None, "")


def arguments(folder: Path, **choices) -> TrainingArguments:
    settings = {
        "per_device_train_batch_size": 32,
        "learning_rate": 4e-3,
        "warmup_steps": 10,
        "num_train_epochs": 1,
        "save_strategy": "no",
        "logging_steps": 1,
    }
    return TrainingArguments(str(folder), report_to=[], use_cpu=True, disable_tqdm=True, **{**settings, **choices})


SETTLING = {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": {"num_decay_steps": 40}}
"""At a constant rate Recall@1 still goes up and down by a tenth at the end, and differently on each processor."""


def train(model: LanguageModel, settings: ObjectiveSettings, args: TrainingArguments, count: int = 32, **choices):
    examples, texts = to_examples(count, seed=1)
    return train_objective(model, examples, texts, ITEMS, settings, args, **choices)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "answer", "steps", "choices"),
    [
        ("sft", "label", 80, {}),
        ("exact", "label", 110, {"beta": 0.001}),
        ("sft", "title", 180, {}),
        ("exact", "title", 180, {"scale_rewards": "none"}),
        ("history_lm", "title", 140, {"questions": 2}),
    ],
)
def test_what_can_be_read_off_the_text_is_learned(tiny_model_folder, tmp_path, method, answer, steps, choices):
    model = with_adapter(tiny_model_folder)
    before = {name: weights.clone() for name, weights in model.model.named_parameters()}
    # To bind a letter to a title and a title to a user at once would take minutes, so labels are asked of one taste.
    tastes = {"liked": EVERYBODY_LIKES_P} if answer == "label" else {"records": 5 if method == "history_lm" else 2}
    batch = 16 if method == "history_lm" else 32
    examples, texts = to_examples(batch * steps, seed=1, **tastes)
    held_out, their_texts = to_examples(200, seed=2, **tastes)
    trainer = train_objective(
        model,
        examples,
        texts,
        ITEMS,
        ObjectiveSettings(method, answer, **choices),
        arguments(tmp_path, per_device_train_batch_size=batch, **SETTLING),
        held_out,
        their_texts,
    )
    assert trainer.evaluate()["eval_recall@1"] > 0.9
    moved = {name for name, weights in model.model.named_parameters() if not torch.equal(weights, before[name])}
    assert moved == {name for name in before if ".lora_" in name}


def test_the_log_tells_how_training_goes(tiny_model_folder, tmp_path):
    examples, texts = to_examples(8, seed=2)
    log = {}
    for method in ("sft", "exact"):
        trainer = train(
            with_adapter(tiny_model_folder),
            ObjectiveSettings(method, max_length=220, beta=0.1),
            arguments(tmp_path, max_steps=1, eval_strategy="steps", eval_steps=1),
            eval_examples=examples,
            eval_texts=texts,
        )
        log[method] = {name for entry in trainer.state.log_history for name in entry}
    shared = {"loss", "recall@1", "entropy", "cut_contexts", "eval_recall@1", "grad_norm", "learning_rate"}
    assert shared <= log["sft"]
    assert shared | {"kl", "reward"} <= log["exact"]


@pytest.mark.parametrize("method", ["sft", "exact"])
def test_a_temperature_makes_the_policy_less_sure(tiny_model_folder, tmp_path, method):
    entropies = {}
    for temperature in (1.0, 1e6):
        settings = ObjectiveSettings(method, "title", temperature=temperature)
        trainer = train(with_adapter(tiny_model_folder), settings, arguments(tmp_path, max_steps=1))
        entropies[temperature] = trainer.state.log_history[0]["entropy"]
    assert entropies[1.0] < entropies[1e6] == pytest.approx(math.log(NUM_CANDIDATES), abs=1e-3)


@pytest.mark.parametrize("answer", ["label", "title", "tags"])
def test_recall_is_that_of_the_reasoner_as_it_will_be_used(tiny_model_folder, tmp_path, answer):
    model = with_adapter(tiny_model_folder)
    examples, texts = to_examples(40, seed=2)
    args = arguments(tmp_path, max_steps=2)
    trainer = train(model, ObjectiveSettings("sft", answer), args, eval_examples=examples, eval_texts=texts)
    shown = [[ITEMS[candidate["item_id"]] for candidate in row] for row in examples["candidates"]]
    picks = [ranking.pick for ranking in LocalReasoner(model, answer).rank(texts, shown)]
    hits = sum(pick == target for pick, target in zip(picks, examples["target"], strict=True))
    assert trainer.evaluate()["eval_recall@1"] == hits / 40


class _Kill(TrainerCallback):
    """Ends a run like a kill would: no step after this one, no last words."""

    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args, state, control, **rest):
        if state.global_step == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("settings", "killed_at"),
    [
        (ObjectiveSettings("sft", "label"), 3),
        (ObjectiveSettings("exact", "title", beta=0.1, reference="start"), 5),  # in the middle of the second epoch
        (ObjectiveSettings("history_lm", "title", questions=2), 5),
    ],
)
def test_a_run_that_was_killed_ends_like_one_that_was_not(tiny_model_folder, tmp_path, settings, killed_at):
    choices = {"max_steps": 6, "save_strategy": "steps", "save_steps": 1, "per_device_train_batch_size": 4}
    final = []
    for run, callbacks in (("whole", []), ("killed", [_Kill(killed_at + 1)]), ("killed", [])):
        args = arguments(tmp_path / run, **choices)
        model = with_adapter(tiny_model_folder, dropout=0.1)
        resume = get_last_checkpoint(args.output_dir) if Path(args.output_dir).exists() else None
        try:
            train(model, settings, args, count=16, callbacks=callbacks, resume_from_checkpoint=resume)
        except KeyboardInterrupt:
            assert Path(get_last_checkpoint(args.output_dir)).name == f"checkpoint-{killed_at}"
            continue
        final.append(load_file(tmp_path / run / "checkpoint-6" / WEIGHTS))
    assert final[0].keys() == final[1].keys()
    assert all(torch.equal(weights, final[1][name]) for name, weights in final[0].items())


def test_the_learned_adapter_is_resumed_where_transformers_loads_only_the_reference(
    tiny_model_folder, tmp_path, monkeypatch
):
    settings = ObjectiveSettings("exact", "title", beta=0.1, reference="start")
    choices = {"save_strategy": "steps", "save_steps": 1, "per_device_train_batch_size": 4, "learning_rate": 1e-2}
    train(with_adapter(tiny_model_folder), settings, arguments(tmp_path, max_steps=2, **choices), count=16)
    last = get_last_checkpoint(str(tmp_path))
    monkeypatch.setattr(Trainer, "_load_from_checkpoint", lambda self, folder, model=None: None)  # before 5.21
    begun = {}

    class Look(TrainerCallback):
        def on_train_begin(self, args, state, control, model=None, **rest):
            begun.update({name: weights.clone() for name, weights in get_peft_model_state_dict(model).items()})

    args = arguments(tmp_path, max_steps=3, **choices)
    train(with_adapter(tiny_model_folder), settings, args, count=16, callbacks=[Look()], resume_from_checkpoint=last)
    saved = load_file(Path(last) / WEIGHTS)
    assert begun.keys() == saved.keys()
    assert all(torch.equal(weights, saved[name]) for name, weights in begun.items())


def test_only_the_adapter_is_saved(tiny_model_folder, tmp_path):
    settings = ObjectiveSettings("exact", beta=0.1, reference="start")
    trainer = train(with_adapter(tiny_model_folder, rank=2), settings, arguments(tmp_path, max_steps=1))
    trainer.save_model(str(tmp_path / "final"))
    assert all(".lora_" in name for name in load_file(tmp_path / "final" / WEIGHTS))
    assert not [path for path in (tmp_path / "final").iterdir() if path.is_dir()]  # no second adapter beside it


def test_a_loss_that_is_no_number_stops_training_and_leaves_the_last_checkpoint(tiny_model_folder, tmp_path):
    class Break(TrainerCallback):
        def on_step_begin(self, args, state, control, model=None, **rest):
            if state.global_step == 2:
                next(weights for weights in model.parameters() if weights.requires_grad).data.fill_(float("nan"))

    args = arguments(tmp_path, max_steps=4, save_strategy="steps", save_steps=1, per_device_train_batch_size=4)
    with pytest.raises(InputError, match="loss became infinite or NaN"):
        train(with_adapter(tiny_model_folder), ObjectiveSettings("sft"), args, callbacks=[Break()])
    assert all(weights.isfinite().all() for weights in load_file(tmp_path / "checkpoint-2" / WEIGHTS).values())


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"method": "dpo"}, "choose one of history_lm, sft, exact"),
        ({"method": "sft", "answer": "generate"}, "choose one of label, title, tags"),
        ({"method": "history_lm", "answer": "label"}, "Set answer: title"),
        ({"method": "exact", "beta": -1.0}, "at least 0"),
        ({"method": "sft", "max_length": 0}, "at least 1"),
        ({"method": "exact", "temperature": 0.0}, "more than 0"),
        ({"method": "exact", "temperature": math.nan}, "more than 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(choices, message):
    with pytest.raises(InputError, match=message):
        ObjectiveSettings(**choices)


TWO_PROCESSES = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]).parents[2] / "benchmarks")]
from logs2lang.training.objectives.reasoner_objectives import ObjectiveSettings
from test_reasoner_objectives import ITEMS, arguments, to_examples, train, with_adapter

held_out, texts = to_examples(9, seed=2)
# Plain steps along the gradient: Adam would take full steps along what is only rounding.
steps = {"max_steps": 2, "optim": "sgd", "learning_rate": 0.1, "warmup_steps": 0, "max_grad_norm": 0.0}
args = arguments(Path(sys.argv[3]), per_device_train_batch_size=int(sys.argv[4]), **steps)
settings = ObjectiveSettings("exact", "title", beta=0.1)
model = with_adapter(Path(sys.argv[2]))
trainer = train(model, settings, args, count=16, eval_examples=held_out, eval_texts=texts)
trainer.save_model()
Path(sys.argv[3], f"recall-{args.process_index}").write_text(str(trainer.evaluate()["eval_recall@1"]))
"""


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tiny_model_folder, on_two_processors, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(TWO_PROCESSES)
    for start, batch in (([sys.executable], 8), (on_two_processors, 4)):
        folder = tmp_path / str(8 // batch)
        command = [*start, script, Path(__file__).parent, tiny_model_folder, folder, batch]
        ran = subprocess.run([str(word) for word in command], capture_output=True, timeout=300, text=True)
        assert ran.returncode == 0, ran.stderr
    one, two = (load_file(tmp_path / processes / WEIGHTS) for processes in ("1", "2"))
    start = get_peft_model_state_dict(with_adapter(tiny_model_folder).model)
    moved, apart = (
        max((weights[name] - other[name]).abs().max() for name in one) for weights, other in ((one, start), (one, two))
    )
    assert apart < 1e-3 * moved
    recalls = {path.read_text() for path in tmp_path.glob("*/recall-*")}
    assert len(list(tmp_path.glob("*/recall-*"))) == 3
    assert len(recalls) == 1
