"""Distil an action verbalizer: a teacher decides on the records of some users, a student learns to decide alike."""

import platform
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.chosen_examples import choose_examples
from logs2lang.dataset_builders.dataset_folder.output_paths import require_folder_place
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import FOLD, HISTORY
from logs2lang.dataset_builders.whole_files import whole_folder

from ...models.language_models import LanguageModel
from ...models.model_folders import (
    ADAPTER_WEIGHTS,
    RUN_FILE,
    STUDENT_WEIGHTS,
    VERBALIZER_CONFIG,
    model_folder,
    public_name,
)
from ...verbalizers.action import ActionVerbalizer
from ...verbalizers.decision_models import BoostedTrees, LinearModel
from ...verbalizers.record_features import LogFacts
from ...verbalizers.student import Student, StudentVerbalizer, features_for
from ...verbalizers.verbalization_file import count_tokens
from ...verbalizers.verbalizer import History
from ..runs.run_record import dataset_entry, machine_entry, parent_entry, read_run, write_run
from .fitting import fit_linear, fit_trees, with_price

LEAST_EXAMPLES = {"train": 20, "validation": 10}
"""Fewer histories than these say next to nothing about what a teacher does."""

STUDENT_FILES = (STUDENT_WEIGHTS, VERBALIZER_CONFIG, RUN_FILE)
LIBRARIES = ("logs2lang", "scikit-learn", "numpy", "torch", "transformers", "peft", "datasets")

_PRICE_STEP = 0.1
_MOST_STEPS = 1000

Report = Callable[[str, int, int], None]
"""Called with a split, the number of its finished histories and the number of all."""


@dataclass(frozen=True)
class Lesson:
    """What a teacher did with some histories.

    Args:
        shown (`list[list[Record]]`): The records that it decided on.
        folds (`list[int]`): Which users were left out of the counts of successors, per history.
        decided (`list[tuple[str, ...]]`): One decision per record.
        texts (`list[str]`): What became of it.
    """

    shown: Sequence[History]
    folds: Sequence[int]
    decided: Sequence[tuple[str, ...]]
    texts: Sequence[str]

    @property
    def num_records(self) -> int:
        return sum(map(len, self.decided))

    def places(self, decisions: Sequence[str]) -> np.ndarray:
        """The decisions on all records, as their places in `decisions`."""
        place = {decision: number for number, decision in enumerate(decisions)}
        return np.array([place[decision] for of_one in self.decided for decision in of_one], np.int64)


def open_teacher(name: str, dataset: BuiltDataset) -> ActionVerbalizer:
    """Load the verbalizer that a student is to learn from.

    Args:
        name (`str`): Hub id or folder of an action adapter.
        dataset ([`BuiltDataset`]): What it is to decide on.

    Raises:
        InputError: It was trained on another log, is a student itself, or is not to be had.
    """
    folder = model_folder(name)
    if (folder / STUDENT_WEIGHTS).is_file():
        raise InputError(f"{name} is a student already. Give the adapter that it was taught by.")
    if (folder / RUN_FILE).is_file():
        log = (read_run(folder).get("dataset") or {}).get("name")
        if log is not None and log != dataset.name:
            raise InputError(
                f"{name} was trained on the catalogue of {log}, but {dataset.folder} is {dataset.name}. Give the "
                "dataset that it was trained on."
            )
    teacher = ActionVerbalizer.from_pretrained(name, dataset.items(), successors=dataset.known_successors())
    return cast(ActionVerbalizer, teacher)


