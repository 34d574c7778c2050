"""A user's own log: CSV, TSV, JSONL or Parquet files, and a map from our column names to theirs."""

import csv
import glob
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import get_args

import duckdb
import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import yaml
from ibis.backends.duckdb import Backend as DuckDB

from dataset_builders.catalogue import DEFAULT_TAG_SEPARATOR
from dataset_builders.input_error import InputError
from dataset_builders.raw_log import OWN_LOG, RawLog, TimeFormat
from dataset_builders.schema import (
    DESCRIPTION,
    DEVICE,
    DURATION,
    EVENT,
    INTERACTION_COLUMNS,
    ITEM_COLUMNS,
    ITEM_ID,
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
from dataset_builders.sources.delimited import (
    COMPRESSED,
    REJECTED_TYPES,
    Dialect,
    ReadRows,
    copy_as_utf8,
    known_encoding,
    names_below_common_folder,
    open_text,
    read_delimited,
)
from dataset_builders.sources.local_dates import has_local_dates, parse_local_times
from dataset_builders.stored_tables import store

NOT_JSON = "not a JSON object"

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

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_DELIMITERS = (",", "\t", ";", "|")
_HEAD_CHARS = 1 << 20


@dataclass(frozen=True)
class TabularMapping:
    """Which of a log's columns are which of ours, and how to read them.

    Args:
        interactions (`dict[str, str]`): Our interaction column -> the log's; what is left out is recognised by name.
        items (`dict[str, str]`): The same for the items file.
        time_format (`str`, defaults to `"auto"`): `"seconds"`, `"milliseconds"`, `"iso"` or `"auto"`.
        tag_separator (`str`, defaults to `"|"`): What stands between the tags of an item.
    """

    interactions: Mapping[str, str] = field(default_factory=dict)
    items: Mapping[str, str] = field(default_factory=dict)
    time_format: TimeFormat = "auto"
    tag_separator: str = DEFAULT_TAG_SEPARATOR

    def __post_init__(self) -> None:
        _check_names(self.interactions, INTERACTION_COLUMNS, "interaction column")
        _check_names(self.items, ITEM_COLUMNS, "item column")
        _check_names([self.time_format], get_args(TimeFormat), "time format")
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
    time_format: TimeFormat = "auto",
    tag_separator: str = DEFAULT_TAG_SEPARATOR,
    day_first: bool | None = None,
    encoding: str | None = None,
    name: str = "tabular",
) -> RawLog:
    """Read a user's own log.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        interactions (`str`): A file or a glob: `.csv`, `.tsv`, `.jsonl` or `.parquet`; text also as `.gz` or `.zst`.
        items (`str`, *optional*): The same for the catalogue.
        columns (`dict[str, str]`, *optional*): Our interaction column -> theirs. A column left out is recognised when
            it is spelled as ours or by one of `SYNONYMS`, and only when one column of the file fits.
        item_columns (`dict[str, str]`, *optional*): The same for the catalogue.
        time_format (`str`, *optional*, defaults to `"auto"`): `"seconds"`, `"milliseconds"`, `"iso"` or `"auto"`.
        tag_separator (`str`, *optional*, defaults to `"|"`): What stands between tags that are one text.
        day_first (`bool`, *optional*): Whether 03/04/2024 is in April (`True`) or in March (`False`). Asked for only
            where times are written so and no other of the log settles it.
        encoding (`str`, *optional*): How the text is encoded, as Python spells it; UTF-8 by default.
        name (`str`, *optional*, defaults to `"tabular"`): Name of the dataset.

    Returns:
        [`RawLog`]: Every value as text, Parquet as typed; lines that are no rows in `rejected`.

    Raises:
        InputError: A file cannot be read or has no rows, a required column is not found, or its dates can be read two
            ways.
    """
    mapping = TabularMapping(columns or {}, item_columns or {}, time_format, tag_separator)
    found = _read_files(connection, "tabular_interactions", interactions, encoding)
    log = _renamed(found, mapping.interactions, INTERACTION_COLUMNS, REQUIRED_INTERACTION_COLUMNS, "--map")
    if time_format in ("auto", "iso"):
        log = _with_iso_dates(log, connection, day_first, interactions)
    if items is None:
        return RawLog(name, log.rows, None, log.rejected, time_format, OWN_LOG)
    found = _read_files(connection, "tabular_items", items, encoding)
    catalogue = _renamed(found, mapping.items, ITEM_COLUMNS, (ITEM_ID,), "--map-items")
    rejected = ibis.union(log.rejected, catalogue.rejected)
    return RawLog(name, log.rows, _split_tags(catalogue.rows, tag_separator), rejected, time_format, OWN_LOG)


def column_names(connection: DuckDB, path: str | Path) -> list[str]:
    """The columns of a user's own log, as its file calls them.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored meanwhile.
        path (`str` or `Path`): As `interactions` of `read_tabular`.

    Raises:
        InputError: The file cannot be read, or has no rows.
    """
    return list(_read_files(connection, "tabular_columns", str(path)).columns)


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


