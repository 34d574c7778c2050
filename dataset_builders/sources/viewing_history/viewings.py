"""The table that every reader of an export hands over, and the rows it sets aside."""

import ibis
import ibis.expr.types as ir

from ...schema import (
    INTERACTION_COLUMNS,
    RAW,
    REASON,
    SERIES,
    SOURCE_FILE,
    SOURCE_ROW,
    TAGS,
    TITLE,
    YEAR,
)
from ..delimited import MAX_RAW_CHARS, ReadRows

OWNER = "owner"
"""The user of an export that names no profile."""

VIEWING_COLUMNS = (*INTERACTION_COLUMNS, TITLE, YEAR, TAGS, SERIES)

PLAY, TRAILER, RATE, WATCHED = "play", "trailer", "rate", "watched"
"""Events: something ran; so did what advertises something else; a rating was given; something was marked as seen, at
whatever time that really was."""


def to_viewings(rows: ir.Table, **columns: ir.Value | str) -> ir.Table:
    """Rows of an export as viewings.

    Args:
        rows (`ibis.Table`): With `source_file` and `source_row`.
        columns (`ibis.Value`): What the export says of `VIEWING_COLUMNS`, over `rows`; the rest is null.

    Returns:
        `ibis.Table`: `VIEWING_COLUMNS` as text (`tags` a list of it), `source_file` and `source_row`.
    """
    absent = {name: ibis.null("array<string>" if name == TAGS else "string") for name in VIEWING_COLUMNS}
    given = {name: ibis.literal(value) if isinstance(value, str) else value for name, value in columns.items()}
    return rows.select(SOURCE_FILE, SOURCE_ROW, **{**absent, **given})


def set_aside(read: ReadRows, unusable: ir.BooleanValue, reason: ir.StringValue | str) -> ReadRows:
    """Move rows that are no viewings to the rejected ones.

    Args:
        read ([`ReadRows`]): What was read.
        unusable (`ibis.BooleanColumn`): Over `read.rows`; null counts as usable.
        reason (`str` or `ibis.StringColumn`): Why, for the quarantine.

    Returns:
        [`ReadRows`]: The same rows, split another way.
    """
    rows = read.rows
    content = {name: rows[name] for name in rows.columns if name not in (SOURCE_FILE, SOURCE_ROW)}
    marked = rows.mutate(
        **{REASON: unusable.fill_null(False).ifelse(reason, ibis.null("string"))},
        **{RAW: ibis.struct(content).cast("json").cast("string").left(MAX_RAW_CHARS)},
    )
    kept = marked.filter(marked[REASON].isnull()).select(*rows.columns)
    aside = marked.filter(marked[REASON].notnull()).select(SOURCE_FILE, SOURCE_ROW, RAW, REASON)
    return ReadRows(kept, ibis.union(read.rejected.select(*aside.columns), aside))


def joined(parts: list[ReadRows]) -> ReadRows:
    """The rows of several files as one table."""
    return ReadRows(
        ibis.union(*(part.rows for part in parts)) if len(parts) > 1 else parts[0].rows,
        ibis.union(*(part.rejected for part in parts)) if len(parts) > 1 else parts[0].rejected,
    )