def ask(
    teacher: ActionVerbalizer, dataset: BuiltDataset, split: str, limit: int | None, seed: int, report: Report
) -> Lesson:
    """Let the teacher decide on the histories of a split. What it decided before comes from the cache on disk.

    Args:
        teacher ([`ActionVerbalizer`]): With its language model.
        dataset ([`BuiltDataset`]): Where the histories come from.
        split (`str`): `"train"` or `"validation"`; `test` is for evaluation alone.
        limit (`int` or `None`): How many examples to draw by `seed`; all when `None`.
        seed (`int`): Decides the draw.
        report (`Callable`): See `Report`.

    Raises:
        InputError: There are fewer histories than `LEAST_EXAMPLES`.
    """
    examples = choose_examples(dataset.examples(split), limit, seed, None)
    least = LEAST_EXAMPLES[split]
    if len(examples) < least:
        raise InputError(
            f"{len(examples)} {split} examples are too few to learn from a teacher; at least {least} are needed. "
            "Raise the limit, or build a larger dataset."
        )
    histories, folds = examples[HISTORY][:], examples[FOLD][:]
    report(split, 0, len(histories))
    writings = teacher.write(histories, lambda done: report(split, done, len(histories)), folds)
    shown = [writing.shown for writing in writings]
    return Lesson(shown, folds, teacher.decided(writings, folds), [writing.text for writing in writings])


@dataclass(frozen=True)
class Distillation:
    """A student, and how it compares with its teacher on histories that it was not fitted on.

    Args:
        verbalizer ([`StudentVerbalizer`]): The student.
        measures (`dict`): What `run.json` says of it under `student`; see `distil`.
    """

    verbalizer: StudentVerbalizer
    measures: Mapping[str, Any]


def distil(
    teacher: ActionVerbalizer, dataset: BuiltDataset, train: Lesson, validation: Lesson, seed: int = 0
) -> Distillation:
    """Fit both kinds of model, choose one on validation, and see that its texts are no longer than the teacher's.

    The logistic regression is chosen unless the trees agree with the teacher more often. Where the student's texts
    have more tokens than the teacher's, every decision gets a price until they have not.

    Args:
        teacher ([`ActionVerbalizer`]): Whose tokenizer counts.
        dataset ([`BuiltDataset`]): For popularity and playing times.
        train ([`Lesson`]): What is learned from.
        validation ([`Lesson`]): What decides between the models, and on the price.
        seed (`int`, *optional*, defaults to 0): Of the trees.
    """
    decisions, log = teacher.known, LogFacts.of(dataset.training_interactions())
    features = features_for(decisions, teacher.items, log, teacher.successors)
    learned, watched = (features.of(lesson.shown, lesson.folds) for lesson in (train, validation))
    decided, wanted = train.places(decisions), validation.places(decisions)
    linear = fit_linear(learned, decided, len(decisions))
    models = [model for model in (linear, fit_trees(learned, decided, len(decisions), seed)) if model is not None]
    agreements = {model.kind: float((model.scores(watched).argmax(axis=1) == wanted).mean()) for model in models}
    chosen = max(models, key=lambda model: agreements[model.kind])  # the first of equals: the one that can be read

    def student(price: float) -> StudentVerbalizer:
        own = Student(log, with_price(chosen, price), decisions)
        return StudentVerbalizer(
            teacher.items,
            own,
            history_length=teacher.history_length,
            as_lists=teacher.as_lists,
            successors=teacher.successors,
        )

    price, taught, tokens = _no_longer(student, teacher, validation)
    answers = taught.student.decide(watched)
    measures = {
        "kind": chosen.kind,
        "decisions": list(decisions),
        "history_length": teacher.history_length,
        "train": {"histories": len(train.shown), "records": train.num_records},
        "validation": {"histories": len(validation.shown), "records": validation.num_records},
        "agreement": float((answers == wanted).mean()),
        "agreement_by_kind": agreements,
        "most_frequent": float(np.bincount(wanted).max() / len(wanted)),
        "price": price,
        "tokens": tokens,
        "decided": {
            "teacher": _shares(wanted, decisions),
            "student": _shares(answers, decisions),
        },
        "weights": _weights(linear, features.names, decisions),
        "uses": None if isinstance(chosen, LinearModel) else _uses(chosen, features.names),
    }
    return Distillation(taught, measures)


