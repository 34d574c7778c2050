"""One running page for all tests, with a tiny random model."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model
from transformers import LlamaForCausalLM

pytest.importorskip("gradio", reason="needs the extra `space`")

from tiny_model import save_tiny_model

from logs2lang.space.playground import app
from logs2lang.space.playground.example_users import example_films
from tests.space.conftest import free_port


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory) -> Path:
    """A random model of one layer whose window holds a log of a hundred records, byte by byte."""
    folder = tmp_path_factory.mktemp("tiny-base")
    # Words of the examples as tokens of their own, so that what it writes is mostly words, and comes word by word.
    titles = " ".join(item["title"] for item in example_films().values())
    words = [f" {word}" for word in sorted(set(titles.split()))]
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1}
    save_tiny_model(folder, words, num_hidden_layers=1, max_position_embeddings=16_384, **sizes)
    return folder


@pytest.fixture(scope="session")
def to_adapter(tiny_base, tmp_path_factory) -> Callable[..., Path]:
    """Writes a random adapter, for the tiny base or for what it says instead."""

    def make(base: str | None = None) -> Path:
        folder = tmp_path_factory.mktemp("adapter")
        model = LlamaForCausalLM.from_pretrained(tiny_base)
        lora = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
        adapted = get_peft_model(model, lora)
        adapted.peft_config["default"].base_model_name_or_path = base or str(tiny_base)
        adapted.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def served(tiny_base, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """The page on a free port: `url`, and `uploads`, the folder where Gradio puts what is sent."""
    uploads = tmp_path_factory.mktemp("uploads")
    before = os.environ.get("GRADIO_TEMP_DIR")
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    server, url, _ = app.serve(
        base_model=str(tiny_base),
        model_cards=tmp_path_factory.mktemp("no-adapters"),  # those that are released are for another base
        prevent_thread_lock=True,
        quiet=True,
        server_port=free_port(),
        inbrowser=False,
    )
    yield SimpleNamespace(url=url, uploads=uploads, server=server)
    server.get_blocks().close(verbose=False)
    if before is None:
        del os.environ["GRADIO_TEMP_DIR"]
    else:
        os.environ["GRADIO_TEMP_DIR"] = before


@pytest.fixture
def open_page(browse, served) -> Callable[..., Any]:
    """Opens the page, with a query and as wide as one likes."""
    return lambda query="", **options: browse(f"{served.url}{query}", **options)


@pytest.fixture
def page(open_page) -> Any:
    """The page as it opens."""
    opened = open_page()
    opened.wait_for_selector("article.writing")
    return opened
