"""Parquet files that are read where they lie: all of them as one view, or some rows of one file as a query.

A log of this kind is never copied as a whole: every station reads the few columns that it needs, and a cluster gives
each task some rows of a file. Columns are taken by their place, because SQL knows no two names that differ only in
case, and a reader's own columns (`filename`, `file_row_number`) may be those of a file.
"""

import glob
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import duckdb
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ..input_error import InputError
from ..remote_files import is_remote, store_of
from ..schema import SOURCE_FILE, SOURCE_ROW

PATH = "path"
"""What SQL calls the path of the file that a row is from."""

_ROW_NUMBER = "file_row_number"


@dataclass(frozen=True)
class FileLayout:
    """What files have in common that hold the same columns in the same order.

    Args:
        names (`tuple[str, ...]`): The columns, as the files call them.
        values (`tuple[str, ...]`): SQL for each column of the scan, over `c0`, `c1`, ...
    """

    names: tuple[str, ...]
    values: tuple[str, ...] = ()

    @property
    def counts_rows(self) -> bool:
        """Whether DuckDB's own number of a row can be read beside these columns."""
        return _ROW_NUMBER not in {name.casefold() for name in self.names}

    def source(self, paths: Sequence[str]) -> str:
        """Files of this layout as a table of SQL, columns named by their place."""
        columns = ", ".join(f"c{place}" for place in range(len(self.names)))
        unused = "path_of_file"
        while unused in {name.casefold() for name in self.names}:
            unused += "_"
        listed = ", ".join(quoted(glob.escape(path)) for path in paths)
        return f"read_parquet([{listed}], hive_partitioning = false, filename = '{unused}') AS read({columns}, {PATH})"


@dataclass(frozen=True)
class ScannedFile:
    """A file of a scan.

    Args:
        path (`str`): Where it lies.
        rows (`int`): How many rows it has, by its footer.
        layout (`int`): Which layout it has.
        constants (`tuple[str or None, ...]`): What all of its rows say; see [`ParquetScan`].
    """

    path: str
    rows: int
    layout: int
    constants: tuple[str | None, ...]


@dataclass(frozen=True)
class FileRows:
    """Some rows of one file: its place in the scan, and the numbers of the rows, from 0, without the last."""

    file: int
    start: int
    stop: int


@dataclass(frozen=True)
class ParquetScan:
    """The rows of Parquet files, as SQL of DuckDB.

    Args:
        view (`str`): What the view of all rows is called.
        columns (`tuple[str, ...]`): The columns that the files hold.
        layouts (`tuple[FileLayout, ...]`): How the files give them.
        files (`tuple[ScannedFile, ...]`): The files.
        constants (`tuple[str, ...]`): The columns whose value is one for all rows of a file, as text.
    """

    view: str
    columns: tuple[str, ...]
    layouts: tuple[FileLayout, ...]
    files: tuple[ScannedFile, ...]
    constants: tuple[str, ...] = (SOURCE_FILE,)

    def with_constants(self, values: Mapping[str, Sequence[str | None]]) -> "ParquetScan":
        """The scan with further columns whose value is one for all rows of a file.

        Args:
            values (`dict[str, list[str or None]]`): Column -> its value for each file.
        """
        of_files = zip(self.files, zip(*values.values(), strict=True), strict=True)
        files = tuple(replace(file, constants=(*file.constants, *more)) for file, more in of_files)
        return replace(self, files=files, constants=(*self.constants, *values))

    @property
    def is_remote(self) -> bool:
        """Whether the files lie in a store."""
        return any(is_remote(file.path) for file in self.files)

    def create_view(self, connection: DuckDB) -> ir.Table:
        """All rows: the columns, the constants and `source_row` (int64, from 1: which row of its file)."""
        reach_stores([file.path for file in self.files], connection)
        rows = " UNION ALL ".join(self._rows_of(layout) for layout in range(len(self.layouts)))
        connection.raw_sql(f'CREATE OR REPLACE VIEW "{self.view}" AS {rows}')
        return connection.table(self.view)

    def _rows_of(self, layout: int) -> str:
        """The rows of all files of one layout."""
        files = [file for file in self.files if file.layout == layout]
        if not self.layouts[layout].counts_rows:
            return " UNION ALL ".join(self._rows_of_file(file) for file in files)
        listed = ", ".join(f"({', '.join(map(_literal, (file.path, *file.constants)))})" for file in files)
        known = f"(VALUES {listed}) AS known({', '.join((PATH, *self.constants))})"
        source = self.layouts[layout].source([file.path for file in files])
        constants = [f"CAST(known.{name} AS VARCHAR) AS {name}" for name in self.constants]
        return f"SELECT {self._values(layout, constants)} FROM {source} JOIN {known} USING ({PATH})"

    def _rows_of_file(self, file: ScannedFile) -> str:
        said = zip(self.constants, file.constants, strict=True)
        constants = [f"CAST({_literal(value)} AS VARCHAR) AS {name}" for name, value in said]
        return f"SELECT {self._values(file.layout, constants)} FROM {self.layouts[file.layout].source([file.path])}"

    def _values(self, layout: int, constants: Sequence[str]) -> str:
        of_layout = self.layouts[layout]
        values = [f"{value} AS {name}" for name, value in zip(self.columns, of_layout.values, strict=True)]
        number = f"{_ROW_NUMBER} + 1" if of_layout.counts_rows else "row_number() OVER ()"
        return ", ".join((*values, *constants, f"{number} AS {SOURCE_ROW}"))

    def parts(self, most_rows: int) -> tuple[FileRows, ...]:
        """All rows in parts of one file each.

        Args:
            most_rows (`int`): Rows of a part at the most; a file whose rows DuckDB cannot count is one part.
        """
        parts = []
        for place, file in enumerate(self.files):
            step = most_rows if self.layouts[file.layout].counts_rows else max(1, file.rows)
            starts = range(0, file.rows, step)
            parts += [FileRows(place, start, min(start + step, file.rows)) for start in starts]
        return tuple(parts)

    def to_sql(self, part: FileRows) -> str:
        """The rows of a part, as the view has them; only their own row groups are read."""
        file = self.files[part.file]
        rows = self._rows_of_file(file)
        if part.stop - part.start == file.rows:
            return rows
        return f"{rows} WHERE {_ROW_NUMBER} >= {part.start} AND {_ROW_NUMBER} < {part.stop}"


