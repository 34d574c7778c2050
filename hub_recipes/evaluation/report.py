"""Results as people read them: a Markdown table and a table in the terminal. Every number comes from the file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from logs2lang.dataset_builders.whole_files import write_text

from .results import GAP_NAMES, ROW, UNAVAILABLE

ABSENT = "—"
RESULTS_TABLE_FILE = "results.md"

Row = Mapping[str, Any]


def _number(key: str, spec: str) -> Callable[[Row], str]:
    return lambda row: ABSENT if row.get(key) is None else format(row[key], spec)


def _with_interval(key: str, spec: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        if row.get(key) is None:
            return ABSENT
        interval = row.get(f"{key}_interval")
        if interval is None:
            return format(row[key], spec)
        # A gain has no upper bound where some resamples hold no hit of the template to divide by.
        low, high = ("∞" if bound is None else format(bound, spec) for bound in interval)
        return f"{row[key]:{spec}} [{low}, {high}]"

    return cell


@dataclass(frozen=True)
class Column:
    """One column of the table: its heading, and the text of its cell in a row of results.json."""

    heading: str
    cell: Callable[[Row], str]


COLUMNS = (
    Column("Discovery Recall@1", _with_interval("discovery_recall@1", ".3f")),
    Column("n discovery", _number("n_discovery", "d")),
    Column("Gain over template", _with_interval("discovery_gain", "+.1%")),
    Column("Recall@1", _with_interval("recall@1", ".3f")),
    Column("n", _number("n", "d")),
    Column("Gain, all", _with_interval("gain", "+.1%")),
    Column("MRR", _number("mrr", ".3f")),
    Column("Compression", _number("compression", ".2f")),
    Column("Invalid", _number("invalid", "d")),
    Column("Position bias", _number("position_bias", ".2f")),
    Column("Unsupported titles", _number("unsupported_title_rate", ".1%")),
    Column("s", _number("seconds", ".1f")),
)
NOISE_COLUMNS = (
    Column("Noise precision", _number("noise_precision", ".2f")),
    Column("Noise recall", _number("noise_recall", ".2f")),
    Column("Genuine kept", _number("genuine_kept", ".2f")),
    Column("Repeats merged", _number("repeats_merged", ".2f")),
    Column("Tag agreement", _number("tag_agreement", ".2f")),
)
"""For texts written from a log whose truth is known; see `noise_measures`."""
DECISION_COLUMNS = (
    Column("Dropped", _number("drop", "d")),
    Column("Kept", _number("keep", "d")),
    Column("Kept in detail", _number("detail", "d")),
    Column("Kept with what others chose next", _number("next", "d")),
    Column("Of the kept, undecided", _number("undecided", "d")),
)
"""For a verbalizer that decides on each record; see `verbalizers.action`."""
STUDENT_COLUMNS = (
    Column("Agreement with its teacher", _number("agreement", ".1%")),
    Column("Recall@1", _with_interval("recall@1", ".3f")),
    Column("Gain over its teacher", _with_interval("teacher_gain", "+.1%")),
    Column("Compression", _number("compression", ".2f")),
    Column("Histories per second", _number("histories_per_second", ",.0f")),
)
"""For a student beside its teacher; see `row_measures.measure_agreement`."""
TERMINAL_COLUMNS = (
    Column("Discovery Recall@1", _with_interval("discovery_recall@1", ".3f")),
    Column("Gain", _number("discovery_gain", "+.1%")),
    Column("Recall@1", _number("recall@1", ".3f")),
    Column("Length", _number("compression", ".2f")),
)
"""What fits 80 characters; results.md has all. Length is that of the texts in tokens, relative to the template."""
_FEWEST_PICKS = 10
"""Of fewer picks one place takes more than half by chance now and then: of ten among ten 1 time in 700."""


def results_table(document: Mapping[str, Any]) -> str:
    """The results as a Markdown table, rows in the order of the file.

    Args:
        document (`dict`): The content of `results.json`.

    Returns:
        `str`: A heading line with the setting, the table, and a table of Recall@1 by gap; `—` where a column does not
        apply to a row. Brackets are 95% intervals.

    Example:
        >>> row = {"row": "popularity", "kind": "baseline", "n": 20, "n_discovery": 20, "recall@1": 0.15}
        >>> print(markdown_table([row], COLUMNS[3:5]))
        | Row | Recall@1 | n |
        | --- | ---: | ---: |
        | popularity | 0.150 | 20 |
    """
    rows = document["rows"]
    parts = [setting_line(document), markdown_table(rows, COLUMNS), *remarks(document)]
    gaps = gap_columns(rows)
    if gaps:
        parts += ["Recall@1 by the time between the target and the interaction before it:", markdown_table(rows, gaps)]
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
    of_rows = (remark for row in document["rows"] for remark in (*_invalid_remarks(row), *_position_remarks(row)))
    return [*said, *of_rows]


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


def markdown_table(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """A Markdown table with the row names first and the numbers aligned right."""
    head = ["Row", *(column.heading for column in columns)]
    rule = ["---", *("---:" for _ in columns)]
    body = [[row[ROW], *(column.cell(row) for column in columns)] for row in rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *body))


def terminal_table(document: Mapping[str, Any]) -> Table:
    """The main columns of the results, as a rich table."""
    table = Table(title=setting_line(document), title_justify="left", caption=r"\[low, high]: 95% intervals")
    table.add_column("Row", no_wrap=True)
    for column in TERMINAL_COLUMNS:
        table.add_column(column.heading, justify="right", no_wrap=True)
    for row in document["rows"]:
        table.add_row(row[ROW], *(escape(column.cell(row)) for column in TERMINAL_COLUMNS))
    return table


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


def gap_columns(rows: Sequence[Row]) -> list[Column]:
    """A Recall@1 column for every gap that has examples."""
    present = [gap for gap in GAP_NAMES if any(gap in row.get("by_gap", {}) for row in rows)]
    return [Column(f"{gap.replace('_', ' ')} (n = {_n_of_gap(rows, gap)})", _gap_cell(gap)) for gap in present]


def _n_of_gap(rows: Sequence[Row], gap: str) -> int:
    return max(row["by_gap"][gap]["n"] for row in rows if gap in row.get("by_gap", {}))


def _gap_cell(gap: str) -> Callable[[Row], str]:
    return lambda row: _with_interval("recall@1", ".3f")(row.get("by_gap", {}).get(gap, {}))


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