def _no_longer(
    student: Callable[[float], StudentVerbalizer], teacher: ActionVerbalizer, validation: Lesson
) -> tuple[float, StudentVerbalizer, dict[str, int]]:
    """The student at the lowest price that makes its texts no longer than the teacher's, all taken together."""
    tokenizer = cast(LanguageModel, teacher.language_model).tokenizer
    most = sum(count_tokens(tokenizer, validation.texts))

    def priced(step: int) -> tuple[float, StudentVerbalizer, int]:
        price = round(step * _PRICE_STEP, 1)
        verbalizer = student(price)
        texts = [writing.text for writing in verbalizer.write(validation.shown, folds=validation.folds)]
        return price, verbalizer, sum(count_tokens(tokenizer, texts))

    lowest = bisect_left(range(_MOST_STEPS), True, key=lambda step: priced(step)[2] <= most)
    price, verbalizer, tokens = priced(lowest)
    return price, verbalizer, {"teacher": most, "student": tokens}


def _shares(places: np.ndarray, decisions: Sequence[str]) -> dict[str, float]:
    """The share of records by what was decided."""
    counts = np.bincount(places, minlength=len(decisions)) / max(1, len(places))
    return dict(zip(decisions, counts.tolist(), strict=True))


def _weights(linear: LinearModel, names: Sequence[str], decisions: Sequence[str]) -> dict[str, dict[str, float]]:
    """What a feature adds to the score of each decision, per standard deviation above its mean."""
    by_feature = linear.weights.T.astype(float).round(3).tolist()
    told = (dict(zip(decisions, weights, strict=True)) for weights in by_feature)
    return {name: of_one for name, of_one in zip(names, told, strict=True) if any(of_one.values())}


def _uses(trees: BoostedTrees, names: Sequence[str]) -> dict[str, int]:
    """How often the trees ask about a feature, the most frequent first."""
    asked = np.bincount(trees.features[trees.features >= 0], minlength=len(names)).tolist()
    counts = Counter(dict(zip(names, asked, strict=True)))
    return {name: count for name, count in counts.most_common() if count}


def write_student(
    distillation: Distillation,
    folder: Path,
    dataset: BuiltDataset,
    teacher: str,
    name: str | None,
    config: Mapping[str, Any],
    started: datetime,
) -> Path:
    """Write the folder of a student: its model, its settings, and the record of how it was made.

    Args:
        distillation ([`Distillation`]): What `distil` returned.
        folder (`Path`): Where to; a student that lies there is replaced.
        dataset ([`BuiltDataset`]): What it was taught on.
        teacher (`str`): Hub id or folder of its teacher.
        name (`str`, *optional*): Of the student, and of its repository on the Hub; the teacher's with `-student` by
            default.
        config (`dict`): The choices of the run.
        started (`datetime`): When it began.

    Returns:
        `Path`: The folder.
    """
    now = datetime.now(timezone.utc)
    record = {
        "name": name or f"{public_name(teacher).split('/')[-1]}-student",
        "release": "full",
        "role": "verbalizer",
        "method": "distill",
        "verbalizer": ActionVerbalizer.name,
        "answer": None,
        "teacher": parent_entry(teacher),
        "student": dict(distillation.measures),
        "config": dict(config),
        "seed": config["seed"],
        "prompts": {},
        "history": [],
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}},
        "machine": machine_entry(),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((now - started).total_seconds(), 1),
        "dataset": dataset_entry(dataset),
        "results": None,
    }
    with whole_folder(folder, STUDENT_FILES) as partial:
        distillation.verbalizer.student.save(partial)
        distillation.verbalizer.save_config(partial)
        write_run(record, partial)
    return folder


def require_student_place(folder: Path) -> None:
    """Refuse a folder whose files are not those of a student: they would be replaced by what is no better.

    Raises:
        InputError: It is a file, or holds a run of another kind.
    """
    require_folder_place(folder)
    found = [name for name in (RUN_FILE, VERBALIZER_CONFIG, ADAPTER_WEIGHTS) if (folder / name).exists()]
    if found and not (folder / STUDENT_WEIGHTS).exists():
        raise InputError(
            f"{folder} has a {found[0]} and no {STUDENT_WEIGHTS}, so it is no student, and is not replaced. Choose "
            "another --output."
        )
