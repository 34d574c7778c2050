"""Delimited text files (CSV, TSV, `::`) as tables of text, with every line that is no row set aside with its reason.

DuckDB reads the files. It cannot go on after a quote that never closes (what follows, up to megabytes, becomes part of
that value), so such a file is read from a copy in which the lines with broken quotes are blank.
"""

import glob
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend as DuckDB

from dataset_builders.input_error import InputError
from dataset_builders.interactions import BROKEN_ENCODING
from dataset_builders.schema import RAW, REASON, SOURCE_FILE, SOURCE_ROW
from dataset_builders.stored_tables import drop_stored, store

TOO_FEW_COLUMNS = "too few columns"
TOO_MANY_COLUMNS = "too many columns"
BROKEN_QUOTES = "broken quotes"
TOO_LONG = "line over 2 MB"
_REASONS = {
    "MISSING COLUMNS": TOO_FEW_COLUMNS,
    "TOO MANY COLUMNS": TOO_MANY_COLUMNS,
    "UNQUOTED VALUE": BROKEN_QUOTES,
    "INVALID STATE": BROKEN_QUOTES,
    "LINE SIZE OVER MAXIMUM": TOO_LONG,
    "INVALID ENCODING": BROKEN_ENCODING,
}
"""What DuckDB calls the errors of a line, and the reason that the quarantine gives."""

COMPRESSED = (".gz", ".zst")

MAX_RAW_CHARS = 10_000
REJECTED_TYPES = {SOURCE_FILE: "string", SOURCE_ROW: "int64", RAW: "string", REASON: "string"}
_MAX_LINE = 2_000_000  # DuckDB's own limit
_CHUNK = 1 << 20
_FILENAME = "filename"  # as DuckDB calls the column


@dataclass(frozen=True)
class Dialect:
    """How the lines of a file are cut into columns.

    Args:
        columns (`tuple[str, ...]`): Names for the columns, in the order of the file.
        delimiter (`str`): One to four characters; empty when each line is one column.
        quote (`str`, defaults to `""`): `'"'` where values may be quoted.
        header (`bool`, defaults to `False`): Whether the first line names the columns and is to be skipped.
        encoding (`str`, defaults to `"utf-8"`): As DuckDB spells it.
    """

    columns: tuple[str, ...]
    delimiter: str
    quote: str = ""
    header: bool = False
    encoding: str = "utf-8"


@dataclass(frozen=True)
class ReadRows:
    """What was read of some files.

    Args:
        rows (`ibis.Table`): The columns as text, `source_file` (below the folder that all files share) and
            `source_row`: the line of the file, from 1; a row with line breaks inside counts as one line.
        rejected (`ibis.Table`): `source_file`, `source_row`, `raw` and `reason` of each line that is no row.
    """

    rows: ir.Table
    rejected: ir.Table


def read_delimited(connection: DuckDB, name: str, paths: Sequence[Path], dialect: Dialect) -> ReadRows:
    """Read delimited files of one layout; no value and no line can make it fail.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        name (`str`): What the stored tables are called.
        paths (`list[Path]`): Files, plain or compressed (`.gz`, `.zst`).
        dialect ([`Dialect`]): Their layout.

    Returns:
        [`ReadRows`]: Rows and rejected lines of all files.

    Raises:
        InputError: A file cannot be read at all.
    """
    shown = dict(zip(map(str, paths), names_below_common_folder(paths), strict=True))
    for path in paths:
        if path.suffix.lower() in COMPRESSED:
            _require_whole(path)
    try:
        read = _read(connection, name, shown, dialect)
        troubled = connection.execute(
            read.rejected.filter(read.rejected[REASON].isin([BROKEN_QUOTES, TOO_LONG])).count()
        )
    except duckdb.InvalidInputException:  # mixed line ends, or a quote that closes in the middle of a value
        troubled = True
    return _read_repaired(connection, name, shown, dialect) if troubled else read


def _require_whole(path: Path) -> None:
    """Refuse a compressed file that was cut off, of which DuckDB 1 reads what is there and says nothing."""
    try:
        with pa.input_stream(str(path), compression="detect") as unpacked:
            while unpacked.read(_CHUNK):
                pass
    except OSError as error:
        raise _unreadable(path.name, error) from error


