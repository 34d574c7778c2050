"""How a run went, as a picture: one panel per measure that was logged, over the steps."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...evaluation.charts import SVG_STYLE
from .run_record import read_run

CURVES_FILE = "curves.svg"

PANELS = {
    "reward": "Reward",
    "oracle/hit_rate": "Oracle's hit rate",
    "answer/hit_rate": "Hit rate",
    "recall@1": "Recall@1, training batches",
    "eval_recall@1": "Recall@1, validation",
    "length/compression": "Tokens of the text / template",
    "completions/mean_length": "Tokens of a completion",
    "kl": "KL to the reference",
    "oracle/equal_groups": "Groups of equal reward",
    "length/alone": "Groups that differ in length alone",
    "entropy": "Entropy",
    "loss": "Loss",
}
"""Measures that are drawn where a run logged them, in this order."""

_COLUMNS = 3
_COLOUR = "#0072B2"


def draw_curves(folder: Path) -> Path:
    """Draw the history in a folder's `run.json` beside it.

    Args:
        folder (`Path`): An adapter's folder.

    Returns:
        `Path`: The picture.
    """
    path, history = folder / CURVES_FILE, read_run(folder)["history"]
    with rc_context(SVG_STYLE):
        curves_figure(history).savefig(path, metadata={"Date": None, "Description": history_mark(history)})
    return path


def are_curves_current(folder: Path) -> bool:
    """Whether the picture in a folder was drawn from the history in its `run.json`.

    The bytes of a picture change with matplotlib, so it carries a mark of what it shows.
    """
    path = folder / CURVES_FILE
    return path.is_file() and history_mark(read_run(folder)["history"]) in path.read_text(encoding="utf-8")


def history_mark(history: Sequence[Mapping[str, Any]]) -> str:
    """What a picture of a history says it was drawn from."""
    return f"history {hashlib.sha256(json.dumps(history, sort_keys=True).encode()).hexdigest()}"


def curves_figure(history: Sequence[Mapping[str, Any]]) -> Figure:
    """One panel per measure.

    Args:
        history (`list[dict]`): Rows with `step` and measures.

    Example:
        >>> figure = curves_figure([{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0, "kl": None}])
        >>> [axes.get_title(loc="left") for axes in figure.axes]
        ['Loss']
    """
    curves = {name: curve for name in PANELS if (curve := _curve(history, name))}
    rows = -(-len(curves) // _COLUMNS) or 1
    figure = Figure(figsize=(3.6 * _COLUMNS, 2.4 * rows), layout="constrained")
    for place, (name, curve) in enumerate(curves.items(), start=1):
        axes = figure.add_subplot(rows, min(_COLUMNS, len(curves)), place)
        axes.plot(*zip(*curve, strict=True), color=_COLOUR, marker="." if len(curve) < 12 else None)
        axes.set_title(PANELS[name], loc="left", fontsize=10)
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    return figure


def _curve(history: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    return [(row["step"], row[name]) for row in history if row.get(name) is not None]
