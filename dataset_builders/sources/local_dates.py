"""Dates as people's languages write them: 3/4/24, 04.03.2024, 2024-03-04. Which number is the day is read from the
whole column: one date such as 13/04/2024 settles it for all. Where none does, the user is asked."""

from datetime import date, datetime, timezone

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ..cells.written_times import UTC_MICROSECONDS, with_offsets, with_plain_signs
from ..input_error import InputError
from ..schema import TIMESTAMP
from ..tables.stored_tables import store

_DATE = r"^\s*(\d{1,4})\s*([./-])\s*(\d{1,2})\s*[./-]\s*(\d{4}|\d{1,2})(?:\.|\s*г\.)?"
_CLOCK = (
    r"(?:[,\sT]\s*(\d{1,2})[:.](\d{2})(?:[:.](\d{2}(?:[.,]\d{1,9})?))?"
    r"\s*([AaPp]\.?\s?[Mm]\.?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?\s*$"
)
_PATTERN = _DATE + _CLOCK
_FIRST, _SEPARATOR, _SECOND, _THIRD, _HOUR, _MINUTE, _S, _HALF_DAY, _ZONE = range(1, 10)
_FIRST_SHORT_YEAR = 69  # 69 is 1969 and 68 is 2068, as strptime reads %y
# "24. 3. 9." is how Korean writes the 9th of March 2024; "9.3.24." with its dots close is Serbian, the day first.
_YEAR_FIRST_IN_TWO_DIGITS = r"^\s*\d{2}\.\s+\d{1,2}\.\s+\d{1,2}\.\s*$"
_LOOKS_LOCAL = r"^\s*(?:\d{1,2}\s*[./-]\s*\d{1,2}|\d{4}\s*[./]\s*\d{1,2})\s*[./-]\s*\d{1,4}\b"
_HALF_DAY_AT_END = r"(?i)^\s*\d{4}-\d.*\d\s*[ap]\.?\s?m\.?(?:\s+[a-z]{3,4})?\s*$"
_EASTERN = (  # 2024年5月13日 下午5:07, 2024년 5월 13일 17시 7분
    (r"\s*[年년月월]\s*", "-"),
    (r"\s*[日일号號](?:\s*\([^)]*\))?", " "),
    (r"\s*[时時시点點]\s*", ":"),
    (r"\s*[分분]\s*(\d{1,2})\s*[秒초]", r":\1"),
    (r"\s*[分분]", ""),
    (r":(\d)\b", r":0\1"),
    (r"(\d)\s*(?:上午|午前|오전)\s*$", r"\1 AM"),
    (r"(\d)\s*(?:下午|午後|오후)\s*$", r"\1 PM"),
    (r"(?:上午|午前|오전)\s*(\S+)", r"\1 AM"),
    (r"(?:下午|午後|오후)\s*(\S+)", r"\1 PM"),
)
_HAS_EASTERN = r"[年년月월上午前오전下後후]"
_PROBED_ROWS = 1_000


def has_local_dates(rows: ir.Table, connection: DuckDB) -> bool:
    """Whether any of the first rows has a date such as 3/4/24, so that no log of numbers or ISO dates is searched.

    Args:
        rows (`ibis.Table`): `timestamp` is text.
        connection (`ibis.backends.duckdb.Backend`): Where the rows are.
    """
    first = rows.limit(_PROBED_ROWS)
    plain = _in_ascii(first[TIMESTAMP])
    found = (plain != first[TIMESTAMP]) | plain.re_search(_LOOKS_LOCAL) | plain.re_search(_HALF_DAY_AT_END)
    return bool(connection.execute(found.any()))


def _in_ascii(text: ir.StringValue) -> ir.StringValue:
    """Dates of East Asia, and digits and spaces of any script, as dates such as 2024-5-13 5:07 PM."""
    plain = with_plain_signs(text)
    spelled = plain
    for pattern, replacement in _EASTERN:
        spelled = spelled.re_replace(pattern, replacement)
    return plain.re_search(_HAS_EASTERN).ifelse(spelled.strip(), plain)


