"""Results as people read them: a Markdown table and a table in the terminal. Every number comes from the file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.markup import escape
from rich.table import Table

from logs2lang.dataset_builders.whole_files import write_text

from ..verbalizers.text_record import LENGTH, VERBALIZER
from ..verbalizers.written_texts import records_phrase
from .results import ROW, TEXTS, UNAVAILABLE
from .table_columns import (
    COLUMNS,
    DECISION_COLUMNS,
    NOISE_COLUMNS,
    STUDENT_COLUMNS,
    TERMINAL_COLUMNS,
    Column,
    MeasureTable,
    Row,
    further_tables,
)

RESULTS_TABLE_FILE = "results.md"
LATEX_FILE = "results.tex"

_ROOM_AROUND = 3
"""Characters beside each cell of a table in the terminal: its border and a blank on either side."""
_FEWEST_PICKS = 10
"""Of fewer picks one place takes more than half by chance now and then: of ten among ten 1 time in 700."""


def results_table(document: Mapping[str, Any]) -> str:
    """The results as a Markdown table, rows in the order of the file.

    Args:
        document (`dict`): The content of `results.json`.

    Returns:
        `str`: A heading line with the setting, the table, and the further ones; `—` where a column does not apply to a
        row. Brackets are 95% intervals.

    Example:
        >>> row = {"row": "popularity", "kind": "baseline", "n": 20, "n_discovery": 20, "recall@1": 0.15}
        >>> print(markdown_table([row], COLUMNS[3:5]))
        | Row | Recall@1 | n |
        | --- | ---: | ---: |
        | popularity | 0.150 | 20 |
    """
    rows = document["rows"]
    parts = [setting_line(document), markdown_table(rows, COLUMNS), *remarks(document)]
    for table in further_tables(document).values():
        parts += [f"{table.title}:", markdown_table(table.rows, table.columns)]
    noisy = [{ROW: row[ROW], **row["noise"]} for row in rows if "noise" in row]
    if noisy:
        parts += ["What the texts do with noise, repeats and taste, according to the ground truth of the simulator:"]
        parts += [markdown_table(noisy, NOISE_COLUMNS)]
    decided = [{ROW: row[ROW], **row["decisions"]} for row in rows if "decisions" in row]
    if decided:
        parts += [
            "What the verbalizer decided about the records:",
            markdown_table(decided, DECISION_COLUMNS),
        ]
    students = [row for row in rows if "agreement" in row]
    if students:
        parts += [
            "What a student keeps of its teacher, the row `action`:",
            markdown_table([row for row in rows if row[ROW] == "action"] + students, STUDENT_COLUMNS),
        ]
    return "\n\n".join(parts) + "\n"


def remarks(document: Mapping[str, Any]) -> list[str]:
    """What a reader must know beside the numbers, a sentence or two each; none where all is well.

    Example:
        >>> row = {"row": "template", "n": 40, "invalid": 0, "picks_by_position": [0.9, 0.1, 0.0]}
        >>> remarks({"rows": [row]})[0][:78]
        'Row template: 36 of 40 picks are the candidate at position 1, whichever it is.'
    """
    said = [f"Row {name} is not available: {why}." for name, why in document.get(UNAVAILABLE, {}).items()]
    namesakes = document.get("namesakes", {})
    if namesakes.get("examples"):
        said.append(
            f"In {namesakes['examples']} of {document['n']} examples, several candidates share their title and year; "
            f"in {namesakes['targets']} of these, the target is one of them. In these cases the seed decides an "
            "answer by title."
        )
    kinds = (_text_remarks, _invalid_remarks, _position_remarks)
    return [*said, *(remark for row in document["rows"] for kind in kinds for remark in kind(row))]


def _text_remarks(row: Row) -> Iterator[str]:
    if TEXTS not in row:
        return
    record = row[TEXTS]["written_by"]
    if record is None:
        yield (
            f"Row {row[ROW]}: its texts were read from files that do not say who wrote them, from which build of the "
            "dataset and from how many records."
        )
    else:
        yield (
            f"Row {row[ROW]}: its texts were read from files that {record[VERBALIZER]!r} had written from "
            f"{records_phrase(record[LENGTH])}."
        )


def _invalid_remarks(row: Row) -> Iterator[str]:
    if row.get("invalid"):
        yield f"Row {row[ROW]}: {row['invalid']} of {row['n']} answers name no candidate; they count as misses."


def _position_remarks(row: Row) -> Iterator[str]:
    shares = row.get("picks_by_position") or []
    picks = row["n"] - row["invalid"]
    # Candidates stand in random order. Of two places one has half of the picks by nature.
    if len(shares) > 2 and picks >= _FEWEST_PICKS and max(shares) > 1 / 2:
        yield (
            f"Row {row[ROW]}: {max(shares) * picks:.0f} of {picks} picks are the candidate at position "
            f"{shares.index(max(shares)) + 1}, whichever it is. Such answers do not depend on the text; use --answer "
            "title, or train the reasoner."
        )


def write_table(document: Mapping[str, Any], folder: Path) -> Path:
    """Write `results_table` as `results.md` into `folder`."""
    return write_text(folder / RESULTS_TABLE_FILE, results_table(document))


def write_latex(document: Mapping[str, Any], folder: Path) -> Path:
    """Write every table as LaTeX into `results.tex`, each a `tabular` with the rules of the package `booktabs`."""
    tables = {"main": MeasureTable(setting_line(document), COLUMNS, document["rows"]), **further_tables(document)}
    parts = [f"% {name}: {table.title}\n{latex_table(table)}" for name, table in tables.items()]
    return write_text(folder / LATEX_FILE, "% Needs \\usepackage{booktabs}.\n\n" + "\n".join(parts))


def latex_table(table: MeasureTable) -> str:
    """A `tabular` of LaTeX, written by pandas, with what LaTeX would read as a command escaped.

    Example:
        >>> row = {"row": "a_b", "kind": "baseline", "recall@1": 0.15}
        >>> print(latex_table(MeasureTable("", COLUMNS[3:4], [row])))
        \\begin{tabular}{lr}
        \\toprule
        Row & Recall@1 \\\\
        \\midrule
        a\\_b & 0.150 \\\\
        \\bottomrule
        \\end{tabular}
        <BLANKLINE>
    """
    headings = ["Row", *(column.heading for column in table.columns)]
    cells = [[row[ROW], *(column.cell(row) for column in table.columns)] for row in table.rows]
    style = pd.DataFrame(cells, columns=range(len(headings))).style.hide(axis="index").format(escape="latex")
    style = style.format_index(lambda place: _as_latex(headings[int(str(place))]), axis="columns")
    written = style.to_latex(hrules=True, column_format="l" + "r" * len(table.columns))
    return written.replace("—", "--").replace("∞", r"$\infty$").replace("±", r"$\pm$")


def _as_latex(heading: str) -> str:
    return heading.replace("%", r"\%").replace("_", r"\_")


def markdown_table(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """A Markdown table with the row names first and the numbers aligned right."""
    head = ["Row", *(column.heading for column in columns)]
    rule = ["---", *("---:" for _ in columns)]
    body = [[row[ROW], *(column.cell(row) for column in columns)] for row in rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *body))


def terminal_table(document: Mapping[str, Any]) -> Table:
    """The main columns of the results, as a rich table."""
    table = _to_terminal(MeasureTable(setting_line(document), TERMINAL_COLUMNS, document["rows"]))
    table.caption = r"\[low, high]: 95% intervals"
    return table


def terminal_tables(table: MeasureTable, width: int) -> list[Table]:
    """A table for the terminal, in as many parts below one another as its columns need.

    Args:
        table ([`MeasureTable`]): Of any number of columns.
        width (`int`): Characters of a line.

    Example:
        >>> table = MeasureTable("", COLUMNS[:7], [{"row": "template", "recall@1": 0.5, "n": 4}])
        >>> [len(part.columns) for part in terminal_tables(table, 80)], len(terminal_tables(table, 200))
        ([5, 4], 1)
    """
    names = _ROOM_AROUND + 1 + max((len(row[ROW]) for row in table.rows), default=0)
    parts: list[list[Column]] = [[]]
    taken = names
    for column in table.columns:
        lines = [*_heading_lines(column), *(column.cell(row) for row in table.rows)]
        needed = _ROOM_AROUND + max(map(len, lines))
        if parts[-1] and taken + needed > width:
            parts.append([])
            taken = names
        parts[-1].append(column)
        taken += needed
    titles = [table.title, *[""] * (len(parts) - 1)]
    return [
        _to_terminal(MeasureTable(title, columns, table.rows)) for title, columns in zip(titles, parts, strict=True)
    ]


def _to_terminal(table: MeasureTable) -> Table:
    shown = Table(title=table.title or None, title_justify="left")
    shown.add_column("Row", no_wrap=True)
    for column in table.columns:
        shown.add_column("\n".join(_heading_lines(column)), justify="right", no_wrap=True)
    for row in table.rows:
        shown.add_row(row[ROW], *(escape(column.cell(row)) for column in table.columns))
    return shown


def _heading_lines(column: Column) -> list[str]:
    """A heading with its number of examples below it."""
    return column.heading.replace(" (n = ", "\n(n = ").split("\n")


def setting_line(document: Mapping[str, Any]) -> str:
    """What was evaluated, in one line: dataset, split, n, who read the texts.

    Example:
        >>> setting_line({"dataset": {"name": "movielens-100k"}, "split": "test", "n": 40, "reasoner": None})
        'movielens-100k, test, n = 40; no reasoner'
    """
    examples = f"{document['split']}{' discoveries' if document.get('discoveries') else ''}"
    return f"{document['dataset']['name']}, {examples}, n = {document['n']}; {reasoner_phrase(document)}"


def reasoner_phrase(document: Mapping[str, Any]) -> str:
    """Who read the texts, and whether it was trained for that.

    Example:
        >>> reasoner_phrase({"reasoner": {"id": "org/tiny", "answer": "label", "trained": False}})
        'untrained reasoner org/tiny (label)'
        >>> reasoner_phrase({"reasoner": {"id": "org/large", "answer": "label", "trained": None}})
        'reasoner org/large (label)'
    """
    reasoner = document["reasoner"]
    if reasoner is None:
        return "no reasoner"
    trained = {True: "trained ", False: "untrained ", None: ""}[reasoner["trained"]]  # of an endpoint nobody knows
    return f"{trained}reasoner {reasoner['id']} ({reasoner['answer']})"


def build_table(report: Mapping[str, Any]) -> Table:
    """What became of a log's rows and users, as a rich table.

    Args:
        report (`dict`): The content of `build_report.json`.
    """
    table = Table(title=report["name"], title_justify="left", show_header=False)
    table.add_column("What")
    table.add_column("How many", justify="right")
    for what, count in [*_count_lines(report["counts"]), *_split_lines(report["splits"])]:
        table.add_row(escape(what), f"{count:,}")
    return table


def _count_lines(counts: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The counts in the order a reader asks for them; a reason for quarantine stands under its sum."""
    lines: list[tuple[str, int]] = []
    for name, count in counts.items():
        if isinstance(count, int):
            lines.append((name.replace("_", " "), count))
            lines.extend((f"  {reason}", rows) for reason, rows in counts.get(f"{name}_by_reason", {}).items())
    return lines


def _split_lines(splits: Mapping[str, Mapping[str, int]]) -> list[tuple[str, int]]:
    names = {"examples": "examples", "discovery": "examples, discovery"}
    return [(f"{split} {names[key]}", counts[key]) for split, counts in splits.items() for key in names]
