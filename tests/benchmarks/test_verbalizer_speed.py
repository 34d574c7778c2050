"""Histories of 100 records per second, for the verbalizers that need no language model.

The rate is that of two cores which do nothing else: histories by the processor time that two workers took together,
halved. Other work on the machine takes none of it.
"""

import multiprocessing
import random
import resource
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from logs2lang.dataset_builders.schema import ALL_USERS, MAX_SUCCESSORS
from logs2lang.dataset_builders.successor_lists import Successor, SuccessorLists
from logs2lang.verbalizers.profile import ProfileVerbalizer
from logs2lang.verbalizers.successors import SuccessorsVerbalizer
from logs2lang.verbalizers.template import TemplateVerbalizer

HISTORIES, RECORDS, CATALOGUE = 4_000, 100, 20_000
FLOOR_PER_SECOND = 5_000
FORK = multiprocessing.get_context("fork")  # the histories are there already, and need not be sent
TAGS = ("Drama", "Comedy", "War", "Crime", "Noir", "Science fiction", "Family")


@pytest.fixture(scope="module")
def items() -> dict:
    return {
        f"{number:016x}": {
            "item_id": f"{number:016x}",
            "title": f"The invented title number {number}",
            "year": 1950 + number % 70,
            "tags": list(TAGS[number % 7 : number % 7 + 3]),
            "series": f"Series {number // 40}" if number % 3 else None,
            "description": None,
        }
        for number in range(CATALOGUE)
    }


@pytest.fixture(scope="module")
def histories(items) -> list[list[dict]]:
    rng, ranks = random.Random(0), range(1, len(items) + 1)
    # As in any log, a few items are seen by most users.
    chosen = iter(rng.choices(list(items.values()), [1 / rank for rank in ranks], k=HISTORIES * RECORDS))
    return [[to_record(rng, next(chosen), day) for day in range(RECORDS)] for _ in range(HISTORIES)]


def to_record(rng: random.Random, item: dict, day: int) -> dict:
    return {
        "timestamp": datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(days=day, seconds=rng.randrange(86_400)),
        "item_id": item["item_id"],
        "title": item["title"],
        "event": rng.choice(("play", "play", "play", "trailer")),
        "duration_s": float(rng.randrange(9_000)),
        "value": None,
        "device": rng.choice(("tv", "phone", None)),
    }


@pytest.fixture(scope="module")
def verbalizers(items) -> dict:
    rng, ids = random.Random(1), list(items)
    lists = {
        item_id: [Successor(found, rng.randrange(1, 9), rng.random() * 5) for found in rng.sample(ids, MAX_SUCCESSORS)]
        for item_id in ids
    }
    return {
        "template": TemplateVerbalizer(),
        "profile": ProfileVerbalizer(items),
        "successors": SuccessorsVerbalizer(items, SuccessorLists(Path(), {ALL_USERS: lists})),
    }


@pytest.mark.parametrize("name", ["template", "profile", "successors"])
def test_histories_per_second_on_two_cores(name, verbalizers, histories):
    verbalizer = verbalizers[name]
    halves = histories[::2], histories[1::2]
    workers = [FORK.Process(target=verbalizer.verbalize, args=(half,)) for half in halves]
    before = _seconds_of_children()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    rate = HISTORIES / ((_seconds_of_children() - before) / len(workers))
    print(f"\n{name}: {rate:,.0f} histories of {RECORDS} records per second on two cores")
    assert all(worker.exitcode == 0 for worker in workers)
    assert rate > FLOOR_PER_SECOND


def _seconds_of_children() -> float:
    """Processor time of all workers that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
