"""A user's own log: delimited text, JSON lines or Parquet files, and a map from our column names to theirs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Literal

import ibis
import yaml
from ibis.backends.duckdb import Backend as DuckDB

from ..catalogue import DEFAULT_TAG_SEPARATOR
from ..cells.written_numbers import SECONDS_PER_UNIT
from ..cells.written_times import UTC_MICROSECONDS, check_strptime_format
from ..input_error import InputError, did_you_mean
from ..raw_log import OWN_LOG, TIME_FORMATS, RawLog
from ..schema import (
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
    SOURCE_PLACE,
    SOURCE_ROW,
    TAGS,
    TIMESTAMP,
    TITLE,
    USER_ID,
    VALUE,
    YEAR,
)
from ..tables.parquet_scan import naming_broken_file
from ..tables.stored_tables import store
from .catalogue_rows import check_repeated, unseparated_notes, with_lists_read, without_undecodable
from .delimited import ReadRows
from .local_dates import has_local_dates, parse_local_times
from .movie_titles import with_spoken_titles
from .named_rows import NamedRows
from .nested_events import explode_events
from .table_files import LEFT_OUT, read_files

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
        "businessid",
        "newsid",
        "songid",
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
        "timems",
        "invoicedate",
        "orderdate",
        "purchasedate",
    ),
    EVENT: ("eventtype", "interactiontype", "action", "behavior"),
    DURATION: ("durationseconds", "durationsec", "watchseconds"),
    VALUE: ("rating", "score", "stars"),
    DEVICE: ("devicetype",),
    TITLE: ("name", "movietitle", "itemname", "productname", "trackname", "songname", "tracktitle"),
    YEAR: ("releaseyear",),
    TAGS: ("genres", "genre", "categories", "category"),
    SERIES: ("show", "seriestitle", "seriesname"),
    DESCRIPTION: ("overview", "plot", "summary", "synopsis"),
}
"""Usual other names of our columns, letters and digits in lower case. `duration` is not one: its unit could be any."""

_BEFORE_SYNONYMS = {ITEM_ID: ("parentasin",)}
"""Names that go before the synonyms: Amazon's `asin` is a colour or a size of what `parent_asin` names."""

_LAST_NAMES = {USER_ID: ("sessionid", "session"), ITEM_ID: ("aid", "track", "song", "artistid", "artist")}
"""Names that are taken, one after another, where no synonym fits: a session has a user where both are named."""

_HISTORY = re.compile(r"(user_?)?hist", re.IGNORECASE)
_MANY_ITEMS = re.compile(
    r"(user_?)?(hist|seq).*|(item|movie|film|product|book|track|song|video|news|article|asin|click|purchase)s?(_?ids?)?",
    re.IGNORECASE,
)
"""Names of columns that hold whole histories, where they hold lists."""

_PROBED_ROWS = 100

_KEYS = (USER_ID, ITEM_ID)


@dataclass(frozen=True)
class _Flags:
    """How the command line calls the options of one of the two tables."""

    map: str
    columns: str
    separator: str


