"""Interactions and items in their final types: bad rows set aside with a reason, exact duplicates merged.

Nothing is lost: rows that came in = rows used + duplicates merged + rows in quarantine + rows left out by filters, and
a build stops where that does not hold. Rows of the catalogue have an identity of their own: rows that came in = items
+ rows merged into them + rows in quarantine.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import reduce
from operator import or_
from typing import Any

import ibis
import ibis.expr.types as ir

from .build_options import BuildOptions
from .catalogue import to_items, without_item_id
from .cells.log_times import (
    END_OF_TIME,
    ReadTimes,
    is_odd_number,
    parse_times,
)
from .cells.plain_text import plain_text
from .cells.written_ids import check_catalogue, is_rounded, said_id, with_whole_ids
from .cells.written_numbers import ReadNumbers, read_durations, read_values
from .filters import keep_interactions
from .input_error import InputError
from .raw_log import RawLog
from .schema import (
    DEFAULT_EVENT,
    DEVICE,
    DURATION,
    EVENT,
    INTERACTION_COLUMNS,
    ITEM_ID,
    RAW,
    REASON,
    REQUIRED_INTERACTION_COLUMNS,
    SOURCE_FILE,
    SOURCE_PLACE,
    SOURCE_ROW,
    TIMESTAMP,
    USER_ID,
    VALUE,
)
from .tables.stored_tables import Tables, brought, drop_stored, machine_of, store

# Why a row that could be read cannot be used; where several hold, the first. A value or a duration that is no number
# costs no row: it is left out of it, and a note counts them. Rows that could not even be read come with the reason of
# their reader; see `sources.delimited`.
BROKEN_ENCODING = "broken encoding"
EMPTY_USER = "empty user"
EMPTY_ITEM = "empty item"
ROUNDED_ID = "id rounded by a spreadsheet or a decimal number"
EMPTY_TIME = "empty time"
UNREADABLE_TIME = "time not readable"
OTHER_UNIT = "time in another unit than most"
IMPOSSIBLE_TIME = "time before 1970-01-02 or from 2100 on"
IMPOSSIBLE_DURATION = "duration negative or over 7 days"
NAMELESS_ITEM = "catalogue row without an item id"
MAX_DURATION_S = 7 * 24 * 3600

QUARANTINE_TYPES = {SOURCE_FILE: "string", SOURCE_ROW: "int64", RAW: "string", REASON: "string"}
QUARANTINE_COLUMNS = tuple(QUARANTINE_TYPES)
_SHOWN_CHARS = 200
_COPIES = "copies"
FILE_ORDER = "file_order"
_HINTS = {
    BROKEN_ENCODING: "If the file is not UTF-8, give its encoding with --encoding, such as cp1252 or latin-1.",
    ROUNDED_ID: "Different items or users can no longer be distinguished; export the column as text.",
    **dict.fromkeys(
        (OTHER_UNIT, UNREADABLE_TIME, IMPOSSIBLE_TIME),
        "Times may be seconds or milliseconds since 1970, ISO 8601, or dates such as 3/4/2024; give any other "
        "format with --time-format, as for Python's strptime: '%d.%m.%Y %H:%M', or spreadsheet for days such as "
        "45413.5.",
    ),
    IMPOSSIBLE_DURATION: "Specify the unit of the durations, such as --map duration_s=COLUMN:ms, or leave the "
    "column out with --map duration_s=-.",
}
"""What to do where rows of the log have a reason."""


@dataclass(frozen=True)
class CanonicalLog:
    """A log whose rows can all be used.

    Args:
        interactions (`ibis.Table`): Exactly `schema.INTERACTION_COLUMNS`, typed; no two rows are equal.
        items (`ibis.Table`): Exactly `schema.ITEM_COLUMNS`; one row per item, every item of `interactions` included.
        quarantine (`ibis.Table`): `source_file`, `source_row`, `raw`, `reason` of each row that could not be used.
        items_quarantine (`ibis.Table`): The same for rows of the catalogue.
        counts (`dict`): `input_rows` = `used` + `merged_duplicates` + `quarantined` + `filtered`;
            `quarantined_by_reason`; with filters `filtered` and `filtered_by_reason`; `items`,
            `items_without_metadata`, `items_sharing_title` and more (see `catalogue.to_items`). With a catalogue also
            `catalogue_rows`, `catalogue_quarantined` and `catalogue_quarantined_by_reason`.
        notes (`tuple[str, ...]`): What had to be assumed of the values, a sentence each.
    """

    interactions: ir.Table
    items: ir.Table
    quarantine: ir.Table
    items_quarantine: ir.Table
    counts: dict[str, Any]
    notes: tuple[str, ...] = ()


def canonicalize(
    raw: RawLog,
    connection: Tables,
    *,
    strict: bool = False,
    file_order: bool = False,
    options: BuildOptions = BuildOptions(),  # noqa: B008 (frozen)
) -> CanonicalLog:
    """Give a raw log its final types, set bad rows aside with a reason, merge exact duplicates, and filter.

    Args:
        raw ([`RawLog`]): What a source read.
        connection (`ibis.backends.duckdb.Backend` or [`Cluster`]): Where the tables of the log live; the result is
            stored there, but for the items and the quarantine, which are on this machine.
        strict (`bool`, *optional*, defaults to `False`): Whether one bad row is an error, or one value that is no
            number.
        file_order (`bool`, *optional*, defaults to `False`): Whether `interactions` say in `file_order` (int64) where
            each stood. Without times that is what tells two equal records apart.
        options ([`BuildOptions`], *optional*): For its filters.

    Returns:
        [`CanonicalLog`]: The same rows, whatever the number of threads; their order is not part of it.

    Raises:
        InputError: A required column is missing, no row can be used or passes the filters, or, with `strict`, some
            row cannot be used.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from logs2lang.dataset_builders.raw_log import OWN_LOG, connect
        >>> rows = {"user_id": ["ann", "bob"], "item_id": ["i1", ""], "timestamp": ["2024-05-01", "2024-05-02"],
        ...     "source_file": ["log.csv", "log.csv"], "source_row": [2, 3]}
        >>> raw = RawLog("toy", ibis.memtable(rows), None, None, "iso", OWN_LOG)
        >>> with TemporaryDirectory() as folder:
        ...     counts = canonicalize(raw, connect(folder)).counts
        >>> counts["used"], counts["quarantined_by_reason"]
        (1, {'empty item': 1})
    """
    raw, id_notes = with_whole_ids(raw, connection)
    rows = _completed(raw)
    times = parse_times(rows[TIMESTAMP], raw.time_format, connection)
    numbers = _read_numbers(raw, rows, connection)
    judged = store("judged_interactions", _judge(rows, times, numbers, raw), connection)
    unusable = brought(judged.filter(judged[REASON].notnull()), connection)
    machine = machine_of(connection)
    quarantine = store("quarantine", _quarantine(unusable, raw.rejected), machine)
    nameless = None if raw.items is None else _nameless_items(raw.items)
    items_quarantine = store("items_quarantine", _quarantine(nameless, raw.rejected_items), machine)
    if strict:
        _refuse_quarantined(ibis.union(quarantine, items_quarantine))
        _refuse_unreadable(numbers)
    good = judged.filter(judged[REASON].isnull())
    kept = list(INTERACTION_COLUMNS)
    if file_order:
        good = _with_file_order(good, connection)
        kept.append(FILE_ORDER)
    merged = store("interactions", _merged(good, file_order, raw.order), connection)
    counts = _count_rows(raw, merged, quarantine, connection)
    late_notes = _late_notes(merged, connection)
    drop_stored("judged_interactions", connection)
    interactions = merged.select(*kept)
    if options.filters:
        interactions, left_out = keep_interactions(interactions, options, connection)
        counts = _with_filtered(counts, interactions, left_out, connection)
        drop_stored("interactions", connection)
    used = brought(interactions.select(ITEM_ID).distinct(), connection)
    items, item_counts = to_items(raw.items, used, machine)
    catalogue_counts = _count_catalogue(raw, items_quarantine, item_counts["merged_items"], machine)
    counts = {**counts, **item_counts, **catalogue_counts}
    known = () if raw.items is None else check_catalogue(raw.items, used, machine)
    notes = (*id_notes, *times.notes, *late_notes, *_number_notes(numbers), *_aside_notes(counts), *known)
    return CanonicalLog(interactions, items, quarantine, items_quarantine, counts, notes)


def _with_file_order(rows: ir.Table, connection: Tables) -> ir.Table:
    """Rows with a number that grows from file to file, by name, and from row to row."""
    names = sorted(connection.execute(rows.select(SOURCE_FILE).distinct())[SOURCE_FILE], key=_by_number)
    types = {SOURCE_FILE: "string", "place": "int64"}
    files = ibis.memtable({SOURCE_FILE: names, "place": list(range(len(names)))}, schema=types)
    placed = rows.join(files, SOURCE_FILE)
    if SOURCE_PLACE in rows.columns:
        row = ibis.row_number().over(group_by=SOURCE_FILE, order_by=[SOURCE_ROW, SOURCE_PLACE])
        placed = placed.mutate(source_row=row)
    return placed.mutate(file_order=placed.place * 2**40 + placed[SOURCE_ROW])


def _by_number(name: str) -> list[str | int]:
    """What orders names as people count.

    Example:
        >>> sorted(["part-10.csv", "part-9.csv"], key=_by_number)
        ['part-9.csv', 'part-10.csv']
    """
    return [int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", name))]


def _merged(rows: ir.Table, file_order: bool, order: str) -> ir.Table:
    """Exact duplicates as one row; without times two rows that say the same are two records."""
    if not file_order:
        return rows.group_by(*INTERACTION_COLUMNS).agg(copies=rows.count())
    if order == "file":
        return rows.select(*INTERACTION_COLUMNS, FILE_ORDER, copies=ibis.literal(1, "int64"))
    return rows.group_by(*INTERACTION_COLUMNS).agg(copies=rows.count(), file_order=rows[FILE_ORDER].min())


def _late_notes(rows: ir.Table, connection: Tables) -> tuple[str, ...]:
    """A note where something happened after tomorrow: then the dates of a log are read in a wrong order."""
    tomorrow = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=2)
    late = rows[TIMESTAMP] >= tomorrow
    facts = {"count": late.sum(), "latest": rows[TIMESTAMP].max(where=late).cast("string")}
    found = connection.to_pyarrow(ibis.struct(facts)).as_py()
    if not found["count"]:
        return ()
    return (
        f"{found['count']:,} row{'s are' if found['count'] > 1 else ' is'} dated after tomorrow, the latest "
        f"{found['latest'][:10]}. If dates are read in the wrong order, specify --day-first, --month-first or "
        "--time-format.",
    )


def _read_numbers(raw: RawLog, rows: ir.Table, connection: Tables) -> dict[str, ReadNumbers]:
    """The optional columns of numbers that the log has."""
    read = {}
    if DURATION in raw.interactions.columns:
        read[DURATION] = read_durations(rows[DURATION], raw.duration_unit, connection)
    if VALUE in raw.interactions.columns:
        read[VALUE] = read_values(rows[VALUE], connection)
    return read


def _number_notes(read: Mapping[str, ReadNumbers]) -> tuple[str, ...]:
    left_out = tuple(
        f"{numbers.unreadable:,} values of {name}, such as {numbers.example!r}, are not numbers and were left out of "
        f"their rows; with `build tabular`, --map {name}=- leaves out the whole column."
        for name, numbers in read.items()
        if numbers.unreadable
    )
    return (*left_out, *(note for numbers in read.values() for note in numbers.notes))


def _refuse_unreadable(read: Mapping[str, ReadNumbers]) -> None:
    for name, numbers in read.items():
        if numbers.unreadable:
            raise InputError(
                f"{numbers.unreadable} value(s) of {name} are not numbers, such as {numbers.example!r}, and --strict "
                "allows none. Correct them, or build without --strict."
            )


def _aside_notes(counts: Mapping[str, Any]) -> tuple[str, ...]:
    """What to do about rows that a setting or another export would save."""
    said = {
        ROUNDED_ID: "of ids that were rounded by a spreadsheet or stored as decimal numbers",
        BROKEN_ENCODING: "of bytes that are no text in this encoding",
    }
    aside = counts["quarantined_by_reason"]
    return tuple(
        f"{aside[reason]:,} row{'s were' if aside[reason] > 1 else ' was'} set aside because {why}. {_HINTS[reason]}"
        for reason, why in said.items()
        if aside.get(reason)
    )


def _completed(raw: RawLog) -> ir.Table:
    """The raw interactions with a null column for each optional one that the log lacks."""
    found = raw.interactions.columns
    for name in REQUIRED_INTERACTION_COLUMNS:
        if name not in found:
            raise InputError(f"The log {raw.name!r} must have a column {name!r}, but has only {', '.join(found)}.")
    absent = {name: ibis.null("string") for name in INTERACTION_COLUMNS if name not in found}
    places = [name for name in (SOURCE_FILE, SOURCE_ROW, SOURCE_PLACE) if name in found]
    return raw.interactions.mutate(**absent).select(*INTERACTION_COLUMNS, *places)


def _judge(rows: ir.Table, times: ReadTimes, numbers: Mapping[str, ReadNumbers], raw: RawLog) -> ir.Table:
    """Typed rows, with the reason why a row cannot be used and then the row as it came; both null when it can."""
    typed = {
        USER_ID: said_id(rows[USER_ID]),
        ITEM_ID: said_id(rows[ITEM_ID]),
        TIMESTAMP: times.times,
        EVENT: plain_text(rows[EVENT]).fill_null(DEFAULT_EVENT),
        **{name: numbers[name].numbers if name in numbers else ibis.null("float64") for name in (DURATION, VALUE)},
        DEVICE: plain_text(rows[DEVICE]),
    }
    as_it_came = ibis.struct({name: rows[name].cast("string") for name in INTERACTION_COLUMNS})
    reason = _reason(rows, typed, raw, times.earliest)
    places = [name for name in rows.columns if name not in INTERACTION_COLUMNS]
    judged = rows.select(*places, **typed, reason=reason, raw=as_it_came)
    return judged.mutate(
        raw=ibis.ifelse(judged[REASON].notnull(), judged[RAW].cast("json").cast("string"), ibis.null("string")),
        **{name: judged[name].cast("float32") for name in (DURATION, VALUE)},
    )


def _reason(rows: ir.Table, typed: Mapping[str, ir.Value], raw: RawLog, earliest: datetime) -> ir.StringValue:
    too_early, too_late = typed[TIMESTAMP] < earliest, typed[TIMESTAMP] >= END_OF_TIME
    holds = {
        BROKEN_ENCODING: _is_broken(rows),
        EMPTY_USER: typed[USER_ID].isnull(),
        EMPTY_ITEM: typed[ITEM_ID].isnull(),
        ROUNDED_ID: is_rounded(rows[USER_ID]) | is_rounded(rows[ITEM_ID]),
        EMPTY_TIME: plain_text(rows[TIMESTAMP]).isnull(),
        OTHER_UNIT: typed[TIMESTAMP].isnull() & is_odd_number(rows[TIMESTAMP], raw.time_format),
        UNREADABLE_TIME: typed[TIMESTAMP].isnull(),
        IMPOSSIBLE_TIME: ibis.literal(False) if raw.order == "file" else too_early | too_late,
        IMPOSSIBLE_DURATION: ~typed[DURATION].between(0, MAX_DURATION_S),
    }
    return ibis.cases(*((condition, reason) for reason, condition in holds.items()))


def _is_broken(rows: ir.Table) -> ir.BooleanValue:
    """Whether a text holds U+FFFD, which is what a decoder leaves of bytes it could not read, or a NUL."""
    texts = [rows[name] for name in INTERACTION_COLUMNS if rows[name].type().is_string()]
    # No NUL in the text of the query: DuckDB 1 ends reading there.
    marks = [text.contains(mark).fill_null(False) for text in texts for mark in ("\ufffd", _character(0))]
    return reduce(or_, marks, ibis.literal(False))


@ibis.udf.scalar.builtin(name="chr")
def _character(code: int) -> str: ...  # type: ignore[empty-body]


def _quarantine(*parts: ir.Table | None) -> ir.Table:
    typed = [
        part.select(
            source_file=part[SOURCE_FILE].cast("string"),
            source_row=part[SOURCE_ROW].cast("int64"),
            raw=part[RAW].cast("string"),
            reason=part[REASON].cast("string"),
        )
        for part in parts
        if part is not None
    ]
    none = ibis.memtable([], schema=QUARANTINE_TYPES)
    return ibis.union(none, *typed).order_by(QUARANTINE_COLUMNS)


def _nameless_items(catalogue: ir.Table) -> ir.Table:
    nameless = without_item_id(catalogue)
    places = (SOURCE_FILE, SOURCE_ROW, SOURCE_PLACE)
    content = {name: nameless[name] for name in nameless.columns if name not in places}
    place = {name: nameless[name] if name in nameless.columns else None for name in (SOURCE_FILE, SOURCE_ROW)}
    return nameless.select(
        source_file=ibis.null("string") if place[SOURCE_FILE] is None else place[SOURCE_FILE],
        source_row=ibis.null("int64") if place[SOURCE_ROW] is None else place[SOURCE_ROW],
        raw=ibis.struct(content).cast("json").cast("string"),
        reason=ibis.literal(NAMELESS_ITEM),
    )


def _refuse_quarantined(quarantine: ir.Table) -> None:
    count = int(quarantine.count().execute())
    if count:
        raise InputError(
            f"{count} row(s) cannot be used, and --strict allows none. The first: {_first_of(quarantine)}. "
            "Correct the rows, or build without --strict."
        )


def _first_of(quarantine: ir.Table) -> str:
    first = quarantine.order_by(QUARANTINE_COLUMNS).limit(1).execute().iloc[0]
    return f"{first[SOURCE_FILE]}, row {first[SOURCE_ROW]}: {first[REASON]}: {str(first[RAW])[:_SHOWN_CHARS]}"


def _nothing_usable(name: str, counts: Mapping[str, Any], quarantine: ir.Table) -> str:
    if not counts["quarantined"]:
        return f"{name!r} has no rows. Check that its files were written completely."
    hints = dict.fromkeys(_HINTS[reason] for reason in counts["quarantined_by_reason"] if reason in _HINTS)
    return " ".join(
        (
            f"No row of {name!r} can be used: {_listed(counts['quarantined_by_reason'])}. The first: "
            f"{_first_of(quarantine)}. Check which columns are read.",
            *hints,
        )
    )


def _count_rows(raw: RawLog, merged: ir.Table, quarantine: ir.Table, connection: Tables) -> dict[str, Any]:
    counts: dict[str, Any] = {
        "input_rows": _count_input(raw.interactions, raw.rejected, raw.counted, connection),
        "used": int(merged.count().execute()),
        "merged_duplicates": int((merged[_COPIES] - 1).sum().fill_null(0).execute()),
        "quarantined": int(quarantine.count().execute()),
        "quarantined_by_reason": _by_reason(quarantine),
    }
    if counts["input_rows"] != counts["used"] + counts["merged_duplicates"] + counts["quarantined"]:
        raise RuntimeError(f"Rows of {raw.name!r} were lost, which is a bug in logs2lang; please report it: {counts}.")
    if not counts["used"]:
        raise InputError(_nothing_usable(raw.name, counts, quarantine))
    return counts


def _with_filtered(
    counts: Mapping[str, Any], kept: ir.Table, left_out: Mapping[str, int], connection: Tables
) -> dict[str, Any]:
    """The counts of a log, of which filters left out a part."""
    used, filtered = int(connection.execute(kept.count())), sum(left_out.values())
    if counts["used"] != used + filtered:
        raise RuntimeError(
            f"Of {counts['used']} interactions filters kept {used} and left out {filtered}. This is a bug in "
            "logs2lang; please report it."
        )
    return {**counts, "used": used, "filtered": filtered, "filtered_by_reason": dict(left_out)}


def _count_catalogue(raw: RawLog, quarantine: ir.Table, merged: int, connection: Tables) -> dict[str, Any]:
    """The identity of the catalogue, which has nothing to do with that of the log."""
    if raw.items is None:
        return {}
    described = int(connection.execute(plain_text(raw.items[ITEM_ID]).nunique()))
    counts: dict[str, Any] = {
        "catalogue_rows": _count_input(raw.items, raw.rejected_items, raw.counted_items, connection),
        "catalogue_quarantined": int(quarantine.count().execute()),
        "catalogue_quarantined_by_reason": _by_reason(quarantine),
    }
    if counts["catalogue_rows"] != described + merged + counts["catalogue_quarantined"]:
        raise RuntimeError(
            f"Rows of the catalogue of {raw.name!r} were lost, which is a bug in logs2lang; please report it: "
            f"{counts}, {described} items and {merged} rows merged into them."
        )
    if counts["catalogue_quarantined"] and not described:
        why = _listed(counts["catalogue_quarantined_by_reason"])
        raise InputError(
            f"No row of the catalogue of {raw.name!r} can be used: {why}. The first: {_first_of(quarantine)}. Correct "
            "the file, or build without a catalogue."
        )
    return counts


def _count_input(rows: ir.Table, rejected: ir.Table | None, counted: int | None, connection: Tables) -> int:
    """How many rows came in: as they were counted apart from the reader, or else what the reader handed over."""
    if counted is not None:
        return counted
    parts = [rows] if rejected is None else [rows, rejected]
    return sum(int(connection.execute(part.count())) for part in parts)


def _by_reason(quarantine: ir.Table) -> dict[str, int]:
    by_reason = quarantine.group_by(REASON).agg(rows=quarantine.count()).order_by(REASON).execute()
    return dict(zip(by_reason[REASON], map(int, by_reason["rows"]), strict=True))


def _listed(by_reason: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} ({count})" for reason, count in by_reason.items())
