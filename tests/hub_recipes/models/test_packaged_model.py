import json

import pytest
from safetensors import safe_open

from logs2lang.models.model_folders import is_complete
from logs2lang.models.packaged_model import DEFAULT_BASE_MODEL, packaged_base_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder():
    return packaged_base_model()


def test_the_package_becomes_a_plain_transformers_folder(folder):
    assert is_complete(folder)
    assert packaged_base_model() == folder
    assert not list(folder.parent.glob("tmp*"))


def test_the_config_names_the_model_and_neither_this_machine_nor_a_quantization(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config.get("_name_or_path", DEFAULT_BASE_MODEL) == DEFAULT_BASE_MODEL
    assert config.get("_model_name_or_path", DEFAULT_BASE_MODEL) == DEFAULT_BASE_MODEL
    assert "quantization_config" not in config
    assert str(folder.parent) not in (folder / "tokenizer_config.json").read_text()


def test_weights_are_float32_and_tied_ones_are_stored_once(folder):
    with safe_open(folder / "model.safetensors", "pt") as weights:
        names = set(weights.keys())
        assert weights.get_slice("model.embed_tokens.weight").get_dtype() == "F32"
    assert "lm_head.weight" not in names
