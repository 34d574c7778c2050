"""Rows that hold several events, such as the sessions of a shop, as one row per event."""

from collections.abc import Sequence
from dataclasses import replace

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ..input_error import InputError, did_you_mean
from ..schema import REASON, SOURCE_FILE, SOURCE_PLACE, SOURCE_ROW
from ..tables.stored_tables import drop_stored, store
from .delimited import MAX_RAW_CHARS
from .json_lines import json_extract_string, json_keys, json_pointer, json_type
from .named_rows import NamedRows

NO_EVENTS = "no list of events"
UNEVEN_LISTS = "lists of different lengths"

_ELEMENT, _LENGTH = "element", "length"


def explode_events(connection: DuckDB, name: str, log: NamedRows, nested: Sequence[str]) -> NamedRows:
    """One row per element of the lists that a row holds.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        name (`str`): What the stored tables are called.
        log ([`NamedRows`]): As a reader of files returns it.
        nested (`list[str]`): Names of the columns that hold lists, as typed or as JSON. Several are taken apart
            together: the first elements of all are one event, the second ones the next.

    Returns:
        [`NamedRows`]: The columns of the row and those of its events: an object gives one for each of its keys (named
        `events.id` where the row has an `id` as well), any other element is the value of the column itself.
        `source_place` (int64, from 1) is the place of the event in its row. Rows without a list are rejected.

    Raises:
        InputError: There is no such column, or none of its values is a list.
    """
    for theirs in nested:
        if theirs not in log.columns:
            hint = did_you_mean(theirs, log.columns, f"It has {', '.join(log.columns)}.")
            raise InputError(f"{log.shown} has no column {theirs!r} to explode. {hint}")
    lists = {f"list{place}": _as_list(log.rows[log.columns[theirs]]) for place, theirs in enumerate(nested)}
    listed = log.rows.mutate(**lists)
    listed = listed.mutate(**{_LENGTH: listed["list0"].length(), REASON: _reason(listed, list(lists))})
    listed = store(f"{name}_lists", listed, connection)
    whole = listed.filter(listed[REASON].isnull())
    facts = connection.to_pyarrow(whole.aggregate(rows=whole.count(), events=whole[_LENGTH].sum())).to_pylist()[0]
    if not facts["rows"]:
        raise InputError(
            f"{log.shown} has no list in {' and '.join(map(repr, nested))}. A list is written as JSON, such as "
            '[{"item_id": 7}] or [7, 8]; omit --explode if a row is one event.'
        )
    kept = {theirs: ours for theirs, ours in log.columns.items() if theirs not in nested}
    events = _exploded(whole, list(kept.values()), len(lists))
    events = store(f"{name}_events", events, connection)
    values: dict[str, ir.Value] = {}
    columns: dict[str, str] = {}
    for place, theirs in enumerate(nested):
        for inner, value in _values(events, f"{_ELEMENT}{place}", theirs, connection).items():
            shown = inner if inner not in (*kept, *columns) else f"{theirs}.{inner}"
            columns[shown] = f"event{len(columns)}"
            values[columns[shown]] = value
    rows = events.select(SOURCE_FILE, SOURCE_ROW, SOURCE_PLACE, *kept.values(), **values)
    broken = listed.filter(listed[REASON].notnull())
    raw = broken[log.columns[nested[0]]].cast("string").left(MAX_RAW_CHARS)
    rejected = log.rejected.union(broken.select(SOURCE_FILE, SOURCE_ROW, raw=raw, reason=broken[REASON]))
    # A row that was counted is now as many as its list is long; rows without a list stay one each.
    counted = None if log.counted is None else log.counted - int(facts["rows"]) + int(facts["events"])
    rows = store(f"{name}_exploded", rows, connection)
    rejected = store(f"{name}_unlisted", rejected, connection)
    for table in ("lists", "events"):
        drop_stored(f"{name}_{table}", connection)
    return replace(log, rows=rows, rejected=rejected, counted=counted, columns={**kept, **columns}, scan=None)


def _as_list(column: ir.Value) -> ir.ArrayValue:
    """Lists as typed, or as JSON or Python write them; null for all else."""
    if column.type().is_array():
        return column
    if not column.type().is_string():
        return ibis.null(dt.Array(dt.string))
    of_python = column.replace("'", '"')
    document = ibis.coalesce(column.try_cast("json"), of_python.try_cast("json"))
    return document.try_cast(dt.Array(dt.json))


def _reason(listed: ir.Table, lists: Sequence[str]) -> ir.StringValue:
    lengths = [listed[name].length() for name in lists]
    empty = [length.isnull() | (length == 0) for length in lengths]
    uneven = [length != lengths[0] for length in lengths[1:]]
    return ibis.cases(
        (ibis.or_(*empty), NO_EVENTS),
        (ibis.or_(ibis.literal(False), *uneven), UNEVEN_LISTS),
        else_=ibis.null("string"),
    )


def _exploded(whole: ir.Table, kept: Sequence[str], num_lists: int) -> ir.Table:
    """The rows once for every event, its elements as `element0`, `element1`, ..."""
    first, *others = (whole[f"list{place}"] for place in range(num_lists))
    zipped = ibis.range(1, whole[_LENGTH] + 1).zip(first, *others).unnest()
    events = whole.select(SOURCE_FILE, SOURCE_ROW, *kept, zipped=zipped)
    elements = {f"{_ELEMENT}{place}": events.zipped[f"f{place + 2}"] for place in range(num_lists)}
    place = events.zipped["f1"].cast("int64")
    return events.select(SOURCE_FILE, SOURCE_ROW, *kept, **{SOURCE_PLACE: place}, **elements)


def _values(events: ir.Table, column: str, theirs: str, connection: DuckDB) -> dict[str, ir.Value]:
    """What the elements of one list say, by name."""
    element = events[column]
    kind = element.type()
    if kind.is_struct():
        return {inner: element[inner] for inner in kind.names}
    if not kind.is_json():
        return {theirs: element}
    text = element.cast("string")
    objects = events.filter((json_type(element) == "OBJECT").fill_null(False)).select(text=text)
    found = connection.execute(objects.select(key=json_keys(objects.text).unnest()).distinct())["key"]
    if not len(found):
        return {theirs: json_extract_string(text, "$")}
    return {inner: json_extract_string(text, json_pointer(inner)) for inner in sorted(found)}
