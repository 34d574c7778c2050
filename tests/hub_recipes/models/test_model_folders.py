import shutil

import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.models import model_folders
from logs2lang.models.model_folders import content_hash, model_folder, public_name
from logs2lang.models.packaged_model import DEFAULT_BASE_MODEL


def test_a_local_folder_is_taken_as_it_is(tiny_model_folder):
    assert model_folder(str(tiny_model_folder)) == tiny_model_folder


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_folder_with_a_part_missing_is_refused(tiny_model_folder, tmp_path, missing):
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    (folder / missing).unlink()
    with pytest.raises(InputError, match="contains no model that can be loaded"):
        model_folder(str(folder))


def test_pickled_weights_are_refused(tiny_model_folder, tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.bin").write_bytes(b"\x80\x04N.")
    with pytest.raises(InputError, match="can run code"):
        model_folder(str(tmp_path))


def cut_off(monkeypatch):
    """No Hub, and nothing of it in the cache."""

    def refuse(*args, local_files_only=False, **kwargs):
        raise model_folders.LocalEntryNotFoundError("cannot reach the Hub")

    monkeypatch.setattr(model_folders, "snapshot_download", refuse)


def test_without_a_hub_the_default_model_comes_from_its_package(monkeypatch, tiny_model_folder):
    cut_off(monkeypatch)
    monkeypatch.setattr(model_folders, "packaged_base_model", lambda: tiny_model_folder)
    assert model_folder(DEFAULT_BASE_MODEL) == tiny_model_folder


@pytest.mark.parametrize("name", ["nobody/nothing", "not a name", "no/such/folder"])
def test_without_a_hub_any_other_name_is_refused_with_the_reason(name):
    with pytest.raises(InputError, match="neither a local folder nor a model") as refused:
        model_folder(name)
    assert DEFAULT_BASE_MODEL in str(refused.value)


def test_the_hash_follows_the_weights(tiny_model_folder, tmp_path):
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    assert content_hash(folder) == content_hash(tiny_model_folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    assert content_hash(folder) != content_hash(tiny_model_folder)


@pytest.mark.parametrize("name", ["chat_template.jinja", "tokenizer.json", "generation_config.json"])
def test_the_hash_follows_whatever_decides_a_prompt_or_its_tokens(tiny_model_folder, tmp_path, name):
    folder = shutil.copytree(tiny_model_folder, tmp_path / "model")
    with (folder / name).open("a") as file:
        file.write(" ")
    assert content_hash(folder) != content_hash(tiny_model_folder)


def test_in_the_cache_of_the_hub_the_commit_is_the_hash(tmp_path):
    commit = tmp_path / "models--org--name" / "snapshots" / "abc123"
    assert content_hash(commit) == "abc123"


def test_a_folder_is_named_by_its_record_and_never_by_where_it_lies(tmp_path):
    folder = tmp_path / "adapter"
    folder.mkdir()
    assert public_name(str(folder)) == "adapter"
    (folder / "run.json").write_text('{"name": "my-verbalizer"}')
    assert public_name(str(folder)) == "my-verbalizer"


@pytest.mark.parametrize("damaged", ["{", "[]", "{}"])
def test_a_damaged_record_is_told(tmp_path, damaged):
    (tmp_path / "run.json").write_text(damaged)
    with pytest.raises(InputError, match="does not contain the name of the adapter"):
        public_name(str(tmp_path))
