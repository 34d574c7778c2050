"""Delimited text files (CSV, TSV, `::`) as tables of text; every record that is not a row is set aside with a reason.

DuckDB reads the files. It cannot continue after a quote that never closes (what follows, up to megabytes, becomes part
of that value), and it leaves out records longer than its buffer. Records are therefore counted independently; if the
counts differ, or quotes are broken, the files are read from copies that hold only what DuckDB can read.
"""

import glob
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import duckdb
import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ..input_error import InputError
from ..interactions import BROKEN_ENCODING, QUARANTINE_TYPES
from ..schema import REASON, SOURCE_FILE, SOURCE_ROW
from ..tables.stored_tables import drop_stored, store
from .records import (
    BROKEN_QUOTES,
    TOO_FEW_COLUMNS,
    TOO_LONG,
    TOO_MANY_COLUMNS,
    Record,
    RecordCount,
    RecordPattern,
    Style,
    count_records,
    open_text,
)

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
_CHUNK = 1 << 20
_NULL = "\\N"  # how MySQL, Hive and PostgreSQL write that there is no value
_CLEARLY_QUOTED = re.compile(r'(?:[^"]+|"[^"]*"(?![\w"]))[^"]*(?:"[^"]*"[^"]*)*|"(?:[^"]|"")*"|')
_WHOLLY_QUOTED = re.compile(r'[^"]*|"(?:[^"]|"")*"')
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
        counted (`int` or `None`): Records that the files hold, counted apart from what parsed them; `None` where
            nothing was counted.
    """

    rows: ir.Table
    rejected: ir.Table
    counted: int | None = None


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
    counts = {path: _count(path, dialect.quote) for path in paths}
    counted = sum(count.records - dialect.header for count in counts.values())
    try:
        read = _read(connection, name, shown, dialect)
    except duckdb.InvalidInputException:  # mixed line ends, or a quote that closes in the middle of a value
        return _read_repaired(connection, name, shown, dialect)
    if _has_broken(read, connection):
        return _read_repaired(connection, name, shown, dialect)
    held = _num_records(read, connection)
    enclosed = [path for path, count in counts.items() if count.inner_line_ends]
    if held != counted or any(_is_plain(path, dialect) for path in enclosed):
        # The reader lost some, quotes enclose whole rows, or the glance was misled.
        counted = sum(_count_exactly(path, dialect) for path in paths)
        if held != counted:
            return _read_repaired(connection, name, shown, dialect)
    return replace(read, counted=counted)


def _count(path: Path, quote: str) -> RecordCount:
    """Count the records of a file; a truncated file, which DuckDB 1 reads as far as it goes, is refused."""
    try:
        return count_records(path, quote)
    except OSError as error:
        raise _unreadable(path.name, error) from error


def _num_records(read: ReadRows, connection: DuckDB) -> int:
    return sum(int(connection.execute(table.count())) for table in (read.rows, read.rejected))


def _has_broken(read: ReadRows, connection: DuckDB) -> bool:
    broken = read.rejected.filter(read.rejected[REASON].isin([BROKEN_QUOTES, TOO_LONG]))
    return bool(connection.execute(broken.count()))


def names_below_common_folder(paths: Sequence[PurePath]) -> list[str]:
    """How files are named in reports: never with the folders of a machine.

    Example:
        >>> names_below_common_folder([Path("/home/ann/logs/2023/a.csv"), Path("/home/ann/logs/2024/a.csv")])
        ['2023/a.csv', '2024/a.csv']
        >>> names_below_common_folder([Path("/home/ann/logs/a.csv")])
        ['a.csv']
    """
    folder = os.path.commonpath([path.parent for path in paths])
    return [path.relative_to(folder).as_posix() for path in paths]


def _read_repaired(connection: DuckDB, name: str, shown: Mapping[str, str], dialect: Dialect) -> ReadRows:
    """Read copies with `\\n` line ends, in which each record that DuckDB cannot get over is a blank line."""
    pattern = _fitting_pattern(list(map(Path, shown)), dialect)
    blanked: list[tuple[str, int, str, str]] = []
    counted = 0
    with tempfile.TemporaryDirectory() as folder:
        copies = {}
        for index, (path, shown_name) in enumerate(shown.items()):
            copy = Path(folder) / f"{index}.csv"
            copies[str(copy)] = shown_name
            records, broken = _copy_rows(Path(path), copy, dialect, pattern)
            counted += records
            blanked += [(shown_name, *line) for line in broken]
        try:
            read = _read(connection, name, copies, dialect, blanked)
        except duckdb.InvalidInputException as error:
            raise _unreadable(", ".join(shown.values()), error) from error
    held = _num_records(read, connection)
    if held != counted:
        raise RuntimeError(
            f"{', '.join(shown.values())} holds {counted} records, of which {held} were read or set aside. This is a "
            "bug in logs2lang; please report it."
        )
    return replace(read, counted=counted)


def _copy_rows(
    path: Path, copy: Path, dialect: Dialect, pattern: RecordPattern
) -> tuple[int, list[tuple[int, str, str]]]:
    """Write the copy of one file; return how many records it has, and number, text and reason of the blank ones."""
    broken = []
    records = blank = 0
    with copy.open("w", encoding="latin-1", newline="\n") as sink:
        if dialect.header:
            sink.write((dialect.delimiter or " ").join(dialect.columns) + "\n")
        for record in _cut(path, dialect, pattern):
            if not record.text:
                blank += 1
                sink.write("\n" * (not dialect.delimiter))  # where lines are the columns, DuckDB counts blank ones too
                continue
            if (text := _readable(record, dialect, pattern)) is not None:
                sink.write(text + "\n")
            else:
                sink.write("\n")
                raw = record.text[:MAX_RAW_CHARS].encode("latin-1").decode("utf-8", "replace")
                before = records + blank if not dialect.delimiter else records
                broken.append((1 + dialect.header + before, raw, record.reason or BROKEN_QUOTES))
            records += 1
    return records, broken


def _cut(path: Path, dialect: Dialect, pattern: RecordPattern) -> Iterator[Record]:
    """The records of a file below its header, as Latin-1, which takes any byte and gives it back: bytes that are no
    UTF-8 are still DuckDB's to reject."""
    with open_text(path, "latin-1") as source:
        lines = (line.rstrip("\n") for line in source)
        if dialect.header:
            next(lines, None)
        yield from pattern.cut(lines)


