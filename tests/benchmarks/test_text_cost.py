"""What a text costs: users per second of one core for rules, a student and its teacher, and the price of a million.

A rate is histories by the processor time that one thread took, so that other work on the machine takes none of it. The
price follows from the rate and from what a machine costs; see `price_of_a_million`.
"""

import time

import pytest
import torch
from small_student import keep_newest, to_log
from test_verbalizer_speed import histories, items, lists, students, verbalizers  # noqa: F401 (fixtures)

from logs2lang.models.language_models import load_language_model
from logs2lang.verbalizers.action import ActionVerbalizer
from logs2lang.verbalizers.student import StudentVerbalizer

MACHINES = {"m7g.large": (2, 0.0816), "g5.xlarge": (4, 1.006)}
"""Cores and US dollars an hour: Linux on demand in us-east-1, as listed in June 2026. Prices change; look them up."""

TEACHER_RECORDS = 8
"""Records that the recipes for a CPU show a teacher; rules and student read 100."""
TEACHER_HISTORIES = 6
LEAST_TIMES_THE_TEACHER = 100


def price_of_a_million(users_per_second_of_a_core: float, cores: int, dollars_an_hour: float) -> float:
    """US dollars for the texts of a million users, where every core of a machine writes.

    Formula: `1e6 / (rate * cores * 3600) * dollars_an_hour`.
    """
    return 1e6 / (users_per_second_of_a_core * cores * 3_600) * dollars_an_hour


def rate(verbalizer, histories: list) -> float:  # noqa: F811
    verbalizer.verbalize(histories[:1])
    started = time.process_time()
    verbalizer.verbalize(histories)
    return len(histories) / (time.process_time() - started)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_users_per_second_of_a_core_and_the_price_of_a_million(verbalizers, histories, items):  # noqa: F811
    successors = verbalizers["successors"].successors
    model = keep_newest(to_log(*items, duration=6_000.0), newest=3)
    teacher = ActionVerbalizer(items, load_language_model(device="cpu"), decisions=4, successors=successors)
    teacher.keeps_completions = False
    rates = {name: rate(verbalizers[name], histories) for name in ("template", "successors")}
    rates["student"] = rate(StudentVerbalizer(items, model, successors=successors), histories)
    rates["teacher"] = rate(teacher, [history[-TEACHER_RECORDS:] for history in histories[:TEACHER_HISTORIES]])
    for name, of_one in rates.items():
        prices = ", ".join(f"{place} ${price_of_a_million(of_one, *of):.4f}" for place, of in MACHINES.items())
        print(f"\n{name}: {of_one:,.1f} users per second of a core; a million: {prices}")
    assert rates["student"] > LEAST_TIMES_THE_TEACHER * rates["teacher"]
