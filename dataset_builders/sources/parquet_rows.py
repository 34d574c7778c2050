"""Parquet files, alone or as a lake, as one table: what stands in a file wins over what anybody adds to it.

Columns are taken by their place, because SQL knows no two names that differ only in case, and a reader's own columns
(`filename`) may be those of a file. Where files disagree on the type of a column it becomes text, file by file: put
together as numbers first, whole numbers above 2^53 beside floats would silently become one another.
"""

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend as DuckDB

from ..input_error import InputError
from ..interactions import QUARANTINE_TYPES
from ..schema import SOURCE_FILE
from ..tables.stored_tables import drop_stored, store
from .delimited import names_below_common_folder
from .named_rows import NamedRows

_PATH = "path"
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_FLOATS = ("FLOAT", "DOUBLE")
_TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE")
_NO_TYPE = '"NULL"'  # of a column that holds nothing but nulls
_EXACT = {"DOUBLE": 2**53, "FLOAT": 2**24}  # up to where neighbours differ; larger values keep their exponent


@dataclass(frozen=True)
class _Layout:
    """Files that have the same columns in the same order: their paths, the names and DuckDB's types."""

    paths: tuple[str, ...]
    names: tuple[str, ...]
    types: tuple[str, ...]

    @property
    def source(self) -> str:
        """The files as a table of SQL, columns named by their place; takes the paths as its parameter."""
        columns = ", ".join(f"c{place}" for place in range(len(self.names)))
        unused = "path_of_file"
        while unused.casefold() in {name.casefold() for name in self.names}:
            unused += "_"
        return f"read_parquet($paths, hive_partitioning = false, filename = '{unused}') AS files({columns}, {_PATH})"

    @property
    def parameters(self) -> dict[str, list[str]]:
        return {"paths": [glob.escape(path) for path in self.paths]}


def read_parquet_rows(connection: DuckDB, name: str, paths: Sequence[Path], shown: str) -> NamedRows:
    """Read Parquet files.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        name (`str`): What the stored tables are called.
        paths (`list[Path]`): The files; a column that one of them lacks is null there.
        shown (`str`): How errors call the files.

    Returns:
        [`NamedRows`]: Values as typed, where the files agree; bytes that are not marked as text are text all the same.

    Raises:
        InputError: A file cannot be read.
    """
    try:
        layouts, counted = _layouts(connection, paths)
        names, doubled = _united(layouts)
        columns = {theirs: f"column{place}" for place, theirs in enumerate(names)}
        scanned = f"{name}_scanned"
        drop_stored(scanned, connection)
        for place, layout in enumerate(layouts):
            values = _values(layout, layouts, names)
            select = ", ".join(f"{value} AS {columns[theirs]}" for theirs, value in values.items())
            begin = f'CREATE TABLE "{scanned}" AS' if place == 0 else f'INSERT INTO "{scanned}"'
            connection.con.execute(f"{begin} SELECT {select}, {_PATH} FROM {layout.source}", layout.parameters)
    except (duckdb.DataError, duckdb.OperationalError, duckdb.ProgrammingError, pa.ArrowException) as error:
        what = str(error).splitlines()[0]
        raise InputError(
            f"{shown} cannot be read as Parquet: {what}. Check that it was written completely."
        ) from error
    files = ibis.memtable({_PATH: list(map(str, paths)), SOURCE_FILE: names_below_common_folder(paths)})
    table = connection.table(scanned)
    placed = table.mutate(row=table.rowid()).join(files, _PATH)
    starts = placed.group_by(SOURCE_FILE).agg(start=placed.row.min())
    placed = placed.join(starts, SOURCE_FILE)
    numbered = placed.mutate(source_row=placed.row - placed.start + 1).drop(_PATH, "row", "start")
    rows = store(f"{name}_rows", numbered, connection)
    drop_stored(scanned, connection)
    rejected = ibis.memtable([], schema=QUARANTINE_TYPES)
    return NamedRows(rows, rejected, counted, columns, doubled, shown=shown)


