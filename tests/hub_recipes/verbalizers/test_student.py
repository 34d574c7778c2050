"""A student decides by numbers, writes as its teacher would, and comes from a file that cannot run anything."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from small_student import keep_newest, keep_newest_by_tree, to_log

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import ALL_USERS
from logs2lang.dataset_builders.successor_lists import Successor, SuccessorLists
from logs2lang.models.language_models import load_language_model
from logs2lang.verbalizers.action import ActionVerbalizer
from logs2lang.verbalizers.decided_texts import DECISIONS, Decisions, execute
from logs2lang.verbalizers.decision_models import BoostedTrees
from logs2lang.verbalizers.student import Student, StudentVerbalizer
from logs2lang.verbalizers.verbalizer import write_and_count

ITEMS = {
    f"i{number}": {"item_id": f"i{number}", "title": f"Film {number}", "year": 1990, "tags": ["Crime"], "series": None}
    for number in range(10)
}
LISTS = SuccessorLists(Path(), {ALL_USERS: {"i2": [Successor("i9", 4, 3.0)]}, 1: {"i2": [Successor("i8", 4, 3.0)]}})
LOG = to_log(*ITEMS)
STUDENTS = {"linear": keep_newest(LOG), "trees": keep_newest_by_tree(LOG)}

each_student = pytest.mark.parametrize("student", STUDENTS.values(), ids=STUDENTS)


@each_student
def test_what_it_decides_is_carried_out_as_a_teacher_would(student, to_history):
    history = to_history("Fargo", "Heat", "Alien")
    (writing,) = StudentVerbalizer(ITEMS, student, successors=LISTS).write([history])
    assert writing.completion == "drop next next"  # oldest record first
    assert writing.text == execute(Decisions(("drop", "next", "next"), 0), history, ITEMS, LISTS)
    assert writing.text.endswith("| Alien | next: Film 9")
    assert writing.counts == {"drop": 1, "keep": 0, "detail": 0, "next": 2, "undecided": 0}


def test_the_fold_of_successors_is_that_of_each_history(to_history):
    verbalizer = StudentVerbalizer(ITEMS, STUDENTS["linear"], successors=LISTS)
    histories = [to_history("Fargo", "Heat", "Alien")] * 3
    texts, _ = write_and_count(verbalizer, histories, folds=[ALL_USERS, 1, ALL_USERS])
    assert [text[-6:] for text in texts] == ["Film 9", "Film 8", "Film 9"]


def test_many_histories_are_written_in_parts_and_in_order(to_history):
    histories = [to_history(*[f"Film {number}"] * (number % 4)) for number in range(600)]
    told: list[int] = []
    texts = StudentVerbalizer(ITEMS, STUDENTS["linear"], successors=LISTS).verbalize(histories, told.append)
    assert told == [256, 512, 600]
    assert [f"Film {number}" in text for number, text in enumerate(texts)] == [number % 4 > 0 for number in range(600)]


def test_only_the_newest_are_shown_and_the_fingerprint_says_so(to_history):
    student = keep_newest(LOG, newest=5)
    verbalizer = StudentVerbalizer(ITEMS, student, history_length=2, successors=LISTS)
    assert len(verbalizer.verbalize([to_history(*"abcd")])[0].split("\n")) == 2
    assert verbalizer.fit(to_history(*"abcd")) == to_history(*"abcd")[-2:]
    assert verbalizer.fingerprint == "student-newest-2"


@each_student
@pytest.mark.parametrize(("history_length", "as_lists"), [(None, False), (3, True)])
def test_a_folder_opens_like_any_other_action_verbalizer(student, history_length, as_lists, to_history, tmp_path):
    written = StudentVerbalizer(ITEMS, student, history_length=history_length, as_lists=as_lists, successors=LISTS)
    student.save(tmp_path)
    written.save_config(tmp_path)
    opened = ActionVerbalizer.from_pretrained(str(tmp_path), ITEMS, successors=LISTS)
    histories = [to_history(*"abcdef"), [], to_history("a")]
    assert opened.write(histories) == written.write(histories)
    assert opened.verbalize(histories)[0].startswith("Recent, newest last: ") == as_lists
    assert opened.history_length == history_length
    assert opened.fingerprint.startswith("student-")


def test_another_file_has_another_fingerprint(tmp_path):
    prints = set()
    for newest in (1, 2):
        keep_newest(LOG, newest).save(tmp_path / str(newest))
        prints.add(ActionVerbalizer.from_pretrained(str(tmp_path / str(newest)), ITEMS, successors=LISTS).fingerprint)
    assert len(prints) == 2


def test_three_decisions_need_no_successors(tmp_path, to_history):
    keep_newest(LOG, 1, DECISIONS).save(tmp_path)
    verbalizer = ActionVerbalizer.from_pretrained(str(tmp_path), ITEMS)
    assert verbalizer.verbalize([to_history("Fargo", "Heat")])[0].endswith("| Heat | year=1990 | tags=Crime")
    with pytest.raises(InputError, match=r"makes 3 decisions .*but 4 were asked for"):
        ActionVerbalizer.from_pretrained(str(tmp_path), ITEMS, decisions=4, successors=LISTS)


def test_a_student_that_names_successors_needs_them(tmp_path):
    STUDENTS["linear"].save(tmp_path)
    with pytest.raises(InputError, match="no successors were given"):
        ActionVerbalizer.from_pretrained(str(tmp_path), ITEMS)


def test_a_student_of_another_catalogue_is_refused(tmp_path):
    STUDENTS["linear"].save(tmp_path)
    others = {f"o{number}": item for number, item in enumerate(ITEMS.values())}
    with pytest.raises(InputError, match=r"taught on another catalogue: of its 10 items only 0%"):
        ActionVerbalizer.from_pretrained(str(tmp_path), others, successors=LISTS)


def test_it_is_no_language_model(tmp_path):
    STUDENTS["linear"].save(tmp_path)
    with pytest.raises(InputError, match="student of an action verbalizer, not a language model"):
        load_language_model(str(tmp_path))


class Explosive:
    """Would write a file if it were unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_is_never_loaded(tmp_path):
    folder = tmp_path / "student"
    folder.mkdir()
    for name in ("student.pkl", "student.joblib"):
        (folder / name).write_bytes(pickle.dumps(Explosive(tmp_path / "ran")))
    with pytest.raises(InputError, match="contains no model that can be loaded"):
        ActionVerbalizer.from_pretrained(str(folder), ITEMS)
    shutil.copyfile(folder / "student.pkl", folder / "student.safetensors")
    with pytest.raises(InputError, match=r"is not a student that can be read .*such as pickles, are never loaded"):
        ActionVerbalizer.from_pretrained(str(folder), ITEMS)
    assert not (tmp_path / "ran").exists()


