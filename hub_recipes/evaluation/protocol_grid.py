"""The same rows under several protocols: which interactions are targets, which items stand beside them, and how many.

A ranking of systems may depend on the protocol: popularity candidates favour other systems than uniform ones, ten
candidates others than a whole catalogue (Krichene and Rendle, 2020), and targets after one moment others than each
user's last (Ji et al., 2023). The grid shows it for one log. Of every two cells it says how alike their orders of rows
are (Kendall's tau-b), and which pairs of rows are in another order beyond chance in both cells.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.markup import escape
from rich.table import Table
from scipy.stats import kendalltau

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import Source, build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import EXAMPLE_ID, IS_DISCOVERY
from logs2lang.dataset_builders.whole_files import write_text

from .catalogue_evaluation import ALL, evaluate_catalogue, rank_summary
from .evaluation import evaluate_rows
from .metric import metric_scores
from .results import ROW, UNAVAILABLE, Results
from .row_measures import TARGET_RANK

GRID_FILE = "grid.json"
GRID_TABLE_FILE = "grid.md"
SCHEMA_VERSION = 1
COMPARED = "ndcg@10"
"""What the order of the rows goes by: with one target per example it looks at all of ten places."""
SHOWN = ("recall@1", COMPARED, "mrr", "mean_rank")
SURE = 1.96
"""Standard errors of a mean difference beyond which an order is no chance (95%)."""

Tell = Callable[[str], None]
Evaluate = Callable[..., Results]


@dataclass(frozen=True)
class Cell:
    """One protocol.

    Args:
        protocol (`str`): `"leave_last_out"` or `"temporal"`.
        num_candidates (`int` or `"all"`): How many stand to choose.
        candidates (`str`, *optional*): How the others were drawn; `None` where all stand there.
    """

    protocol: Any
    num_candidates: int | str
    candidates: Any = None

    @property
    def name(self) -> str:
        """Also that of its folder.

        Example:
            >>> Cell("temporal", 100, "uniform").name, Cell("temporal", "all").name
            ('temporal-uniform-100', 'temporal-all')
        """
        return "-".join(str(part) for part in (self.protocol, self.candidates, self.num_candidates) if part)


def to_cells(protocols: Sequence[str], candidates: Sequence[str], numbers: Sequence[int | str]) -> list[Cell]:
    """The cells of a grid: each number with each way to draw, and all candidates once for each protocol.

    Example:
        >>> [cell.name for cell in to_cells(["temporal"], ["popularity", "uniform"], [10, "all"])]
        ['temporal-popularity-10', 'temporal-uniform-10', 'temporal-all']
    """
    drawn = [number for number in numbers if number != ALL]
    cells = []
    for protocol in protocols:
        cells += [Cell(protocol, number, way) for number in drawn for way in candidates]
        cells += [Cell(protocol, ALL)] if ALL in numbers else []
    return cells


def write_grid(
    source: Source,
    output: Path,
    cells: Sequence[Cell],
    options: BuildOptions,
    evaluate: Callable[[Evaluate, BuiltDataset, Path, str], Results],
    *,
    tell: Tell | None = None,
    **building: Any,
) -> dict[str, Any]:
    """Build and evaluate each cell, and compare them.

    Args:
        source (`Callable`): Reads the log; see `build_dataset`.
        output (`Path`): Gets `grid.json`, `grid.md`, and a dataset and a results folder for each cell. Rows that stand
            there unchanged are not run again.
        cells (`list[Cell]`): As `to_cells` gives them.
        options ([`BuildOptions`]): Every other choice of the builds, such as filters.
        evaluate (`Callable`): Evaluates one cell, given `evaluate_rows` or `evaluate_catalogue`, the dataset, the
            folder of the results and the name of the cell.
        tell (`Callable[[str], None]`, *optional*): Called with what is being done.
        **building: As `build_dataset` takes them.

    Returns:
        `dict`: The content of `grid.json`.

    Raises:
        InputError: No cell can be built and evaluated.
    """
    measured: dict[Cell, Results] = {}
    unavailable: dict[str, str] = {}
    for cell in cells:
        say = _named(cell, tell)
        try:
            dataset = _build(source, output / "datasets", cell, options, say, building)
            run = evaluate_catalogue if cell.num_candidates == ALL else evaluate_rows
            measured[cell] = evaluate(run, dataset, output / cell.name, cell.name)
        except InputError as error:
            unavailable[cell.name] = str(error)
    if not measured:
        raise InputError(f"No cell of the grid can be evaluated. {next(iter(unavailable.values()))}")
    document = to_document(measured, unavailable)
    write_text(output / GRID_FILE, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    write_text(output / GRID_TABLE_FILE, grid_tables(document))
    return document


def _named(cell: Cell, tell: Tell | None) -> Tell:
    return lambda step: tell(f"{cell.name}: {step}") if tell is not None else None


def _build(
    source: Source, folder: Path, cell: Cell, options: BuildOptions, say: Tell, building: Mapping[str, Any]
) -> BuiltDataset:
    """The dataset of a cell. All candidates need no draw of their own: any dataset of the protocol serves."""
    drawn = (
        {} if cell.num_candidates == ALL else {"num_candidates": cell.num_candidates, "candidates": cell.candidates}
    )
    chosen = replace(options, protocol=cell.protocol, **drawn)
    place = folder / cell.name
    report = build_dataset(source, place, chosen, prompts=False, progress=say, **building)
    if not report["splits"]["test"]["examples"]:
        raise InputError(
            f"No test target has {chosen.num_candidates - 1} items beside it that its user never touched."
        )
    return BuiltDataset.open(place)


def to_document(measured: Mapping[Cell, Results], unavailable: Mapping[str, str]) -> dict[str, Any]:
    """What `grid.json` holds.

    Args:
        measured (`dict[Cell, Results]`): By cell, in the order to show.
        unavailable (`dict[str, str]`): Why other cells have no numbers.
    """
    context = next(iter(measured.values())).context
    tables = {cell: _ranks(results) for cell, results in measured.items()}
    cells = [_entry(cell, results, tables[cell]) for cell, results in measured.items()]
    pairs = [_compare(first, second, tables) for first, second in combinations(tables, 2)]
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": context["dataset"]["name"],
        "reasoner": context["reasoner"],
        "compared": COMPARED,
        "command": context["command"],
        "cells": cells,
        "agreement": pairs,
        UNAVAILABLE: dict(unavailable),
    }


def _ranks(results: Results) -> pd.DataFrame:
    """The rank of the target by example and row; 0 where it was not ranked."""
    table = results.predictions.pivot(index=EXAMPLE_ID, columns=ROW, values=TARGET_RANK)
    return table[[row[ROW] for row in results.rows]].fillna(0).astype(int)


def _entry(cell: Cell, results: Results, ranks: pd.DataFrame) -> dict[str, Any]:
    lines = results.predictions.drop_duplicates(EXAMPLE_ID).set_index(EXAMPLE_ID)
    is_discovery = lines[IS_DISCOVERY].reindex(ranks.index).to_numpy(bool)
    rows = {str(name): rank_summary(ranks[name].to_numpy(), is_discovery, (1, 10)) for name in ranks}
    return {
        "name": cell.name,
        "protocol": cell.protocol,
        "candidates": cell.candidates or ALL,
        "num_candidates": results.context["num_candidates"],
        "n": len(ranks),
        "options": results.context["dataset"]["options"],
        UNAVAILABLE: results.context.get(UNAVAILABLE, {}),
        "rows": rows,
    }


def _compare(first: Cell, second: Cell, tables: Mapping[Cell, pd.DataFrame]) -> dict[str, Any]:
    names = [str(name) for name in tables[first] if name in tables[second]]
    discounted_gains = metric_scores().discounted_gains
    gains = [discounted_gains(tables[cell][names].to_numpy(), 10) for cell in (first, second)]
    means = [of_cell.mean(axis=0) for of_cell in gains]
    tau = kendalltau(*means).statistic if len(names) > 1 else np.nan
    return {
        "first": first.name,
        "second": second.name,
        "rows": len(names),
        "kendall_tau": None if np.isnan(tau) else float(tau),
        "reversed": reversals(names, *gains),
        "best": [names[int(of_cell.argmax())] for of_cell in means] if names else [],
    }


def reversals(names: Sequence[str], first: np.ndarray, second: np.ndarray) -> list[list[str]]:
    """The pairs of rows of which one is better in one cell and the other in the other, beyond chance in both.

    Args:
        names (`list[str]`): Of the rows.
        first (`np.ndarray` of shape `[examples, rows]`): What each row gains from each example, in one cell.
        second (`np.ndarray` of shape `[examples, rows]`): The same in another, whose examples may be others.

    Returns:
        `list[list[str]]`: The better row in the first cell, and the better one in the second.

    Example:
        >>> a_wins = np.tile([[1.0, 0.0], [0.9, 0.1]], (50, 1))
        >>> reversals(["a", "b"], a_wins, 1 - a_wins), reversals(["a", "b"], a_wins, a_wins)
        ([['a', 'b']], [])
    """
    found = []
    for one, other in combinations(range(len(names)), 2):
        signs = [_sure_sign(of_cell[:, one] - of_cell[:, other]) for of_cell in (first, second)]
        if signs[0] * signs[1] < 0:
            found.append([names[one], names[other]] if signs[0] > 0 else [names[other], names[one]])
    return found


def _sure_sign(differences: np.ndarray) -> int:
    """Whether a mean difference is above (1) or below (-1) zero beyond chance; 0 where nobody knows."""
    if len(differences) < 2:
        return 0
    mean, error = differences.mean(), differences.std(ddof=1) / len(differences) ** 0.5
    return int(np.sign(mean)) if abs(mean) > SURE * error else 0


def grid_tables(document: Mapping[str, Any]) -> str:
    """The grid as Markdown: a table for each measure, how alike the orders are, and what they reverse."""
    cells = document["cells"]
    parts = [f"# {document['dataset']}: {len(cells)} protocols"]
    parts.append(_setting_table(cells))
    parts += [f"{_TITLES[measure]}\n\n{_measure_table(cells, measure)}" for measure in SHOWN]
    if document["agreement"]:
        parts.append(
            "How alike two protocols order the rows by NDCG@10 (Kendall's tau-b; 1 is the same order), and the pairs "
            "of rows that they order differently, beyond chance in both (95%):\n\n"
            + _agreement_table(document["agreement"])
        )
    parts += [f"{name} has no numbers: {why}" for name, why in document[UNAVAILABLE].items()]
    return "\n\n".join(parts) + "\n"


def terminal_grid(document: Mapping[str, Any]) -> Table:
    """The grid in a few columns: of each cell the best row, and how alike its order of rows is to the first cell's."""
    first = document["cells"][0]["name"]
    alike = {pair["second"]: pair for pair in document["agreement"] if pair["first"] == first}
    table = Table(title=f"{document['dataset']}: the best of the rows by NDCG@10", title_justify="left")
    table.add_column("Cell", no_wrap=True)
    for heading in ("n", "Best row", "NDCG@10", "Tau to the first", "Reversed"):
        table.add_column(heading, justify="right")
    for cell in document["cells"]:
        best = max(cell["rows"], key=lambda name: cell["rows"][name][COMPARED])
        pair = alike.get(cell["name"], {"kendall_tau": None, "reversed": []})
        tau = "—" if pair["kendall_tau"] is None else f"{pair['kendall_tau']:.2f}"
        counts = f"{cell['n']:,}", best, f"{cell['rows'][best][COMPARED]:.3f}", tau, str(len(pair["reversed"]))
        table.add_row(cell["name"], *map(escape, counts))
    return table


