"""JSON lines as tables of text, also where the lines are Python literals, as those of some public data sets are."""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend as DuckDB

from ..input_error import InputError
from ..schema import SOURCE_FILE, SOURCE_ROW
from ..tables.stored_tables import drop_stored, store, to_sql
from .delimited import Dialect, read_delimited
from .named_rows import NamedRows

NOT_JSON = "not a JSON object"

_LINE = "line"
_BATCH_ROWS = 10_000
_SHOWN_CHARS = 80
_PROBED_LINES = 1_000
_MOST_PARTS = 30
_BEGIN_OF_ARRAY = r"^\s*\[\s*(\{|$)"
_PLACED_LINES = {SOURCE_FILE: "string", SOURCE_ROW: "int64", _LINE: "string"}


def read_json_lines(connection: DuckDB, name: str, paths: Sequence[Path], shown: str) -> NamedRows:
    """Read files that hold one JSON object per line.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        name (`str`): What the stored tables are called.
        paths (`list[Path]`): UTF-8 text, plain or compressed.
        shown (`str`): How errors call the files.

    Returns:
        [`NamedRows`]: Every value as text, lists and objects as JSON; the parts of an object are columns too, such as
        `user.id`, where it is found in the first 1,000 lines. Lines that are one Python dict are read too, by
        `ast.literal_eval`, and a note says so; so are those with half of an emoji or with `NaN`, as Python writes it.

    Raises:
        InputError: A file holds one JSON array, or there is no JSON object.
    """
    lines = read_delimited(connection, f"{name}_lines", paths, Dialect((_LINE,), ""))
    filled = lines.rows.filter(lines.rows[_LINE].strip() != "")
    _refuse_arrays(filled, shown, connection)
    is_object = (json_type(filled[_LINE].try_cast("json")) == "OBJECT").fill_null(False)
    objects, others = filled.filter(is_object), filled.filter(~is_object)
    mended, num_literals = _read_mended(connection, f"{name}_mended", others)
    if connection.execute(mended.count()):
        others = others.anti_join(mended, [SOURCE_FILE, SOURCE_ROW])
        objects = objects.select(*_PLACED_LINES).union(mended.select(*_PLACED_LINES))
    elif not connection.execute(objects.count()):
        first = connection.execute(others.order_by(SOURCE_FILE, SOURCE_ROW).limit(1))[_LINE].to_list()
        if first:
            raise InputError(
                f"{shown} has no line that is a JSON object. The first line is {first[0].strip()[:_SHOWN_CHARS]!r}; "
                'write one object per line with names and texts in double quotes, such as {"user_id": "u1"}.'
            )
    keys = connection.execute(objects.select(key=json_keys(objects[_LINE]).unnest()).distinct().order_by("key"))["key"]
    parts = _parts(objects, list(keys), connection)
    wrapped = {theirs: inner for theirs, inner in parts.items() if inner and all(part[:1] == "$" for part in inner)}
    nested = {theirs: inner for theirs, inner in parts.items() if theirs not in wrapped}
    read = {
        **_inner_values(objects[_LINE], nested),
        **{theirs: _value(objects[_LINE], theirs, wrapped.get(theirs, ())) for theirs in keys},
    }
    columns = {theirs: f"column{place}" for place, theirs in enumerate(read)}
    values = {columns[theirs]: value for theirs, value in read.items()}
    rows = store(f"{name}_rows", objects.select(SOURCE_FILE, SOURCE_ROW, **values), connection)
    broken = others.select(SOURCE_FILE, SOURCE_ROW, raw=others[_LINE], reason=ibis.literal(NOT_JSON))
    rejected = store(f"{name}_rejected", lines.rejected.union(broken), connection)
    blank = int(connection.execute(lines.rows.filter(lines.rows[_LINE].strip() == "").count()))
    counted = None if lines.counted is None else lines.counted - blank
    notes = _notes(num_literals, shown)
    return NamedRows(rows, rejected, counted, columns, notes=notes, shown=shown, objects=tuple(nested))


def _refuse_arrays(lines: ir.Table, shown: str, connection: DuckDB) -> None:
    """Refuse a file whose objects are the elements of one array: of some layouts only the last line is an object."""
    first = lines.group_by(SOURCE_FILE).agg(line=lines[_LINE].argmin(lines[SOURCE_ROW]))
    arrays = first.filter(first[_LINE].re_search(_BEGIN_OF_ARRAY))
    found = connection.execute(arrays.order_by(SOURCE_FILE).limit(1))[_LINE].to_list()
    if not found:
        return
    if re.search(r"[{,]\s*u?'", found[0]):
        convert = (
            "python -c 'import ast, json, sys; [print(json.dumps(row)) for row in ast.literal_eval(sys.stdin.read())]'"
        )
    else:
        convert = "jq -c '.[]'"
    raise InputError(f"{shown} is one JSON array; write one object per line, such as `{convert}` does.")


