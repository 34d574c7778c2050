"""Language models for tests: a random one of two layers, made here, and the real default base model."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from chat_stand_in import ChatServer, serve_chat
from peft import LoraConfig, get_peft_model
from small_release import ADAPTER, DATASET, build_simulation, write_adapter
from tiny_model import save_tiny_model
from transformers import AutoModelForCausalLM

from logs2lang.commands.cli import main
from logs2lang.models.language_models import LanguageModel, load_language_model
from logs2lang.verbalizers import language_model_verbalizer
from logs2lang.verbalizers.text_cache import write_missing


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    with serve_chat() as running:
        yield running


@pytest.fixture
def run_main(monkeypatch, capsys):
    """Runs the console entry itself, since that is where errors become exit codes."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["logs2lang", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory) -> Path:
    """A random two-layer Llama with its tokenizer, as `save_pretrained` writes them."""
    folder = tmp_path_factory.mktemp("tiny-model")
    save_tiny_model(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_language_model(tiny_model_folder) -> LanguageModel:
    return load_language_model(str(tiny_model_folder), device="cpu")


@pytest.fixture
def save_adapter(tiny_model_folder) -> Callable[..., Path]:
    """Writes a LoRA adapter of the tiny model whose weights are not zero, so that it changes answers."""

    def save(folder: Path, seed: int = 1) -> Path:
        torch.manual_seed(seed)
        base = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
        adapted = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
        adapted.save_pretrained(folder)
        return folder

    return save


@pytest.fixture
def text_cache(tmp_path, monkeypatch) -> Path:
    """A place for the texts of language models that ends with the test."""
    folder = tmp_path / "texts"
    monkeypatch.setattr(language_model_verbalizer, "write_missing", partial(write_missing, folder=folder))
    return folder


@pytest.fixture(scope="session")
def base_language_model() -> LanguageModel:
    """SmolLM2-135M-Instruct itself; tests that use it are marked slow."""
    return load_language_model(device="cpu")


@pytest.fixture(scope="session")
def simulation_folder(tmp_path_factory) -> Path:
    """A built dataset that may be published."""
    return build_simulation(tmp_path_factory.mktemp("data") / DATASET)


@pytest.fixture(scope="session")
def released_adapters(tmp_path_factory, tiny_model_folder, simulation_folder) -> Path:
    """A folder like model_cards, with one adapter and its results; tests that change it copy it first."""
    root = tmp_path_factory.mktemp("adapters")
    write_adapter(root / ADAPTER, tiny_model_folder, simulation_folder)
    return root
