"""The columns of the tables: a heading, and the text of its cell in a row of results.json."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .results import COMPARISON, CUT_OFFS, FEWEST_EXAMPLES, GAP_NAMES, GROUP_NAMES, ROW, SEEDS

ABSENT = "—"

Row = Mapping[str, Any]


def number(key: str, spec: str) -> Callable[[Row], str]:
    """A measure as it stands in the row."""
    return lambda row: ABSENT if row.get(key) is None else format(row[key], spec)


def with_interval(key: str, spec: str) -> Callable[[Row], str]:
    """A measure with its 95% interval behind it."""

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
    Column("Discovery Recall@1", with_interval("discovery_recall@1", ".3f")),
    Column("n discovery", number("n_discovery", "d")),
    Column("Gain over template", with_interval("discovery_gain", "+.1%")),
    Column("Recall@1", with_interval("recall@1", ".3f")),
    Column("n", number("n", "d")),
    Column("Gain, all", with_interval("gain", "+.1%")),
    Column("MRR", number("mrr", ".3f")),
    Column("Compression", number("compression", ".2f")),
    Column("Invalid", number("invalid", "d")),
    Column("Position bias", number("position_bias", ".2f")),
    Column("Unsupported titles", number("unsupported_title_rate", ".1%")),
    Column("s", number("seconds", ".1f")),
)
NOISE_COLUMNS = (
    Column("Noise precision", number("noise_precision", ".2f")),
    Column("Noise recall", number("noise_recall", ".2f")),
    Column("Genuine kept", number("genuine_kept", ".2f")),
    Column("Repeats merged", number("repeats_merged", ".2f")),
    Column("Tag agreement", number("tag_agreement", ".2f")),
)
"""For texts written from a log whose truth is known; see `noise_measures`."""
DECISION_COLUMNS = (
    Column("Dropped", number("drop", "d")),
    Column("Kept", number("keep", "d")),
    Column("Kept in detail", number("detail", "d")),
    Column("Kept with what others chose next", number("next", "d")),
    Column("Of the kept, undecided", number("undecided", "d")),
)
"""For a verbalizer that decides on each record; see `verbalizers.action`."""
STUDENT_COLUMNS = (
    Column("Agreement with its teacher", number("agreement", ".1%")),
    Column("Recall@1", with_interval("recall@1", ".3f")),
    Column("Gain over its teacher", with_interval("teacher_gain", "+.1%")),
    Column("Compression", number("compression", ".2f")),
    Column("Histories per second", number("histories_per_second", ",.0f")),
)
"""For a student beside its teacher; see `row_measures.measure_agreement`."""
TERMINAL_COLUMNS = (
    Column("Discovery Recall@1", with_interval("discovery_recall@1", ".3f")),
    Column("Gain", number("discovery_gain", "+.1%")),
    Column("Recall@1", number("recall@1", ".3f")),
    Column("Length", number("compression", ".2f")),
)
"""What fits 80 characters; results.md has all. Length is that of the texts in tokens, relative to the template."""


@dataclass(frozen=True)
class MeasureTable:
    """A table of some measures.

    Args:
        title (`str`): What it shows.
        columns (`tuple[Column, ...]`): Beside the name of the row.
        rows (`list[dict]`): Rows of `results.json`, or what stands for them.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]


def further_tables(document: Mapping[str, Any]) -> dict[str, MeasureTable]:
    """What the main table has no room for, by the name that `--tables` asks for.

    Args:
        document (`dict`): The content of `results.json`.

    Returns:
        `dict[str, MeasureTable]`: Without tables that have nothing to show, as from results of an earlier release.
    """
    rows = document["rows"]
    cuts = document.get("cut_offs", CUT_OFFS)
    of_rows = {
        "ranks": ("Where the targets were ranked, over all examples", _rank_columns("", cuts)),
        "discoveries": ("Where the targets were ranked, over discoveries", _rank_columns("discovery_", cuts)),
        "behaviour": (
            "Calibration, novelty in bits, share of the catalogue picked, and whether the given order is followed",
            BEHAVIOUR_COLUMNS,
        ),
        "costs": ("Tokens and seconds per example, of rows that a language model reads or writes", COST_COLUMNS),
        "groups": (
            f"Recall@1 by group of examples; no number where n is below {FEWEST_EXAMPLES}",
            tuple(_group_columns(rows)),
        ),
        "seeds": ("Mean and standard deviation over seeds of what chance decides", _seed_columns(rows)),
    }
    tables = {name: MeasureTable(title, *filled(columns, rows)) for name, (title, columns) in of_rows.items()}
    if document.get(COMPARISON):
        tables["comparison"] = comparison_table(document[COMPARISON])
    # Of one column alone there is another table: earlier releases measured Recall@1 and the bias of places.
    return {name: table for name, table in tables.items() if len(table.columns) > 1}


def filled(columns: Sequence[Column], rows: Sequence[Row]) -> tuple[Sequence[Column], Sequence[Row]]:
    """The columns and rows that say anything."""
    kept = [column for column in columns if any(column.cell(row) != ABSENT for row in rows)]
    return kept, [row for row in rows if any(column.cell(row) != ABSENT for column in kept)]


