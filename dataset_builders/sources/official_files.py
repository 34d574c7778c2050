"""What the sources of public data sets share: finding the official files in a folder, and their columns by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ibis.backends.duckdb import Backend as DuckDB

from ..input_error import InputError
from ..schema import SOURCE_FILE, SOURCE_PLACE, SOURCE_ROW
from .delimited import COMPRESSED, ReadRows
from .named_rows import NamedRows
from .table_files import read_paths


def find_files(folder: str | Path, patterns: Sequence[str], what: str) -> list[Path]:
    """The files of a data set in a folder.

    Args:
        folder (`str` or `Path`): Where they were unpacked.
        patterns (`list[str]`): Globs below the folder; all files of the first that fits any. Compressed files
            (`.gz`, `.zst`) count where there are no plain ones.
        what (`str`): How the error calls the data set.

    Raises:
        InputError: There is no such folder, or nothing fits.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the folder with the unpacked files of {what}.")
    for pattern in patterns:
        for ending in ("", *COMPRESSED):
            if found := sorted(path.absolute() for path in folder.glob(pattern + ending) if path.is_file()):
                _refuse_empty(found)
                return found
    raise InputError(f"{folder} does not hold {what}: expected {' or '.join(patterns)}, plain or as .gz.")


def _refuse_empty(paths: Sequence[Path]) -> None:
    for path in paths:
        if not path.stat().st_size:
            raise InputError(f"{path} is empty (0 bytes). Check that it was written completely.")


def select_columns(read: NamedRows, names: Mapping[str, str], what: str) -> ReadRows:
    """The columns of official files under other names.

    Args:
        read ([`NamedRows`]): As a reader of files returns it.
        names (`dict[str, str]`): A name of ours -> that of the files.
        what (`str`): How the error calls the data set.

    Raises:
        InputError: One of the columns is missing.
    """
    require_columns(read, list(names.values()), what)
    places = [name for name in (SOURCE_FILE, SOURCE_ROW, SOURCE_PLACE) if name in read.rows.columns]
    named = {ours: read.rows[read.columns[theirs]] for ours, theirs in names.items()}
    return ReadRows(read.rows.select(*places, **named), read.rejected, read.counted)


def require_columns(read: NamedRows, names: Sequence[str], what: str) -> None:
    """Check that files have the columns that the official ones have.

    Raises:
        InputError: One of the columns is missing.
    """
    missing = [theirs for theirs in names if theirs not in read.columns]
    if missing:
        raise InputError(
            f"{read.shown} is no file of {what}: it has no {' and no '.join(map(repr, missing))}, but "
            f"{', '.join(read.columns) or 'no columns'}. For your own table, use `logs2lang build tabular`."
        )


def read_named(
    connection: DuckDB, name: str, paths: Sequence[Path], delimiter: str | None = None, *, in_place: bool = False
) -> NamedRows:
    """Read files that say how their columns are called; see `read_files`."""
    return read_paths(connection, name, paths, shown_files(paths), delimiter=delimiter, in_place=in_place)


def shown_files(paths: Sequence[Path]) -> str:
    """How errors call several files.

    Example:
        >>> shown_files([Path("a.csv"), Path("b.csv"), Path("c.csv")])
        'a.csv and 2 more files'
    """
    others = len(paths) - 1
    return str(paths[0]) + (f" and {others} more file{'s' * (others > 1)}" if others else "")
