"""JSON files of an export, each one array of objects, as tables of text."""

import glob
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import ibis
from ibis.backends.duckdb import Backend as DuckDB

from ...input_error import InputError
from ...schema import RAW, SOURCE_FILE, SOURCE_ROW
from ...tables.stored_tables import drop_stored
from ..delimited import MAX_RAW_CHARS, ReadRows
from ..json_lines import NOT_JSON
from .export_files import ExportFile
from .viewings import joined

_TAIL_BYTES = 64


def read_json_rows(connection: DuckDB, name: str, files: Sequence[ExportFile], values: Mapping[str, str]) -> ReadRows:
    """Read JSON files of one layout.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        name (`str`): What the stored tables are called.
        files (`list[ExportFile]`): UTF-8 text on disk.
        values (`dict[str, str]`): Name of a column in the result -> JSON pointer (RFC 6901) into each object.

    Returns:
        [`ReadRows`]: The values as text, null where an object has none; `source_row` counts the objects of a file from
        1. What is no object is rejected.

    Raises:
        InputError: A file was cut off, or is no JSON array.
    """
    return joined([_read_file(connection, f"{name}_{place}", file, values) for place, file in enumerate(files)])


def _read_file(connection: DuckDB, name: str, file: ExportFile, values: Mapping[str, str]) -> ReadRows:
    if _ending(file.path) != b"]":
        raise InputError(
            f"{file.name} is truncated: a JSON array ends with ], but this file does not. Download it again."
        )
    try:
        _scan(connection, name, file.path, values)
    except duckdb.InvalidInputException:
        _scan_mended(connection, name, file, values)
    scanned = connection.table(name)
    placed = scanned.mutate(source_file=ibis.literal(file.name), source_row=scanned.rowid() + 1)
    found = {column: placed.found[place] for place, column in enumerate(values)}
    broken = placed.filter(placed[RAW].notnull())
    return ReadRows(
        placed.filter(placed[RAW].isnull()).select(SOURCE_FILE, SOURCE_ROW, **found),
        broken.select(SOURCE_FILE, SOURCE_ROW, RAW, reason=ibis.literal(NOT_JSON)),
    )


def _scan(connection: DuckDB, name: str, path: Path, values: Mapping[str, str]) -> None:
    drop_stored(name, connection)
    connection.con.execute(
        f"""CREATE TEMP TABLE "{name}" AS SELECT json_extract_string(json, $pointers) AS found,
        CASE WHEN json_type(json) <> 'OBJECT' THEN left(json::VARCHAR, {MAX_RAW_CHARS}) END AS raw
        FROM read_json_objects($path, format = 'array')""",
        {"pointers": list(values.values()), "path": glob.escape(str(path))},
    )


def _scan_mended(connection: DuckDB, name: str, file: ExportFile, values: Mapping[str, str]) -> None:
    """Scan a copy without halves of surrogate pairs: services cut titles in the middle of an emoji."""
    try:
        content = json.loads(file.path.read_bytes(), strict=False)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file.name} is not valid JSON: {error}. Download it again.") from error
    text = json.dumps(content, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    with tempfile.TemporaryDirectory() as folder:
        mended = Path(folder) / "mended.json"
        mended.write_text(text, encoding="utf-8")
        try:
            _scan(connection, name, mended, values)
        except duckdb.InvalidInputException as error:
            raise InputError(f"{file.name} cannot be read: {str(error).splitlines()[0]}") from error


def _ending(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return file.read().rstrip()[-1:]