def _readable(record: Record, dialect: Dialect, pattern: RecordPattern) -> str | None:
    """A record in the form that DuckDB reads; `None` if it is not a row."""
    if record.reason is None:
        return _as_doubled(record.text, dialect, pattern)
    return _with_quotes_inside(record.text, dialect) if record.reason == BROKEN_QUOTES else None


def _with_quotes_inside(text: str, dialect: Dialect) -> str | None:
    """A record of one line in which a value begins or ends with words in quotes, such as `7,"Weird Al" Live`.

    That is clear where the line has as many delimiters as columns need, and where each quote that opens a value closes
    before a space or a mark.
    """
    quote, values = dialect.quote, text.split(dialect.delimiter)
    is_clear = len(values) == len(dialect.columns) and all(map(_CLEARLY_QUOTED.fullmatch, values))
    if not quote or "\n" in text or not is_clear:
        return None
    return dialect.delimiter.join(
        value if _WHOLLY_QUOTED.fullmatch(value) else quote + value.replace(quote, 2 * quote) + quote
        for value in values
    )


def _as_doubled(text: str, dialect: Dialect, pattern: RecordPattern) -> str:
    """A record with its quotes written as in RFC 4180, which is the form that DuckDB reads."""
    quote, delimiter = dialect.quote, dialect.delimiter
    if pattern.style == "plain" and quote and quote in text:
        values = text.split(delimiter)
        return delimiter.join(quote + value.replace(quote, 2 * quote) + quote for value in values)
    if pattern.style == "escaped" and "\\" in text:
        return pattern.quoted.sub(lambda value: _without_backslashes(value[0], quote), text)
    return text


def _without_backslashes(value: str, quote: str) -> str:
    inside = re.sub(rf"\\([{re.escape(quote)}\\\n])", lambda pair: pair[1] * (1 + (pair[1] == quote)), value[1:-1])
    return quote + inside + quote


def _count_exactly(path: Path, dialect: Dialect) -> int:
    pattern = RecordPattern(dialect.delimiter, dialect.quote, "doubled", len(dialect.columns))
    return sum(1 for record in _cut(path, dialect, pattern) if record.text)


