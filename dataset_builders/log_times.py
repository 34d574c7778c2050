"""Times as logs write them (seconds, milliseconds, ISO 8601) as UTC timestamps."""

from datetime import datetime, timezone

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from dataset_builders.input_error import InputError
from dataset_builders.raw_log import TimeFormat

UTC_MICROSECONDS = dt.Timestamp(timezone="UTC", scale=6)

# Clocks that were never set say 1970-01-01, give or take a time zone.
EARLIEST_TIME = datetime(1970, 1, 2, tzinfo=timezone.utc)
END_OF_TIME = datetime(2100, 1, 1, tzinfo=timezone.utc)

_PER_SECOND = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_MAX_SECONDS = 10**10  # the year 2286: past END_OF_TIME, and in microseconds still exact as a float64


def parse_times(column: ir.Value, time_format: TimeFormat, connection: DuckDB) -> ir.TimestampValue:
    """A column of times as UTC timestamps; null where a value cannot be read.

    Args:
        column (`ibis.Column`): Text, numbers, dates or timestamps. A time without a zone is UTC.
        time_format (`str`): How text and numbers are meant. `"auto"` reads text that is no number as ISO 8601, and
            takes the unit of numbers from their median, so one odd number cannot change the unit of the others.
        connection (`ibis.backends.duckdb.Backend`): Where the median is computed.

    Returns:
        `ibis.TimestampColumn`: In microseconds. Times that no log can have are kept, for the caller to judge.

    Raises:
        InputError: With `"auto"`, numbers that look like `20240501`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from dataset_builders.raw_log import connect
        >>> table = ibis.memtable({"time": ["1714521600", "2024-05-01T02:00+02:00", "soon"]})
        >>> with TemporaryDirectory() as folder:
        ...     connection = connect(folder)
        ...     times = connection.execute(table.select(time=parse_times(table.time, "auto", connection)))
        >>> times["time"].dt.strftime("%Y-%m-%d %H:%M").fillna("unreadable").to_list()
        ['2024-05-01 00:00', '2024-05-01 00:00', 'unreadable']
    """
    if column.type().is_timestamp() or column.type().is_date():
        return column.cast(UTC_MICROSECONDS)
    iso = column.cast("string").strip().try_cast(UTC_MICROSECONDS)
    if time_format == "iso":
        return iso
    numbers = column.try_cast("float64")
    if time_format != "auto":
        return _from_epoch(numbers, time_format)
    return ibis.coalesce(_from_epoch(numbers, _epoch_unit(numbers, connection)), iso)


def _from_epoch(numbers: ir.FloatingValue, unit: str) -> ir.TimestampValue:
    seconds = (numbers / _PER_SECOND[unit]).clip(lower=-_MAX_SECONDS, upper=_MAX_SECONDS)
    return seconds.cast(UTC_MICROSECONDS)


def _epoch_unit(numbers: ir.FloatingValue, connection: DuckDB) -> str:
    """The unit in which the median lies between 1973 and 5138; numbers that are a time in no unit do not count."""
    plausible = numbers.between(EARLIEST_TIME.timestamp(), END_OF_TIME.timestamp() * 10**9)
    median = connection.execute(numbers.median(where=plausible))
    if median is None or median != median:
        return "seconds"
    if 19_000_101 <= median <= 21_001_231:
        raise InputError(
            f"Times such as {median:.0f} may be dates without dashes or seconds since 1970 (which would be August "
            "1970). Write dates as 2024-05-01, or say which they are with the time format 'seconds'."
        )
    return next((unit for unit, per_second in _PER_SECOND.items() if median < 10**11 * per_second), "nanoseconds")