_TITLES = {
    "recall@1": "Recall@1 with its 95% interval (Wilson)",
    "ndcg@10": "NDCG@10",
    "mrr": "MRR",
    "mean_rank": "Mean rank of the target",
}


def _setting_table(cells: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        [cell["name"], cell["protocol"], cell["candidates"], f"{cell['num_candidates']:,}", f"{cell['n']:,}"]
        for cell in cells
    ]
    return _markdown(["Cell", "Split", "Candidates", "How many", "n"], lines)


def _measure_table(cells: Sequence[Mapping[str, Any]], measure: str) -> str:
    names = dict.fromkeys(name for cell in cells for name in cell["rows"])
    lines = [[cell["name"], *(_cell_text(cell["rows"].get(name, {}), measure) for name in names)] for cell in cells]
    return _markdown(["Cell", *names], lines)


def _cell_text(row: Mapping[str, Any], measure: str) -> str:
    if row.get(measure) is None:
        return "—"
    if measure == "mean_rank":
        return f"{row[measure]:,.1f}"
    interval = row.get(f"{measure}_interval")
    return f"{row[measure]:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def _agreement_table(pairs: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        [
            pair["first"],
            pair["second"],
            "—" if pair["kendall_tau"] is None else f"{pair['kendall_tau']:.2f}",
            " / ".join(pair["best"]),
            str(len(pair["reversed"])),
            "; ".join(f"{one} > {other}" for one, other in pair["reversed"]) or "none",
        ]
        for pair in pairs
    ]
    return _markdown(
        ["First", "Second", "Tau", "Best row of each", "Reversed", "In the first, but not in the second"], lines
    )


def _markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *lines))
