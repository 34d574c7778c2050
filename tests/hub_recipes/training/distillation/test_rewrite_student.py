"""A rewrite verbalizer teaches a smaller one: two steps on random models, on-policy and on texts."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.models.language_models import load_language_model
from logs2lang.train_verbalizer import main
from logs2lang.training.distillation.rewrite_student import open_teacher_model
from logs2lang.verbalizers.rewrite import RewriteVerbalizer

BASE_ID = "org/tiny"
TWO_STEPS = """# Two steps of a random model.
verbalizer: rewrite
base_model: org/tiny
base_model_id: org/tiny
history_length: 2
record_tokens: 200
max_verbalization_tokens: 6
validation_limit: 0
limit: 4
lora_r: 4
learning_rate: 0.01
per_device_train_batch_size: 2
max_steps: 2
save_steps: 1
logging_steps: 1
use_cpu: true
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def rewrite_teacher(save_adapter, tmp_path) -> Path:
    folder = save_adapter(tmp_path / "teacher", seed=3)
    RewriteVerbalizer({}, history_length=2, max_new_tokens=6, record_tokens=200).save_config(folder)
    return folder


@pytest.fixture
def recipe(at_training_folder, tmp_path):
    """Writes a recipe of one method; base model and dataset are found from the folder of the training."""

    def write(method: str) -> Path:
        path = tmp_path / f"{method}.yaml"
        path.write_text(f"{TWO_STEPS}method: {method}\n")
        return path

    return write


def assert_learned(folder: Path, method: str) -> None:
    weights = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert any(weight.abs().max() > 0 for name, weight in weights.items() if "lora_B" in name)
    run = json.loads((folder / "adapter" / "run.json").read_text())
    assert (run["method"], run["steps"], run["teacher"]["name"]) == (method, 2, "teacher")
    assert all(row["loss"] > 0 for row in run["history"])


def test_a_smaller_model_learns_on_its_own_texts(run_main, rewrite_teacher, recipe, tmp_path):
    words = (
        "distill",
        rewrite_teacher,
        "--dataset",
        "built",
        "--output",
        tmp_path / "run",
        "--recipe",
        recipe("distill"),
    )
    code, _, err = run_main(*words)
    assert code == 0, err
    assert_learned(tmp_path / "run", "distill")
    dataset = BuiltDataset.open("built")
    student = RewriteVerbalizer.from_pretrained(str(tmp_path / "run" / "adapter"), dataset.items())
    assert (student.history_length, student.max_new_tokens) == (2, 6)
    # The same command once more finds the run done, and resumes it without a further step.
    before = (tmp_path / "run" / "adapter" / "adapter_model.safetensors").read_bytes()
    assert run_main(*words)[0] == 0
    assert (tmp_path / "run" / "adapter" / "adapter_model.safetensors").read_bytes() == before


def test_the_baseline_learns_the_texts_of_the_teacher(rewrite_teacher, recipe, tmp_path, text_cache, monkeypatch):
    taught: list[str] = []
    written = RewriteVerbalizer.write

    def write(self, *args, **kwargs):
        writings = written(self, *args, **kwargs)
        taught.extend(one.completion for one in writings)
        return writings

    monkeypatch.setattr(RewriteVerbalizer, "write", write)
    words = ["--config", str(recipe("sft")), "--teacher", str(rewrite_teacher), "--dataset", "built"]
    assert main([*words, "--output_dir", str(tmp_path / "run")]) == 0
    assert len(taught) == 4
    assert_learned(tmp_path / "run", "sft")


def test_the_teacher_is_merged_and_frozen(rewrite_teacher, tiny_language_model, tiny_model_folder):
    teacher = open_teacher_model(str(rewrite_teacher), tiny_language_model)
    ids = torch.tensor([tiny_language_model.prompt_ids([{"role": "user", "content": "Who is it?"}])])
    with torch.inference_mode():
        merged, adapted, base = (
            model.eval()(ids).logits
            for model in (
                teacher,
                load_language_model(str(rewrite_teacher), device="cpu").model,
                AutoModelForCausalLM.from_pretrained(tiny_model_folder),
            )
        )
    assert torch.allclose(merged, adapted, atol=1e-4)
    assert not torch.allclose(merged, base, atol=1e-2)
    assert not any(weight.requires_grad for weight in teacher.parameters())


def test_another_vocabulary_or_no_teacher_is_refused(tiny_language_model, rewrite_teacher, monkeypatch):
    with pytest.raises(InputError, match="needs --teacher"):
        open_teacher_model(None, tiny_language_model)
    other = load_language_model(str(rewrite_teacher), device="cpu")
    other.tokenizer.add_tokens(["<one more>"])
    with pytest.raises(InputError, match=r"has another vocabulary than .*Choose a base model of the same family"):
        open_teacher_model(str(rewrite_teacher), other)


def test_an_action_verbalizer_is_not_distilled_by_recipe(teacher_folder, recipe, tmp_path):
    words = ["--config", str(recipe("distill")), "--teacher", str(teacher_folder), "--verbalizer", "action"]
    with pytest.raises(InputError, match="method distill is for rewrite"):
        main([*words, "--dataset", "built", "--output_dir", str(tmp_path / "run")])


def test_a_student_of_an_action_verbalizer_has_no_base_model(run_main, teacher_folder, tmp_path, at_training_folder):
    words = ("distill", teacher_folder, "--dataset", "built", "--output", tmp_path / "run", "--base-model", BASE_ID)
    code, _, err = run_main(*words)
    assert code == 2
    assert "has no base model" in err
