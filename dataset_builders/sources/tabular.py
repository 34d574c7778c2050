"""A user's own log: CSV, TSV, JSONL or Parquet files, and a map from our column names to theirs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import ibis
import ibis.expr.types as ir
import yaml
from ibis.backends.duckdb import Backend as DuckDB

from dataset_builders.catalogue import DEFAULT_TAG_SEPARATOR
from dataset_builders.input_error import InputError
from dataset_builders.raw_log import OWN_LOG, TIME_FORMATS, RawLog
from dataset_builders.schema import (
    DESCRIPTION,
    DEVICE,
    DURATION,
    EVENT,
    INTERACTION_COLUMNS,
    ITEM_COLUMNS,
    ITEM_ID,
    NO_TIME,
    REQUIRED_INTERACTION_COLUMNS,
    SERIES,
    SOURCE_FILE,
    SOURCE_ROW,
    TAGS,
    TIMESTAMP,
    TITLE,
    USER_ID,
    VALUE,
    YEAR,
)
from dataset_builders.sources.delimited import ReadRows
from dataset_builders.sources.local_dates import has_local_dates, parse_local_times
from dataset_builders.sources.movie_titles import with_spoken_titles
from dataset_builders.sources.named_rows import NamedRows
from dataset_builders.sources.table_files import LEFT_OUT, read_files
from dataset_builders.written_numbers import SECONDS_PER_UNIT
from dataset_builders.written_times import UTC_MICROSECONDS, check_strptime_format

SYNONYMS = {
    USER_ID: ("user", "uid", "customerid", "memberid", "accountid", "profileid", "reviewerid", "visitorid"),
    ITEM_ID: (
        "item",
        "iid",
        "movieid",
        "productid",
        "asin",
        "trackid",
        "videoid",
        "bookid",
        "articleid",
        "contentid",
        "stockcode",
        "sku",
    ),
    TIMESTAMP: (
        "ts",
        "time",
        "datetime",
        "date",
        "eventtime",
        "createdat",
        "unixreviewtime",
        "watchedat",
        "watcheddate",
        "invoicedate",
        "orderdate",
        "purchasedate",
    ),
    EVENT: ("eventtype", "interactiontype", "action", "behavior"),
    DURATION: ("durationseconds", "durationsec", "watchseconds"),
    VALUE: ("rating", "score", "stars"),
    DEVICE: ("devicetype",),
    TITLE: ("name", "movietitle", "itemname", "productname"),
    YEAR: ("releaseyear",),
    TAGS: ("genres", "genre", "categories", "category"),
    SERIES: ("show", "seriestitle", "seriesname"),
    DESCRIPTION: ("overview", "plot", "summary", "synopsis"),
}
"""Usual other names of our columns, letters and digits in lower case. `duration` is not one: its unit could be any."""

_KEYS = (USER_ID, ITEM_ID)
_LOG_FLAGS, _ITEMS_FLAGS = ("--map", "--columns"), ("--map-items", "--columns-items")


@dataclass(frozen=True)
class TabularMapping:
    """Which of a log's columns are which of ours, and how to read them.

    Args:
        interactions (`dict[str, str]`): Our interaction column -> the log's; what is left out is recognised by name.
        items (`dict[str, str]`): The same for the items file.
        time_format (`str`, defaults to `"auto"`): One of `TIME_FORMATS`, or a format of `strptime`.
        tag_separator (`str`, defaults to `"|"`): What stands between the tags of an item.
    """

    interactions: Mapping[str, str] = field(default_factory=dict)
    items: Mapping[str, str] = field(default_factory=dict)
    time_format: str = "auto"
    tag_separator: str = DEFAULT_TAG_SEPARATOR

    def __post_init__(self) -> None:
        _check_names(self.interactions, INTERACTION_COLUMNS, "interaction column")
        _check_names(self.items, ITEM_COLUMNS, "item column")
        if "%" not in str(self.time_format):
            _check_names([self.time_format], TIME_FORMATS, "time format")
        if not isinstance(self.tag_separator, str) or not self.tag_separator:
            raise InputError(f"tag_separator must be a text such as '|', but is {self.tag_separator!r}.")


def read_mapping(path: str | Path) -> TabularMapping:
    """Read a [`TabularMapping`] from a YAML file.

    Args:
        path (`str` or `Path`): A file with any of the keys `interactions`, `items`, `time_format`, `tag_separator`:

            ```yaml
            interactions: {user_id: reviewer, item_id: book, timestamp: when}
            items: {item_id: book, title: name}
            time_format: milliseconds
            ```

    Returns:
        [`TabularMapping`]: What the file says, defaults for the rest.

    Raises:
        InputError: The file cannot be read, is no YAML mapping, or has a key that means nothing.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"The column map {path} cannot be read as YAML: {error}".splitlines()[0]) from error
    keys = tuple(TabularMapping.__dataclass_fields__)
    if not isinstance(content, dict):
        raise InputError(f"The column map {path} must be a YAML mapping with keys {', '.join(keys)}.")
    _check_names(content, keys, f"key of {path}")
    for key in ("interactions", "items"):
        columns = content.get(key, {})
        if not isinstance(columns, dict) or not all(isinstance(name, str) for name in columns.values()):
            raise InputError(f"{key!r} of {path} must map our column names to names in your file.")
    return TabularMapping(**content)


