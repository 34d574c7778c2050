"""Publish to a Hub, then pull everything back the way a user would: other processes, empty caches, plain libraries."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from huggingface_hub import HfApi, constants, snapshot_download
from loopback_hub import TOKEN, LoopbackHub, serve, stranger_environment
from peft import PeftModel
from small_release import BASE_MODEL, write_adapter
from stranger_reads import write
from transformers import AutoModelForCausalLM, AutoTokenizer

from logs2lang.evaluation.metric import METRIC
from logs2lang.release.plan import DEMO_REPO, GROUPS

ROOT = Path(__file__).parents[2]
NAMESPACE, OWNER = "me", BASE_MODEL.split("/")[0]
DATASET, ADAPTER = "movietweetings-100k", "smollm2-135m-instruct-movietweetings-verbalizer-rewrite"
"""The names that the README uses; what lies under them here is small."""
SPACES = (METRIC, DEMO_REPO)
READER = ROOT / "tests" / "loopback_hub" / "stranger_reads.py"
README_CODE = re.search(r"```py\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]


pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Release:
    """A checkout that was published twice, and the Hub it was published to."""

    hub: LoopbackHub
    folder: Path
    said: tuple[str, str]

    def stranger(self, name: str, **others: str) -> dict[str, str]:
        return stranger_environment(self.hub.endpoint, self.folder / "homes", name, **others)


@pytest.fixture(scope="module")
def release(tmp_path_factory, tiny_model_folder, simulation_folder) -> Iterator[Release]:
    """A base model on the Hub, a built dataset and a released adapter, and what the command said as it published."""
    folder = tmp_path_factory.mktemp("checkout")
    dataset = Path(shutil.copytree(simulation_folder, folder / "data" / DATASET))
    write_adapter(folder / "model_cards" / ADAPTER, tiny_model_folder, dataset)
    with pytest.MonkeyPatch.context() as patch, serve(folder / "hub", {TOKEN: NAMESPACE}, [OWNER]) as hub:
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        api = HfApi(endpoint=hub.endpoint, token=TOKEN)
        api.create_repo(BASE_MODEL)
        api.upload_folder(repo_id=BASE_MODEL, folder_path=tiny_model_folder)
        yield Release(hub, folder, (publish(hub, folder), publish(hub, folder)))


def publish(hub: LoopbackHub, folder: Path) -> str:
    """The command, in a process of its own."""
    program = [sys.executable, "-c", "from logs2lang.commands.cli import main; main()", "publish"]
    environment = stranger_environment(hub.endpoint, folder / "homes", "publisher", HF_TOKEN=TOKEN)
    command = [*program, "--namespace", NAMESPACE, "--only", ",".join(GROUPS)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_python(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_second_publish_uploads_nothing(release):
    first, second = release.said
    assert first.count("uploaded: ") == 2 + len(SPACES)
    assert second.count("unchanged: ") == 2 + len(SPACES)


def test_a_stranger_gets_back_what_was_published(release, tiny_model_folder):
    local = str(release.folder / "data" / DATASET)
    prompts = load_dataset(local, "verbalizer", split="test")["prompt"][:10]
    base = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    model = PeftModel.from_pretrained(base, release.folder / "model_cards" / ADAPTER)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
    texts = [write(model, tokenizer, prompt) for prompt in prompts]

    names = [f"{NAMESPACE}/{name}" for name in (DATASET, ADAPTER, "discovery_recall")]
    seen = json.loads(
        run_python(release.stranger("reader"), str(ROOT / "tests" / "loopback_hub" / "stranger_reads.py"), *names)
    )
    assert seen["texts"] == texts
    assert len(set(texts)) > 1
    assert seen["rows"]["examples/test"] == load_dataset(local, "examples", split="test").num_rows
    assert seen["recall"] == 0.5
    assert seen["measures"] == ["Discovery Recall@1", "Recall@1"]

    assert not [request for request in release.hub.unknown if "/api/" in request]


def test_the_code_on_the_card_runs(release):
    card = release.hub.file("model", f"{NAMESPACE}/{ADAPTER}", "README.md").decode()
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    assert run_python(release.stranger("reader-of-the-card"), "-c", code).strip()


def test_the_code_in_the_readme_runs(release):
    assert run_python(release.stranger("reader-of-the-readme"), "-c", README_CODE).strip()


@pytest.mark.parametrize("space", SPACES)
def test_a_published_space_starts(space, release, tmp_path):
    place = {"repo_type": "space", "endpoint": release.hub.endpoint, "cache_dir": tmp_path / "spaces"}
    folder = snapshot_download(f"{NAMESPACE}/{space}", **place)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_ANALYTICS_ENABLED": "0"}
    with (tmp_path / "app.log").open("w") as log:
        app = subprocess.Popen(
            [sys.executable, "app.py"], cwd=folder, env=release.stranger(space, **settings), stdout=log, stderr=log
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


def test_nothing_that_was_uploaded_holds_ids_paths_tokens_or_pickles(release):
    hub = release.hub
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
        assert str(release.folder).encode() not in content, name
        assert not content.startswith((b"\x80\x04", b"PK\x03\x04")), name
        if len(home) > 1:
            assert f"{home}/".encode() not in content, name
        if name.endswith(".parquet"):
            table = pq.read_table(stored)
            assert "user_id" not in table.column_names, name
            users = table["user"].to_pylist() if "user" in table.column_names else []
            assert all(re.fullmatch("[0-9a-f]{16}", user) for user in users), name
    assert not [name for name, _ in published if "quarantine" in name]


def test_a_stranger_brings_nothing_along(release):
    environment = release.stranger("new")
    assert not Path(environment["HF_HOME"]).exists()
    assert not {"HF_TOKEN", "HF_HUB_CACHE", "HF_MODULES_CACHE"} & set(environment)