def parse_local_times(
    rows: ir.Table,
    connection: DuckDB,
    *,
    day_first: bool | None,
    shown: str,
    name: str,
    today: date | None = None,
) -> ir.Table:
    """Rows whose `timestamp` is a local date, with or without a clock time, with ISO 8601 in its place.

    Args:
        rows (`ibis.Table`): The rows of one file; `timestamp` is text. Times count as UTC; a two-digit year is one
            from 1969 to 2068.
        connection (`ibis.backends.duckdb.Backend`): Where the dates are looked at.
        day_first (`bool` or `None`): Whether 03/04/2024 is in April (`True`) or in March (`False`); `None` to tell
            from the column. Dates with dots count as day first.
        shown (`str`): What messages call the dates.
        name (`str`): What the stored table of different dates is called; another one for each file.
        today (`datetime.date`, *optional*): The day after which nothing was logged; the present one by default. Only
            whether the dates are refused depends on it.

    Returns:
        `ibis.Table`: The same rows; what cannot be read stays as it is.

    Raises:
        InputError: The dates can be read both ways, or some only in one way and some only in the other, or they seem
            to begin with a year of two digits.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from logs2lang.dataset_builders.raw_log import connect
        >>> dates = ["13/4/24", "2024-05-01 7:30 PM", "3/4/24", "31/2/24", "soon"]
        >>> with TemporaryDirectory() as folder:
        ...     connection, table = connect(folder), ibis.memtable({"timestamp": dates})
        ...     parsed = parse_local_times(table, connection, day_first=None, shown="the dates", name="dates")
        ...     sorted(connection.execute(parsed)["timestamp"])
        ['2024-04-03', '2024-04-13', '2024-05-01 19:30:00', '31/2/24', 'soon']
    """
    written = rows[TIMESTAMP]
    is_iso = written.re_search(r"^\d{4}-") & written.try_cast(UTC_MICROSECONDS).notnull()
    texts = rows.filter(~is_iso).select(written=written).distinct()
    plain = texts.mutate(plain=_in_ascii(texts.written))
    different = store(name, plain.select("written", date=with_offsets(plain.plain)), connection)
    dates = different.date
    if day_first is None:
        _refuse_short_years_first(dates, today or datetime.now(timezone.utc).date(), connection, shown)
    iso = _to_iso(dates, connection, day_first, shown)
    readable = different.select("written", iso=iso).filter(lambda row: row.iso.notnull())
    known = rows.left_join(readable, rows[TIMESTAMP] == readable.written)
    return known.mutate(timestamp=known.iso.fill_null(known[TIMESTAMP])).select(*rows.columns)


def _to_iso(column: ir.StringValue, connection: DuckDB, day_first: bool | None, shown: str) -> ir.StringValue:
    """ISO 8601, or null where the text is no date."""
    first, second, third = (_number(column, group) for group in (_FIRST, _SECOND, _THIRD))
    year_first = _is_year_first(column)
    if day_first is None:
        day_first = _day_comes_first(column, ~year_first, connection, shown)
    day, month = (first, second) if day_first else (second, first)
    year = _full_year(year_first.ifelse(first, third))
    month, day = year_first.ifelse(second, month), year_first.ifelse(third, day)
    iso = _padded(year, 4) + "-" + _padded(month, 2) + "-" + _padded(day, 2) + _clock(column)
    return iso.try_cast(UTC_MICROSECONDS).notnull().ifelse(iso, ibis.null("string"))


def _is_year_first(column: ir.StringValue) -> ir.BooleanValue:
    return (column.re_extract(_PATTERN, _FIRST).length() == 4) | column.re_search(_YEAR_FIRST_IN_TWO_DIGITS)