def names_below_common_folder(paths: Sequence[Path]) -> list[str]:
    """How files are called in reports: never by the folders of somebody's machine.

    Example:
        >>> names_below_common_folder([Path("/home/ann/logs/2023/a.csv"), Path("/home/ann/logs/2024/a.csv")])
        ['2023/a.csv', '2024/a.csv']
        >>> names_below_common_folder([Path("/home/ann/logs/a.csv")])
        ['a.csv']
    """
    folder = os.path.commonpath([path.parent for path in paths])
    return [path.relative_to(folder).as_posix() for path in paths]


def _read_repaired(connection: DuckDB, name: str, shown: Mapping[str, str], dialect: Dialect) -> ReadRows:
    """Read copies with `\\n` line ends, in which each line that DuckDB cannot get over is blank."""
    blanked: list[tuple[str, int, str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        copies = {}
        for index, (path, shown_name) in enumerate(shown.items()):
            copy = str(Path(folder) / f"{index}.csv")
            copies[copy] = shown_name
            blanked += [(shown_name, *line) for line in _copy_without_broken_lines(path, copy, dialect)]
        try:
            return _read(connection, name, copies, dialect, blanked)
        except duckdb.InvalidInputException as error:
            raise _unreadable(", ".join(shown.values()), error) from error


def _copy_without_broken_lines(path: str, copy: str, dialect: Dialect) -> Iterator[tuple[int, str, str]]:
    """Write the copy of one file, and yield number, text and reason of each line that was left blank."""
    row = _row_pattern(dialect)
    # Latin-1 takes any byte and gives it back; bytes that are no UTF-8 are still DuckDB's to reject.
    with open_text(path, "latin-1") as source, open(copy, "w", encoding="latin-1", newline="\n") as sink:
        for number, line in enumerate(source, start=1):
            text = line.rstrip("\n")
            reason = TOO_LONG if len(text) > _MAX_LINE else None if row.fullmatch(text) else BROKEN_QUOTES
            sink.write(text + "\n" if reason is None else "\n")
            if reason is not None:
                yield number, text[:MAX_RAW_CHARS].encode("latin-1").decode("utf-8", "replace"), reason


def _row_pattern(dialect: Dialect) -> re.Pattern[str]:
    """A line in which every quote closes: RFC 4180, and quotes inside bare values allowed."""
    delimiter, quote = re.escape(dialect.delimiter), re.escape(dialect.quote)
    if not dialect.quote:
        return re.compile(".*")
    value = f"(?:{quote}(?:[^{quote}]|{quote}{quote})*{quote}|[^{quote}{delimiter}][^{delimiter}]*|)"
    return re.compile(f"{value}(?:{delimiter}{value})*")


def open_text(path: str | Path, encoding: str, newline: str | None = None) -> TextIO:
    """A text file, unpacked when its name ends in `.gz` or `.zst`; undecodable bytes become U+FFFD."""
    unpacked = pa.input_stream(str(path), compression="detect")
    return io.TextIOWrapper(io.BufferedReader(unpacked), encoding=encoding, errors="replace", newline=newline)


def known_encoding(name: str) -> str:
    """The name of an encoding, as the user gave it.

    Raises:
        InputError: Python has no such encoding of text.

    Example:
        >>> known_encoding("cp1250")
        'cp1250'
    """
    try:
        "".encode(name)
    except LookupError as error:
        raise InputError(
            f"There is no encoding {name!r}. Usual ones are utf-8, utf-16, cp1250 (Central Europe), cp1251 "
            "(Cyrillic), cp1252 (Western Europe), cp1254 (Turkish)."
        ) from error
    return name


def copy_as_utf8(path: Path, target: Path, encoding: str) -> Path:
    """Write a text file anew in UTF-8, unpacked; bytes that cannot be decoded become U+FFFD. Returns the copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_text(path, encoding, newline="") as source, target.open("w", encoding="utf-8", newline="") as sink:
        shutil.copyfileobj(source, sink, _CHUNK)
    return target


def _read(
    connection: DuckDB,
    name: str,
    shown: Mapping[str, str],
    dialect: Dialect,
    blanked: Sequence[tuple[str, int, str, str]] = (),
) -> ReadRows:
    rejects, scans = f"{name}_errors", f"{name}_scans"
    _scan(connection, f"{name}_scanned", rejects, scans, list(shown), dialect)
    files = ibis.memtable({_FILENAME: list(shown), SOURCE_FILE: list(shown.values())})
    rejected = store(
        f"{name}_rejected",
        _rejected(connection.table(rejects), connection.table(scans), files, blanked),
        connection,
    )
    scanned = connection.table(f"{name}_scanned")
    rows = store(
        f"{name}_rows", _numbered(scanned, rejected, files, first_line=2 if dialect.header else 1), connection
    )
    for table in (rejects, scans, f"{name}_scanned"):
        drop_stored(table, connection)
    return ReadRows(rows, rejected)


def _scan(connection: DuckDB, name: str, rejects: str, scans: str, paths: list[str], dialect: Dialect) -> None:
    for table in (name, rejects, scans):
        drop_stored(table, connection)
    parameters = {
        "paths": [glob.escape(path) for path in paths],
        "columns": dict.fromkeys(dialect.columns, "VARCHAR"),
        "delimiter": dialect.delimiter,
        "quote": dialect.quote,
        "header": dialect.header,
        "encoding": dialect.encoding,
        "rejects": rejects,
        "scans": scans,
    }
    try:
        connection.con.execute(
            f"""CREATE TABLE "{name}" AS SELECT * FROM read_csv($paths, columns = $columns, auto_detect = false,
            delim = $delimiter, quote = $quote, escape = $quote, header = $header, encoding = $encoding,
            filename = true, store_rejects = true, rejects_table = $rejects, rejects_scan = $scans)""",
            parameters,
        )
    except duckdb.IOException as error:
        raise _unreadable(", ".join(map(str, paths)), error) from error


def _rejected(
    errors: ir.Table, scans: ir.Table, files: ir.Table, blanked: Sequence[tuple[str, int, str, str]]
) -> ir.Table:
    """One row per line: DuckDB reports a line once for every column it misses."""
    by_path = errors.join(scans.select("file_id", "file_path"), "file_id")
    named = by_path.join(files, by_path.file_path == files[_FILENAME])
    reason = named.error_type.cast("string").cases(*_REASONS.items(), else_=named.error_type.cast("string"))
    lines = named.group_by(source_file=named[SOURCE_FILE], source_row=named.line.cast("int64")).agg(
        raw=named.csv_line.strip().left(MAX_RAW_CHARS).min(), reason=reason.min()
    )
    return ibis.union(lines, ibis.memtable(list(blanked), schema=REJECTED_TYPES)) if blanked else lines


def _numbered(scanned: ir.Table, rejected: ir.Table, files: ir.Table, first_line: int) -> ir.Table:
    """The scanned rows with the line each stands on: rejected lines before it count, blank ones do not."""
    placed = scanned.mutate(row=scanned.rowid()).join(files, _FILENAME)
    starts = placed.group_by(SOURCE_FILE).agg(start=placed.row.min())
    placed = placed.join(starts, SOURCE_FILE)
    placed = placed.mutate(index=placed.row - placed.start).drop(_FILENAME, "row", "start")
    if not int(rejected.count().execute()):
        return placed.mutate(source_row=placed.index + first_line).drop("index")
    order = ibis.row_number().over(group_by=SOURCE_FILE, order_by=SOURCE_ROW)
    ordered = rejected.select(SOURCE_FILE, SOURCE_ROW, order=order)
    ordered = ordered.mutate(before=ordered[SOURCE_ROW] - first_line - ordered.order)
    skips = ordered.group_by(SOURCE_FILE, "before").agg(skipped=ordered.order.max() + 1)
    joined = placed.asof_join(skips, on=placed.index >= skips.before, predicates=SOURCE_FILE)
    number = joined.index + first_line + joined.skipped.fill_null(0)
    return joined.mutate(source_row=number).select(*scanned.drop(_FILENAME).columns, SOURCE_FILE, SOURCE_ROW)


def _unreadable(files: str, error: Exception) -> InputError:
    return InputError(f"{files} cannot be read: {str(error).splitlines()[0]}. Check that the file is complete.")
