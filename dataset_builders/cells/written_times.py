"""Times that are texts: ISO 8601, and the spellings of warehouses, log files, mails and APIs."""

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ..input_error import InputError

UTC_MICROSECONDS = dt.Timestamp(timezone="UTC", scale=6)

DIGITS = r"^(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d[0-5]\d(?:\d{3})?$"
"""A date and a clock time as fourteen digits, or seventeen with milliseconds: as a number a time in no unit."""

_CLOCK_END = r"(:\d\d(?:\.\d+)?)"
_TIDY = (
    (r"^(\d{4})(\d\d)(\d\d)[T\s]?(\d\d)(\d\d)(\d\d)", r"\1-\2-\3 \4:\5:\6"),  # 20240501T170709Z
    (r"^(\d{4})(\d\d)(\d\d)[T\s](\d\d):?(\d\d)\b", r"\1-\2-\3 \4:\5"),
    (r"^(\d{4}-\d\d-\d\d)T(\d\d)(\d\d)(\d\d)", r"\1 \2:\3:\4"),
    (r"^(\d{4}-\d\d-\d\d)T(\d\d)(\d\d)\b", r"\1 \2:\3"),
    (r"^(\d{4}-\d\d-\d\d)[T\s-](\d\d)\.(\d\d)\.(\d\d)", r"\1 \2:\3:\4"),  # DB2: 2024-05-01-17.07.09.123
    (r"(:\d\d)(\d{3})$", r"\1.\2"),  # what the first rule leaves of seventeen digits
    (r"(:\d\d),(\d)", r"\1.\2"),  # Python's logging
    (r"\[[A-Za-z_/+-]+\]$", ""),  # Java: 2024-05-01T10:07:09-07:00[America/Los_Angeles]
    (r"([+-]\d\d:?\d\d)\s+\(?[A-Z]{1,5}\)?$", r"\1"),  # Go: +0000 UTC
    (_CLOCK_END + r"\s*(?:UTC|GMT)?\s*([+-])(\d)$", r"\1\20\3:00"),  # RE2 reads one digit: group 2, then a zero
    (_CLOCK_END + r"\s*(?:UTC|GMT)?\s*([+-]\d\d)$", r"\1\2:00"),
    (_CLOCK_END + r"\s*(?:UTC|GMT)?\s*([+-]\d\d):?(\d\d)$", r"\1\2:\3"),  # Snowflake has a space there
    (r"\s*(?:UTC|GMT|Z)$", ""),
)
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_MONTH = "(?:" + "|".join(f"{name[:3]}(?:{name[3:]})?" for name in _MONTHS.split("|")) + r"|Sept)\.?"
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_WORDS = (
    (r"(?i)^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?,?\s+", ""),
    (rf"(?i)^\W*(?:[a-z]+:?\s+)*?({_MONTH}\s+{_DAY}\b|{_DAY}[\s/.-]+{_MONTH}\b)", r"\1"),  # Reviewed on May 1, 2024
    (r"[\].]$", ""),
    (r"\s*\([^)]*\)$", ""),  # JavaScript: GMT-0700 (Pacific Daylight Time)
    (r"(\d{4}):(\d\d:\d\d)", r"\1 \2"),  # Apache: 01/May/2024:17:07:09
    (rf"(?i)^{_DAY}[\s/.-]+({_MONTH})[\s/.,-]+(\d{{4}})\b", r"\3 \2 \1"),
    (rf"(?i)^{_DAY}-({_MONTH})-(\d\d)\b", r"20\3 \2 \1"),  # Oracle: 01-MAY-24 05.07.09.123 PM
    (r"(\d\d)\.(\d\d)\.(\d\d(?:\.\d+)?\s+[AP]M)", r"\1:\2:\3"),
    (rf"(?i)^(\d{{4}})[\s/.-]+({_MONTH})[\s/.-]+(\d{{1,2}})\b", r"\1 \2 \3"),
    (rf"(?i)^({_MONTH})\s+{_DAY},?\s+(\d{{4}})\b", r"\3 \1 \2"),
    (rf"(?i)^({_MONTH})\s+(\d{{1,2}})\s+([\d:.]+)(.*?)\s+(\d{{4}})$", r"\5 \1 \2 \3\4"),  # ctime, Goodreads
    (r"^(\d{4} [A-Za-z]{3})[a-z]*\.?", r"\1"),
    (r",|\bat\b", " "),
    (r"(?i)\s*([ap])\.?m\b\.?", r" \1M"),
    (r"(?i)\s*(?:UTC|GMT|Z)$", ""),
    (r"(?i)\s*(?:UTC|GMT)?([+-]\d\d):?(\d\d)$", r" \1\2"),
    (r"\s+", " "),
)
_HAS_MONTH = rf"(?i)(?:^|[\s/.\[-])(?:{_DAY}[\s/.-]+)?{_MONTH}[\s/.,-]"
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", " %I:%M:%S.%f %p")
_WORD_FORMATS = [f"%Y %b %d{clock} %z" for clock in _CLOCKS]


