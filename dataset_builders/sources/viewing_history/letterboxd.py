"""Letterboxd: `diary.csv`, `ratings.csv` and `watched.csv` of its data export, which tell of the same films.

A film in the diary is also in the list of films watched, and its stars are also in the list of ratings. Such a row is
read as the diary's own, so that the two merge as duplicates and the film was seen once.
"""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ...input_error import InputError
from ...schema import EVENT, ITEM_ID, TIMESTAMP, VALUE
from ..delimited import ReadRows
from ..local_dates import parse_local_times
from .csv_rows import header_of, read_csv_rows
from .day_order import keep_file_order
from .export_files import ExportFile, head_of
from .viewings import OWNER, PLAY, RATE, WATCHED, joined, to_viewings

# What a file tells is the first of these columns that it has.
_EVENTS = {"watched date": PLAY, "rating": RATE, "name": WATCHED}
_COLUMNS = {"noted_on": "date", "watched_on": "watched date", "name": "name", "year": "year", "rating": "rating"}
_TOLD = [TIMESTAMP, EVENT, VALUE]


def read_letterboxd(connection: DuckDB, files: Sequence[ExportFile], day_first: bool | None) -> ReadRows:
    """Read any of `diary.csv`, `ratings.csv` and `watched.csv`.

    The diary has the day of each viewing (`play`, with the stars as its value). A rating that is not in the diary is
    `rate`; a film that is only in the list of films watched is `watched`. Both have the day on which that was noted.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        files (`list[ExportFile]`): UTF-8 text on disk.
        day_first (`bool` or `None`): As in `read_viewing_history`.

    Returns:
        [`ReadRows`]: Viewings by title and year.
    """
    events = [_event_of(file) for file in files]
    doubled = next((file.name for file, event in zip(files, events, strict=True) if events.count(event) > 1), None)
    if doubled is not None:
        raise InputError(f"There is more than one file like {doubled}; give the export of one person at a time.")
    places = range(len(files))
    read = joined([_read_file(connection, *each, day_first) for each in zip(places, files, events, strict=True)])
    return ReadRows(_told_once(read.rows), read.rejected)


def _event_of(file: ExportFile) -> str:
    _, header = header_of(head_of(file))
    return next(event for column, event in _EVENTS.items() if column in header)


def _read_file(connection: DuckDB, place: int, file: ExportFile, event: str, day_first: bool | None) -> ReadRows:
    stored, shown = f"letterboxd_{place}", f"The dates of {file.name}"
    read = read_csv_rows(connection, stored, file, _COLUMNS)
    dated = read.rows.mutate(timestamp=read.rows.watched_on.nullif("").fill_null(read.rows.noted_on))
    rows = parse_local_times(dated, connection, day_first=day_first, shown=shown, name=f"{stored}_dates")
    name, year = rows.name.nullif(""), rows.year.nullif("")
    viewings = to_viewings(
        rows,
        user_id=OWNER,
        item_id=year.isnull().ifelse(name, name + " (" + year + ")"),
        timestamp=rows[TIMESTAMP],
        event=event,
        value=rows.rating,
        title=name,
        year=year,
    )
    return ReadRows(keep_file_order(viewings, newest_first=False), read.rejected)


def _told_once(rows: ir.Table) -> ir.Table:
    """Give a rating or a mark the time, event and stars of the viewing it belongs to, where one is known."""
    diary = rows.filter(rows[EVENT] == PLAY)
    ratings = _as_told(rows.filter(rows[EVENT] == RATE), diary, [ITEM_ID, VALUE])
    known = diary.union(ratings)
    marks = _as_told(rows.filter(rows[EVENT] == WATCHED), known, [ITEM_ID])
    return known.union(marks)


def _as_told(rows: ir.Table, known: ir.Table, keys: list[str]) -> ir.Table:
    """The rows, each with what the first of the known rows with equal keys says."""
    place = ibis.row_number().over(group_by=keys, order_by=_TOLD)
    first = known.select(*_TOLD, ITEM_ID, place=place).filter(lambda row: row.place == 0)
    told = {f"told_{name}": first[name] for name in _TOLD}
    joined_rows = rows.left_join(first.select(*keys, **told), keys)
    is_told = joined_rows[f"told_{TIMESTAMP}"].notnull()
    adopted = {name: is_told.ifelse(joined_rows[f"told_{name}"], joined_rows[name]) for name in _TOLD}
    return joined_rows.mutate(**adopted).select(*rows.columns)
