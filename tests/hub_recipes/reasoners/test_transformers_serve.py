"""Against the real server of transformers: it must pick what the same model picks here."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from logs2lang.dataset_builders.schema import CANDIDATE_LABELS
from logs2lang.models.language_models import load_language_model
from logs2lang.reasoners.chat_server import EndpointError
from logs2lang.reasoners.endpoint import EndpointReasoner
from logs2lang.reasoners.local import LocalReasoner

STARTS_WITHIN_S = 120


@pytest.fixture(scope="module")
def letter_model_folder(tiny_model_folder, tmp_path_factory) -> Path:
    """The random model, made to say nothing but letters: the logits of all other tokens are 0."""
    folder = tmp_path_factory.mktemp("letter-model")
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
    letters = tokenizer.convert_tokens_to_ids(list(CANDIDATE_LABELS))
    kept = model.lm_head.weight.data[letters].clone()
    model.lm_head.weight.data.zero_()
    model.lm_head.weight.data[letters] = kept
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def server_url(tmp_path_factory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    command = [str(Path(sys.executable).with_name("transformers")), "serve"]
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("w") as out:
        process = subprocess.Popen([*command, *options], env=environment, stdout=out, stderr=out)
    try:
        _wait_until_healthy(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(process: subprocess.Popen, url: str, log: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"transformers serve did not start:\n{log.read_text()}")


def shown(*titles: str) -> list[dict]:
    return [{"item_id": f"id of {title}", "title": title, "year": None, "tags": []} for title in titles]


TITLES = [f"Film {label}" for label in CANDIDATE_LABELS]
CONTEXTS = [f"likes {word}" for word in ("space", "snow", "crime", "coffee", "heists", "toys", "trains", "ghosts")]


@pytest.mark.slow
def test_it_picks_what_the_same_model_picks_here(server_url, letter_model_folder, tmp_path):
    # One token of answer: the greedy one, which is the most probable label.
    remote = EndpointReasoner(
        str(letter_model_folder), server_url, concurrency=2, max_answer_tokens=1, cache_folder=tmp_path
    )
    candidates = [shown(*TITLES)] * len(CONTEXTS)
    here = LocalReasoner(load_language_model(str(letter_model_folder), device="cpu"), "label").rank(
        CONTEXTS, candidates
    )
    there = remote.rank(CONTEXTS, candidates)
    assert [ranking and ranking.pick for ranking in there] == [ranking.pick for ranking in here]
    assert len({ranking.pick for ranking in here}) > 1
    assert remote.spending.calls == len(CONTEXTS)
    assert not any(ranking.probabilities for ranking in there)


@pytest.mark.slow
def test_a_model_that_it_does_not_have_is_said(server_url, tmp_path):
    reasoner = EndpointReasoner(
        "org/absent", server_url, max_attempts=2, backoff_s=0.01, timeout_s=30, cache_folder=tmp_path
    )
    with pytest.raises(EndpointError, match="'org/absent'"):
        reasoner.rank(["x"], [shown("Heat", "Fargo")])