_ZONES_AT = {
    -8: "PST",
    -7: "PDT MST",
    -6: "MDT CST",
    -5: "CDT EST",
    -4: "EDT",
    0: "WET",
    1: "WEST BST CET",
    2: "CEST EET",
    3: "EEST MSK",
    9: "JST KST",
}
_ZONES = {name: f"{hours:+03d}:00" for hours, names in _ZONES_AT.items() for name in names.split()}
"""Short names of zones, as RFC 2822 and the clocks of Europe have them; a database takes BST for Bangladesh."""

_ZONE_END = r"\d\s+([A-Z]{3,4})(?:\s+\d{4})?$"

_SIGNS = {
    "0123456789": ("０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹"),
    " ": ("\u00a0", "\u202f", "\u2009", "\u3000"),
    "-": ("\u2010", "\u2011", "－"),
    ":": ("：",),
    "/": ("／",),
}


def with_plain_signs(text: ir.StringValue) -> ir.StringValue:
    """Texts with the digits, spaces and hyphens that keyboards have."""
    spelled = [
        (sign, plain)
        for plains, rows in _SIGNS.items()
        for row in rows
        for sign, plain in zip(row, plains, strict=True)
    ]
    return text.translate("".join(sign for sign, _ in spelled), "".join(plain for _, plain in spelled))


def _with_offsets(text: ir.StringValue) -> ir.StringValue:
    """Texts with an offset in place of the short name of a zone."""
    zone = text.re_extract(_ZONE_END, 1)
    offset = zone.cases(*_ZONES.items(), else_="")
    return (offset != "").ifelse(text.replace(ibis.literal(" ") + zone, offset), text)


def parse_written_times(text: ir.StringValue) -> ir.TimestampValue:
    """Texts as UTC timestamps; null where a text is no time.

    Args:
        text (`ibis.StringColumn`): ISO 8601 in any of its forms, also with a space before the offset, `UTC`, or a
            decimal comma; fourteen digits; and texts with an English month, such as RFC 2822. A time without a zone
            is UTC.

    Example:
        >>> from logs2lang.dataset_builders.raw_log import connect
        >>> from tempfile import TemporaryDirectory
        >>> table = ibis.memtable({"time": ["2024-05-01 10:07:09.123 -0700", "Wed May 01 10:07:09 -0700 2024", "x"]})
        >>> with TemporaryDirectory() as folder:
        ...     times = connect(folder).execute(table.select(time=parse_written_times(table.time)))["time"]
        >>> times.dt.strftime("%H:%M:%S").fillna("unreadable").to_list()
        ['17:07:09', '17:07:09', 'unreadable']
    """
    stripped = _with_offsets(with_plain_signs(text).strip())
    in_words = _replaced(stripped.re_search(_HAS_MONTH).ifelse(stripped, ibis.null("string")), _WORDS)
    # Each with a zone: where one of several formats has none, DuckDB takes the zone of an earlier row.
    zoned = in_words.re_search(r" [+-]\d{4}$").ifelse(in_words, in_words + " +0000")
    return ibis.coalesce(
        stripped.try_cast(UTC_MICROSECONDS),
        _replaced(stripped, _TIDY).try_cast(UTC_MICROSECONDS),
        _try_strptime(zoned, _WORD_FORMATS).cast(UTC_MICROSECONDS),
    )


def parse_with_format(text: ir.StringValue, written: str) -> ir.TimestampValue:
    """Texts in a format of `strptime` as UTC timestamps; null where a text does not fit it."""
    return _try_strptime(text.strip(), [written]).cast(UTC_MICROSECONDS)


def check_strptime_format(written: str, connection: DuckDB) -> None:
    """Check that a format of `strptime` has only directives that can be read.

    Raises:
        InputError: It has another one.
    """
    probe = _try_strptime(ibis.literal("").re_replace("x", ""), [written])
    try:
        connection.execute(probe)
    except Exception as error:
        if "format" not in str(error):
            raise
        reason = str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
        raise InputError(
            f"The time format {written!r} cannot be read: {reason}. Write it as for Python's strptime, such as "
            "'%d.%m.%Y %H:%M:%S' or '%a %b %d %H:%M:%S %z %Y'."
        ) from error


def _replaced(text: ir.StringValue, rules: tuple[tuple[str, str], ...]) -> ir.StringValue:
    for pattern, replacement in rules:
        text = text.re_replace(pattern, replacement)
    return text


@ibis.udf.scalar.builtin(name="try_strptime")
def _try_strptime(text: str, formats: list[str]) -> dt.timestamp: ...
