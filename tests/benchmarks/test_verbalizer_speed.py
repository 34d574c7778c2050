"""Histories of 100 records per second, for verbalizers that need no language model, and for a teacher that is one.

The rate is that of two cores which do nothing else: histories by the processor time that two workers took together,
halved. Other work on the machine takes none of it. A student stands here as both kinds of model, taught by a rule with
noise that drops nine records of ten.
"""

import multiprocessing
import random
import resource
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from logs2lang.dataset_builders.schema import ALL_USERS, MAX_SUCCESSORS
from logs2lang.dataset_builders.successor_lists import Successor, SuccessorLists
from logs2lang.models.language_models import load_language_model
from logs2lang.training.distillation.fitting import fit_linear, fit_trees
from logs2lang.verbalizers import language_model_verbalizer
from logs2lang.verbalizers.action import ActionVerbalizer
from logs2lang.verbalizers.decided_texts import WITH_NEXT
from logs2lang.verbalizers.profile import ProfileVerbalizer
from logs2lang.verbalizers.record_features import LogFacts, RecordFeatures
from logs2lang.verbalizers.student import Student, StudentVerbalizer
from logs2lang.verbalizers.successors import SuccessorsVerbalizer
from logs2lang.verbalizers.template import TemplateVerbalizer

HISTORIES, RECORDS, CATALOGUE = 4_000, 100, 20_000
FLOOR_PER_SECOND = 5_000
TAUGHT = 200
"""Histories that a student is taught on."""
TEACHER_HISTORIES, TEACHER_RECORDS = 4, 8
"""What a teacher is timed on."""
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
def lists(items) -> SuccessorLists:
    rng, ids = random.Random(1), list(items)
    of_all = {
        item_id: [Successor(found, rng.randrange(1, 9), rng.random() * 5) for found in rng.sample(ids, MAX_SUCCESSORS)]
        for item_id in ids
    }
    return SuccessorLists(Path(), {ALL_USERS: of_all})


@pytest.fixture(scope="module")
def students(items, histories, lists) -> dict:
    taught = histories[:TAUGHT]
    frame = pd.DataFrame([record for history in taught for record in history])
    log = LogFacts.of(frame.astype({"duration_s": "float32"}))
    features = RecordFeatures(items, log, lists).of(taught)
    draws = np.random.default_rng(0)
    newest = np.tile(np.arange(RECORDS)[::-1] < 5, TAUGHT)
    kept = np.where(draws.random(len(features)) < 0.05, draws.integers(1, 3, len(features)), 0)
    decided = np.where(newest, 3, kept)
    models = {"student, linear": fit_linear(features, decided, 4), "student, trees": fit_trees(features, decided, 4)}
    return {
        name: StudentVerbalizer(items, Student(log, model, WITH_NEXT), successors=lists)
        for name, model in models.items()
    }


@pytest.fixture(scope="module")
def verbalizers(items, lists, students) -> dict:
    return {
        "template": TemplateVerbalizer(),
        "profile": ProfileVerbalizer(items),
        "successors": SuccessorsVerbalizer(items, lists),
        **students,
    }


@pytest.mark.parametrize("name", ["template", "profile", "successors", "student, linear", "student, trees"])
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
    print(f"\n{name}: {rate:,.0f} histories of {RECORDS} records per second on two cores, {rate / 2:,.0f} on one")
    assert all(worker.exitcode == 0 for worker in workers)
    assert rate > FLOOR_PER_SECOND


def test_a_student_is_hundreds_of_times_faster_than_its_teacher(items, histories, lists, students, monkeypatch):
    """Both write from the same newest records, on one core, in one run; the teacher's answers come from no cache."""
    model = load_language_model(device="cpu")
    teacher = ActionVerbalizer(items, model, history_length=TEACHER_RECORDS, decisions=4, successors=lists)
    monkeypatch.setattr(
        language_model_verbalizer, "write_missing", lambda keys, write, progress: write(list(range(len(keys))))
    )
    shown = [history[-TEACHER_RECORDS:] for history in histories]
    before = time.process_time()
    teacher.write(shown[:TEACHER_HISTORIES])
    of_teacher = TEACHER_HISTORIES / (time.process_time() - before)
    for name, student in students.items():
        before = time.process_time()
        student.write(shown)
        of_student = len(shown) / (time.process_time() - before)
        print(
            f"\n{name}: {of_student:,.0f} histories of {TEACHER_RECORDS} records per second and core, its teacher "
            f"{of_teacher:.2f}: {of_student / of_teacher:,.0f} times as many"
        )
        assert of_student > 300 * of_teacher


def _seconds_of_children() -> float:
    """Processor time of all workers that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
