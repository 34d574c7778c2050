"""A student of an action verbalizer: it decides from features of a record, in microseconds, with no language model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import ALL_USERS, HISTORY, Item
from logs2lang.dataset_builders.successor_lists import SuccessorLists
from logs2lang.dataset_builders.whole_files import whole_file

from ..models.model_folders import STUDENT_WEIGHTS, VERBALIZER_CONFIG, content_hash
from .action import UNDECIDED, ActionVerbalizer, to_completion
from .decided_texts import DECISIONS, NEXT, WITH_NEXT, Decisions, execute
from .decision_models import BoostedTrees, LinearModel, to_arrays, to_model
from .language_model_verbalizer import Writing, folds_of
from .record_features import LogFacts, RecordFeatures, feature_names
from .verbalizer import History, Progress

STUDENT_VERSION = 1
"""Raised whenever a reader of earlier files would misread a later one, as where a feature is computed otherwise."""

HISTORIES_AT_ONCE = 256
"""Histories whose features are computed together: enough for numpy, and few enough for a core's cache."""

_HEADER = "logs2lang_student"
_LOG_ARRAYS = ("keys", "popularity", "lengths")
_LEAST_KNOWN = 0.5
"""Of the works that a student was taught on, the share that a catalogue must have to be called the same one."""


