"""The results as charts: one bar with its interval per row, and the same split by the gap before the target."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from logs2lang.dataset_builders.whole_files import whole_file

from .calibration import no_probabilities
from .report import reasoner_phrase
from .results import FEWEST_EXAMPLES, GAP_NAMES, ROW
from .table_columns import group_recall, group_sizes, group_title

CHART_FILE = "results.svg"
GAP_CHART_FILE = "results_by_gap.svg"
GROUP_CHART_FILE = "results_by_group.svg"
RELIABILITY_FILE = "reliability.svg"
CHART_FILES = (CHART_FILE, GAP_CHART_FILE, GROUP_CHART_FILE, RELIABILITY_FILE)

# Okabe and Ito's palette: told apart by readers with any colour vision, and in grey print.
KIND_COLOURS = {"verbalizer": "#0072B2", "baseline": "#E69F00", "ceiling": "#999999"}
KIND_TITLES = {"verbalizer": "text, read by the reasoner", "baseline": "classical recommender", "ceiling": "ceiling"}
SVG_STYLE: Any = {"svg.hashsalt": "logs2lang", "svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans", "Arial"]}
"""Equal inputs give equal bytes, without random ids; and text stays text, which can be searched and read aloud."""
_MEASURE_TITLES = {"discovery_recall@1": "Discovery Recall@1", "recall@1": "Recall@1"}

Row = Mapping[str, Any]


def write_charts(document: Mapping[str, Any], folder: Path, calibrated: Sequence[str] | None = None) -> list[Path]:
    """Draw the results.

    Args:
        document (`dict`): The content of `results.json`.
        folder (`Path`): Where to write.
        calibrated (`list[str]`, *optional*): Rows of the reliability plot; all that have probabilities by default.

    Returns:
        `list[Path]`: The files: the bars; the bars by gap where the targets came after gaps of several kinds; Recall@1
        by group where there are several; and a reliability plot where a row has probabilities.
    """
    charts = [_save(bar_chart(document), folder / CHART_FILE)]
    if len(_gaps(document)) > 1:
        charts.append(_save(gap_chart(document), folder / GAP_CHART_FILE))
    if group_sizes(document["rows"]):
        charts.append(_save(group_chart(document), folder / GROUP_CHART_FILE))
    if rows := _calibrated_rows(document, calibrated):
        charts.append(_save(reliability_chart(document, rows), folder / RELIABILITY_FILE))
    return charts


def headline_measure(document: Mapping[str, Any]) -> str:
    """Discovery Recall@1, or Recall@1 where no target was a discovery.

    Example:
        >>> headline_measure({"rows": [{"row": "template", "n_discovery": 0}]})
        'recall@1'
    """
    return "discovery_recall@1" if any(row["n_discovery"] for row in document["rows"]) else "recall@1"


def bar_chart(document: Mapping[str, Any]) -> Figure:
    """One horizontal bar per row, the best on top, with its 95% interval and the line of pure chance."""
    measure = headline_measure(document)
    rows = _sorted_rows(document["rows"], measure)
    figure = Figure(figsize=(8, 1.8 + 0.38 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    _draw_bars(axes, rows, measure)
    axes.set_yticks(range(len(rows)), [row[ROW] for row in rows])
    for place, row in enumerate(rows):
        axes.annotate(f"{row[measure]:.3f}", (_bounds(row, measure)[1], place), (5, 0), **_VALUE_STYLE)
    _finish(axes, document, measure)
    figure.suptitle(_title(document, rows[-1]["n_discovery" if "discovery" in measure else "n"]), fontsize=11)
    figure.legend(handles=_legend(rows), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def gap_chart(document: Mapping[str, Any]) -> Figure:
    """The bars once per gap, on one scale: a row may shine on lists that were ticked off and know nothing of taste."""
    gaps = _gaps(document)
    order = [row[ROW] for row in _sorted_rows(document["rows"], "recall@1")]
    figure = Figure(figsize=(3 + 2.6 * len(gaps), 1.8 + 0.34 * len(order)), layout="constrained")
    panels = figure.subplots(1, len(gaps), sharex=True, sharey=True, squeeze=False)[0]
    for axes, gap in zip(panels, gaps, strict=True):
        rows = [_slice(document, name, gap) for name in order]
        _draw_bars(axes, rows, "recall@1")
        _finish(axes, document, "recall@1")
        axes.set_title(f"{gap.replace('_', ' ')} (n = {rows[0]['n']})", fontsize=10)
    panels[0].set_yticks(range(len(order)), order)
    figure.suptitle(f"{_title(document, document['n'])}, by time since the interaction before", fontsize=11)
    figure.legend(handles=_legend(document["rows"]), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def group_chart(document: Mapping[str, Any]) -> Figure:
    """Recall@1 of every row in every group, the number in each field; fields of too few examples stay empty."""
    rows = _sorted_rows(document["rows"], "recall@1")[::-1]
    groups = group_sizes(rows)
    values = np.array([[group_recall(row, kind, name) for kind, name, _ in groups] for row in rows], dtype=float)
    figure = Figure(figsize=(2.6 + 0.62 * len(groups), 2.6 + 0.3 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    largest = np.nanmax(values, initial=0.01)
    axes.imshow(values, cmap="Blues", vmin=0, vmax=largest, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            colour = "white" if value > 0.6 * largest else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=colour)
    titles = [f"{group_title(kind, name)}\nn = {n}" for kind, name, n in groups]
    axes.set_xticks(range(len(groups)), titles, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(range(len(rows)), [row[ROW] for row in rows], fontsize=8)
    for place in range(1, len(groups)):
        if groups[place][0] != groups[place - 1][0]:
            axes.axvline(place - 0.5, color="black", linewidth=1.2)
    axes.spines[:].set_visible(False)
    figure.suptitle(
        f"{_title(document, document['n'])}\nRecall@1 by group; empty where n is below {FEWEST_EXAMPLES}", fontsize=10
    )
    return figure


def _calibrated_rows(document: Mapping[str, Any], names: Sequence[str] | None) -> list[Row]:
    """The rows of the reliability plot.

    Raises:
        InputError: One that was asked for has no probabilities.
    """
    rows = {row[ROW]: row for row in document["rows"]}
    if names is None:
        return [row for row in rows.values() if row.get("reliability")]
    for name in names:
        if not rows.get(name, {}).get("reliability"):
            raise no_probabilities(name)
    return [rows[name] for name in names]


def reliability_chart(document: Mapping[str, Any], rows: Sequence[Row]) -> Figure:
    """Per row with probabilities, how often its picks are right by how probable it calls them (Guo et al., 2017)."""
    across = min(len(rows), 4)
    down = -(-len(rows) // across)
    figure = Figure(figsize=(0.6 + 2.4 * across, 1.0 + 2.5 * down), layout="constrained")
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, row in zip(panels, rows, strict=False):
        bins = row["reliability"]
        most = max(one["n"] for one in bins)
        axes.plot([0, 1], [0, 1], **_CHANCE_STYLE)
        axes.scatter(
            [one["probability"] for one in bins],
            [one["recall"] for one in bins],
            s=[12 + 108 * one["n"] / most for one in bins],
            color=KIND_COLOURS[row["kind"]],
        )
        axes.set_title(f"{row[ROW]}, ECE {row['ece']:.3f}\nn = {row['n_calibrated']}", fontsize=9)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(rows) :]:
        axes.set_visible(False)
    figure.supxlabel("probability of the pick", fontsize=9)
    figure.supylabel("share of hits", fontsize=9)
    figure.suptitle(f"{_title(document, document['n'])}; the area of a point is its share of the picks", fontsize=9)
    return figure


_VALUE_STYLE: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 9, "color": "#333333"}
_CHANCE_STYLE: dict[str, Any] = {"color": "black", "linestyle": (0, (4, 3)), "linewidth": 1.2}


def _draw_bars(axes: Axes, rows: Sequence[Row], measure: str) -> None:
    values = [row[measure] for row in rows]
    bounds = [_bounds(row, measure) for row in rows]
    errors = [
        [value - low for value, (low, _) in zip(values, bounds, strict=True)],
        [high - value for value, (_, high) in zip(values, bounds, strict=True)],
    ]
    colours = [KIND_COLOURS[row["kind"]] for row in rows]
    style = {"ecolor": "#333333", "elinewidth": 1.2, "capsize": 3}
    axes.barh(range(len(rows)), values, xerr=errors, color=colours, height=0.7, error_kw=style)


def _finish(axes: Axes, document: Mapping[str, Any], measure: str) -> None:
    axes.axvline(1 / document["num_candidates"], **_CHANCE_STYLE)
    axes.set_xlim(left=0)
    axes.margins(x=0.12)
    axes.set_xlabel(f"{_MEASURE_TITLES[measure]}, 95% intervals", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _title(document: Mapping[str, Any], n: int) -> str:
    return f"{document['dataset']['name']}, {document['split']}, n = {n}\n{reasoner_phrase(document)}"


def _legend(rows: Sequence[Row]) -> list[Artist]:
    present = {row["kind"] for row in rows}
    bars = [Patch(color=KIND_COLOURS[kind], label=KIND_TITLES[kind]) for kind in KIND_COLOURS if kind in present]
    return [*bars, Line2D([], [], label="pure chance", **_CHANCE_STYLE)]


def _sorted_rows(rows: Sequence[Row], measure: str) -> list[Row]:
    return sorted((row for row in rows if row[measure] is not None), key=lambda row: row[measure])


def _bounds(row: Row, measure: str) -> tuple[float, float]:
    low, high = row[f"{measure}_interval"] or (row[measure], row[measure])
    return low, high


def _gaps(document: Mapping[str, Any]) -> list[str]:
    return [gap for gap in GAP_NAMES if any(gap in row["by_gap"] for row in document["rows"])]


def _slice(document: Mapping[str, Any], name: str, gap: str) -> Row:
    row = next(row for row in document["rows"] if row[ROW] == name)
    return {"kind": row["kind"], **row["by_gap"][gap]}


def _save(figure: Figure, path: Path) -> Path:
    with rc_context(SVG_STYLE), whole_file(path) as partial:
        figure.savefig(partial, format=path.suffix[1:], metadata={"Date": None})
    return path
