"""Small students made by hand: each decides by one number, so that what it must do can be read off."""

import numpy as np
import pandas as pd

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.training.distillation.action_student import Lesson
from logs2lang.verbalizers.action import ActionVerbalizer
from logs2lang.verbalizers.decided_texts import WITH_NEXT, Decisions, execute
from logs2lang.verbalizers.decision_models import BoostedTrees, LinearModel
from logs2lang.verbalizers.record_features import NUMBERS, LogFacts, feature_names
from logs2lang.verbalizers.student import Student

PLACE = NUMBERS.index("place from the newest (log2)")


def to_log(*item_ids: str, duration: float | None = None) -> LogFacts:
    """What is known of a log in which each item was played once."""
    length = np.float32(np.nan if duration is None else duration)
    return LogFacts.of(pd.DataFrame({"item_id": list(item_ids), "event": "play", "duration_s": length}))


def keep_newest(log: LogFacts, newest: int = 2, decisions: tuple[str, ...] = WITH_NEXT) -> Student:
    """Takes the last decision for the newest records and drops the rest."""
    width = len(feature_names(log.events))
    weights = np.zeros((len(decisions), width), np.float32)
    weights[-1, PLACE] = -1
    intercepts = np.full(len(decisions), -100, np.float32)
    intercepts[[0, -1]] = 0, np.log2(newest + 0.5)
    zeros, ones = np.zeros(width, np.float32), np.ones(width, np.float32)
    return Student(log, LinearModel(weights, intercepts, zeros, ones), decisions)


def keep_newest_by_tree(log: LogFacts, newest: int = 2) -> Student:
    """The same, as one tree for `next`."""
    model = BoostedTrees(
        np.array([0, -100, -100, 0], np.float32),
        decisions=np.array([3], np.int32),
        roots=np.array([0], np.int32),
        features=np.array([PLACE, -1, -1], np.int32),
        thresholds=np.array([np.log2(newest + 0.5), 0, 0], np.float32),
        lefts=np.array([1, 0, 0], np.int32),
        rights=np.array([2, 0, 0], np.int32),
        values=np.array([0, 1, -1], np.float32),
    )
    return Student(log, model, WITH_NEXT)


def rule_lesson(dataset: BuiltDataset, split: str, teacher: ActionVerbalizer) -> Lesson:
    """What a teacher with a plain rule would do: the newest record with its successors, the one before it kept."""
    rows = dataset.examples(split).select(range(30))
    shown = [history[-4:] for history in rows["history"]]
    decided = [("drop",) * (len(history) - 2) + ("keep", "next")[-len(history) :] for history in shown]
    texts = [
        execute(Decisions(of_one, 0), history, teacher.items, teacher.successors, fold)
        for of_one, history, fold in zip(decided, shown, rows["fold"], strict=True)
    ]
    return Lesson(shown, list(rows["fold"]), decided, texts)
