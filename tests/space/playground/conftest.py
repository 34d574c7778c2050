"""One running page for all tests, with a tiny random model, and one headless browser."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

pytest.importorskip("gradio", reason="needs the extra `space`")

from space.playground import app  # noqa: E402  (needs gradio)
from space.playground.example_users import invented_items  # noqa: E402
from tests.hub_recipes.conftest import byte_tokenizer  # noqa: E402

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
PATIENCE_MS = 60_000


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory) -> Path:
    """A random model of one layer whose window holds a log of a hundred records, byte by byte."""
    folder = tmp_path_factory.mktemp("tiny-base")
    tokenizer = byte_tokenizer()
    # Words of the examples as tokens of their own, so that what it writes is mostly words, and comes word by word.
    titles = " ".join(item["title"] for item in invented_items().values())
    tokenizer.add_tokens([f" {word}" for word in sorted(set(titles.split()))])
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=16_384,
        initializer_range=0.5,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
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
        base_model=str(tiny_base), prevent_thread_lock=True, quiet=True, server_port=free_port(), inbrowser=False
    )
    yield SimpleNamespace(url=url, uploads=uploads, server=server)
    server.get_blocks().close(verbose=False)
    if before is None:
        del os.environ["GRADIO_TEMP_DIR"]
    else:
        os.environ["GRADIO_TEMP_DIR"] = before


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, headless. Without one the tests of the page are skipped, but never where CI says so."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `dev`")
    program = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if program is None:
        complain = pytest.fail if os.environ.get("CI") else pytest.skip
        complain("no Chromium: `sudo apt-get install chromium`, or run `make browser`")
    playwright.expect.set_options(timeout=PATIENCE_MS)
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, served) -> Iterator[Callable[..., Any]]:
    """Opens the page in a context of its own; at the end nothing may have been asked of any other machine."""
    contexts, foreign, errors = [], [], []

    def opened(query: str = "", url: str = served.url, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1400, "height": 1000}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: foreign.append(request.url) if is_foreign(request.url) else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: errors.append(f"dialog: {dialog.message}") or dialog.dismiss())
        page.goto(f"{url}{query}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not foreign
    assert not errors


def is_foreign(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1", "http://localhost", "data:", "blob:"))


@pytest.fixture
def page(open_page) -> Any:
    """The page as it opens."""
    opened = open_page()
    opened.wait_for_selector("article.writing")
    return opened
