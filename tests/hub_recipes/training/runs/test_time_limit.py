"""Processes whose clocks differ stop together, as the first one decides."""

import os
import subprocess

import pytest

SCRIPT = """
from pathlib import Path
from accelerate import PartialState
from transformers import TrainerControl, TrainerState
from logs2lang.training.runs.resumable_trainer import TimeLimit

rank = PartialState(cpu=True).process_index
limit = TimeLimit({minutes}[rank])
control = limit.on_step_end(None, TrainerState(global_step=1, max_steps=9), TrainerControl())
said = f"rank {{rank}} stops {{control.should_training_stop}} saves {{control.should_save}} says {{limit.is_reached}}"
Path(__file__).with_name(f"said-{{rank}}.txt").write_text(said)  # lines of two processes would run into one another
PartialState().wait_for_everyone()  # a process that leaves early takes the connection of the others with it
PartialState().destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("minutes", "stops"),
    [([0, 60], True), ([60, 0], False)],
    ids=["the first process is late", "another process is late"],
)
def test_the_first_process_decides_for_all(minutes, stops, on_two_processors, tmp_path):
    script = tmp_path / "limited.py"
    script.write_text(SCRIPT.format(minutes=minutes))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [*on_two_processors, str(script)]
    ran = subprocess.run(words, env=environment, timeout=300, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    lines = [path.read_text() for path in sorted(tmp_path.glob("said-*.txt"))]
    assert lines == [f"rank {rank} stops {stops} saves {stops} says {stops}" for rank in (0, 1)]