def damaged(folder: Path, header: dict | None = None, **arrays: np.ndarray) -> Path:
    """A stored student with other arrays or another header."""
    path = STUDENTS["trees"].save(folder)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        stored = json.loads(file.read(length))["__metadata__"]["logs2lang_student"]
    save_file(
        {**load_file(path), **arrays},
        path,
        {"logs2lang_student": json.dumps({**json.loads(stored), **(header or {})})},
    )
    return folder


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"header": {"version": 9}}, "version 9"),
        ({"header": {"kind": "neural"}}, "no kind of student 'neural'"),
        ({"header": {"kind": "logistic regression"}}, "it lacks weights"),
        ({"header": {"decisions": ["drop", "rm"]}}, "decides between drop, rm"),
        ({"header": {"events": ["play", "rate"]}}, "features are not those"),
        ({"header": {"decisions": 4}}, "int"),
        ({"values": np.array([0, np.nan, 0], np.float32)}, "values holds what is no number"),
        ({"values": np.zeros(7, np.float32)}, "values has the shape"),
        ({"lefts": np.array([1, 0, 0], np.float32)}, "lefts has the type"),
        ({"lefts": np.array([0, 0, 0], np.int32)}, "trees are no trees"),  # a walk without an end
        ({"rights": np.array([9, 0, 0], np.int32)}, "trees are no trees"),
        ({"features": np.array([99, -1, -1], np.int32)}, "trees are no trees"),
        ({"rights": np.array([1, 0, 0], np.int32)}, "trees are no trees"),  # two ways to one node, and soon billions
        ({"decisions": np.array([4], np.int32)}, "trees are no trees"),
        ({"roots": np.array([2], np.int32)}, "trees are no trees"),
        ({"roots": np.array([-1], np.int32)}, "trees are no trees"),
        ({"keys": np.zeros(10, np.int64)}, "items is out of order"),
        ({"popularity": np.zeros(3, np.int32)}, "items is damaged"),
        ({"lengths": np.zeros(10, np.int32)}, "items is damaged"),
    ],
)
def test_a_damaged_file_is_refused_with_what_is_wrong(changes, why, tmp_path):
    with pytest.raises(InputError, match=f"is not a student that can be read .*{why}"):
        Student.load(damaged(tmp_path, **changes))


@given(place=st.integers(0, 2_000), byte=st.integers(0, 255))
def test_any_changed_byte_is_refused_or_decides_something(tmp_path_factory, to_history, place, byte):
    folder = tmp_path_factory.mktemp("student")
    path = STUDENTS["trees"].save(folder)
    content = bytearray(path.read_bytes())
    content[place % len(content)] = byte
    path.write_bytes(content)
    try:
        verbalizer = StudentVerbalizer(ITEMS, Student.load(folder), successors=LISTS)
    except InputError:
        return
    (writing,) = verbalizer.write([to_history("Fargo", "Heat")])
    assert len(writing.completion.split()) == 2


def test_half_a_file_is_refused(tmp_path):
    path = STUDENTS["trees"].save(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="is not a student that can be read"):
        Student.load(tmp_path)


def test_trees_go_left_up_to_the_threshold_and_add_up():
    model = BoostedTrees(
        intercepts=np.array([0.5, 0], np.float32),
        decisions=np.array([0, 0, 1], np.int32),
        roots=np.array([0, 3, 4], np.int32),
        features=np.array([1, -1, -1, -1, 0, -1, -1], np.int32),
        thresholds=np.array([2, 0, 0, 0, 7, 0, 0], np.float32),
        lefts=np.array([1, 0, 0, 0, 5, 0, 0], np.int32),
        rights=np.array([2, 0, 0, 0, 6, 0, 0], np.int32),
        values=np.array([0, 10, 20, 3, 0, 100, 200], np.float32),
    )
    model.check(num_features=2, num_decisions=2)
    scores = model.scores(np.array([[7, 2], [8, 2.5]], np.float32))
    assert scores.tolist() == [[13.5, 100], [23.5, 200]]
