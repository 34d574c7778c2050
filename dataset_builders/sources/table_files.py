"""Files of any kind a log may come in (CSV, TSV, RecBole, JSONL, Parquet, lakes of them) as rows whose columns have
names."""

import csv
import glob
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePath, PurePosixPath
from urllib.parse import unquote

import ibis
from ibis.backends.duckdb import Backend as DuckDB

from ..input_error import InputError, did_you_mean_file
from ..remote_files import copied_here, is_remote, remote_files
from ..schema import SOURCE_FILE
from ..tables.parquet_scan import naming_broken_file
from ..tables.stored_tables import store
from .delimited import (
    COMPRESSED,
    Dialect,
    copy_as_utf8,
    known_encoding,
    names_below_common_folder,
    read_delimited,
)
from .json_lines import read_json_lines
from .named_rows import NamedRows
from .parquet_rows import read_parquet_rows, with_parts
from .records import open_text

LEFT_OUT = "-"
"""What stands for a column to leave out where the user names the columns of a file."""

_PARQUET = "parquet"
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".dat": "csv",
    ".data": "csv",
    ".txt": "csv",
    ".inter": "csv",
    ".item": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": _PARQUET,
    ".pq": _PARQUET,
}
_DELIMITERS = (",", "\t", ";", "|", "\x01")
_WEB = ("http://", "https://")
_DOUBLE_COLON = "::"
_WRITTEN_DELIMITERS = {"\\t": "\t", "\\x01": "\x01", "tab": "\t", "space": " "}
_MAX_DELIMITER = 4  # bytes that DuckDB takes
_TYPED = re.compile(r"(.+):(token|token_seq|float|float_seq)")
_SHOWN_CHARS = 60
_FEW_ROWS = 3
_HEAD_CHARS, _HEAD_LINES = 1 << 20, 100
_NUMBER_OR_DATE = re.compile(r"[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?|\d{4}-\d\d-\d\d.*|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}.*")
_DIGITS = re.compile(r"\d+")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def read_files(
    connection: DuckDB,
    name: str,
    pattern: str,
    encoding: str | None = None,
    header: Sequence[str] | None = None,
    delimiter: str | None = None,
    *,
    in_place: bool = False,
) -> NamedRows:
    """Read the files of a log or of a catalogue.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        name (`str`): What the stored tables are called.
        pattern (`str`): A file or a glob, here or in an object store (see [`copied_here`]): delimited text (`.csv`,
            `.tsv`, `.dat`, RecBole's `.inter` and `.item`), one JSON object per line (`.jsonl`, `.json`) or
            `.parquet`; text also as `.gz` or `.zst`.
        encoding (`str`, *optional*): How text is encoded, as Python spells it; UTF-8 by default.
        header (`list[str]`, *optional*): Names of the columns of CSV files that have no header, in the order of the
            file; `"-"` for one to leave out.
        delimiter (`str`, *optional*): What stands between the values of delimited text, such as `"::"`; found out by
            default.
        in_place (`bool`, *optional*, defaults to `False`): Whether Parquet files are read where they lie, here or in
            a store, whenever the rows are asked for; all else is stored.

    Returns:
        [`NamedRows`]: Text for text files; Parquet as typed, where its files agree. Folders such as `day=2024-05-01`
        give a column where the files have none of that name.

    Raises:
        InputError: A file cannot be read, has no rows, or has other columns than `header` says.
    """
    if in_place and is_remote(pattern) and not pattern.startswith(_WEB):  # a web server may not read parts of a file
        urls = remote_files(pattern)
        if all(_SUFFIXES.get(PurePosixPath(url).suffix.lower()) == _PARQUET for url in urls):
            _refuse_options(_PARQUET, pattern, header, delimiter)
            return _read_parquet(connection, name, urls, pattern, in_place)
    with _matching_files(pattern) as found:
        return read_paths(connection, name, found, pattern, encoding, header, delimiter, in_place=in_place)