def read_tabular(
    connection: DuckDB,
    interactions: str,
    *,
    items: str | None = None,
    columns: Mapping[str, str] | None = None,
    item_columns: Mapping[str, str] | None = None,
    time_format: str = "auto",
    tag_separator: str = DEFAULT_TAG_SEPARATOR,
    day_first: bool | None = None,
    encoding: str | None = None,
    header: Sequence[str] | None = None,
    items_header: Sequence[str] | None = None,
    order: Literal["time", "file"] = "time",
    name: str = "tabular",
) -> RawLog:
    """Read a user's own log.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        interactions (`str`): A file or a glob: `.csv`, `.tsv`, `.jsonl` or `.parquet`; text also as `.gz` or `.zst`.
        items (`str`, *optional*): The same for the catalogue.
        columns (`dict[str, str]`, *optional*): Our interaction column -> theirs. A column left out is recognised when
            it is spelled as ours or by one of `SYNONYMS`, and only when one column of the file fits. `"-"` leaves an
            optional one out; `duration_s` may name its unit, as in `"play_duration:ms"` (ms, s, min, h).
        item_columns (`dict[str, str]`, *optional*): The same for the catalogue.
        time_format (`str`, *optional*, defaults to `"auto"`): One of `TIME_FORMATS`, or a format of `strptime` such as
            `"%d.%m.%Y %H:%M"`.
        tag_separator (`str`, *optional*, defaults to `"|"`): What stands between tags that are one text.
        day_first (`bool`, *optional*): Whether 03/04/2024 is in April (`True`) or in March (`False`). Asked for only
            where times are written so and no other of the log settles it.
        encoding (`str`, *optional*): How the text is encoded, as Python spells it; UTF-8 by default.
        header (`list[str]`, *optional*): Names of the columns of a log without a header line, in the order of the
            file; `"-"` for one to leave out.
        items_header (`list[str]`, *optional*): The same for the catalogue.
        order (`str`, *optional*, defaults to `"time"`): `"file"` for a log without times, whose records stand in the
            order in which they happened; a column of times is not read then.
        name (`str`, *optional*, defaults to `"tabular"`): Name of the dataset.

    Returns:
        [`RawLog`]: Every value as text, Parquet as typed; lines that are no rows in `rejected`.

    Raises:
        InputError: A file cannot be read or has no rows, a required column is not found, or its dates can be read two
            ways.
    """
    mapping = TabularMapping(columns or {}, item_columns or {}, time_format, tag_separator)
    if time_format not in TIME_FORMATS:
        check_strptime_format(time_format, connection)
    found = read_files(connection, "tabular_interactions", interactions, encoding, header)
    ours, duration_unit = _without_unit(mapping.interactions, found)
    if order == "file":
        log = _without_times(_renamed(found, {**ours, TIMESTAMP: LEFT_OUT}, INTERACTION_COLUMNS, _KEYS, _LOG_FLAGS))
    else:
        log = _renamed(found, ours, INTERACTION_COLUMNS, REQUIRED_INTERACTION_COLUMNS, _LOG_FLAGS)
    if order == "time" and time_format in ("auto", "iso"):
        log = _with_iso_dates(log, connection, day_first, interactions)
    if items is None:
        return RawLog(
            name,
            log.rows,
            None,
            log.rejected,
            time_format,
            OWN_LOG,
            notes=found.notes,
            counted=log.counted,
            duration_unit=duration_unit,
            order=order,
        )
    described = read_files(connection, "tabular_items", items, encoding, items_header)
    catalogue = _renamed(described, mapping.items, ITEM_COLUMNS, (ITEM_ID,), _ITEMS_FLAGS)
    return RawLog(
        name,
        log.rows,
        with_spoken_titles(_split_tags(catalogue.rows, tag_separator)),
        log.rejected,
        time_format,
        OWN_LOG,
        notes=(*found.notes, *described.notes),
        rejected_items=catalogue.rejected,
        counted=log.counted,
        counted_items=catalogue.counted,
        duration_unit=duration_unit,
        order=order,
    )


