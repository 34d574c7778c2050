"""Which base model an adapter names: a Hub id, never a folder of this machine."""

import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.training.runs.adapters import AdapterArguments, to_base_id


def test_a_relative_folder_is_no_hub_id(tmp_path, monkeypatch):
    (tmp_path / "models" / "base").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="base_model is the folder models/base"):
        to_base_id(AdapterArguments(base_model="models/base"))


def test_a_folder_with_a_hub_id_beside_it_is_named_by_the_id(tmp_path):
    assert to_base_id(AdapterArguments(base_model=str(tmp_path), base_model_id="org/base")) == "org/base"


def test_a_name_without_a_folder_is_a_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert to_base_id(AdapterArguments(base_model="org/base")) == "org/base"