def read_paths(
    connection: DuckDB,
    name: str,
    found: Sequence[Path],
    shown: str,
    encoding: str | None = None,
    header: Sequence[str] | None = None,
    delimiter: str | None = None,
    *,
    in_place: bool = False,
) -> NamedRows:
    """Read files that were found already; as `read_files`, with `shown` for what errors call them."""
    paths = list(found)
    kind = _kind(paths, shown)
    _refuse_options(kind, shown, header, delimiter)
    if kind == _PARQUET:
        return _read_parquet(connection, name, list(map(str, paths)), shown, in_place)
    with tempfile.TemporaryDirectory() as folder:
        if encoding is not None:
            paths = _in_utf8(paths, encoding, Path(folder))
        if kind == "csv":
            read = _read_csv(connection, name, paths, header, None if delimiter is None else _known(delimiter))
        else:
            for path in paths:
                _first_line(path)
            read = read_json_lines(connection, name, paths, shown)
    if not connection.execute(read.rows.count()) and not connection.execute(read.rejected.count()):
        raise _without_rows(shown)
    shown_names = names_below_common_folder(paths)
    columns, values = _folder_columns(read, found)
    if not values:
        return replace(read, shown=shown)
    types = {SOURCE_FILE: "string", **dict.fromkeys(values, "string")}
    table = ibis.memtable({SOURCE_FILE: shown_names, **values}, schema=types)
    rows = store(f"{name}_rows_of_folders", read.rows.join(table, SOURCE_FILE), connection)
    return replace(read, rows=rows, columns={**read.columns, **columns}, folder_columns=tuple(columns), shown=shown)


def _refuse_options(kind: str, shown: str, header: Sequence[str] | None, delimiter: str | None) -> None:
    if header is not None and kind != "csv":
        raise InputError(f"{shown} already names its columns; only CSV and TSV files may lack a header.")
    if delimiter is not None and kind != "csv":
        raise InputError(f"{shown} has no separators; only CSV and other delimited text has them.")


def _without_rows(shown: str) -> InputError:
    return InputError(f"{shown} has no rows. Check that it is the right file and that it was written completely.")


def _read_parquet(connection: DuckDB, name: str, paths: Sequence[str], shown: str, in_place: bool) -> NamedRows:
    read = read_parquet_rows(connection, name, paths, shown)
    if not read.counted or read.scan is None:
        raise _without_rows(shown)
    columns, values = _folder_columns(read, list(map(PurePosixPath, paths)))
    rows, scan = read.rows, read.scan
    if values:
        scan = scan.with_constants(values)
        rows = scan.create_view(connection)
    known = {**read.columns, **columns}
    read = with_parts(replace(read, rows=rows, columns=known, folder_columns=tuple(columns), scan=scan))
    if in_place:
        return read
    with naming_broken_file(scan, connection):
        return replace(read, rows=store(f"{name}_rows", read.rows, connection), scan=None)


def _folder_columns(read: NamedRows, paths: Sequence[PurePath]) -> tuple[dict[str, str], dict[str, list[str | None]]]:
    """What Hive's folders say, but for columns that the files have: names in `rows`, and a value for each file."""
    known = {theirs.casefold() for theirs in (*read.columns, *read.doubled)}
    said = [_folder_values(path) for path in paths]
    keys = sorted({key for values in said for key in values if key.casefold() not in known})
    columns = {key: f"folder{place}" for place, key in enumerate(keys)}
    return columns, {column: [values.get(key) for values in said] for key, column in columns.items()}


def _folder_values(path: PurePath) -> dict[str, str | None]:
    """What the folders of a path say, as Hive and Spark write them.

    Example:
        >>> _folder_values(Path("lake/day=2024-05-01/user=__HIVE_DEFAULT_PARTITION__/part.parquet"))
        {'day': '2024-05-01', 'user': None}
    """
    pairs = [part.partition("=") for part in path.parts[:-1] if "=" in part]
    return {unquote(key): None if value == _NO_VALUE else unquote(value) for key, _, value in pairs if key}


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


@contextmanager
def _matching_files(pattern: str) -> Iterator[list[Path]]:
    """The files that a pattern names, for as long as they are read."""
    with copied_here(pattern) if is_remote(pattern) else nullcontext(_local_files(pattern)) as files:
        if empty := [file for file in files if not file.stat().st_size]:
            raise InputError(f"{empty[0]} is empty (0 bytes). Check that it was written completely.")
        yield files


