"""Lines in place of bars: what they say, and how seldom."""

import logging
import os
import pty
import subprocess
import sys

import pytest

from logs2lang.console import progress
from logs2lang.console.log_level import set_log_level
from logs2lang.console.progress import ProgressLines, show_progress, show_status


class Clock:
    """Stands still until it is told to go on."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def told():
    """Lines, what they wrote, and the clock they read."""
    clock, written = Clock(), []
    return ProgressLines(written.append, clock, lambda: "09:30:00"), written, clock


def test_a_line_says_how_much_how_fast_and_how_long(told):
    lines, written, clock = told
    lines.report("grpo", "step", 10, 70)  # resumed: ten steps were done before
    clock.now = 30.0
    lines.report("grpo", "step", 25, 70, "loss 0.5, reward 0.25", examples_each=4)
    lines.tick()
    # 15 steps of four examples in 30 seconds, and 45 steps to come
    assert written == ["09:30:00 grpo, step: 25 of 70, loss 0.5, reward 0.25, 2 examples per second, 1:30 left"]


def test_work_that_has_not_moved_says_how_long_it_takes(told):
    lines, written, clock = told
    lines.report("template", "answering", 0, 100)
    clock.now = 10.0
    lines.tick()
    assert written == ["09:30:00 template, answering: 0 of 100, 0:10 so far"]


def test_what_has_no_end_in_sight_says_what_it_is(told):
    lines, written, clock = told
    lines.say("Step 2 of 7: checking every row")
    clock.now = 70.0
    lines.tick()
    assert written == ["09:30:00 Step 2 of 7: checking every row, 1:10 so far"]


def test_nothing_is_said_before_work_begins(told):
    lines, written, _ = told
    lines.tick()
    assert written == []


def test_work_that_stands_still_is_spoken_of_once_a_minute(told):
    lines, written, clock = told
    lines.report("template", "answering", 0, 100)
    for second in range(10, 141, 10):
        clock.now = float(second)
        lines.tick()
    assert [line.partition("100, ")[2] for line in written] == ["0:10 so far", "1:10 so far", "2:10 so far"]


def test_a_pipe_gets_lines_without_a_carriage_return(monkeypatch, capsys):
    monkeypatch.setattr(progress, "EVERY_S", 0.01)
    with show_progress() as report:
        report("template", "answering", 3, 10)
        wait_for(capsys, lambda text: "template, answering: 3 of 10" in text)
    with show_status() as say:
        say("Loading the models")
        wait_for(capsys, lambda text: "Loading the models" in text)


def wait_for(capsys, is_there):
    """Until the thread has written; a test that would wait for ever is stopped by its runner."""
    seen = ""
    while not is_there(seen):
        seen += capsys.readouterr().err
    assert "\r" not in seen
    assert "\x1b" not in seen


def test_short_work_says_nothing(capsys):
    with show_progress() as report:
        report("template", "answering", 3, 10)
    assert capsys.readouterr().err == ""


@pytest.fixture
def levels():
    """The level of our loggers, as it was before."""
    loggers = [logging.getLogger(name) for name in ("logs2lang", "transformers", "datasets")]
    loggers += [logging.getLogger(name) for name in ("huggingface_hub", "trl", "peft", "accelerate")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


def test_quiet_shows_no_progress(levels, monkeypatch, capsys):
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    set_log_level("error")
    with show_progress() as report, show_status() as say:
        report("template", "answering", 3, 10)
        say("Loading the models")
    assert capsys.readouterr().err == ""


TALK = """
import logging, warnings
from logs2lang.console.log_level import set_log_level
set_log_level({level!r})
logging.getLogger("logs2lang.x").warning("ours warns")
logging.getLogger("logs2lang.x").info("ours informs")
logging.getLogger("trl.x").warning("theirs warns")
logging.getLogger("trl.x").error("theirs fails")
warnings.warn("theirs is old", FutureWarning)
from tqdm import tqdm
for _ in tqdm(range(3), desc="theirs counts"): pass
"""


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("error", {"theirs fails"}),
        ("warning", {"ours warns", "theirs fails"}),
        ("info", {"ours warns", "ours informs", "theirs warns", "theirs fails", "theirs is old"}),
    ],
)
def test_a_level_decides_what_is_said_by_whom(level, said):
    clean = {name: value for name, value in os.environ.items() if not name.endswith(("_DISABLE", "_VERBOSITY"))}
    words = [sys.executable, "-c", TALK.format(level=level)]
    text = subprocess.run(words, env=clean, check=True, capture_output=True, text=True).stderr
    everything = ("ours warns", "ours informs", "theirs warns", "theirs fails", "theirs is old", "theirs counts")
    assert {part for part in everything if part in text} == said
    assert "\r" not in text


def test_a_terminal_gets_a_bar():
    script = (
        "from logs2lang.console.progress import show_progress\n"
        "with show_progress() as report: report('template', 'answering', 3, 10, 'loss 0.5')"
    )
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, stderr=slave)
    os.close(slave)
    seen = os.read(master, 100_000).decode()
    os.close(master)
    assert "━" in seen
    assert "3/10" in seen
    assert "loss 0.5" in seen
