"""`chain.json`: what the steps of a chain led to, side by side, so that an ablation is one file.

Each evaluation is held against the first one of the chain, row by row, on the same examples. Of each training stands
how its measures began and how they ended.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from logs2lang.dataset_builders.input_error import InputError

from ...evaluation.comparisons import compare_pairs, measure_names, require_same_examples
from ...evaluation.report import markdown_table, reasoner_phrase
from ...evaluation.results import CUT_OFFS, FINGERPRINT, ROW, Results, read_results
from ...evaluation.table_columns import Column, MeasureTable, comparison_table, filled, number, with_interval
from .curves import PANELS
from .run_folder import ADAPTER_FOLDER
from .run_record import read_run

CHAIN_FILE = "chain.json"
SCHEMA_VERSION = 1
STEP = "step"

_WINDOW = 5
"""So many logged steps at either end of a training are averaged: single steps of a few groups are noise."""
_MEASURES = ("n", "n_discovery", "discovery_recall@1", "recall@1", "ndcg@10", "compression", "ece", "position_bias")
_INTERVALS = tuple(f"{name}_interval" for name in _MEASURES)


def chain_document(folder: Path, trained: Sequence[str], evaluated: Sequence[str]) -> dict[str, Any]:
    """What the finished steps of a chain say.

    Args:
        folder (`Path`): Of the chain, with a folder per step.
        trained (`list[str]`): Names of its training steps, each with `adapter/run.json`.
        evaluated (`list[str]`): Names of its evaluations, each with `results.json`; the others are held against the
            first.

    Returns:
        `dict`: `trainings`, `evaluations` and `comparison`, as `chain.json` holds them.
    """
    results = {name: read_results(folder / name) for name in evaluated}
    first = next(iter(results.values()), None)
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": first and first.context["dataset"],
        "split": first and first.context["split"],
        "trainings": [_training(name, read_run(folder / name / ADAPTER_FOLDER)) for name in trained],
        "evaluations": [_evaluation(name, of_step, first) for name, of_step in results.items()],
        "comparison": _comparison(results),
    }


def _training(name: str, run: Mapping[str, Any]) -> dict[str, Any]:
    history = run["history"]
    entry = {
        STEP: name,
        "role": run["role"],
        "method": run["method"],
        "steps": run["steps"],
        "seconds": run["seconds"],
    }
    return {**entry, "window": _WINDOW, "start": _means(history[:_WINDOW]), "end": _means(history[-_WINDOW:])}


def _means(history: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    logged = {name: [line[name] for line in history if line.get(name) is not None] for name in PANELS}
    return {name: float(np.mean(values)) for name, values in logged.items() if values}


def _evaluation(name: str, results: Results, first: Results | None) -> dict[str, Any]:
    """The rows of one evaluation; one that the first has just so is not repeated."""
    kept = {key: results.context.get(key) for key in ("n", "history_length", "reasoner", "command")}
    new = [row for row in results.rows if results is first or not _is_same(first, row)]
    rows = [{key: row[key] for key in (ROW, *_MEASURES, *_INTERVALS) if key in row} for row in new]
    return {STEP: name, **kept, "rows": rows}


def _is_same(first: Results | None, row: Mapping[str, Any]) -> bool:
    """Whether everything that decides a row is as it was in the first evaluation."""
    base = None if first is None else first.row(row[ROW])
    return base is not None and base[FINGERPRINT] == row[FINGERPRINT]


def _comparison(results: Mapping[str, Results]) -> dict[str, Any] | None:
    """Every row that an evaluation shares with the first one, where something that decides it differs."""
    against = next(iter(results), None)
    if against is None:
        return None
    first, pairs = results[against], {}
    for name, others in results.items():
        if name == against or not _are_same_examples(first, others):
            continue
        for row in others.rows:
            if first.row(row[ROW]) is not None and not _is_same(first, row):
                pairs[f"{_spoken(name)}: {row[ROW]}"] = (
                    others.predictions_of(row[ROW]),
                    first.predictions_of(row[ROW]),
                )
    if not pairs:
        return None
    return {"against": _spoken(against), **compare_pairs(pairs, measure_names(CUT_OFFS)[:1], first.context["seed"])}


def _are_same_examples(first: Results, second: Results) -> bool:
    try:
        require_same_examples(first, second)
    except InputError:
        return False
    return True


def _spoken(name: str) -> str:
    """The name of a step as a table shows it.

    Example:
        >>> _spoken("results_without_length")
        'without_length'
    """
    return name.removeprefix("results_")


def chain_tables(document: Mapping[str, Any]) -> list[MeasureTable]:
    """What `chain.json` holds, as tables: the results, the differences, the trainings.

    Args:
        document (`dict`): As [`chain_document`] returns it.
    """
    evaluations, comparison = document["evaluations"], document["comparison"]
    rows = [
        {**of_step, **row, ROW: f"{_spoken(of_step[STEP])}: {row[ROW]}"}
        for of_step in evaluations
        for row in of_step["rows"]
    ]
    tables = [MeasureTable(_setting(document), *filled(_told_apart(evaluations), rows))]
    tables += [comparison_table(comparison)] if comparison else []
    trainings = [{**one, ROW: one[STEP]} for one in document["trainings"]]
    window = f"Trainings: means of the first and the last {_WINDOW} logged steps"
    return [*tables, *([MeasureTable(window, *filled(_TRAINING_COLUMNS, trainings))] if trainings else [])]


def _setting(document: Mapping[str, Any]) -> str:
    """What all evaluations share, in one line."""
    evaluations = document["evaluations"]
    parts = [document["dataset"]["name"], document["split"]]
    if len(counts := {one["n"] for one in evaluations}) == 1:
        parts.append(f"n = {counts.pop()}")
    if len(readers := {reasoner_phrase(one) for one in evaluations}) == 1:
        parts.append(readers.pop())
    return ", ".join(parts)


def _told_apart(evaluations: Sequence[Mapping[str, Any]]) -> list[Column]:
    """The columns of the results; what is the same for all steps needs none."""
    few = [Column("Reasoner", reasoner_phrase), Column("Records", number("history_length", "d"))]
    varying = [column for column in few if len({column.cell(one) for one in evaluations}) > 1]
    return [*varying, *_RESULT_COLUMNS]


def chain_section(document: Mapping[str, Any]) -> str:
    """The tables as Markdown."""
    parts = [
        part for table in chain_tables(document) for part in (table.title, markdown_table(table.rows, table.columns))
    ]
    return "\n\n".join(parts) + "\n"


def _change(name: str) -> Any:
    def cell(row: Mapping[str, Any]) -> str:
        start, end = row["start"].get(name), row["end"].get(name)
        if name == "loss" and row["method"] == "grpo":  # a sum of advantages, which is 0 whatever is learned
            return "—"
        return "—" if start is None or end is None else f"{start:.2f} → {end:.2f}"

    return cell


_RESULT_COLUMNS = (
    Column("n", number("n_discovery", "d")),
    Column("Discovery Recall@1", with_interval("discovery_recall@1", ".3f")),
    Column("Length", number("compression", ".2f")),
    Column("Place bias", number("position_bias", ".2f")),
    Column("ECE", number("ece", ".2f")),
)
_SHOWN = (
    "reward",
    "oracle/hit_rate",
    "answer/hit_rate",
    "recall@1",
    "length/compression",
    "oracle/equal_groups",
    "length/alone",
    "entropy",
    "loss",
)
_TRAINING_COLUMNS = (
    Column("Method", lambda row: row["method"]),
    Column("Steps", number("steps", "d")),
    Column("Minutes", lambda row: f"{row['seconds'] / 60:.0f}"),
    *(Column(PANELS[name], _change(name)) for name in _SHOWN),
)