def _full_year(year: ir.IntegerValue) -> ir.IntegerValue:
    century = (year < _FIRST_SHORT_YEAR).ifelse(2000, 1900)
    return (year < 100).ifelse(year + century, year)


def _refuse_short_years_first(column: ir.StringValue, today: date, connection: DuckDB, shown: str) -> None:
    """Stop where dates are years, months and days such as 24/05/31, which would be of 2031 with the year last."""
    first, month, last = (_number(column, group) for group in (_FIRST, _SECOND, _THIRD))
    open_order = ~_is_year_first(column) & last.notnull()
    fits = month.between(1, 12) & last.between(1, 31) & (_full_year(first) <= today.year)
    late = open_order & (_full_year(last) > today.year)
    facts = {
        "fit": fits.all(where=open_order),
        "future": column.min(where=late),
        "sign": column.re_extract(_PATTERN, _SEPARATOR).min(where=late),
        # A log has more different days than years.
        "years": first.nunique(where=open_order),
        "days": last.nunique(where=open_order),
    }
    found = connection.execute(ibis.struct(facts))
    if found["fit"] and found["future"] and found["years"] <= found["days"]:
        written = found["sign"].join(("%y", "%m", "%d"))
        raise InputError(
            f"{shown} seem to have the year first: with the year last, {found['future']} would lie in the future. If "
            f"so, specify --time-format '{written}', and the clock too where they have one, such as "
            f"'{written} %H:%M:%S'. If not, specify --day-first or --month-first."
        )


def _day_comes_first(column: ir.StringValue, open_order: ir.BooleanValue, connection: DuckDB, shown: str) -> bool:
    first, second = _number(column, _FIRST), _number(column, _SECOND)
    either = open_order & (first <= 12) & (second <= 12) & (first != second)
    dotted = column.re_extract(_PATTERN, _SEPARATOR) == "."  # no language writes 3.13.2024 for the 13th of March
    examples = {
        "day": column.min(where=(open_order & (first > 12) & (second <= 12)) | (either & dotted)),
        "month": column.min(where=open_order & (second > 12) & (first <= 12)),
        "either": column.min(where=either & ~dotted),
    }
    found = connection.execute(ibis.struct(examples))
    if found["day"] and found["month"]:
        raise InputError(
            f"{shown} contradict each other: {found['day']} has the day first, {found['month']} the month. Specify "
            "which is right with --day-first or --month-first; dates that do not fit are then set aside."
        )
    if found["either"] and not found["day"] and not found["month"]:
        raise InputError(
            f"{shown} can be read two ways: {found['either']} could have the day or the month first, and no other "
            "date settles it. Specify which with --day-first or --month-first."
        )
    return not found["month"]


def _number(column: ir.StringValue, group: int) -> ir.IntegerValue:
    return column.re_extract(_PATTERN, group).try_cast("int32")


def _padded(number: ir.IntegerValue, width: int) -> ir.StringValue:
    return number.cast("string").lpad(width, "0")


def _clock(column: ir.StringValue) -> ir.StringValue:
    """The time of day with a space before it; empty where there is none, null where it contradicts itself."""
    hour, half_day = _number(column, _HOUR), column.re_extract(_PATTERN, _HALF_DAY).lower().left(1)
    full_hour = half_day.cases(("a", hour % 12), ("p", hour % 12 + 12), else_=hour)
    full_hour = ((half_day == "a") & (hour > 12)).ifelse(ibis.null("int32"), full_hour)  # 17:01 AM
    minute, second = column.re_extract(_PATTERN, _MINUTE), column.re_extract(_PATTERN, _S).nullif("").fill_null("00")
    second = second.replace(",", ".")
    zone = column.re_extract(_PATTERN, _ZONE).re_replace("UTC|GMT", "Z")
    clock = ibis.literal(" ") + _padded(full_hour, 2) + ":" + minute + ":" + second + zone
    return hour.isnull().ifelse("", clock)