def reach_stores(paths: Sequence[str], connection: DuckDB) -> None:
    """Let DuckDB read files of stores through fsspec.

    Args:
        paths (`list[str]`): Paths of this machine or URLs.
        connection (`ibis.backends.duckdb.Backend`): What is to read them.

    Raises:
        InputError: A store cannot be used.
    """
    # One URL of each kind: there may be thousands of files.
    for url in {path.partition("://")[0]: path for path in paths if is_remote(path)}.values():
        with store_of(url) as (store, _):
            name = store.protocol if isinstance(store.protocol, str) else store.protocol[0]
            if name not in connection.con.list_filesystems():
                connection.con.register_filesystem(store)


@contextmanager
def naming_broken_file(scan: ParquetScan | None, connection: DuckDB) -> Iterator[None]:
    """Make an error of DuckDB one sentence that names the file, where a file of the scan is what cannot be read.

    Args:
        scan ([`ParquetScan`] or `None`): What is read within the block.
        connection (`ibis.backends.duckdb.Backend`): Where it is read.

    Raises:
        InputError: A file of the scan cannot be read.
    """
    try:
        yield
    except duckdb.Error as error:
        if scan is None:
            raise
        for file in scan.files:
            if (what := _error_of(scan.layouts[file.layout], file.path, connection)) is not None:
                raise unreadable_parquet(file.path, what) from error
        raise


def _error_of(layout: FileLayout, path: str, connection: DuckDB) -> duckdb.Error | None:
    """What DuckDB says of a file when it reads all of it."""
    values = ", ".join(f"c{place}" for place in range(len(layout.names)))
    try:
        connection.con.execute(f"SELECT max(hash({values})) FROM {layout.source([path])}")
    except duckdb.Error as error:
        return error
    return None


def unreadable_parquet(path: str, error: Exception) -> InputError:
    """What to say of a file that is no whole Parquet file."""
    what = str(error).splitlines()[0].rstrip(".")
    return InputError(f"{path} cannot be read as Parquet: {what}. Check that it was written completely.")


def quoted(text: str) -> str:
    """A text of SQL.

    Example:
        >>> quoted("ann's/log.parquet")
        "'ann''s/log.parquet'"
    """
    return "'" + text.replace("'", "''") + "'"


def _literal(value: str | None) -> str:
    return "NULL" if value is None else quoted(value)
