"""Publish to a Hub, then pull everything back the way a user would: other processes, empty caches, plain libraries."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from datasets import load_dataset
from huggingface_hub import snapshot_download
from loopback_hub import TOKEN
from peft import PeftModel
from small_release import BASE_MODEL, write_adapter
from stranger_reads import write
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).parents[2]
NAMESPACE = "me"
DATASET, ADAPTER = "movietweetings-100k", "smollm2-135m-movietweetings-verbalizer-rewrite"
"""The names that the README uses; what lies under them here is small."""
SPACES = [name for name in ("discovery_recall", "playground") if (ROOT / "space" / name / "app.py").exists()]
README_CODE = re.search(r"```py\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def release(hub, hub_api, tmp_path, tiny_model_folder, simulation_folder) -> Path:
    """A base model on the Hub, and a checkout with a built dataset and a released adapter."""
    hub.users[TOKEN] = NAMESPACE
    hub.organizations.append(BASE_MODEL.split("/")[0])
    hub_api.create_repo(BASE_MODEL)
    hub_api.upload_folder(repo_id=BASE_MODEL, folder_path=tiny_model_folder)
    dataset = Path(shutil.copytree(simulation_folder, tmp_path / "data" / DATASET))
    write_adapter(tmp_path / "model_cards" / ADAPTER, tiny_model_folder, dataset)
    return tmp_path


@pytest.fixture
def logs2lang(release, stranger) -> Callable[..., str]:
    """The command, in a process of its own."""

    def run(*arguments: str) -> str:
        program = [sys.executable, "-c", "from hub_recipes.cli import main; main()"]
        environment = stranger("publisher", HF_TOKEN=TOKEN)
        command = [*program, *arguments, "--namespace", NAMESPACE, "--adapters", "model_cards"]
        done = subprocess.run(command, cwd=release, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def run_python(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_stranger_gets_back_what_was_published(hub, release, logs2lang, stranger, tiny_model_folder):
    local = str(release / "data" / DATASET)
    prompts = load_dataset(local, "verbalizer", split="test")["prompt"][:10]
    base = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    model = PeftModel.from_pretrained(base, release / "model_cards" / ADAPTER)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
    texts = [write(model, tokenizer, prompt) for prompt in prompts]

    assert logs2lang("publish").count("uploaded: ") == 2 + len(SPACES)
    assert "uploaded" not in logs2lang("publish")

    names = [f"{NAMESPACE}/{name}" for name in (DATASET, ADAPTER, "discovery_recall")]
    seen = json.loads(run_python(stranger(), str(ROOT / "tests" / "loopback_hub" / "stranger_reads.py"), *names))
    assert seen["texts"] == texts
    assert len(set(texts)) > 1
    assert seen["rows"]["examples/test"] == load_dataset(local, "examples", split="test").num_rows
    assert seen["recall"] == 0.5
    assert seen["measures"] == ["Discovery Recall@1", "Recall@1"]

    card = hub.file("model", f"{NAMESPACE}/{ADAPTER}", "README.md").decode()
    of_card = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    assert run_python(stranger("reader-of-the-card"), "-c", of_card).strip()
    if README_CODE:
        assert run_python(stranger("reader-of-the-readme"), "-c", README_CODE[1]).strip()
    assert not [request for request in hub.unknown if "/api/" in request]


@pytest.mark.parametrize("space", SPACES)
def test_a_published_space_starts(space, hub, hub_api, logs2lang, stranger, tmp_path):
    logs2lang("publish")
    folder = snapshot_download(
        f"{NAMESPACE}/{space}", repo_type="space", endpoint=hub.endpoint, cache_dir=tmp_path / "spaces"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_ANALYTICS_ENABLED": "0"}
    with (tmp_path / "app.log").open("w") as log:
        app = subprocess.Popen(
            [sys.executable, "app.py"], cwd=folder, env=stranger("space", **settings), stdout=log, stderr=log
        )
        try:
            page = wait_for_page(f"http://127.0.0.1:{port}/", app)
        finally:
            app.terminate()
            app.wait()
    assert "gradio" in page, (tmp_path / "app.log").read_text()


def wait_for_page(address: str, app: subprocess.Popen, seconds: float = 120.0) -> str:
    """The page of an app, once it answers."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and app.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    return ""


def test_nothing_that_was_uploaded_holds_ids_paths_tokens_or_pickles(hub, release, logs2lang):
    import pyarrow.parquet as pq

    logs2lang("publish")
    home = str(Path.home())
    published = [
        (f"{repo.id}/{path}", hub.store.path(file.sha256))
        for (_, repo_id), repo in hub.repos.items()
        if repo_id != BASE_MODEL
        for path, file in repo.commits[repo.branches["main"]].items()
    ]
    assert len(published) > 25
    for name, stored in published:
        content = stored.read_bytes()
        assert TOKEN.encode() not in content, name
        assert str(release).encode() not in content, name
        assert not content.startswith((b"\x80\x04", b"PK\x03\x04")), name
        if len(home) > 1:
            assert f"{home}/".encode() not in content, name
        if name.endswith(".parquet"):
            table = pq.read_table(stored)
            assert "user_id" not in table.column_names, name
            users = table["user"].to_pylist() if "user" in table.column_names else []
            assert all(re.fullmatch("[0-9a-f]{16}", user) for user in users), name
    assert not [name for name, _ in published if "quarantine" in name]


def test_the_environment_is_that_of_a_stranger(stranger):
    environment = stranger()
    assert not Path(environment["HF_HOME"]).exists()
    assert "HF_TOKEN" not in environment
    assert environment["HF_ENDPOINT"].startswith("http://127.0.0.1:")
    assert os.environ.get("HF_ENDPOINT") != environment["HF_ENDPOINT"]
