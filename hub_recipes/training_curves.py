"""The curves of a training, drawn from the history in its `run.json`: reward, length and loss over the steps."""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dataset_builders.input_error import InputError

CURVES_FILE = "curves.svg"
STEP = "step"

History = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Panel:
    """One panel of the picture: its title, and which measures of the history it shows."""

    title: str
    measures: str

    def lines(self, history: History) -> dict[str, list[tuple[float, float]]]:
        """The points of each measure, over the steps that have one."""
        names = sorted({name for entry in history for name in entry if re.fullmatch(self.measures, name)})
        points = {name: [(row[STEP], row[name]) for row in history if row.get(name) is not None] for name in names}
        return {name: of_name for name, of_name in points.items() if of_name}


PANELS = (
    Panel("reward", r"(eval_)?reward|rewards/[^/]+(/mean)?"),
    Panel("length of a completion, tokens", r"(completions/)?mean_length|completion_length|length"),
    Panel("loss", r"(eval_)?loss"),
    Panel("recall@1", r"(eval_)?(recall@1|accuracy)"),
)


def write_curves(run: Mapping[str, Any], folder: Path) -> Path:
    """Draw the curves of a training.

    Args:
        run (`dict`): The content of `run.json`.
        folder (`Path`): Where to write `curves.svg`.

    Raises:
        InputError: The history has no step with a reward, a length or a loss.
    """
    path = folder / CURVES_FILE
    partial = path.with_name(f".{path.name}.partial")
    with rc_context({"svg.hashsalt": "logs2lang"}):  # else the ids inside the file change with every drawing
        metadata = {"Date": None, "Description": history_mark(run)}
        curves_figure(run).savefig(partial, format="svg", metadata=metadata)
    os.replace(partial, path)
    return path


def are_curves_of(run: Mapping[str, Any], path: Path) -> bool:
    """Whether a picture was drawn from the history of this run.

    The bytes of a picture change with matplotlib, so it carries a mark of what it shows.
    """
    return path.is_file() and history_mark(run) in path.read_text(encoding="utf-8")


def history_mark(run: Mapping[str, Any]) -> str:
    """What a picture of the history says it was drawn from."""
    history = json.dumps(run.get("history"), sort_keys=True)
    return f"history {hashlib.sha256(history.encode()).hexdigest()}"


def curves_figure(run: Mapping[str, Any]) -> Figure:
    """One panel per kind of measure that the history has."""
    history = run.get("history") or []
    drawn = {panel: lines for panel in PANELS if (lines := panel.lines(history))}
    if not drawn:
        raise InputError(
            f"The run.json of {run.get('name')} has a history without any reward, length or loss, so there is no "
            "curve to draw. Train with logging on."
        )
    figure = Figure(figsize=(1 + 3.6 * len(drawn), 3.2), layout="constrained")
    for axes, (panel, lines) in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn.items(), strict=True):
        _draw(axes, panel, lines)
    figure.suptitle(str(run.get("name")), fontsize=10)
    return figure


def _draw(axes: Axes, panel: Panel, lines: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    for name, points in lines.items():
        steps, values = zip(*points, strict=True)
        axes.plot(steps, values, label=name, linewidth=1.4, marker="." if len(points) < 20 else None)
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel("step", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=8)
