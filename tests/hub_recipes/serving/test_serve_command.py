"""The command itself, as a process: what it prints, the curl lines, both adapters on one base, and how it ends."""

import json
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys

import pytest

from logs2lang.models.weights import SharedWeights
from logs2lang.serving.loading import load_reasoner, load_verbalizer

from .conftest import wait_for

RUN = {"method": "grpo", "role": "verbalizer", "config": {}}


def free_port() -> int:
    """One that no outgoing connection takes before the service listens."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError("None of a hundred ports is free.")


@pytest.fixture
def adapters(tmp_path, save_adapter, as_verbalizer):
    verbalizer = as_verbalizer(save_adapter(tmp_path / "verbalizer", 1), "action", history_length=4, decisions=3)
    return verbalizer, save_adapter(tmp_path / "reasoner", 2)


def test_both_adapters_share_a_base_and_answer_as_if_alone(adapters, dataset, to_service):
    weights = SharedWeights()
    verbalizer = load_verbalizer(str(adapters[0]), dataset, weights)
    reasoner = load_reasoner(str(adapters[1]), "title", dataset, weights)
    assert weights.bases == 1
    apart = (
        load_verbalizer(str(adapters[0]), dataset, SharedWeights()),
        load_reasoner(str(adapters[1]), "title", dataset, SharedWeights()),
    )
    example = dataset.examples("test")[0]
    items = dataset.items()
    shown = [items[candidate["item_id"]] for candidate in example["candidates"]]
    for _ in range(2):  # each again after the other was at work
        texts = verbalizer.verbalize([example["history"]])
        assert texts == apart[0].verbalize([example["history"]])
        ranked, alone = (of.rank(texts, [shown])[0] for of in (reasoner, apart[1]))
        assert ranked.item_ids == alone.item_ids
        assert ranked.probabilities == pytest.approx(alone.probabilities, abs=1e-5)
    assert verbalizer.fingerprint == apart[0].fingerprint


@pytest.mark.slow
def test_the_printed_curl_lines_work_and_a_signal_ends_it_in_peace(adapters, simulation_folder, tmp_path):
    port = free_port()
    options = ["--verbalizer", adapters[0], "--reasoner", adapters[1], "--items", simulation_folder, "--port", port]
    command = [sys.executable, "-m", "logs2lang", "serve", *map(str, options)]
    environment = {**os.environ, "LOGS2LANG_SERVE_KEY": "a-long-word"}
    log = tmp_path / "log.txt"
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        wait_for(f"http://127.0.0.1:{port}")
        lines = [line for line in log.read_text().splitlines() if line.startswith("curl ")]
        assert len(lines) == 2
        assert "a-long-word" not in log.read_text()
        for line in lines:
            said = subprocess.run(
                f"{line} -sS --noproxy '*'", shell=True, capture_output=True, text=True, env=environment
            )
            assert "text" in json.loads(said.stdout), said
        assert "-d" in shlex.split(lines[0])
        refused = subprocess.run(
            re.sub(r'-H "Auth[^"]*"', "-sS", lines[0]), shell=True, capture_output=True, text=True
        )
        assert json.loads(refused.stdout)["error"]["field"] == "header.Authorization"
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    assert code == 0, log.read_text()
    assert "Traceback" not in log.read_text()


def wrong(**changes):
    """The words of a command with one thing wrong."""
    words = {"--verbalizer": "template", "--items": "ITEMS", "--port": "0", **changes}
    return [word for pair in words.items() for word in pair]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (wrong(**{"--host": "0.0.0.0"}), "Set LOGS2LANG_SERVE_KEY"),
        (wrong(**{"--verbalizer": "tempalte"}), "neither a rule nor a trained verbalizer"),
        (wrong(**{"--verbalizer": "BASE"}), "does not say which verbalizer it is"),
        (wrong(**{"--verbalizer": "OTHER"}), "was trained on another-log, but --items is the catalogue of"),
        (wrong(**{"--items": "nowhere"}), "nowhere"),
        (wrong(**{"--store": "mongodb://x"}), "There is no store of the kind mongodb"),
        (wrong(**{"--engine": "http://localhost:1/v1"}), "--engine needs --engine-reasoner"),
        (wrong(**{"--engine-reasoner": "x"}), "give its URL too"),
        (
            wrong(**{"--engine": "http://localhost:1/v1", "--engine-reasoner": "x", "--answer": "title"}),
            "An engine answers by label or generate",
        ),
        (wrong(**{"--engine": "ftp://x", "--engine-reasoner": "x"}), "must be an http or https URL"),
    ],
)
def test_a_wrong_start_is_one_line_and_exit_code_2(
    run_main, monkeypatch, simulation_folder, tiny_model_folder, tmp_path, adapters, words, said
):
    monkeypatch.delenv("LOGS2LANG_SERVE_KEY", raising=False)
    (adapters[0] / "run.json").write_text(json.dumps({**RUN, "name": "v", "dataset": {"name": "another-log"}}))
    places = {"ITEMS": simulation_folder, "BASE": tiny_model_folder, "OTHER": adapters[0]}
    code, _, error = run_main("serve", *[places.get(word, word) for word in words])
    assert code == 2
    assert said in error
    assert error.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in error


def test_a_port_that_is_taken_is_one_line_and_exit_code_2(run_main, simulation_folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, error = run_main("serve", *wrong(**{"--items": str(simulation_folder), "--port": str(port)}))
    assert (code, error.count("\n")) == (2, 1)
    assert f"cannot listen on 127.0.0.1, port {port}" in error
