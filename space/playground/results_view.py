"""The released results: one table with its bars and intervals, and what was rewarded during training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.evaluation.charts import headline_measure
from logs2lang.evaluation.report import COLUMNS, setting_line
from logs2lang.evaluation.results import RESULTS_FILE, ROW, read_document

from .comparison import ACTION_RULE
from .markup import render
from .released_adapters import MODEL_CARDS, ReleasedAdapter

RESULTS = MODEL_CARDS / "results"
EXAMPLES_RESULTS = "movietweetings-100k"
"""The evaluation on the log whose films the example users watch."""
_MEASURED = {
    "template": "template",
    "profile": "profile",
    "successors": "successors",
    "action": "action",
    f"action:{ACTION_RULE}": "action by a rule",
}
"""Rows of that evaluation whose texts stand on the page."""
_HEADINGS = {"discovery_recall@1": "Discovery Recall@1", "recall@1": "Recall@1"}
_KINDS = {"verbalizer": "text, read by the reasoner", "baseline": "classical recommender", "ceiling": "ceiling"}
_SHOWN = ("n discovery", "Gain over template", "MRR", "Compression", "Invalid", "Position bias", "Unsupported titles")


_LEGEND_CHARS = 20
"""A legend of Gradio's plots cuts longer names off."""


def result_names(folder: Path = RESULTS) -> list[str]:
    """The evaluations in a folder, by the names of their folders."""
    return sorted(path.parent.name for path in folder.glob(f"*/{RESULTS_FILE}"))


def first_evaluation(folder: Path = RESULTS) -> str | None:
    """The evaluation to open with: that on the log of the example users, or else the largest one.

    The largest has the most examples, and of those the most rows; `None` where there is none.
    """
    names = result_names(folder)
    if EXAMPLES_RESULTS in names:
        return EXAMPLES_RESULTS
    return max(names, key=lambda name: _size(folder / name / RESULTS_FILE), default=None)


def measured_sentence(folder: Path = RESULTS) -> str:
    """How often texts as on the page lead to the right pick for real users; empty where nobody measured it."""
    try:
        document = read_document(folder / EXAMPLES_RESULTS / RESULTS_FILE)
    except InputError:
        return ""
    rows = {row[ROW]: row for row in document["rows"]}
    shares = [_share(words, rows[name]) for name, words in _MEASURED.items() if name in rows]
    return (
        f"Measured on {document['n']:,} real users of the same log, the share of right picks (Recall@1, with 95% "
        f"intervals): {', '.join(shares)}. Chance is {1 / document['num_candidates']:.2f}."
    )


def _share(words: str, row: Mapping[str, Any]) -> str:
    low, high = _bounds(row, "recall@1")
    return f"{words} {row['recall@1']:.2f} ({low:.2f} to {high:.2f})"


def _size(path: Path) -> tuple[int, int]:
    """The number of examples and of rows."""
    try:
        document = read_document(path)
    except InputError:  # the table says what is wrong with it
        return 0, 0
    return document["n"], len(document.get("rows", ()))


def results_table(name: str | None, folder: Path = RESULTS) -> str:
    """One evaluation as HTML: a row for each row of `results.json`, the best first, with a bar and its interval.

    Args:
        name (`str`, *optional*): One of `result_names`.
        folder (`Path`, *optional*): Where they lie.
    """
    if name not in result_names(folder):
        return render(
            "notice",
            kind="remark",
            messages=["No results have been released yet. Run `logs2lang evaluate` to make some."],
        )
    try:
        document = read_document(folder / name / RESULTS_FILE)
    except InputError as error:
        return render("notice", kind="error", messages=[str(error)])
    measure = headline_measure(document)
    rows = [row for row in document["rows"] if row[measure] is not None]
    top = max([_bounds(row, measure)[1] for row in rows] or [1.0])
    return render(
        "results",
        setting=setting_line(document),
        heading=_HEADINGS[measure],
        kinds=_KINDS,
        chance=100 / document["num_candidates"] / top,
        rows=[_row(row, measure, top) for row in sorted(rows, key=lambda row: -row[measure])],
        columns=[column.heading for column in _columns()],
        command=document["command"],
        created=(document["created"] or "")[:10],
    )


def reward_curves(adapters: Sequence[ReleasedAdapter]) -> pd.DataFrame:
    """Reward by training step of every released run: `step`, `reward`, `run` (see [`run_names`])."""
    points = [
        {"step": point["step"], "reward": point["reward"], "run": name}
        for name, adapter in run_names(adapters).items()
        for point in adapter.history
        if point.get("reward") is not None
    ]
    return pd.DataFrame(points, columns=["step", "reward", "run"])


def run_names(adapters: Sequence[ReleasedAdapter]) -> dict[str, ReleasedAdapter]:
    """Runs that logged rewards, by names that a legend has room for: what is trained and how, numbered where that is
    the same."""
    names: dict[str, ReleasedAdapter] = {}
    for adapter in adapters:
        if not any(point.get("reward") is not None for point in adapter.history):
            continue
        short = ", ".join(filter(None, (adapter.role, adapter.run.get("method"))))[:_LEGEND_CHARS]
        number = sum(name.partition(" #")[0] == short for name in names) + 1
        names[short if number == 1 else f"{short} #{number}"] = adapter
    return names


def _columns() -> list[Any]:
    return [column for column in COLUMNS if column.heading in _SHOWN]


def _row(row: Mapping[str, Any], measure: str, top: float) -> dict[str, Any]:
    low, high = _bounds(row, measure)
    return {
        "name": row[ROW],
        "kind": row["kind"],
        "value": f"{row[measure]:.3f}",
        "interval": f"{low:.3f} to {high:.3f}",
        "percent": 100 * row[measure] / top,
        "low": 100 * low / top,
        "high": 100 * high / top,
        "cells": [column.cell(row) for column in _columns()],
    }


def _bounds(row: Mapping[str, Any], measure: str) -> tuple[float, float]:
    low, high = row[f"{measure}_interval"] or (row[measure], row[measure])
    return low, high
