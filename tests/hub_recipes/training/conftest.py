"""A built dataset and a random model under a Hub id, in a folder of their own: what training runs start from."""

import csv
import random
import socket
import sys
from functools import partial
from pathlib import Path

import pytest

from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.sources.tabular import read_tabular

BASE_ID = "org/tiny"


@pytest.fixture(scope="session")
def training_folder(tmp_path_factory, tiny_model_folder) -> Path:
    """`org/tiny` is both a Hub id and, from within this folder, a path; `built` is a dataset of thirty users."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "org").mkdir()
    (folder / BASE_ID).symlink_to(tiny_model_folder)
    with (folder / "log.csv").open("w", newline="") as file:
        rows = [
            (f"u{user}", f"m{(7 * user + day) % 30}", 1_600_000_000 + 86_400 * day)
            for user in range(30)
            for day in range(14)
        ]
        csv.writer(file).writerows([("user_id", "item_id", "timestamp"), *rows])
    build_dataset(partial(read_tabular, interactions=str(folder / "log.csv")), folder / "built")
    return folder


@pytest.fixture
def at_training_folder(training_folder, monkeypatch) -> Path:
    monkeypatch.chdir(training_folder)
    return training_folder


@pytest.fixture
def on_two_processors() -> list[str]:
    """The words before a script, or before `-m` and a module, that start it as two processes."""
    address = ("hub_recipes", "configs", "accelerate", "cpu.yaml")
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--main_process_port", str(_free_port())]
    return [*launch, "--config_file", str(Path(__file__).parents[3].joinpath(*address))]


def _free_port() -> int:
    """A port that no outgoing connection takes before the processes listen, as one of `--main_process_port 0` can."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError("None of a hundred ports is free.")


def grpo_words(output: str, **others) -> list[str]:
    """The command line of a run of a few seconds; a checkpoint after every step."""
    choices = {
        "method": "grpo",
        "base_model": BASE_ID,
        "base_model_id": BASE_ID,
        "dataset": "built",
        "output_dir": output,
        "history_length": 3,
        "validation_limit": 0,
        "oracle": BASE_ID,
        "oracle_reward": "log_likelihood",
        "reward_weights": "0.9 0.1",
        "per_device_train_batch_size": 4,
        "num_generations": 4,
        "max_verbalization_tokens": 8,
        "max_steps": 4,
        "save_steps": 1,
        "logging_steps": 1,
        "learning_rate": 1e-3,
        "beta": 0.04,
        "use_cpu": True,
        **others,
    }
    given = {name: value for name, value in choices.items() if value is not None}
    return [word for name, value in given.items() for word in (f"--{name}", *str(value).split())]