def column_names(connection: DuckDB, path: str | Path) -> list[str]:
    """The columns of a user's own log, as its file calls them.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored meanwhile.
        path (`str` or `Path`): As `interactions` of `read_tabular`.

    Raises:
        InputError: The file cannot be read, or has no rows.
    """
    return list(read_files(connection, "tabular_columns", str(path)).columns)


def guess_columns(names: Sequence[str], ours: Sequence[str] = INTERACTION_COLUMNS) -> dict[str, str]:
    """Which columns of a log are clearly which of ours; what is left out could be any or none.

    Args:
        names (`list[str]`): As `column_names` returns them.
        ours (`list[str]`, *optional*): The columns looked for: those of a log by default, or `schema.ITEM_COLUMNS`.

    Returns:
        `dict[str, str]`: Our column -> theirs.

    Example:
        >>> guess_columns(["uid", "movieId", "date", "createdAt"])
        {'user_id': 'uid', 'item_id': 'movieId'}
    """
    found = {our_name: _recognised(our_name, names) for our_name in ours}
    return {our_name: theirs for our_name, theirs in found.items() if theirs is not None}


def _renamed(
    log: NamedRows, mapping: Mapping[str, str], ours: Sequence[str], required: Sequence[str], flags: tuple[str, str]
) -> ReadRows:
    """The rows under our names; columns that mean nothing to us are left behind."""
    map_flag, columns_flag = flags
    recognised = any(_recognised(our_name, list(log.columns)) for our_name in ours)
    left_out = [our_name for our_name, theirs in mapping.items() if theirs == LEFT_OUT]
    mapping = {our_name: theirs for our_name, theirs in mapping.items() if theirs != LEFT_OUT}
    for our_name in left_out:
        if our_name in required:
            raise InputError(f"{log.shown} cannot do without {our_name}; {map_flag} must name a column for it.")
    for our_name, theirs in mapping.items():
        if theirs in log.like_values and not recognised:
            raise _headerless(log, ours, columns_flag)
        if theirs not in (*log.columns, *log.doubled):
            raise InputError(f"{log.shown} has no column {theirs!r} for {our_name}{_suggestion(theirs, log.columns)}.")
    free = [theirs for theirs in (*log.columns, *log.doubled) if theirs not in mapping.values()]
    in_files = [theirs for theirs in free if theirs not in log.folder_columns]
    found = {
        our_name: mapping.get(our_name) or _recognised(our_name, in_files) or _recognised(our_name, free)
        for our_name in ours
        if our_name not in left_out
    }
    doubled = next((theirs for theirs in found.values() if theirs in log.doubled), None)
    if doubled is not None:
        raise InputError(f"{log.shown} has two columns called {doubled!r}. Rename one in the first line of the file.")
    missing = [our_name for our_name in required if found.get(our_name) is None]
    if missing and log.like_values and not recognised:
        raise _headerless(log, ours, columns_flag)
    if missing:
        said = ",".join(f"{our_name}=COLUMN" for our_name in missing)
        hint = " An export of one person is read by `logs2lang build viewing-history`." * (USER_ID in missing)
        hint += " A log without times is read with --order file." * (TIMESTAMP in missing)
        raise InputError(
            f"{log.shown} has no column that is clearly {' or '.join(missing)}; it has "
            f"{', '.join(log.columns) or 'none'}. Say which it is: {map_flag} {said}.{hint}"
        )
    named = {our_name: log.rows[log.columns[theirs]] for our_name, theirs in found.items() if theirs is not None}
    return ReadRows(log.rows.select(SOURCE_FILE, SOURCE_ROW, **named), log.rejected, log.counted)