def _parts(objects: ir.Table, keys: Sequence[str], connection: DuckDB) -> dict[str, tuple[str, ...]]:
    """The keys of those values that are objects themselves, by the first lines; none of objects with many keys, which
    are rather lists of something."""
    first = store("json_lines_first", objects.select(_LINE).limit(_PROBED_LINES), connection)
    kinds = {
        f"n{place}": (json_type_at(first[_LINE], json_pointer(theirs)) == "OBJECT").any()
        for place, theirs in enumerate(keys)
    }
    found = connection.to_pyarrow(ibis.struct(kinds)).as_py() if kinds else {}
    parts = {}
    for place, theirs in enumerate(keys):
        if found[f"n{place}"]:
            inner = first.select(key=json_keys_at(first[_LINE], json_pointer(theirs)).unnest()).distinct()
            names = connection.execute(inner.order_by("key"))["key"].to_list()
            if len(names) <= _MOST_PARTS:
                parts[theirs] = tuple(names)
    drop_stored("json_lines_first", connection)
    return parts


def _inner_values(line: ir.StringValue, nested: Mapping[str, Sequence[str]]) -> dict[str, ir.StringValue]:
    """The parts of objects, each as `user.id`."""
    return {
        f"{theirs}.{part}": json_extract_string(line, json_pointer(theirs) + json_pointer(part))
        for theirs, inner in nested.items()
        for part in inner
    }


def _value(line: ir.StringValue, theirs: str, types: Sequence[str]) -> ir.StringValue:
    """A value; `types` says in which keys MongoDB wraps it, such as `$oid`."""
    pointer = json_pointer(theirs)
    inside = [pointer + json_pointer(kind) for kind in types]
    # The number of milliseconds of a date may be an object once more.
    deeper = [each + json_pointer("$numberLong") for each in inside]
    return ibis.coalesce(*(json_extract_string(line, each) for each in (*deeper, *inside, pointer)))


def _notes(num_literals: int, shown: str) -> tuple[str, ...]:
    if not num_literals:
        return ()
    return (
        f"{num_literals} lines of {shown} are Python literals, not JSON (single quotes); they were read with "
        "ast.literal_eval, which runs no code.",
    )


def _read_mended(connection: DuckDB, name: str, lines: ir.Table) -> tuple[ir.Table, int]:
    """Those lines that Python reads as an object, as JSON, and how many of them are Python literals."""
    candidates = lines.filter(lines[_LINE].strip().startswith("{")).select(*_PLACED_LINES)
    drop_stored(name, connection)
    table = connection.create_table(name, schema=ibis.schema(_PLACED_LINES))
    lines_left = connection.con.cursor().execute(to_sql(candidates, connection))
    num_literals = 0
    while batch := lines_left.fetchmany(_BATCH_ROWS):
        read = []
        for file, row, line in batch:
            mended = _without_halves(line)
            literal = _as_json(line) if mended is None else None
            num_literals += literal is not None
            if text := mended or literal:
                read.append(dict(zip(_PLACED_LINES, (file, row, text), strict=True)))
        if read:
            connection.con.register(f"{name}_batch", pa.Table.from_pylist(read))
            connection.raw_sql(f'INSERT INTO "{name}" SELECT {", ".join(_PLACED_LINES)} FROM "{name}_batch"')
            connection.con.unregister(f"{name}_batch")
    return table, num_literals


def _without_halves(text: str) -> str | None:
    """A JSON object with U+FFFD for half of a surrogate pair, which services leave of an emoji that they cut, and with
    null for `NaN`; `None` where the text is no JSON object.

    Example:
        >>> _without_halves('{"title": "Up \\\\ud83d", "price": NaN}')
        '{"title": "Up \ufffd", "price": null}'
        >>> _without_halves("{'title': 'Up'}") is None
        True
    """
    try:
        value = json.loads(text, strict=False, parse_constant=lambda name: None)
    except (ValueError, RecursionError):
        return None
    return _whole(json.dumps(value, ensure_ascii=False)) if isinstance(value, dict) else None


def _as_json(text: str) -> str | None:
    """A Python dict as JSON; `None` where the text is none, or holds what JSON has no word for.

    Example:
        >>> _as_json("{'asin': u'B0', 'new': True, 'tags': ['a'], 'price': None}")
        '{"asin": "B0", "new": true, "tags": ["a"], "price": null}'
        >>> _as_json("{'n': __import__('os')}") is None
        True
    """
    try:
        value = ast.literal_eval(text.strip())
        return _whole(json.dumps(value, allow_nan=False, ensure_ascii=False)) if isinstance(value, dict) else None
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):  # so the parser ends on deep nesting
        return None


def _whole(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair, which is no letter."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@ibis.udf.scalar.builtin
def json_type(document: dt.json) -> str: ...  # type: ignore[empty-body]


@ibis.udf.scalar.builtin
def json_keys(document: str) -> list[str]: ...  # type: ignore[empty-body]


@ibis.udf.scalar.builtin(name="json_type")
def json_type_at(document: str, pointer: str) -> str: ...  # type: ignore[empty-body]


@ibis.udf.scalar.builtin(name="json_keys")
def json_keys_at(document: str, pointer: str) -> list[str]: ...  # type: ignore[empty-body]


@ibis.udf.scalar.builtin
def json_extract_string(document: str, pointer: str) -> str: ...  # type: ignore[empty-body]


def json_pointer(key: str) -> str:
    """Where a key stands in a JSON object, as RFC 6901 writes it; unlike a JSONPath it can spell any key."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