def _local_files(pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    if path.is_dir():
        raise InputError(f"{pattern} is a folder; give a file in it, or a glob such as '{path / '*.csv'}'.")
    found = [path] if path.exists() else sorted(map(Path, glob.glob(str(path), recursive=True)))
    files = [file.absolute() for file in found if file.is_file()]
    if not files:
        raise InputError(f"There is no file {pattern}. {did_you_mean_file(path)} A glob must be quoted.")
    return files


def _kind(paths: Sequence[Path], pattern: str) -> str:
    kinds = set()
    for path in paths:
        suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSED]
        kinds.add(_SUFFIXES.get(suffixes[-1] if suffixes else ""))
    if len(kinds) != 1 or None in kinds:
        raise InputError(
            f"{pattern} must name files of one type, ending in {', '.join(_SUFFIXES)} (optionally with .gz). Save a "
            "spreadsheet as CSV, unpack a zip, and write JSON as one object per line."
        )
    return kinds.pop() or ""


def _known(delimiter: str) -> str:
    """A delimiter that DuckDB takes, as a user may write it.

    Example:
        >>> _known("::"), _known("\\\\t")
        ('::', '\\t')
    """
    known = _WRITTEN_DELIMITERS.get(delimiter, delimiter)
    if not known or len(known.encode()) > _MAX_DELIMITER or any(sign in known for sign in '"\n\r'):
        raise InputError(
            f"{delimiter!r} cannot separate values. Give one to {_MAX_DELIMITER} characters other than quotes and "
            "line ends, such as ';', '::' or '\\t'."
        )
    return known


def _read_csv(
    connection: DuckDB, name: str, paths: Sequence[Path], header: Sequence[str] | None, delimiter: str | None
) -> NamedRows:
    if header is None:
        heads = [_header(path, delimiter) for path in paths]
        for path, head in zip(paths, heads, strict=True):
            if head != heads[0]:
                raise InputError(
                    f"{path} has different columns than {paths[0]}; all files of one glob must have the same columns."
                )
        delimiter, names = heads[0]
        _refuse_short_header(paths[0], delimiter, names)
    else:
        names = ["" if theirs == LEFT_OUT else theirs for theirs in header]
        delimiter = _delimiter_of_rows(paths[0], header, delimiter)
    names, spaced = _without_types(names)
    doubled = tuple(theirs for theirs in dict.fromkeys(names) if theirs and names.count(theirs) > 1)
    places = tuple(f"column{place}" for place in range(len(names)))
    columns = {theirs: place for theirs, place in zip(names, places, strict=True) if theirs and theirs not in doubled}
    quote = '"' if len(delimiter) == 1 else ""  # nobody who writes :: quotes values
    read = read_delimited(connection, name, paths, Dialect(places, delimiter, quote, header=header is None))
    like_values = () if header is not None or spaced is not None else _like_values(paths[0], delimiter, names)
    return NamedRows(
        read.rows, read.rejected, read.counted, columns, doubled, like_values=like_values, spaced=spaced or ()
    )


def _refuse_short_header(path: Path, delimiter: str, names: Sequence[str]) -> None:
    """Refuse a file each of whose first rows has one value more than the header has names."""
    rows = _rows_below(path, delimiter)
    if len(rows) >= _FEW_ROWS and all(len(row) == len(names) + 1 and row[-1] for row in rows):
        raise InputError(
            f"The header of {path} has {len(names)} names, and every row has one value more, as R's write.table "
            "writes row names. Write the file with col.names = NA, or put a name for the first column into the header."
        )


def _without_types(names: Sequence[str]) -> tuple[list[str], tuple[str, ...] | None]:
    """The names of a RecBole header, and those of them that are of words; the names as they are with `None` where
    they have no types.

    Example:
        >>> _without_types(["item_id:token", "genre:token_seq"])
        (['item_id', 'genre'], ('genre',))
        >>> _without_types(["item_id", "genre:token_seq"])
        (['item_id', 'genre:token_seq'], None)
    """
    typed = [_TYPED.fullmatch(name) for name in names]
    found = [match for match in typed if match]
    if len(found) < len(names):
        return list(names), None
    return [match[1] for match in found], tuple(match[1] for match in found if match[2].endswith("_seq"))


