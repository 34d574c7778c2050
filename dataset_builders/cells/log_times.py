"""Times as logs write them (seconds, milliseconds, ISO 8601, texts of all kinds) as UTC timestamps."""

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import ibis
import ibis.expr.types as ir

from ..input_error import InputError
from ..raw_log import TIME_FORMATS
from ..tables.stored_tables import Tables
from .written_times import (
    DIGITS,
    UTC_MICROSECONDS,
    parse_with_format,
    parse_written_times,
)

# Clocks that were never set say 1970-01-01, give or take a time zone.
EARLIEST_TIME = datetime(1970, 1, 2, tzinfo=timezone.utc)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
END_OF_TIME = datetime(2100, 1, 1, tzinfo=timezone.utc)

_PER_SECOND = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_MAX_SECONDS = 10**10  # the year 2286: past END_OF_TIME, and in microseconds still exact as a float64
_ODD_SECONDS = 10**8  # March 1973: milliseconds read as seconds are later, seconds read as milliseconds earlier
_SPREADSHEET_EPOCH = 25_569  # days from 1899-12-30, where spreadsheets begin, to 1970
_EXACT_FLOAT32 = 2**24  # from here on neighbours are one number
_ROUNDED = r"^\s*\d(?:[.,]\d{1,5})?[eE]\+0?1\d\s*$|^\s*\d[.,]\d{6}E\+1\d\s*$"
"""A long number that lost digits: `1.71452E+12`. With six digits behind the point and a small e it may be whole: R and
Python leave out zeros, as in `1.714608e+12`, a midnight."""
_SHORT_DATES = {
    "%y%m%d": r"^\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])$",
    "%Y%m": r"^(?:19|20)\d\d(?:0[1-9]|1[0-2])$",
}
"""Dates without dashes that are small numbers: 240501, 202405."""


@dataclass(frozen=True)
class ReadTimes:
    """A column of times that were read.

    Args:
        times (`ibis.TimestampColumn`): In UTC; null where a value cannot be read.
        notes (`tuple[str, ...]`): What had to be assumed, a sentence each.
        earliest (`datetime`): Before that nothing can have happened.
    """

    times: ir.TimestampValue
    notes: tuple[str, ...] = ()
    earliest: datetime = EARLIEST_TIME


def parse_times(column: ir.Value, time_format: str, connection: Tables) -> ReadTimes:
    """Read a column of times as UTC timestamps.

    Args:
        column (`ibis.Column`): Text, numbers, dates or timestamps. A time without a zone is UTC.
        time_format (`str`): How text and numbers are meant: one of `TIME_FORMATS`, or a format of `strptime`. `"auto"`
            reads text that is no number as `parse_written_times` does, and numbers each in the one unit in which it
            lies between 1973 and 2100.
        connection (`ibis.backends.duckdb.Backend`): Where the numbers are looked at.

    Returns:
        [`ReadTimes`]: In microseconds. Times that no log can have are kept, for the caller to judge, but for those
        that are so early because they are in another unit than most.

    Raises:
        InputError: With `"auto"`, numbers that look like `20240501`, or most of which would be before 1973.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from logs2lang.dataset_builders.raw_log import connect
        >>> table = ibis.memtable({"time": ["1714521600", "1714521600000", "2024-05-01T02:00+02:00", "soon"]})
        >>> with TemporaryDirectory() as folder:
        ...     connection = connect(folder)
        ...     read = parse_times(table.time, "auto", connection)
        ...     times = connection.execute(table.select(time=read.times))
        >>> times["time"].dt.strftime("%Y-%m-%d %H:%M").fillna("unreadable").to_list()
        ['2024-05-01 00:00', '2024-05-01 00:00', '2024-05-01 00:00', 'unreadable']
        >>> read.notes
        ('1 of 2 times are in milliseconds, the others in seconds: each value is a plausible time in only one unit.',)
    """
    if column.type().is_timestamp() or column.type().is_date():
        return ReadTimes(column.cast(UTC_MICROSECONDS))
    text = column.cast("string").strip()
    if time_format not in TIME_FORMATS:
        return ReadTimes(parse_with_format(_whole(text), time_format))
    if time_format == "spreadsheet":
        return ReadTimes(_from_seconds((_numbers(column) - _SPREADSHEET_EPOCH) * 86_400))
    if time_format not in ("auto", "iso"):
        return _in_one_unit(column, time_format, connection)
    found = _spellings(column, text, connection)
    notes = _rounding_notes(found)
    written = parse_written_times(_whole(text)) if found["other"] or found["digits"] else _iso(text)
    if time_format == "iso":
        return ReadTimes(written)
    numbers = _numbers(column) if found["other"] or found["rounded"] else column.try_cast("float64")
    if found["digits"]:
        numbers = _whole(text).re_search(DIGITS).ifelse(ibis.null("float64"), numbers)
    read = _each_in_its_unit(numbers, _whole(text), connection, coarse=column.type().is_float32())
    return ReadTimes(numbers.isnull().ifelse(written, read.times), (*notes, *read.notes))