@dataclass(frozen=True)
class _NamedRows(ReadRows):
    columns: Mapping[str, str] = field(default_factory=dict)
    """Their column name -> the name of the column in `rows`, which for text files is only a number."""
    shown: str = ""
    """The file or glob as the user wrote it."""


def _read_files(connection: DuckDB, name: str, pattern: str, encoding: str | None = None) -> _NamedRows:
    paths = _matching_files(pattern)
    kind = _kind(paths, pattern)
    with tempfile.TemporaryDirectory() as folder:
        if encoding is not None and kind != "parquet":
            paths = _in_utf8(paths, encoding, Path(folder))
        read = _READERS[kind](connection, name, paths, pattern)
    if not connection.execute(read.rows.count()) and not connection.execute(read.rejected.count()):
        raise InputError(f"{pattern} has no rows. Check that it is the right file and that it was written completely.")
    return read


def _in_utf8(paths: Sequence[Path], encoding: str, folder: Path) -> list[Path]:
    """Copies of text files, under the same names but for what says that they were compressed."""
    names = [Path(name) for name in names_below_common_folder(paths)]
    plain = [name.with_suffix("") if name.suffix.lower() in COMPRESSED else name for name in names]
    known = known_encoding(encoding)
    return [_copy(path, folder / name, known) for path, name in zip(paths, plain, strict=True)]


def _copy(path: Path, target: Path, encoding: str) -> Path:
    try:
        return copy_as_utf8(path, target, encoding)
    except UnicodeError as error:  # UTF-16 without its mark
        raise InputError(f"{path} is not encoded as {encoding}: {error}.") from error
    except OSError as error:
        if error.errno is not None:  # the disk is full
            raise
        raise InputError(f"{path} cannot be read: {error}. Check that the file is complete.") from error


def _matching_files(pattern: str) -> list[Path]:
    if "://" in pattern:
        raise InputError(f"{pattern} is an address; download it first and give the path of the file.")
    path = Path(pattern).expanduser()
    if path.is_dir():
        raise InputError(f"{pattern} is a folder; give a file in it, or a glob such as '{path / '*.csv'}'.")
    found = [path] if path.exists() else sorted(map(Path, glob.glob(str(path), recursive=True)))
    files = [file.absolute() for file in found if file.is_file()]
    if not files:
        raise InputError(f"There is no file {pattern}{_neighbours(path)}. Check the path; a glob must be quoted.")
    empty = [file for file in files if not file.stat().st_size]
    if empty:
        raise InputError(f"{empty[0]} is empty (0 bytes). Check that it was written completely.")
    return files


def _neighbours(path: Path) -> str:
    names = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    close = get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.parent / close[0]}" if close else ""


def _kind(paths: Sequence[Path], pattern: str) -> str:
    kinds = set()
    for path in paths:
        suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSED]
        kinds.add(_SUFFIXES.get(suffixes[-1] if suffixes else ""))
    if len(kinds) != 1 or None in kinds:
        raise InputError(
            f"{pattern} must name files of one kind, ending in {', '.join(_SUFFIXES)} (or that and .gz). Save a sheet "
            "as CSV, unpack a zip, and write JSON as one object per line."
        )
    return kinds.pop() or ""


def _read_csv(connection: DuckDB, name: str, paths: Sequence[Path], pattern: str) -> _NamedRows:
    headers = [_header(path) for path in paths]
    for path, header in zip(paths, headers, strict=True):
        if header != headers[0]:
            raise InputError(f"{path} has other columns than {paths[0]}; the files of one glob must have the same.")
    delimiter, names = headers[0]
    # Numbers as names: a header may say "ID" and "id", or anything else that SQL takes for one name or for none.
    columns = {theirs: f"column{index}" for index, theirs in enumerate(names)}
    read = read_delimited(connection, name, paths, Dialect(tuple(columns.values()), delimiter, '"', header=True))
    return _NamedRows(read.rows, read.rejected, read.counted, columns, pattern)


def _header(path: Path) -> tuple[str, list[str]]:
    """The delimiter that cuts the first line into most columns, and the columns."""
    line = _first_line(path)
    if not line.strip():
        raise InputError(f"{path} begins with an empty line; its first line must name the columns.")
    delimiters = ("\t",) if {".tsv", ".tab"} & set(path.suffixes) and "\t" in line else _DELIMITERS
    cut = {delimiter: next(csv.reader([line], delimiter=delimiter)) for delimiter in delimiters}
    delimiter = max(delimiters, key=lambda each: len(cut[each]))
    names = [column.strip() for column in cut[delimiter]]
    doubled = next((column for column in names if names.count(column) > 1), None)
    if doubled is not None:
        raise InputError(f"{path} has two columns called {doubled!r}. Rename one in the first line of the file.")
    return delimiter, names


def _first_line(path: Path) -> str:
    try:
        with open_text(path, "utf-8-sig") as file:
            line = file.readline(_HEAD_CHARS).rstrip("\n")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}. Check that the file is complete.") from error
    if "\0" in line or "\ufffd" in line:
        raise InputError(
            f"{path} is not UTF-8 text. Save it as UTF-8 or build it with --encoding cp1252, utf-16 or what it is; or "
            "check that it is no binary file."
        )
    return line


