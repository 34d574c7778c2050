"""Parquet files, alone or as a lake, as one table: what stands in a file wins over what anybody adds to it.

Where files disagree on the type of a column it becomes text, file by file: put together as numbers first, whole
numbers above 2^53 beside floats would silently become one another.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub.utils import tqdm
from ibis.backends.duckdb import Backend as DuckDB

from ..interactions import QUARANTINE_TYPES
from ..remote_files import opened
from ..tables.parquet_scan import FileLayout, ParquetScan, ScannedFile, reach_stores, unreadable_parquet
from .delimited import names_below_common_folder
from .named_rows import NamedRows

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_FLOATS = ("FLOAT", "DOUBLE")
_TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE")
_FOOTERS_AT_A_TIME, _MANY_FILES = 16, 100
_NO_TYPE = '"NULL"'  # of a column that holds nothing but nulls
_EXACT = {"DOUBLE": 2**53, "FLOAT": 2**24}  # up to where neighbours differ; larger values keep their exponent


@dataclass(frozen=True)
class _Layout:
    """The columns that files have, in their order: the names, and DuckDB's types."""

    names: tuple[str, ...]
    types: tuple[str, ...]


def read_parquet_rows(connection: DuckDB, name: str, paths: Sequence[str], shown: str) -> NamedRows:
    """Read Parquet files where they lie.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the view of the rows is made.
        name (`str`): What its name begins with.
        paths (`list[str]`): The files, here or in a store; a column that one of them lacks is null there.
        shown (`str`): How errors call the files.

    Returns:
        [`NamedRows`]: Values as typed, where the files agree; bytes that are not marked as text are text all the same.

    Raises:
        InputError: A file cannot be read.
    """
    layouts, files = _layouts(connection, paths)
    names, doubled = _united(layouts)
    columns = {theirs: f"column{place}" for place, theirs in enumerate(names)}
    values = [tuple(_values(layout, layouts, names).values()) for layout in layouts]
    shared = tuple(FileLayout(layout.names, each) for layout, each in zip(layouts, values, strict=True))
    scan = ParquetScan(f"{name}_files", tuple(columns.values()), shared, files)
    rows = scan.create_view(connection)
    rejected = ibis.memtable([], schema=QUARANTINE_TYPES)
    counted = sum(file.rows for file in files)
    return NamedRows(rows, rejected, counted, columns, doubled, shown=shown, scan=scan)


def with_parts(read: NamedRows) -> NamedRows:
    """The rows with the parts of objects as columns of their own, such as `user.id`."""
    rows, columns = read.rows, dict(read.columns)
    objects = tuple(theirs for theirs, ours in columns.items() if rows[ours].type().is_struct())
    for theirs in objects:
        value = rows[columns[theirs]]
        inner = {f"{theirs}.{part}": value[part] for part in value.type().names}
        new = [name for name in inner if name not in columns]
        places = {name: f"part{len(columns) + place}" for place, name in enumerate(new)}
        rows = rows.mutate(**{ours: inner[name] for name, ours in places.items()})
        columns |= places
    return replace(read, rows=rows, columns=columns, objects=objects)


def _layouts(connection: DuckDB, paths: Sequence[str]) -> tuple[list[_Layout], tuple[ScannedFile, ...]]:
    """The layouts of the files, and the files with the rows that their footers say they hold."""
    places: dict[tuple[tuple[str, str], ...], int] = {}
    layouts, files = [], []
    shown_names = names_below_common_folder(list(map(PurePosixPath, paths)))
    for path, shown, (schema, rows) in zip(paths, shown_names, _footers(paths), strict=True):
        key = tuple(zip(schema.names, map(str, schema.types), strict=True))
        if key not in places:
            layouts.append(_layout_of(connection, path, schema.names))
            places[key] = len(layouts) - 1
        files.append(ScannedFile(path, rows, places[key], (shown,)))
    return layouts, tuple(files)


def _footers(paths: Sequence[str]) -> list[tuple[pa.Schema, int]]:
    """The columns and the number of rows of each file, several at a time: a store takes its time for each."""
    with ThreadPoolExecutor(_FOOTERS_AT_A_TIME) as pool:
        read = pool.map(_footer, paths)
        return list(tqdm(read, "Reading footers", len(paths), unit="file", disable=len(paths) < _MANY_FILES))


def _footer(path: str) -> tuple[pa.Schema, int]:
    with opened(path) as source:
        try:
            file = pq.ParquetFile(source)
            rows = sum(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))
            return file.schema_arrow, rows
        except pa.ArrowException as error:
            raise unreadable_parquet(path, error) from error


def _layout_of(connection: DuckDB, path: str, names: Sequence[str]) -> _Layout:
    source = FileLayout(tuple(names)).source([path])
    reach_stores([path], connection)
    try:
        described = connection.con.execute(f"DESCRIBE SELECT * FROM {source}")
    except duckdb.Error as error:
        raise unreadable_parquet(path, error) from error
    return _Layout(tuple(names), tuple(str(row[1]) for row in described.fetchall()[:-1]))


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