def _spellings(column: ir.Value, text: ir.StringValue, connection: Tables) -> dict[str, Any]:
    """Whether any time is fourteen digits, or neither a number nor plain ISO 8601; most logs need no longer look."""
    named_zone = text.right(1).upper().between("A", "Y")  # but for Z; a database has its own mind of EST and BST
    other = (text != "") & text.try_cast("float64").isnull() & (_iso(text).isnull() | named_zone)
    facts = {"digits": (text.length().between(14, 20) & _whole(text).re_search(DIGITS)).any(), "other": other.any()}
    return connection.to_pyarrow(ibis.struct({**facts, **_rounding_facts(column)})).as_py()


def _iso(text: ir.StringValue) -> ir.TimestampValue:
    return text.try_cast(UTC_MICROSECONDS)


def is_odd_number(column: ir.Value, time_format: str) -> ir.BooleanValue:
    """Whether a time that could not be read is a number, and so in another unit than most."""
    in_units = time_format == "auto" or time_format in _PER_SECOND
    if not in_units or column.type().is_timestamp() or column.type().is_date():
        return ibis.literal(False)
    return _numbers(column).notnull()


def _numbers(column: ir.Value) -> ir.FloatingValue:
    """Numbers, also with a decimal comma; null where one was rounded."""
    numbers = column.try_cast("float64")
    if not column.type().is_string():
        return numbers
    point = column.re_replace(r"^(\s*\d+),(\d+\s*)$", r"\1.\2")
    return _is_rounded(column).ifelse(ibis.null("float64"), ibis.coalesce(numbers, point.try_cast("float64")))


def _is_rounded(column: ir.StringValue) -> ir.BooleanValue:
    # Not `&`, which would search every number.
    return column.contains("+").ifelse(column.re_search(_ROUNDED), False)


def _rounding_facts(column: ir.Value) -> dict[str, ir.Value]:
    if not column.type().is_string():
        return {"rounded": ibis.literal(0), "rounded_example": ibis.literal("")}
    rounded = _is_rounded(column)
    return {"rounded": rounded.sum(), "rounded_example": column.min(where=rounded)}


def _rounding_notes(found: dict[str, Any]) -> tuple[str, ...]:
    if not found["rounded"]:
        return ()
    return (
        f"{int(found['rounded']):,} times such as {found['rounded_example'].strip()!r} were rounded, as spreadsheets "
        "do with long numbers, and are not read. Export the column as text.",
    )


def _whole(text: ir.StringValue) -> ir.StringValue:
    """Digits without the `.0` that pandas adds to whole numbers."""
    return text.re_replace(r"^(\d+)\.0+$", r"\1")


def _from_seconds(seconds: ir.FloatingValue) -> ir.TimestampValue:
    return seconds.clip(lower=-_MAX_SECONDS, upper=_MAX_SECONDS).cast(UTC_MICROSECONDS)


def _in_one_unit(column: ir.Value, unit: str, connection: Tables) -> ReadTimes:
    """Numbers in the unit that the user named; what is a time in another one only cannot be read. Where all of them
    lie within three years, they count from the beginning of the log, and none is too early."""
    numbers = _numbers(column)
    seconds = numbers / _PER_SECOND[unit]
    facts = {
        "median": seconds.median(where=_is_plausible(seconds)),
        "latest": seconds.max(),
        **_rounding_facts(column),
    }
    found = connection.to_pyarrow(ibis.struct(facts)).as_py()
    median = found["median"]
    notes = _rounding_notes(found)
    if column.type().is_float32():
        notes += _float32_notes(median and median * _PER_SECOND[unit])
    coarser = numbers / (_PER_SECOND[unit] / 1000)
    meant = seconds.between(EARLIEST_TIME.timestamp(), _ODD_SECONDS) & coarser.between(
        _ODD_SECONDS, END_OF_TIME.timestamp()
    )
    read = meant.ifelse(ibis.null("float64"), seconds) if unit != "seconds" else seconds
    from_zero = found["latest"] is not None and found["latest"] < _ODD_SECONDS
    earliest = _EPOCH if from_zero else EARLIEST_TIME
    return ReadTimes(_from_seconds(_without_odd_ones(read, median)), notes, earliest)


def _float32_notes(median: float | None) -> tuple[str, ...]:
    if median is None or not median > _EXACT_FLOAT32:
        return ()
    return (
        "Times are stored as 32-bit decimal numbers, which keep a time since 1970 only to about two minutes: what "
        "happened within that has lost its order. Store the column as whole or 64-bit numbers.",
    )