def _without_unit(mapping: Mapping[str, str], log: NamedRows) -> tuple[dict[str, str], str]:
    """The map without the unit of `duration_s=COLUMN:ms`, and the unit."""
    theirs = mapping.get(DURATION, "")
    column, sign, unit = theirs.rpartition(":")
    if not sign or theirs in log.columns:
        return dict(mapping), "s"
    if column in log.columns and unit not in SECONDS_PER_UNIT:
        known = ", ".join(SECONDS_PER_UNIT)
        raise InputError(f"{unit!r} is no unit of {DURATION}. There are: {known}; write {DURATION}={column}:ms.")
    return {**mapping, DURATION: column}, unit if unit in SECONDS_PER_UNIT else "s"


def _headerless(log: NamedRows, ours: Sequence[str], flag: str) -> InputError:
    return InputError(
        f"{log.shown} seems to have no header: its first line, {', '.join(log.columns)}, looks like a row. Name its "
        f"columns in the order of the file with {flag}, such as {flag} NAME,{LEFT_OUT},NAME, where {LEFT_OUT} leaves "
        f"one out and names are {', '.join(ours)}."
    )


def _without_times(log: ReadRows) -> ReadRows:
    return replace(log, rows=log.rows.mutate(timestamp=ibis.literal(NO_TIME, type=UTC_MICROSECONDS)))


def _with_iso_dates(log: ReadRows, connection: DuckDB, day_first: bool | None, shown: str) -> ReadRows:
    """The rows with ISO 8601 in place of dates such as 3/4/24."""
    if not log.rows[TIMESTAMP].type().is_string() or not has_local_dates(log.rows, connection):
        return log
    shown = f"The dates of {shown}"
    rows = parse_local_times(log.rows, connection, day_first=day_first, shown=shown, name="tabular_dates")
    return replace(log, rows=rows)


def _recognised(our_name: str, columns: Sequence[str]) -> str | None:
    """The one column that is spelled as ours, or else as a synonym; `None` where none or several are."""
    for names in ((_plain(our_name),), SYNONYMS.get(our_name, ())):
        fitting = [column for column in columns if _plain(column) in names]
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return None


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _suggestion(name: str, names: Iterable[str]) -> str:
    close = get_close_matches(name, list(names), n=1)
    return f"; did you mean {close[0]!r}" if close else f"; it has {', '.join(names)}"


def _check_names(names: Iterable[str], known: Sequence[str], what: str) -> None:
    for name in names:
        if name not in known:
            close = get_close_matches(str(name), known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(known)}."
            raise InputError(f"{name!r} is no {what}. {hint}")


def _split_tags(items: ir.Table, separator: str) -> ir.Table:
    """Tags that are one text (separated, or a JSON list) as a list."""
    if TAGS not in items.columns or not items[TAGS].type().is_string():
        return items
    listed = items[TAGS].try_cast("json").try_cast("array<string>")
    return items.mutate(tags=ibis.coalesce(listed, items[TAGS].split(separator)))