@dataclass(frozen=True)
class _Fit:
    """How well a pattern fits some files: their records, those that are no rows, the values that are quoted rightly,
    those of them that could not stand without quotes, and the records of several lines."""

    records: int = 0
    broken: int = 0
    quoted: int = 0
    in_need: int = 0
    multiline: int = 0


def _fitting_pattern(paths: Sequence[Path], dialect: Dialect) -> RecordPattern:
    """What the files most likely mean by their quotes, where not all of their records fit RFC 4180."""

    def pattern_of(style: Style, *, multiline: bool = False) -> RecordPattern:
        return RecordPattern(dialect.delimiter, dialect.quote, style, len(dialect.columns), multiline=multiline)

    if not dialect.quote:
        return pattern_of("plain")
    doubled = _fit(paths, dialect, pattern_of("doubled"))
    fits: dict[Style, _Fit] = {"doubled": doubled}
    if not doubled.broken:
        return pattern_of("doubled")
    if any("\\" + dialect.quote in line for path in paths for line in _lines(path)):
        fits["escaped"] = _fit(paths, dialect, pattern_of("escaped"))
    # Tab-separated values have no quotes by their standard; of others, a single stray one is no custom.
    if (
        not doubled.in_need
        and 2 * doubled.quoted <= doubled.records
        and (dialect.delimiter == "\t" or doubled.broken > 1)
    ):
        fits["plain"] = _fit(paths, dialect, pattern_of("plain"))
    best = min(fits, key=lambda style: fits[style].broken)
    return pattern_of(best, multiline=fits[best].multiline > 0)


def _fit(paths: Sequence[Path], dialect: Dialect, pattern: RecordPattern) -> _Fit:
    records = broken = quoted = in_need = multiline = 0
    needs_quotes = re.compile("|".join(map(re.escape, (dialect.quote, dialect.delimiter, "\n"))))
    for record in (record for path in paths for record in _cut(path, dialect, pattern) if record.text):
        records += 1
        if record.reason is not None or pattern.count_columns(record.text) != len(dialect.columns):
            broken += 1
        elif pattern.quote and pattern.quote in record.text:
            values = pattern.quoted.findall(record.text)
            quoted += len(values)
            multiline += "\n" in record.text
            in_need += sum(needs_quotes.search(value, 1, len(value) - 1) is not None for value in values)
    return _Fit(records, broken, quoted, in_need, multiline)


def _is_plain(path: Path, dialect: Dialect) -> bool:
    """Whether every line of a file is a row, so that no quote can enclose line ends."""
    cuts = len(dialect.columns) - 1
    return cuts > 1 and all(line.count(dialect.delimiter) == cuts for line in _lines(path) if line)


def _lines(path: Path) -> Iterator[str]:
    with open_text(path, "latin-1") as source:
        yield from (line.rstrip("\n") for line in source)


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
            f"There is no encoding {name!r}. Common ones are utf-8, utf-16, cp1250 (Central Europe), cp1251 "
            "(Cyrillic), cp1252 (Western Europe), cp1254 (Turkish)."
        ) from error
    return name


def copy_as_utf8(path: Path, target: Path, encoding: str) -> Path:
    """Write a text file again in UTF-8, unpacked; bytes that cannot be decoded become U+FFFD. Returns the copy."""
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
    numbered = _numbered(scanned, rejected, files, first_line=2 if dialect.header else 1)
    if len(dialect.columns) == 1:  # then a blank line is a row to DuckDB
        numbered = numbered.filter(numbered[dialect.columns[0]].notnull())
    rows = store(f"{name}_rows", numbered, connection)
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
        "nulls": ["", _NULL] if dialect.delimiter else [""],
        "rejects": rejects,
        "scans": scans,
    }
    try:
        connection.con.execute(
            f"""CREATE TABLE "{name}" AS SELECT * FROM read_csv($paths, columns = $columns, auto_detect = false,
            delim = $delimiter, quote = $quote, escape = $quote, header = $header, encoding = $encoding,
            nullstr = $nulls, hive_partitioning = false, filename = true,
            store_rejects = true, rejects_table = $rejects, rejects_scan = $scans)""",
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
    return ibis.union(lines, ibis.memtable(list(blanked), schema=QUARANTINE_TYPES)) if blanked else lines


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