def _layouts(connection: DuckDB, paths: Sequence[Path]) -> tuple[list[_Layout], int]:
    """The files by layout, and how many rows their footers say that they hold."""
    by_schema: dict[tuple[tuple[str, str], ...], list[str]] = {}
    counted = 0
    for path in paths:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            counted += sum(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))
        key = tuple(zip(schema.names, map(str, schema.types), strict=True))
        by_schema.setdefault(key, []).append(str(path))
    layouts = []
    for key, files in by_schema.items():
        names = tuple(theirs for theirs, _ in key)
        unknown = _Layout(tuple(files), names, ())
        described = connection.con.execute(f"DESCRIBE SELECT * FROM {unknown.source}", unknown.parameters).fetchall()
        layouts.append(_Layout(tuple(files), names, tuple(str(row[1]) for row in described[:-1])))
    return layouts, counted


def _united(layouts: Sequence[_Layout]) -> tuple[list[str], tuple[str, ...]]:
    """The names of all unambiguous columns, as the first file spells them, and the ambiguous ones."""
    doubled = {theirs for layout in layouts for theirs in layout.names if layout.names.count(theirs) > 1}
    names = dict.fromkeys(theirs for layout in layouts for theirs in layout.names if theirs not in doubled)
    if _by_case(layouts):
        return list(names), tuple(sorted(doubled))
    spelled: dict[str, str] = {}
    for theirs in names:
        spelled.setdefault(theirs.casefold(), theirs)
    return list(spelled.values()), tuple(sorted(doubled))


def _by_case(layouts: Sequence[_Layout]) -> bool:
    """Whether two columns of one file differ only in case; if none do, files may spell a column differently."""
    return any(len({theirs.casefold() for theirs in layout.names}) < len(set(layout.names)) for layout in layouts)


def _values(layout: _Layout, layouts: Sequence[_Layout], names: Sequence[str]) -> Mapping[str, str]:
    """For each column the SQL that gives its value in the files of one layout."""
    by_case = _by_case(layouts)

    def place_of(theirs: str, of: _Layout) -> int | None:
        fitting = [
            place
            for place, its in enumerate(of.names)
            if its == theirs or (not by_case and its.casefold() == theirs.casefold())
        ]
        return fitting[0] if fitting else None

    values = {}
    for theirs in names:
        places = [(each, place_of(theirs, each)) for each in layouts]
        target = _common_type({each.types[place] for each, place in places if place is not None})
        place = place_of(theirs, layout)
        values[theirs] = (
            f"CAST(NULL AS {target})" if place is None else _converted(f"c{place}", layout.types[place], target)
        )
    return values


def _common_type(types: set[str]) -> str:
    """What the types of a column in all files become."""
    types = {kind.replace("BLOB", "VARCHAR") for kind in types if kind != _NO_TYPE}
    if len(types) <= 1:
        return types.pop() if types else "VARCHAR"
    if types <= set(_TIMES):
        return "TIMESTAMP WITH TIME ZONE"
    if types <= set(_WHOLE):
        return "BIGINT"
    if types <= set(_FLOATS):
        return "DOUBLE"
    return "VARCHAR[]" if all(kind.endswith("[]") for kind in types) else "VARCHAR"


def _converted(column: str, kind: str, target: str) -> str:
    if kind == "BLOB":
        column = _decoded(column)
    elif kind == "BLOB[]":
        column = f"list_transform({column}, lambda value: {_decoded('value')})"
    elif target == "VARCHAR" and kind in _FLOATS:
        past = f"WHEN abs({column}) > {_EXACT[kind]} THEN format('{{:.16e}}', CAST({column} AS DOUBLE))"
        whole = f"WHEN {column} = trunc({column}) THEN CAST(CAST({column} AS BIGINT) AS VARCHAR)"
        return f"CASE {past} {whole} ELSE CAST({column} AS VARCHAR) END"
    elif target == "VARCHAR" and kind in _TIMES:
        column = f"CAST({column} AS TIMESTAMP WITH TIME ZONE)"
    return column if kind == target else f"CAST({column} AS {target})"


def _decoded(column: str) -> str:
    """Bytes as text; those that are no UTF-8 become U+FFFD, for which their row is set aside."""
    return f"CASE WHEN {column} IS NOT NULL THEN coalesce(TRY(decode({column})), '\ufffd') END"