def _read_jsonl(connection: DuckDB, name: str, paths: Sequence[Path], pattern: str) -> _NamedRows:
    for path in paths:
        _first_line(path)
    lines = read_delimited(connection, f"{name}_lines", paths, Dialect(("line",), ""))
    filled = lines.rows.filter(lines.rows.line.strip() != "")
    is_object = (json_type(filled.line.try_cast("json")) == "OBJECT").fill_null(False)
    broken = filled.filter(~is_object).select(SOURCE_FILE, SOURCE_ROW, raw=filled.line, reason=ibis.literal(NOT_JSON))
    objects = filled.filter(is_object)
    if not connection.execute(objects.count()) and _first_line(paths[0]).lstrip().startswith("["):
        raise InputError(f"{pattern} is one JSON array; write one object per line, such as `jq -c '.[]'` does.")
    keys = connection.execute(objects.select(key=json_keys(objects.line).unnest()).distinct().order_by("key"))["key"]
    columns = {theirs: f"column{index}" for index, theirs in enumerate(keys)}
    values = {column: json_extract_string(objects.line, _json_pointer(theirs)) for theirs, column in columns.items()}
    rows = store(f"{name}_rows", objects.select(SOURCE_FILE, SOURCE_ROW, **values), connection)
    return _NamedRows(
        rows, store(f"{name}_rejected", lines.rejected.union(broken), connection), None, columns, pattern
    )


@ibis.udf.scalar.builtin
def json_type(document: dt.json) -> str: ...  # type: ignore[empty-body]


@ibis.udf.scalar.builtin
def json_keys(document: str) -> list[str]: ...  # type: ignore[empty-body]


@ibis.udf.scalar.builtin
def json_extract_string(document: str, pointer: str) -> str: ...  # type: ignore[empty-body]


def _json_pointer(key: str) -> str:
    """RFC 6901; unlike a JSONPath it can spell any key."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _read_parquet(connection: DuckDB, name: str, paths: Sequence[Path], pattern: str) -> _NamedRows:
    files = ibis.memtable({"filename": list(map(str, paths)), SOURCE_FILE: names_below_common_folder(paths)})
    try:
        read = connection.read_parquet(
            [glob.escape(str(path)) for path in paths], filename=True, file_row_number=True, union_by_name=True
        )
        placed = read.join(files, "filename").mutate(source_row=read.file_row_number + 1)
        rows = store(f"{name}_rows", placed.drop("filename", "file_row_number"), connection)
    except (duckdb.DataError, duckdb.OperationalError, duckdb.ProgrammingError) as error:
        what = str(error).splitlines()[0]
        raise InputError(
            f"{pattern} cannot be read as Parquet: {what}. Check that it was written completely."
        ) from error
    columns = {theirs: theirs for theirs in rows.columns if theirs not in (SOURCE_FILE, SOURCE_ROW)}
    return _NamedRows(rows, ibis.memtable([], schema=REJECTED_TYPES), None, columns, pattern)


_READERS = {"csv": _read_csv, "jsonl": _read_jsonl, "parquet": _read_parquet}


def _renamed(
    log: _NamedRows, mapping: Mapping[str, str], ours: Sequence[str], required: Sequence[str], flag: str
) -> ReadRows:
    """The rows under our names; columns that mean nothing to us are left behind."""
    for our_name, theirs in mapping.items():
        if theirs not in log.columns:
            raise InputError(f"{log.shown} has no column {theirs!r} for {our_name}{_suggestion(theirs, log.columns)}.")
    free = [theirs for theirs in log.columns if theirs not in mapping.values()]
    found = {our_name: mapping.get(our_name) or _recognised(our_name, free) for our_name in ours}
    missing = [our_name for our_name in required if found[our_name] is None]
    if missing:
        said = ",".join(f"{our_name}=COLUMN" for our_name in missing)
        hint = " An export of one person is read by `logs2lang build viewing-history`." * (USER_ID in missing)
        raise InputError(
            f"{log.shown} has no column that is clearly {' or '.join(missing)}; it has "
            f"{', '.join(log.columns) or 'none'}. Say which it is: {flag} {said}.{hint}"
        )
    named = {our_name: log.rows[log.columns[theirs]] for our_name, theirs in found.items() if theirs is not None}
    return ReadRows(log.rows.select(SOURCE_FILE, SOURCE_ROW, **named), log.rejected)


def _with_iso_dates(log: ReadRows, connection: DuckDB, day_first: bool | None, shown: str) -> ReadRows:
    """The rows with ISO 8601 in place of dates such as 3/4/24."""
    if not log.rows[TIMESTAMP].type().is_string() or not has_local_dates(log.rows, connection):
        return log
    shown = f"The dates of {shown}"
    rows = parse_local_times(log.rows, connection, day_first=day_first, shown=shown, name="tabular_dates")
    return ReadRows(rows, log.rejected)


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