def comparison_table(comparison: Mapping[str, Any]) -> MeasureTable:
    """Differences with their intervals and corrected p-values.

    Args:
        comparison (`dict`): As `comparisons.compare_with` or `compare_runs` returns it.
    """
    against = comparison["against"]
    rows = [
        {ROW: name, "measure": _spoken(measure), **found}
        for name, measures in comparison["rows"].items()
        for measure, found in measures.items()
    ]
    title = (
        f"Difference to {against} on the same examples: paired bootstrap interval, p of Fisher's randomisation test, "
        f"and p corrected by Holm for {len(comparison['rows'])} compared"
    )
    return MeasureTable(title, COMPARISON_COLUMNS, rows)


def _spoken(measure: str) -> str:
    """A measure as a heading names it.

    Example:
        >>> _spoken("discovery_recall@1"), _spoken("ndcg@10")
        ('Discovery Recall@1', 'NDCG@10')
    """
    return measure.replace("discovery_", "Discovery ").replace("recall", "Recall").replace("ndcg", "NDCG")


def _rank_columns(prefix: str, cuts: Sequence[int]) -> tuple[Column, ...]:
    names = (("recall", "Recall"), ("ndcg", "NDCG"), ("mrr", "MRR"))
    # At 1 the three are one number.
    wanted = [(name, title, k) for name, title in names for k in cuts if k > 1 or name == "recall"]
    columns = [Column(f"{title}@{k}", number(f"{prefix}{name}@{k}", ".3f")) for name, title, k in wanted]
    return *columns, Column("Mean rank", number(f"{prefix}mean_rank", ".2f"))


BEHAVIOUR_COLUMNS = (
    Column("ECE", number("ece", ".3f")),
    Column("Novelty", number("novelty", ".2f")),
    Column("of targets", number("target_novelty", ".2f")),
    Column("Coverage", number("coverage", ".2%")),
    Column("of targets", number("target_coverage", ".2%")),
    Column("Order kept", number("order_kept", "+.2f")),
    Column("Unchanged", number("order_unchanged", ".1%")),
    Column("Place bias", number("position_bias", ".2f")),
    Column("p", number("position_p", ".2g")),
)
COST_COLUMNS = (
    Column("Tokens read", number("tokens_read", ".0f")),
    Column("Tokens written", number("tokens_written", ".1f")),
    Column("Seconds", number("seconds_per_example", ".3f")),
)
COMPARISON_COLUMNS = (
    Column("Measure", lambda row: row["measure"]),
    Column("n", number("n", "d")),
    Column("Difference", with_interval("difference", "+.3f")),
    Column("p", number("p", ".4f")),
    Column("p, Holm", number("p_holm", ".4f")),
)


def _seed_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    names = {name: None for row in rows for name in row.get(SEEDS, {}) if name != SEEDS}
    return tuple(Column(_spoken(name), _spread_cell(name)) for name in names)


def _spread_cell(name: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        spread = row.get(SEEDS, {}).get(name)
        if spread is None:
            return ABSENT
        sd = "" if spread["sd"] is None else f" ± {spread['sd']:.3f}"
        return f"{spread['mean']:.3f}{sd} ({len(spread['values'])} seeds)"

    return cell


def _group_columns(rows: Sequence[Row]) -> Iterator[Column]:
    """A column for each group that has examples, by gap and by the kinds of `GROUP_NAMES`, with n in its heading."""
    for kind, name, n in group_sizes(rows):
        yield Column(f"{group_title(kind, name)} (n = {n})", _group_cell(kind, name))


def group_title(kind: str, name: str) -> str:
    """A group in words.

    Example:
        >>> group_title("gap", "same_second"), group_title("history", "under_10"), group_title("popularity", "cold")
        ('gap: same second', 'history: under 10', 'target: cold')
    """
    kinds = {"activity": "user", "popularity": "target"}
    return f"{kinds.get(kind, kind)}: {name.replace('_', ' ')}"


def group_sizes(rows: Sequence[Row]) -> list[tuple[str, str, int]]:
    """Kind, name and number of examples of each group; a kind that puts all examples into one group says nothing."""
    sizes = []
    for kind, names in {"gap": GAP_NAMES, **GROUP_NAMES}.items():
        found = [(kind, name, max(group_of(row, kind, name).get("n", 0) for row in rows)) for name in names]
        present = [one for one in found if one[2]]
        sizes += present if len(present) > 1 else []
    return sizes


def group_of(row: Row, kind: str, name: str) -> Mapping[str, Any]:
    """What a row measures of one group; empty where it has none of its examples."""
    return (row.get("by_gap", {}) if kind == "gap" else row.get("by_group", {}).get(kind, {})).get(name, {})


def group_recall(row: Row, kind: str, name: str) -> float | None:
    """Recall@1 of a group; `None` where it has too few examples for a number."""
    measures = group_of(row, kind, name)
    return measures.get("recall@1") if measures.get("n", 0) >= FEWEST_EXAMPLES else None


def _group_cell(kind: str, name: str) -> Callable[[Row], str]:
    return lambda row: number("recall@1", ".3f")({"recall@1": group_recall(row, kind, name)})
