"""What an oracle behind a server may cost: one cap for all processes of a run, and for every piece it is done in."""

import json
import subprocess
from pathlib import Path

import pytest

from logs2lang.training.grpo.oracles import to_oracle
from logs2lang.training.runs.arguments import VerbalizerArguments
from tests.hub_recipes.training.conftest import grpo_words
from tests.hub_recipes.training.test_train_verbalizer import _environment


@pytest.mark.slow
def test_two_ranks_and_a_second_start_share_one_cap(on_two_processors, at_training_folder, tmp_path, chat_server):
    run = tmp_path / "run"
    judge = {"oracle": "m", "oracle_url": chat_server.url, "oracle_reward": "hit", "max_steps": 2}
    # Offline, huggingface_hub calls no server at all; the Hub is none that could be reached.
    unreached = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}
    environment = {**_environment(), **unreached, "HF_ASSETS_CACHE": str(tmp_path / "answers")}

    def train(cap: int) -> subprocess.CompletedProcess:
        words = grpo_words(str(run), **judge, max_calls=cap)
        launched = [*on_two_processors, "-m", "logs2lang.train_verbalizer", *words]
        return subprocess.run(launched, env=environment, timeout=300, capture_output=True, text=True)

    stopped = train(5)
    assert stopped.returncode != 0
    assert f"The cap (max_calls=5) is reached: {run / 'spending.json'} counts 5 calls" in stopped.stderr
    assert len(chat_server.bodies) == 5
    finished = train(100)
    assert finished.returncode == 0, finished.stderr
    assert json.loads((run / "spending.json").read_text())["calls"] == len(chat_server.bodies) > 5


def test_an_oracle_counts_in_the_folder_of_its_run():
    arguments = VerbalizerArguments(oracle="m", oracle_url="http://127.0.0.1:9", dataset="d")
    assert to_oracle(arguments, Path("runs/a")).spending.ledger.file == Path("runs/a/spending.json")