def _header(path: Path, delimiter: str | None) -> tuple[str, list[str]]:
    """The delimiter that cuts the first line into most columns, and the columns."""
    cut = _cut_first_line(path, delimiter)
    best = max(cut, key=lambda each: len(cut[each]))
    if len(cut[best]) == 1 and cut[best][0].startswith("#"):
        raise InputError(
            f"{path} begins with a comment, {cut[best][0][:_SHOWN_CHARS]!r}. Delete it; the first line must name the "
            "columns."
        )
    return best, cut[best]


def _delimiter_of_rows(path: Path, header: Sequence[str], delimiter: str | None) -> str:
    """The delimiter that cuts the first line into as many columns as the user names."""
    cut = _cut_first_line(path, delimiter)
    fitting = [each for each, values in cut.items() if len(values) == len(header)]
    if not fitting:
        best = max(cut, key=lambda each: len(cut[each]))
        raise InputError(
            f"The first line of {path} has {len(cut[best])} columns, but {len(header)} are named: {','.join(header)}. "
            f"Name every column in the order of the file; {LEFT_OUT} leaves one out. If {best!r} is not what "
            "separates its values, specify that with --separator."
        )
    return fitting[0]


def _cut_first_line(path: Path, delimiter: str | None) -> dict[str, list[str]]:
    """The values of the first line, by what may delimit them; the likelier first."""
    line = _first_line(path)
    if not line.strip():
        raise InputError(f"{path} begins with an empty line; its first line must name the columns.")
    if re.fullmatch(r"(?i)sep=.", line.strip()):
        raise InputError(
            f"{path} begins with {line.strip()!r}, a line for Excel. Delete it; the next line names the columns."
        )
    if delimiter is not None:
        delimiters: tuple[str, ...] = (delimiter,)
    elif line.count(_DOUBLE_COLON) > 1:
        delimiters = (_DOUBLE_COLON,)
    else:
        delimiters = ("\t",) if {".tsv", ".tab"} & set(path.suffixes) and "\t" in line else _DELIMITERS
    return {each: [value.strip() for value in next(_cut_lines([line], each))] for each in delimiters}


def _cut_lines(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    """The values of each line, without the quotes around them."""
    if len(delimiter) == 1:
        return csv.reader(lines, delimiter=delimiter)
    return (line.rstrip("\n").split(delimiter) for line in lines)


def _like_values(path: Path, delimiter: str, names: Sequence[str]) -> tuple[str, ...]:
    """Which names are a number or a date, or look like what is below them: of a file whose first line is a row."""
    # A header in the middle is that of another file, put behind.
    rows = [row for row in _rows_below(path, delimiter) if row != names]
    values = {theirs: [row[place] for row in rows if place < len(row)] for place, theirs in enumerate(names)}
    return tuple(theirs for theirs in names if theirs and _is_like(theirs, values[theirs]))


def _rows_below(path: Path, delimiter: str) -> list[list[str]]:
    """The values of the first rows below the header; none where Python's reader finds one too long."""
    with open_text(path, "utf-8-sig") as file:
        lines = list(islice((line[:_HEAD_CHARS].replace("\0", "") for line in file), _HEAD_LINES + 1))[1:]
    try:
        return [[value.strip() for value in row] for row in _cut_lines(lines, delimiter)]
    except csv.Error:
        return []


def _is_like(name: str, values: Sequence[str]) -> bool:
    """Whether the name of a column is more likely a value of it.

    Example:
        >>> _is_like("2024-05-01", []), _is_like("ann", ["bob", "ann"]), _is_like("film", ["film7", "film12"])
        (True, True, False)
        >>> _is_like("film1", ["film7", "film12"])
        True
    """
    if _NUMBER_OR_DATE.fullmatch(name) or name in values:
        return True
    pattern = _DIGITS.sub("#", name)
    return pattern != name and 2 * sum(_DIGITS.sub("#", value) == pattern for value in values) > len(values)


def _first_line(path: Path) -> str:
    try:
        with open_text(path, "utf-8-sig") as file:
            line = file.readline(_HEAD_CHARS).rstrip("\n")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}. Check that the file is complete.") from error
    if "\0" in line or "\ufffd" in line:
        raise InputError(
            f"{path} is not UTF-8 text. Save it as UTF-8, or give its encoding, such as --encoding cp1252 or utf-16. "
            "Check that it is not a binary file."
        )
    return line
