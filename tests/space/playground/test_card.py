"""The Space as the Hub runs it: its card, its requirements, and a copy of what is uploaded that starts on its own."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from importlib.metadata import requires
from pathlib import Path

import gradio_client
import pytest
from huggingface_hub import RepoCard
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from playwright.sync_api import expect

from logs2lang.commands.cli import main
from tests.space.conftest import free_port

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "space" / "playground"


@pytest.fixture(scope="module")
def card() -> dict:
    return RepoCard.load(FOLDER / "README.md").data.to_dict()


def test_the_card_describes_a_gradio_space(card):
    assert (card["sdk"], card["license"]) == ("gradio", "apache-2.0")
    assert len(card["short_description"]) <= 60  # the Hub takes no more
    assert card["app_file"] in json.loads((FOLDER / "space_files.json").read_text())


def test_the_space_runs_a_gradio_that_the_extra_allows(card):
    wanted = [Requirement(line) for line in requires("logs2lang") if line.startswith("gradio")]
    assert wanted
    assert all(requirement.specifier.contains(card["sdk_version"]) for requirement in wanted)


def test_the_space_installs_what_the_project_does():
    ours = {canonicalize_name(each.name): each.specifier for each in map(Requirement, requires("logs2lang"))}
    lines = (FOLDER / "requirements.txt").read_text().splitlines()
    theirs = {canonicalize_name(each.name): each.specifier for each in map(Requirement, lines)}
    assert theirs == {name: ours[name] for name in theirs}


def answers(url: str, process: subprocess.Popen, seconds: float = 180) -> gradio_client.Client:
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return gradio_client.Client(url, verbose=False)
        except OSError:
            time.sleep(0.3)
    pytest.fail("the app did not start")


def test_what_is_uploaded_starts_on_its_own(tmp_path, tiny_base):
    """`python app.py` in a folder that holds the uploaded files and nothing else of the project."""
    for target, source in json.loads((FOLDER / "space_files.json").read_text()).items():
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / source, tmp_path / target)
    port = free_port()
    settings = {"GRADIO_SERVER_PORT": str(port), "SPACE_ID": "somebody/demo", "HF_HUB_OFFLINE": "1"}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen([sys.executable, "app.py"], cwd=tmp_path, env={**environment, **settings})
    try:
        client = answers(f"http://127.0.0.1:{port}", process)
        assert client.predict(api_name="/examples")[0]["name"] == "Ada"
        assert "movielens-100k" in client.predict(api_name="/results")["names"]
        with pytest.raises(gradio_client.exceptions.AppError, match="Folders cannot be read here"):
            client.predict("text", ["a", "b"], str(tiny_base), api_name="/recommend")
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_the_command_serves_results_and_adapters_of_ones_own(tmp_path, tiny_base, to_adapter, browse):
    shutil.copytree(ROOT / "model_cards" / "results" / "movielens-100k", tmp_path / "results" / "mine")
    adapter = shutil.copytree(to_adapter(), tmp_path / "adapters" / "my-rewriter")
    history = [{"step": step, "reward": step / 10, "loss": 1.0} for step in range(5)]
    run = {"role": "verbalizer", "verbalizer": "rewrite", "release": "full", "history": history}
    (adapter / "run.json").write_text(json.dumps(run))
    port = free_port()
    words = ["demo", "--no-browser", "--port", str(port), "--model", str(tiny_base)]
    words += ["--results", str(tmp_path / "results"), "--adapters", str(tmp_path / "adapters")]
    process = subprocess.Popen([sys.executable, "-c", "from logs2lang.commands.cli import main; main()", *words])
    try:
        client = answers(f"http://127.0.0.1:{port}", process)
        assert client.predict(api_name="/results")["names"] == ["mine"]
        answer = client.predict("Likes noir", ["Fog", "Dew"], api_name="/recommend")
        assert sum(answer["probabilities"].values()) == pytest.approx(1)
        page = browse(f"http://127.0.0.1:{port}")
        page.get_by_role("button", name="Models, answer mode, seed").click()
        expect(page.get_by_label("Adapter of the rewrite verbalizer")).to_have_value("my-rewriter")
        page.get_by_role("tab", name="Results").click()
        expect(page.locator("canvas, .vega-embed svg").first).to_be_visible()
        page.get_by_role("tab", name="About").click()
        expect(page.locator(".about li").filter(has_text="my-rewriter")).to_have_text("my-rewriter: rewrite, full run")
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.parametrize("option", ["--results", "--adapters"])
def test_a_folder_that_is_none_is_said_at_once(tmp_path, monkeypatch, capsys, option):
    monkeypatch.setattr(sys, "argv", ["logs2lang", "demo", option, str(tmp_path / "absent")])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "is not a folder" in capsys.readouterr().err


def test_without_gradio_the_command_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["logs2lang", "demo"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "pip install 'logs2lang[space]'" in capsys.readouterr().err