@dataclass(frozen=True)
class Student:
    """What was learned from a teacher: a model, and what of the log its features need.

    Args:
        log ([`LogFacts`]): Events, popularity and playing times.
        model ([`LinearModel`] or [`BoostedTrees`]): Scores the decisions.
        decisions (`tuple[str, ...]`): `DECISIONS` or `WITH_NEXT`, in the order of the scores.
    """

    log: LogFacts
    model: LinearModel | BoostedTrees
    decisions: tuple[str, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features; see `RecordFeatures`."""
        return feature_names(self.log.events)

    def decide(self, features: np.ndarray) -> np.ndarray:
        """The decision about each record, as its place in `decisions`.

        Args:
            features (`np.ndarray` of `float32`, shape `(records, features)`): See `RecordFeatures`.

        Returns:
            `np.ndarray` of `int64`, shape `(records,)`.
        """
        return self.model.scores(features).argmax(axis=1)

    def save(self, folder: Path) -> Path:
        """Write it as one whole file of arrays, `student.safetensors`."""
        header = {
            "version": STUDENT_VERSION,
            "kind": self.model.kind,
            "decisions": self.decisions,
            "events": self.log.events,
            "features": self.features,
        }
        arrays = {**{name: getattr(self.log, name) for name in _LOG_ARRAYS}, **to_arrays(self.model)}
        with whole_file(folder / STUDENT_WEIGHTS) as partial:
            save_file(arrays, partial, metadata={_HEADER: json.dumps(header)})
        return folder / STUDENT_WEIGHTS

    @classmethod
    def load(cls, folder: Path) -> "Student":
        """Read what `save` wrote. The file holds numbers and names, and nothing that could run.

        Raises:
            InputError: It is missing, damaged, no such file at all, or of another version.
        """
        path = folder / STUDENT_WEIGHTS
        try:
            with safe_open(path, "numpy") as stored:
                header = json.loads((stored.metadata() or {}).get(_HEADER, "null"))
                arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no mapping)
            return cls._of(header, arrays)
        except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path} is not a student that can be read ({str(error).splitlines()[0]}). Download it again, or "
                "write it again with `logs2lang distill`. Files of other kinds, such as pickles, are never loaded."
            ) from error

    @classmethod
    def _of(cls, header: Any, arrays: Mapping[str, np.ndarray]) -> "Student":
        if not isinstance(header, dict):
            raise ValueError("its header is not that of a student")
        if header.get("version") != STUDENT_VERSION:
            raise ValueError(f"it has version {header.get('version')!r}, and this release reads {STUDENT_VERSION}")
        decisions, events = tuple(header["decisions"]), tuple(header["events"])
        if decisions not in (DECISIONS, WITH_NEXT):
            raise ValueError(f"it decides between {', '.join(map(str, decisions))}")
        names = feature_names(events)
        if tuple(header["features"]) != names:
            raise ValueError("its features are not those of this release")
        log = LogFacts(events, *(arrays[name] for name in _LOG_ARRAYS))
        log.check()
        return cls(log, to_model(header["kind"], arrays, len(names), len(decisions)), decisions)


def features_for(
    decisions: Sequence[str], items: Mapping[str, Item], log: LogFacts, successors: SuccessorLists | None
) -> RecordFeatures:
    """What a student decides from: as for its teacher, successors count only where `next` is to be decided.

    Args:
        decisions (`list[str]`): `DECISIONS` or `WITH_NEXT`.
        items (`dict[str, Item]`): The catalogue.
        log ([`LogFacts`]): For events, popularity and playing times.
        successors ([`SuccessorLists`], *optional*): What other users chose after each item.
    """
    return RecordFeatures(items, log, successors if NEXT in decisions else None)


class StudentVerbalizer(ActionVerbalizer):
    """Decides as its teacher would, from numbers about each record, and carries the decisions out in the same way.

    `ActionVerbalizer.from_pretrained` opens a student's folder as one of these.

    Args:
        items (`dict[str, Item]`): The catalogue.
        student ([`Student`]): Decides.
        history_length (`int`, *optional*): How many of the newest records are shown; all when `None`.
        as_lists (`bool`, *optional*, defaults to `False`): Whether the text names works in two lists; see [`execute`].
        successors ([`SuccessorLists`], *optional*): What other users chose after each item; `next` needs it.
        fingerprint (`str`, *optional*): Stands for the student in caches and results.

    Raises:
        InputError: The student was taught on another catalogue, or decides `next` and there are no successors.

    Example:
        >>> verbalizer = ActionVerbalizer.from_pretrained("runs/student", items, successors=lists)  # doctest: +SKIP
        >>> verbalizer.verbalize([history])  # doctest: +SKIP
    """

    def __init__(
        self,
        items: Mapping[str, Item],
        student: Student,
        *,
        history_length: int | None = None,
        as_lists: bool = False,
        successors: SuccessorLists | None = None,
        fingerprint: str = "student",
    ):
        decisions = len(student.decisions)
        super().__init__(
            items, history_length=history_length, decisions=decisions, as_lists=as_lists, successors=successors
        )
        known = student.log.known_share(items)
        if known < _LEAST_KNOWN:
            raise InputError(
                f"This student was taught on another catalogue: of its {len(student.log.keys):,} items only "
                f"{known:.0%} are in this one. Give the dataset that it was taught on, or distill its teacher again "
                "on this one."
            )
        self.student = student
        self.features = features_for(self.known, items, student.log, successors)
        self._fingerprint = fingerprint

    @classmethod
    def of_folder(
        cls, folder: Path, items: Mapping[str, Item], successors: SuccessorLists | None = None, **choices: Any
    ) -> "StudentVerbalizer":
        """Open the folder of a student; see [`ActionVerbalizer.from_pretrained`] for the arguments."""
        student = Student.load(folder)
        chosen = {**cls.trained_choices(folder / VERBALIZER_CONFIG), **choices}
        decisions = chosen.pop("decisions", len(student.decisions))
        if decisions != len(student.decisions):
            raise InputError(
                f"The student in {folder} makes {len(student.decisions)} decisions ({', '.join(student.decisions)}), "
                f"but {decisions} were asked for. Leave `decisions` out, or distill another teacher."
            )
        own = f"student-{content_hash(folder)}"
        return cls(items, student, successors=successors, fingerprint=own, **chosen)

    @property
    def fingerprint(self) -> str:
        shown = [] if self.history_length is None else [f"newest-{self.history_length}"]
        return "-".join([self._fingerprint, *shown])

    def fit(self, history: History, fold: int = ALL_USERS) -> History:
        """The newest records of a history; there is no window that they would have to fit."""
        return self._shown(history)

    def asked(self, example: Mapping[str, Any]) -> list[int]:
        """The places of the shown records, from the oldest to the newest: nobody asks a student about them."""
        return list(range(len(self._shown(example[HISTORY]))))

    def write(
        self, histories: Sequence[History], progress: Progress | None = None, folds: Sequence[int] | None = None
    ) -> list[Writing]:
        """Write each history as text, and count what became of its records; see [`LanguageModelVerbalizer.write`]."""
        shown = [self._shown(history) for history in histories]
        own_folds = folds_of(histories, folds)
        writings: list[Writing] = []
        for start in range(0, len(shown), HISTORIES_AT_ONCE):
            part = slice(start, start + HISTORIES_AT_ONCE)
            decided = self.decide(shown[part], own_folds[part])
            writings += map(self._writing, shown[part], decided, own_folds[part])
            if progress is not None:
                progress(len(writings))
        return writings

    def decide(self, histories: Sequence[History], folds: Sequence[int]) -> list[tuple[str, ...]]:
        """One decision per record of each history.

        Args:
            histories (`list[list[Record]]`): The records that are shown, oldest first.
            folds (`list[int]`): Which users are left out of the counts of successors, per history.
        """
        chosen = self.student.decide(self.features.of(histories, folds)).tolist()
        words = list(map(self.known.__getitem__, chosen))
        ends = accumulate(map(len, histories))
        return [tuple(words[end - len(history) : end]) for history, end in zip(histories, ends, strict=True)]

    def _writing(self, history: History, decided: tuple[str, ...], fold: int) -> Writing:
        made = Decisions(decided, undecided=0)
        text = execute(made, history, self.items, self.successors, fold, self.as_lists)
        counts = {decision: decided.count(decision) for decision in self.known}
        return Writing(history, to_completion(decided), text, {**counts, UNDECIDED: 0})
