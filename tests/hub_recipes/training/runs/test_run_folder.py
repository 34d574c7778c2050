"""What a run refuses to go on from: other arguments, other content behind the same names, checkpoints of others."""

import json
import shutil
from pathlib import Path

import pytest
from transformers import TrainingArguments

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.training.runs.arguments import ReasonerArguments
from logs2lang.training.runs.run_folder import INPUTS, TrainingRun
from logs2lang.training.runs.run_record import read_run, write_json


@pytest.fixture
def begun(at_training_folder, tmp_path):
    """Begins a run, as `train` does, and returns what begins it again under other arguments."""
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "train.parquet").write_bytes(b"texts")
    shutil.copytree("built", tmp_path / "built")
    named = {"dataset": str(tmp_path / "built"), "adapter": str(adapter), "texts": str(texts)}

    def begin(**others) -> TrainingRun:
        arguments = ReasonerArguments(**{**named, "minutes": 1.0, **others})
        return TrainingRun(arguments, TrainingArguments(str(tmp_path / "run"), eval_strategy="no", bf16=False))

    run = begin()
    write_json({**run.config, INPUTS: run.inputs}, run.folder / "arguments.json")
    return begin


def test_the_same_run_goes_on_and_another_is_refused(begun):
    begun(minutes=2.0)
    with pytest.raises(InputError, match="contains a run with limit = None, but now it is 3"):
        begun(limit=3)


@pytest.mark.parametrize("role", ["adapter", "texts", "dataset"])
def test_a_name_behind_which_something_else_lies_now_is_refused(begun, tmp_path, role):
    if role == "dataset":
        report = json.loads((tmp_path / "built" / "build_report.json").read_text())
        report["content_sha256"]["examples"] = "another"
        (tmp_path / "built" / "build_report.json").write_text(json.dumps(report))
    else:
        (file,) = [*(tmp_path / role).glob("*.safetensors"), *(tmp_path / role).glob("*.parquet")]
        file.write_bytes(b"trained again")
    with pytest.raises(InputError, match=f"contains a run whose {role}, .*, had different content at the time"):
        begun()


def test_checkpoints_of_another_program_are_left_alone(begun, tmp_path):
    theirs = tmp_path / "run" / "checkpoints" / "checkpoint-500"
    theirs.mkdir(parents=True)
    begun()  # ours: its arguments lie beside them
    Path(tmp_path / "run" / "arguments.json").unlink()
    with pytest.raises(InputError, match="checkpoints of a run that logs2lang did not start"):
        begun()
    assert theirs.is_dir()


@pytest.mark.parametrize("content", ["[]", "3", '{"schema_version": 99}'])
def test_a_record_that_is_none_is_one_sentence(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=r"run.json has schema_version (None|99); this release reads"):
        read_run(tmp_path)
