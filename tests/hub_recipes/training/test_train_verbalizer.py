"""Both methods of stage 1 on a random model: what moves, what is written, and what a kill leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from math import log
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.models.language_models import load_language_model
from logs2lang.train_verbalizer import main
from logs2lang.training.runs.adapters import restrict_vocabulary
from logs2lang.verbalizers.action import DecisionGrammar, decision_token_ids

from .conftest import BASE_ID, grpo_words

pytestmark = pytest.mark.slow


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter" / "adapter_model.safetensors")


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def whole_run(training_folder) -> Path:
    """A run that nobody interrupted."""
    before = Path.cwd()
    os.chdir(training_folder)
    assert main(grpo_words("whole")) == 0
    os.chdir(before)
    return training_folder / "whole"


def test_the_adapter_moved(whole_run):
    assert any(weight.abs().max() > 0 for name, weight in weights(whole_run).items() if "lora_B" in name)


def test_the_file_holds_weights_in_bfloat16_where_that_is_asked_for(whole_run, training_folder, monkeypatch):
    monkeypatch.chdir(training_folder)
    assert main(grpo_words("rounded", adapter_dtype="bfloat16")) == 0
    whole = weights(whole_run)
    assert {weight.dtype for weight in whole.values()} == {torch.float32}
    assert_same(weights(training_folder / "rounded"), {name: one.to(torch.bfloat16) for name, one in whole.items()})


def test_the_folder_is_a_repository_of_an_adapter(whole_run):
    names = {path.name for path in (whole_run / "adapter").iterdir()}
    assert names == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "verbalizer_config.json",
        "run.json",
        "curves.svg",
    }
    config = json.loads((whole_run / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == BASE_ID


def test_the_record_says_what_was_done_and_no_path(whole_run, training_folder):
    text = (whole_run / "adapter" / "run.json").read_text()
    run = json.loads(text)
    assert (run["role"], run["method"], run["steps"]) == ("verbalizer", "grpo", 4)
    assert [row["step"] for row in run["history"]] == [1, 2, 3, 4]
    assert {"reward", "oracle/hit_rate", "oracle/equal_groups", "length/compression", "kl"} <= set(run["history"][0])
    assert run["config"]["reward_weights"] == [0.9, 0.1]
    # This oracle was never taught, so there is but one half to count on.
    assert run["oracle"]["template_hits"].keys() == {"verbalizer_users"}
    assert run["dataset"]["name"] == "tabular"
    assert str(training_folder) not in text


def test_it_loads_in_three_ways_to_the_last_bit(whole_run, at_training_folder):
    folder = whole_run / "adapter"
    ours = load_language_model(str(folder), device="cpu")
    ids = torch.tensor([ours.prompt_ids([{"role": "user", "content": "Who is it?"}])])
    base = AutoModelForCausalLM.from_pretrained(BASE_ID)
    plain = base(ids).logits
    with torch.inference_mode():
        outputs = [
            model.eval()(ids).logits
            for model in (
                ours.model,
                AutoPeftModelForCausalLM.from_pretrained(folder),
                PeftModel.from_pretrained(base, folder),
            )
        ]
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])
    assert not torch.equal(outputs[0], plain)


def test_two_adapters_sit_on_one_base(whole_run, at_training_folder):
    base = AutoModelForCausalLM.from_pretrained(BASE_ID)
    ids = torch.tensor([[5, 6, 7]])
    plain = base(ids).logits.detach()
    model = PeftModel.from_pretrained(base, whole_run / "adapter", adapter_name="verbalizer")
    model.load_adapter(whole_run / "checkpoints" / "checkpoint-3", adapter_name="reasoner")
    outputs = {}
    for name in ("verbalizer", "reasoner"):
        model.set_adapter(name)
        outputs[name] = model.eval()(ids).logits.detach()
    assert not torch.equal(outputs["verbalizer"], outputs["reasoner"])
    with model.disable_adapter():
        assert torch.equal(model(ids).logits, plain)


def test_a_killed_run_ends_with_the_same_weights(whole_run, at_training_folder):
    command = [sys.executable, "-m", "logs2lang.train_verbalizer", *grpo_words("killed")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=_environment())
    checkpoints = Path("killed/checkpoints")
    deadline = time.monotonic() + 240
    while not list(checkpoints.glob("checkpoint-2")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not Path("killed/adapter").exists()
    for checkpoint in checkpoints.glob("checkpoint-*"):
        json.loads((checkpoint / "trainer_state.json").read_text())
        load_file(checkpoint / "adapter_model.safetensors")
    assert main(grpo_words("killed")) == 0
    assert_same(weights(Path("killed")), weights(whole_run))


def test_a_run_in_pieces_ends_with_the_same_weights(whole_run, at_training_folder):
    """Each piece is stopped after its first step, as a time limit of nothing asks for."""
    codes = [main(grpo_words("pieces", minutes=0)) for _ in range(4)]
    assert codes == [75, 75, 75, 0]
    assert_same(weights(Path("pieces")), weights(whole_run))
    run = json.loads(Path("pieces/adapter/run.json").read_text())
    assert [row["step"] for row in run["history"]] == [1, 2, 3, 4]


def test_two_processes_train_together(on_two_processors, at_training_folder):
    words = grpo_words("two", per_device_train_batch_size=2, max_steps=2)
    launched = [*on_two_processors, "-m", "logs2lang.train_verbalizer", *words]
    ran = subprocess.run(launched, env=_environment(), timeout=300, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    run = json.loads(Path("two/adapter/run.json").read_text())
    assert (run["steps"], run["machine"]["processes"]) == (2, 2)
    # Each process holds half a group of four: had rewards not been gathered, no group would have a deviation to log.
    assert all(row["frac_reward_zero_std"] == 0 for row in run["history"])


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def test_a_warm_start_teaches_profiles_and_grpo_goes_on_from_it(at_training_folder):
    words = [
        "--method",
        "sft",
        "--base_model",
        BASE_ID,
        "--base_model_id",
        BASE_ID,
        "--dataset",
        "built",
        "--history_length",
        "3",
    ]
    steps = [
        "--max_steps",
        "3",
        "--per_device_train_batch_size",
        "2",
        "--learning_rate",
        "1e-2",
        "--logging_steps",
        "1",
    ]
    assert main([*words, *steps, "--use_cpu", "True", "--validation_limit", "2", "--output_dir", "warm"]) == 0
    losses = [row["loss"] for row in json.loads(Path("warm/adapter/run.json").read_text())["history"]]
    assert losses[-1] < losses[0]
    assert main(grpo_words("after", adapter="warm/adapter", max_steps=1)) == 0
    run = json.loads(Path("after/adapter/run.json").read_text())
    assert run["parent"]["name"] == "tiny-tabular-verbalizer-rewrite"
    assert run["history"][0]["kl"] == 0  # held near the warm start, where it still is
    moved = [not torch.equal(weights(Path("after"))[name], weight) for name, weight in weights(Path("warm")).items()]
    assert any(moved)


def test_an_action_verbalizer_trains(at_training_folder):
    assert main(grpo_words("action", verbalizer="action", max_steps=2)) == 0
    run = json.loads(Path("action/adapter/run.json").read_text())
    assert run["verbalizer"] == "action"
    # The softmax that is learned from holds nothing but decisions, so their number bounds its entropy.
    decisions = decision_token_ids(AutoTokenizer.from_pretrained(BASE_ID))
    assert all(0 < row["entropy"] <= log(len(decisions)) for row in run["history"])
    room = 3 * DecisionGrammar.of(AutoTokenizer.from_pretrained(BASE_ID)).tokens_per_record
    assert {row["completions/mean_length"] for row in run["history"]} == {room}


@pytest.mark.parametrize("own_bias", [False, True], ids=["without a bias", "with its own bias"])
def test_what_is_not_allowed_is_never_written_and_has_no_share(own_bias, at_training_folder):
    policy = load_language_model(BASE_ID, device="cpu")
    head = policy.model.get_output_embeddings()
    if own_bias:
        head.bias = torch.nn.Parameter(torch.linspace(0, 1, head.out_features))
    ids = torch.tensor([[5, 6, 7]])
    before = policy.model(ids).logits[0, -1]
    restrict_vocabulary(policy.model, [8, 9])
    after = policy.model(ids).logits[0, -1]
    assert torch.equal(after[[8, 9]], before[[8, 9]])
    assert torch.nonzero(after.softmax(-1)).flatten().tolist() == [8, 9]
    written = policy.model.generate(ids, do_sample=True, max_new_tokens=20)[0, 3:].tolist()
    assert len(written) == 20
    assert set(written) <= {8, 9}
    assert not any("bias" in name for name in policy.model.state_dict() if "head" in name)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"dataset": "nowhere"}, "neither a local folder nor a dataset"),
        ({"oracle": "org/none"}, "org/none is neither a local folder nor a model"),
        ({"base_model": "./org/tiny", "base_model_id": None}, "base_model_id"),
        ({"reward_weights": "1.0"}, "reward_weights has 1 numbers"),
        ({"per_device_train_batch_size": 4_000}, "A step takes 1000 prompts"),
        ({"num_generations": 3}, "cannot be used together"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"bf16": True}, "bf16 is on but there is no accelerator"),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else "",
)
def test_what_cannot_be_trained_is_one_sentence(others, message, at_training_folder):
    with pytest.raises(InputError, match=message):
        main(grpo_words("refused", **others))


def test_a_loss_that_is_no_number_stops_with_the_last_checkpoint_whole(at_training_folder):
    warm_up = {"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 2}  # the first step learns nothing
    with pytest.raises(InputError, match="At step 2 the adapter's weights became infinite or NaN"):
        main(grpo_words("nan", learning_rate=1e40, max_grad_norm=0, **warm_up))
    assert [path.name for path in Path("nan/checkpoints").glob("*checkpoint*")] == ["checkpoint-1"]
    with pytest.raises(InputError, match="At step 2 the probabilities became infinite or NaN"):
        main(grpo_words("huge", learning_rate=1e38, max_grad_norm=0, **warm_up))


def test_a_run_goes_on_with_its_own_arguments_alone(whole_run, at_training_folder):
    with pytest.raises(InputError, match=r"learning_rate.*0\.001.*0\.002.*new --output_dir"):
        main(grpo_words("whole", learning_rate=2e-3))


def test_a_disk_that_fills_leaves_the_last_checkpoint(at_training_folder, monkeypatch):
    def full(self, output_dir):
        if output_dir.endswith("checkpoint-3"):
            raise RuntimeError("[enforce fail at inline_container.cc:800] unexpected pos 64 vs 0")
        return save(self, output_dir)

    from transformers import Trainer

    save = Trainer._save_optimizer_and_scheduler
    monkeypatch.setattr(Trainer, "_save_optimizer_and_scheduler", full)
    with pytest.raises(InputError, match="could not be written"):
        main(grpo_words("full"))
    assert sorted(path.name for path in Path("full/checkpoints").glob("*checkpoint*")) == [
        "checkpoint-1",
        "checkpoint-2",
    ]
