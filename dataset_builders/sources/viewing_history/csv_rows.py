"""CSV files of an export as tables of text, their columns found by name and not by place."""

import csv
import re
from collections.abc import Mapping

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ...schema import SOURCE_ROW
from ..delimited import Dialect, ReadRows, read_delimited
from .export_files import ExportFile, head_of

_DELIMITERS = (",", ";", "\t")
_LINE_END = re.compile(r"[\r\n]")
_UNIT = re.compile(r"\s*\([^)]*\)\s*$")


def header_of(head: str) -> tuple[str, tuple[str, ...]]:
    """How the first line of a CSV file is cut, and the plain names of its columns.

    Args:
        head (`str`): The beginning of the file.

    Returns:
        `tuple`: The delimiter that cuts the line into most columns, and their names in lower case, without a unit.

    Example:
        >>> header_of("Title;Start Time (UTC);Duration\\nHeat;2024-05-01 20:00:00;01:00:00\\n")
        (';', ('title', 'start time', 'duration'))
    """
    line = _LINE_END.split(head.lstrip("\ufeff"), maxsplit=1)[0].replace("\0", "\ufffd")
    cut = {delimiter: next(csv.reader([line], delimiter=delimiter), []) for delimiter in _DELIMITERS}
    delimiter = max(_DELIMITERS, key=lambda each: len(cut[each]))
    return delimiter, tuple(_UNIT.sub("", column).strip().lower() for column in cut[delimiter])


def read_csv_rows(connection: DuckDB, name: str, file: ExportFile, columns: Mapping[str, str]) -> ReadRows:
    """Read one CSV file.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        name (`str`): What the stored tables are called; another one for each file.
        file ([`ExportFile`]): UTF-8 text on disk.
        columns (`dict[str, str]`): Name of a column in the result -> its plain name in the file. One that the file
            lacks is null; a doubled one is its first.

    Returns:
        [`ReadRows`]: Rows and rejected lines, under the name of the file.
    """
    delimiter, header = header_of(head_of(file))
    places = tuple(f"column{place}" for place in range(len(header)))
    read = read_delimited(connection, name, [file.path], Dialect(places, delimiter, '"', header=True))
    found = {ours: _column(read.rows, header, theirs) for ours, theirs in columns.items()}
    rows = read.rows.select(SOURCE_ROW, source_file=ibis.literal(file.name), **found)
    return ReadRows(rows, read.rejected.mutate(source_file=ibis.literal(file.name)))


def _column(rows: ir.Table, header: tuple[str, ...], name: str) -> ir.StringValue:
    return rows[f"column{header.index(name)}"] if name in header else ibis.null("string")