_LOG_FLAGS = _Flags("--map", "--columns", "--separator")
_ITEMS_FLAGS = _Flags("--map-items", "--columns-items", "--separator-items")


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
        _check_names(self.interactions, INTERACTION_COLUMNS, "an interaction column")
        _check_names(self.items, ITEM_COLUMNS, "an item column")
        if "%" not in str(self.time_format):
            _check_names([self.time_format], TIME_FORMATS, "a time format")
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
    _check_names(content, keys, f"a key of {path}")
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
    separator: str | None = None,
    items_separator: str | None = None,
    explode: Sequence[str] = (),
    order: Literal["time", "file"] = "time",
    name: str = "tabular",
) -> RawLog:
    """Read a user's own log.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        interactions (`str`): A file or a glob: delimited text (`.csv`, `.tsv`, `.dat`, RecBole's `.inter` and `.item`,
            ...), one JSON object per line (`.jsonl`, `.json`, ...) or `.parquet`; text also as `.gz` or `.zst`.
        items (`str`, *optional*): The same for the catalogue; the log itself, where it has titles.
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
        items_header (`list[str]`, *optional*): The same for the catalogue; `header` where it is the log itself.
        separator (`str`, *optional*): What stands between the values of a log of delimited text, such as `"::"`;
            found out by default.
        items_separator (`str`, *optional*): The same for the catalogue.
        explode (`list[str]`, *optional*): Columns of the log that hold lists, of which each element is an event; see
            `explode_events`.
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
    found = read_files(connection, "tabular_interactions", interactions, encoding, header, separator, in_place=True)
    with naming_broken_file(found.scan, connection):
        found = explode_events(connection, "tabular_interactions", found, explode) if explode else found
        described = None
        if items == interactions and items_header is None and items_separator is None:
            described = found = _kept_here(found, connection)  # which is read several times
        elif items is not None:
            described = read_files(connection, "tabular_items", items, encoding, items_header, items_separator)
        ours, duration_unit = _without_unit(mapping.interactions, found)
        found = _with_joined_time(found, ours.get(TIMESTAMP, ""))
        theirs = dict(mapping.items)
        id_notes: tuple[str, ...] = ()
        if described is not None:
            ours, theirs, id_notes = _with_shared_id(found, described, ours, theirs)
        _refuse_nested(found, ours, connection)
        if order == "file":
            ours = {**ours, TIMESTAMP: LEFT_OUT}
            log = _without_times(_renamed(found, ours, INTERACTION_COLUMNS, _KEYS, _LOG_FLAGS, connection))
        else:
            log = _renamed(found, ours, INTERACTION_COLUMNS, REQUIRED_INTERACTION_COLUMNS, _LOG_FLAGS, connection)
        if order == "time" and time_format in ("auto", "iso"):
            log = _with_iso_dates(log, connection, day_first, interactions)
        if described is None:
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
                scan=found.scan,
            )
        catalogue = _renamed(described, theirs, ITEM_COLUMNS, (ITEM_ID,), _ITEMS_FLAGS, connection)
        catalogue, broken_notes = without_undecodable(catalogue, items or "", connection)
        if (theirs.get(TAGS) or _recognised(TAGS, list(described.columns))) in described.spaced:
            tag_separator = " "
        tag_notes = unseparated_notes(catalogue.rows, tag_separator, connection)
        is_own = items == interactions
        own_notes = check_repeated(catalogue.rows, items or "", connection, refuse=is_own)
        notes = (*found.notes, *described.notes, *id_notes, *own_notes, *tag_notes, *broken_notes)
        return RawLog(
            name,
            log.rows,
            with_spoken_titles(with_lists_read(catalogue.rows, tag_separator, connection)),
            log.rejected,
            time_format,
            OWN_LOG,
            notes=tuple(dict.fromkeys(notes)),
            rejected_items=catalogue.rejected,
            counted=log.counted,
            counted_items=catalogue.counted,
            duration_unit=duration_unit,
            order=order,
            scan=found.scan,
        )


def _kept_here(read: NamedRows, connection: DuckDB) -> NamedRows:
    """The same rows; those of files in a store are copied to this machine."""
    if read.scan is None or not read.scan.is_remote:
        return read
    return replace(read, rows=store("tabular_kept", read.rows, connection), scan=None)


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
    log: NamedRows,
    mapping: Mapping[str, str],
    ours: Sequence[str],
    required: Sequence[str],
    flags: _Flags,
    connection: DuckDB,
) -> ReadRows:
    """The rows under our names; columns that mean nothing to us are left behind."""
    recognised = any(_recognised(our_name, list(log.columns)) for our_name in ours)
    left_out = [our_name for our_name, theirs in mapping.items() if theirs == LEFT_OUT]
    mapping = {our_name: theirs for our_name, theirs in mapping.items() if theirs != LEFT_OUT}
    for our_name in left_out:
        if our_name in required:
            raise InputError(
                f"{log.shown} needs a column for {our_name}, and {flags.map} leaves it out; name a column for it."
            )
    for our_name, theirs in mapping.items():
        if theirs in log.like_values and not recognised:
            raise _headerless(log, ours, flags.columns)
        if theirs not in (*log.columns, *log.doubled):
            hint = did_you_mean(theirs, log.columns, f"It has {', '.join(log.columns)}.")
            hints = (hint, *_list_hints(log, flags, connection))
            raise InputError(f"{log.shown} has no column {theirs!r} for {our_name}. {' '.join(hints)}")
    free = [theirs for theirs in (*log.columns, *log.doubled) if theirs not in mapping.values()]
    in_files = [theirs for theirs in free if theirs not in log.folder_columns]
    found = {
        our_name: mapping.get(our_name) or _recognised(our_name, in_files) or _recognised(our_name, free)
        for our_name in ours
        if our_name not in left_out
    }
    doubled = next((theirs for theirs in found.values() if theirs in log.doubled), None)
    if doubled is not None:
        raise InputError(
            f"{log.shown} has two columns named {doubled!r}. Rename one of them in the first line of the file."
        )
    missing = [our_name for our_name in required if found.get(our_name) is None]
    if missing and log.like_values and not recognised:
        raise _headerless(log, ours, flags.columns)
    if missing:
        raise _missing(log, missing, flags, connection)
    for our_name in required:
        if found[our_name] in log.objects:
            raise _object(log, our_name, str(found[our_name]), flags)
    named = {our_name: log.rows[log.columns[theirs]] for our_name, theirs in found.items() if theirs is not None}
    places = [name for name in (SOURCE_FILE, SOURCE_ROW, SOURCE_PLACE) if name in log.rows.columns]
    return ReadRows(log.rows.select(*places, **named), log.rejected, log.counted)


def _object(log: NamedRows, our_name: str, theirs: str, flags: _Flags) -> InputError:
    """What to say of a column that holds objects where one value is needed."""
    parts = [name for name in log.columns if name.startswith(f"{theirs}.")]
    return InputError(
        f"{log.shown} has objects in {theirs!r}, and {our_name} must be one value. Name the part that it is: "
        f"{flags.map} {our_name}={parts[0] if parts else 'COLUMN'}; the parts are {', '.join(parts) or 'none'}."
    )


def _missing(log: NamedRows, missing: Sequence[str], flags: _Flags, connection: DuckDB) -> InputError:
    """What to say where no column is clearly one that is needed, with the options that would help this file."""
    said = ",".join(f"{our_name}=COLUMN" for our_name in missing)
    hints = [f"Specify it: {flags.map} {said}."]
    if len(log.columns) == 1 and not log.folder_columns:
        hints.append(f"If its lines have several values, specify what separates them: {flags.separator} ';;'.")
    list_hints = _list_hints(log, flags, connection)
    hints += list_hints
    if USER_ID in missing and not list_hints:
        hints.append("To read a personal export, use `logs2lang build viewing-history`.")
    if TIMESTAMP in missing:
        named = [theirs for theirs in log.columns if _plain(theirs) in SYNONYMS[TIMESTAMP]]
        if len(named) > 1:
            joined = "+".join(named[:2])
            hints.append(f"If two columns are the day and the clock, join them: {flags.map} timestamp={joined}.")
        hints.append("For a log without times, pass --order file.")
    return InputError(
        f"{log.shown} has no column that is clearly {' or '.join(missing)}; it has "
        f"{', '.join(log.columns) or 'none'}. {' '.join(hints)}"
    )


def _list_hints(log: NamedRows, flags: _Flags, connection: DuckDB) -> list[str]:
    """What to say where the column that is looked for may be inside of another one."""
    lists = [] if flags == _ITEMS_FLAGS else _columns_of_lists(log, connection)
    hold = "holds lists" if len(lists) == 1 else "hold lists"
    hint = f"{', '.join(lists)} {hold}; to read each element as a row, pass --explode {''.join(lists[:1])}."
    return [hint] if lists else []


def _with_shared_id(
    log: NamedRows, catalogue: NamedRows, ours: Mapping[str, str], theirs: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str], tuple[str, ...]]:
    """Both maps, with the id of the catalogue in the log where the log has a column of that name, and a note then."""
    in_log = ours.get(ITEM_ID) or _recognised(ITEM_ID, list(log.columns))
    in_catalogue = theirs.get(ITEM_ID) or _recognised(ITEM_ID, list(catalogue.columns))
    if in_log == in_catalogue:
        pass
    elif ITEM_ID not in ours and in_catalogue in log.columns:
        note = f"Item ids come from {in_catalogue!r}, as in the catalogue" + f", not from {in_log!r}." * bool(in_log)
        return {**ours, ITEM_ID: str(in_catalogue)}, dict(theirs), (note if in_log else f"{note}.",)
    elif ITEM_ID not in theirs and in_log in catalogue.columns:
        return dict(ours), {**theirs, ITEM_ID: str(in_log)}, ()
    return dict(ours), dict(theirs), ()


def _refuse_nested(log: NamedRows, ours: Mapping[str, str], connection: DuckDB) -> None:
    """Refuse a file whose rows hold whole histories."""
    lists = _columns_of_lists(log, connection)
    item = ours.get(ITEM_ID) or _recognised(ITEM_ID, list(log.columns))
    nested = [theirs for theirs in lists if theirs == item or _MANY_ITEMS.fullmatch(theirs)]
    if nested and (item is None or item in lists or any(_HISTORY.match(theirs) for theirs in nested)):
        raise InputError(
            f"{log.shown} has whole histories in one row: {', '.join(nested)} hold{'s' * (len(nested) == 1)} lists. "
            f"One row per interaction is needed. Pass --explode {','.join(nested)}, with the names of all columns "
            "whose lists run in parallel, and keep their order with --order file if there are no times."
        )


def _columns_of_lists(log: NamedRows, connection: DuckDB) -> list[str]:
    """Columns whose first values are all lists, or texts that look like one."""
    first = log.rows.limit(_PROBED_ROWS)
    kinds = {theirs: log.rows[ours].type() for theirs, ours in log.columns.items()}
    texts = {theirs: first[log.columns[theirs]] for theirs, kind in kinds.items() if kind.is_string()}
    facts = {
        f"n{place}": text.re_search(r"^\s*\[(?s:.*)\]\s*$").all(where=text.notnull() & (text != ""))
        for place, text in enumerate(texts.values())
    }
    found = connection.to_pyarrow(ibis.struct(facts)).as_py() if facts else {}
    alike = [theirs for place, theirs in enumerate(texts) if found[f"n{place}"]]
    return [theirs for theirs, kind in kinds.items() if kind.is_array() or theirs in alike]


def _without_unit(mapping: Mapping[str, str], log: NamedRows) -> tuple[dict[str, str], str]:
    """The map without the unit of `duration_s=COLUMN:ms`, and the unit."""
    theirs = mapping.get(DURATION, "")
    column, sign, unit = theirs.rpartition(":")
    if not sign or theirs in log.columns:
        return dict(mapping), "s"
    if column in log.columns and unit not in SECONDS_PER_UNIT:
        known = ", ".join(SECONDS_PER_UNIT)
        raise InputError(
            f"{unit!r} is not a unit of {DURATION}. Choose one of {known}, such as {DURATION}={column}:ms."
        )
    return {**mapping, DURATION: column}, unit if unit in SECONDS_PER_UNIT else "s"


def _with_joined_time(log: NamedRows, theirs: str) -> NamedRows:
    """The rows with the column `date+time`, where a user names it and the two are columns."""
    parts = theirs.split("+")
    if len(parts) < 2 or theirs in log.columns or not all(part in log.columns for part in parts):
        return log
    day, *clock = (log.rows[log.columns[part]].cast("string") for part in parts)
    joined = reduce(lambda before, part: before + " " + part, clock, day)
    return replace(log, rows=log.rows.mutate(joined_time=joined), columns={**log.columns, theirs: "joined_time"})


def _headerless(log: NamedRows, ours: Sequence[str], flag: str) -> InputError:
    return InputError(
        f"{log.shown} seems to have no header: its first line, {', '.join(log.columns)}, looks like a row. Name its "
        f"columns in the order of the file with {flag}, such as {flag} NAME,{LEFT_OUT},NAME. {LEFT_OUT} leaves a "
        f"column out; the names are {', '.join(ours)}."
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
    last = [(name,) for name in _LAST_NAMES.get(our_name, ())]
    for names in ((_plain(our_name),), _BEFORE_SYNONYMS.get(our_name, ()), SYNONYMS.get(our_name, ()), *last):
        fitting = [column for column in columns if _plain(column) in names]
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return None


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _check_names(names: Iterable[str], known: Sequence[str], what: str) -> None:
    for name in names:
        if name not in known:
            hint = did_you_mean(str(name), known, f"Choose one of {', '.join(known)}.")
            raise InputError(f"{name!r} is not {what}. {hint}")