def _each_in_its_unit(
    numbers: ir.FloatingValue, digits: ir.StringValue, connection: Tables, *, coarse: bool
) -> ReadTimes:
    """Each number in the one unit in which it lies between 1973 and 5138; earlier ones are seconds. `coarse` says that
    they are stored with 32 bits."""
    bounds = {unit: 1e11 * per_second for unit, per_second in _PER_SECOND.items()}
    units = [(numbers < bound, unit) for unit, bound in bounds.items()]
    seconds = ibis.cases(
        *((condition, numbers / _PER_SECOND[unit]) for condition, unit in units), else_=numbers / 10**9
    )
    plausible = _is_plausible(seconds)
    unit = ibis.cases(*units, else_="nanoseconds")
    dates = digits.re_search(r"^(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])$")
    facts = {
        "median": numbers.median(where=plausible),
        "seconds": seconds.median(where=plausible),
        "hours": dates.all(where=plausible),
        **{f"in_{name}": (plausible & (unit == name)).sum() for name in _PER_SECOND},
    }
    found = connection.execute(ibis.struct(facts))
    if found["median"] is None or found["median"] != found["median"]:
        return ReadTimes(_from_seconds(seconds))
    _refuse_dates(found["median"], bool(found["hours"]))
    if found["seconds"] < _ODD_SECONDS:
        raise _early_seventies(found["median"], found["seconds"], _short_dates(numbers, digits, connection))
    notes = (*_unit_note(found), *(_float32_notes(found["median"]) if coarse else ()))
    return ReadTimes(_from_seconds(_without_odd_ones(seconds, found["seconds"])), notes)


def _is_plausible(seconds: ir.FloatingValue) -> ir.BooleanValue:
    return seconds.between(EARLIEST_TIME.timestamp(), END_OF_TIME.timestamp())


def _without_odd_ones(seconds: ir.FloatingValue, median: float | None) -> ir.FloatingValue:
    """Null for times of the early seventies in a log of later ones: nobody logged then."""
    if median is None or not median >= _ODD_SECONDS:
        return seconds
    odd = seconds.between(EARLIEST_TIME.timestamp(), _ODD_SECONDS)
    return odd.ifelse(ibis.null("float64"), seconds)


def _unit_note(found: dict[str, Any]) -> tuple[str, ...]:
    counts = {unit: int(found[f"in_{unit}"] or 0) for unit in _PER_SECOND}
    most = max(counts, key=counts.__getitem__)
    others = {unit: count for unit, count in counts.items() if count and unit != most}
    if not others:
        return ()
    listed = " and ".join(
        f"{count:,} of {sum(counts.values()):,} times are in {unit}" for unit, count in others.items()
    )
    return (f"{listed}, the others in {most}: each value is a plausible time in only one unit.",)


def _short_dates(numbers: ir.FloatingValue, digits: ir.StringValue, connection: Tables) -> tuple[str, ...]:
    """The formats of `_SHORT_DATES` that every number fits."""
    fits = {
        f"fits{place}": digits.re_search(pattern).all(where=numbers.notnull())
        for place, pattern in enumerate(_SHORT_DATES.values())
    }
    found = connection.to_pyarrow(ibis.struct(fits)).as_py()
    return tuple(written for written, fit in zip(_SHORT_DATES, found.values(), strict=True) if fit)


def _early_seventies(median: float, seconds: float, dates: tuple[str, ...]) -> InputError:
    """What to say where most times would be of a year that nobody meant: nobody logged then."""
    read = datetime.fromtimestamp(seconds, timezone.utc)
    hint = f"If they are dates without dashes, say --time-format {' or '.join(dates)}; if" if dates else "If"
    return InputError(
        f"Times such as {median:.0f} would be in {read:%B %Y} as seconds since 1970. {hint} they count from the "
        "beginning of the log, say --time-format seconds or milliseconds; if they are days of a spreadsheet, "
        "--time-format spreadsheet."
    )


def _refuse_dates(median: float, hours: bool) -> None:
    """Stop where numbers are as likely dates without dashes; `hours` says that all of them look like 2024050112."""
    if 19_000_101 <= median <= 21_001_231:
        written, unit = "%Y%m%d", "seconds"
    elif 190_001_010_000 <= median <= 210_012_312_359:
        written, unit = "%Y%m%d%H%M", "milliseconds"
    elif hours:
        written, unit = "%Y%m%d%H", "seconds"
    else:
        return
    read = datetime.fromtimestamp(median / _PER_SECOND[unit], timezone.utc)
    raise InputError(
        f"Times such as {median:.0f} may be dates without dashes or {unit} since 1970 (which would be {read:%B %Y}). "
        f"Specify which with --time-format: {written} or {unit}."
    )
