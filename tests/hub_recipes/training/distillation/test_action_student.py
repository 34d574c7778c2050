"""`logs2lang distill`: from an adapter to a folder that decides alike and needs no language model."""

import json
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from small_student import rule_lesson

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.training.distillation import action_student
from logs2lang.training.distillation.action_student import Lesson, distil, open_teacher
from logs2lang.verbalizers.action import ActionVerbalizer
from logs2lang.verbalizers.student import StudentVerbalizer
from logs2lang.verbalizers.verbalization_file import count_tokens

WORDS = ("--limit", 40, "--validation-limit", 20)


@pytest.fixture
def distilled(run_main, teacher_folder, training_folder, tmp_path, text_cache) -> Path:
    output = tmp_path / "student"
    code, out, err = run_main(
        "distill", teacher_folder, "--dataset", training_folder / "built", "--output", output, *WORDS
    )
    assert code == 0, err
    assert "of 60 records of validation" in out
    return output


def test_the_student_opens_as_an_action_verbalizer_and_its_record_says_what_it_is(
    distilled, teacher_folder, training_folder
):
    dataset = BuiltDataset.open(training_folder / "built")
    student = ActionVerbalizer.from_pretrained(str(distilled), dataset.items(), successors=dataset.successors())
    assert isinstance(student, StudentVerbalizer)
    assert (student.history_length, student.decisions) == (3, 4)
    run = json.loads((distilled / "run.json").read_text())
    assert {path.name for path in distilled.iterdir()} == {"run.json", "student.safetensors", "verbalizer_config.json"}
    assert (run["name"], run["method"], run["teacher"]["name"]) == ("teacher-student", "distill", "teacher")
    told = run["student"]
    # Every number once more, from the folder and the teacher alone.
    teacher = ActionVerbalizer.from_pretrained(str(teacher_folder), dataset.items(), successors=dataset.successors())
    draws = np.random.default_rng(0).permutation(len(dataset.examples("validation")))[:20]
    histories = dataset.examples("validation").select(np.sort(draws))["history"][:]
    theirs, ours = teacher.write(histories), student.write(histories)
    answers = [[word for one in written for word in one.completion.split()] for written in (theirs, ours)]
    pairs = list(zip(*answers, strict=True))
    assert len(pairs) == told["validation"]["records"] == 60
    assert told["agreement"] == pytest.approx(np.mean([one == other for one, other in pairs]))
    for name, written in (("teacher", theirs), ("student", ours)):
        tokens = count_tokens(teacher.language_model.tokenizer, [writing.text for writing in written])
        assert told["tokens"][name] == sum(tokens)
    assert told["tokens"]["student"] <= told["tokens"]["teacher"]
    assert str(distilled.parent) not in (distilled / "run.json").read_text()


@pytest.fixture
def rule_teacher(teacher_folder, training_folder) -> tuple[ActionVerbalizer, BuiltDataset]:
    dataset = BuiltDataset.open(training_folder / "built")
    return open_teacher(str(teacher_folder), dataset), dataset


def test_a_rule_is_learned_and_can_be_read_off(rule_teacher):
    teacher, dataset = rule_teacher
    lessons = [rule_lesson(dataset, split, teacher) for split in ("train", "validation")]
    found = distil(teacher, dataset, *lessons)
    assert found.measures["agreement"] == 1
    assert found.measures["kind"] == "logistic regression"  # of two that agree always, the one that can be read
    assert found.measures["price"] == 0
    weights = found.measures["weights"]["place from the newest (log2)"]
    assert weights["next"] < weights["keep"] < weights["drop"]
    texts = [one.text for one in found.verbalizer.write(lessons[1].shown, folds=lessons[1].folds)]
    assert texts == lessons[1].texts


def test_a_student_that_writes_more_than_its_teacher_pays_until_it_does_not(rule_teacher):
    teacher, dataset = rule_teacher
    train, validation = (rule_lesson(dataset, split, teacher) for split in ("train", "validation"))
    shorter = Lesson(validation.shown, validation.folds, validation.decided, ["(no records)"] * len(validation.texts))
    found = distil(teacher, dataset, train, shorter)
    assert found.measures["price"] > 0
    assert found.measures["tokens"]["student"] <= found.measures["tokens"]["teacher"]
    assert found.measures["agreement"] < 1


def test_what_a_teacher_has_decided_is_not_asked_again(
    distilled, run_main, teacher_folder, training_folder, monkeypatch
):
    asked: list[int] = []
    monkeypatch.setattr(
        ActionVerbalizer, "_complete", lambda self, prompts, examples: asked.append(len(prompts)) or []
    )
    before = (distilled / "student.safetensors").read_bytes()
    code, _, err = run_main(
        "distill", teacher_folder, "--dataset", training_folder / "built", "--output", distilled, *WORDS
    )
    assert (code, asked) == (0, []), err
    assert (distilled / "student.safetensors").read_bytes() == before


def test_too_few_examples_are_refused(run_main, teacher_folder, training_folder, tmp_path, text_cache):
    words = ("distill", teacher_folder, "--dataset", training_folder / "built", "--output", tmp_path / "student")
    code, _, err = run_main(*words, "--limit", 19)
    assert (code, err) == (
        2,
        "Error: 19 train examples are too few to learn from a teacher; at least 20 are needed. Raise the limit, or "
        "build a larger dataset.\n",
    )
    assert not (tmp_path / "student").exists()


def of_another_log(folder: Path) -> None:
    run = {"schema_version": 1, "name": "t", "dataset": {"name": "another-log"}}
    (folder / "run.json").write_text(json.dumps(run))


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (of_another_log, "was trained on the catalogue of another-log, but"),
        (lambda folder: (folder / "verbalizer_config.json").unlink(), "does not say which verbalizer it is"),
        (lambda folder: (folder / "verbalizer_config.json").write_text('{"verbalizer": "ode"}'), "verbalizer 'ode'"),
        (lambda folder: (folder / "student.safetensors").write_text(""), "is a student already"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "contains no model that can be loaded"),
    ],
    ids=["another catalogue", "no config", "unknown", "a student", "no weights"],
)
def test_what_cannot_teach_is_refused(prepare, said, run_main, teacher_folder, training_folder, tmp_path):
    prepare(teacher_folder)
    words = ("distill", teacher_folder, "--dataset", training_folder / "built", "--output", tmp_path / "student")
    code, _, err = run_main(*words)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "student").exists()


def test_an_adapter_is_not_replaced_by_a_student(run_main, teacher_folder, training_folder):
    before = sorted(path.name for path in teacher_folder.iterdir())
    words = ("distill", teacher_folder, "--dataset", training_folder / "built", "--output", teacher_folder)
    code, _, err = run_main(*words)
    assert code == 2
    assert "so it is no student, and is not replaced" in err
    assert sorted(path.name for path in teacher_folder.iterdir()) == before


def test_a_kill_while_it_is_written_leaves_no_half_of_it(rule_teacher, teacher_folder, tmp_path, monkeypatch):
    teacher, dataset = rule_teacher
    found = distil(teacher, dataset, *(rule_lesson(dataset, split, teacher) for split in ("train", "validation")))
    monkeypatch.setattr(action_student, "write_run", lambda record, folder: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        action_student.write_student(
            found, tmp_path / "student", dataset, str(teacher_folder), None, {"seed": 0}, datetime.now(timezone.utc)
        )
    assert not (tmp_path / "student").exists()
