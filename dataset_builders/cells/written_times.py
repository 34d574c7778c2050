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
_YEAR_END = r"(\s|$)"  # not the minutes of a clock
_WORDS = (
    (r"(?i)^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?,?\s+", ""),
    (rf"(?i)^\W*(?:[a-z]+:?\s+)*?({_MONTH}\s+{_DAY}\b|{_DAY}[\s/.-]+{_MONTH}\b)", r"\1"),  # Reviewed on May 1, 2024
    (r"[\].]$", ""),
    (r"\s*\([^)]*\)$", ""),  # JavaScript: GMT-0700 (Pacific Daylight Time)
    (r"(\d{4}):(\d\d:\d\d)", r"\1 \2"),  # Apache: 01/May/2024:17:07:09
    (rf"(?i)^{_DAY}[\s/.-]*({_MONTH})[\s/.,-]*(\d{{4}})\b", r"\3 \2 \1"),  # SAS: 01MAY2024:17:07:09
    (rf"(?i)^{_DAY}[\s/.-]*({_MONTH})[\s/.,-]*(69|[7-9]\d){_YEAR_END}", r"19\3 \2 \1\4"),  # as strptime's %y
    (rf"(?i)^{_DAY}[\s/.-]*({_MONTH})[\s/.,-]*(\d\d){_YEAR_END}", r"20\3 \2 \1\4"),  # Oracle: 01-MAY-24 05.07 PM
    (r"(\d\d)\.(\d\d)\.(\d\d(?:\.\d+)?\s+[AP]M)", r"\1:\2:\3"),
    (rf"(?i)^(\d{{4}})[\s/.-]+({_MONTH})[\s/.-]+(\d{{1,2}})\b", r"\1 \2 \3"),
    (rf"(?i)^({_MONTH})\s+{_DAY},?\s+(\d{{4}})\b", r"\3 \1 \2"),
    (rf"(?i)^({_MONTH})\s+(\d{{1,2}})\s+([\d:.]+)(.*?)\s+(\d{{4}})$", r"\5 \1 \2 \3\4"),  # ctime, Goodreads
    (r"^(\d{4} [A-Za-z]{3})[a-z]*\.?", r"\1"),
    (r",|\bat\b", " "),
    (r"(?i)(\d)\s*([ap])\.?\s?m\b\.?", r"\1 \2M"),
    (r"(?i)\s*(?:UTC|GMT|Z)$", ""),
    (r"(?i)\s*(?:UTC|GMT)?([+-]\d\d):?(\d\d)$", r" \1\2"),
    (r"\s+", " "),
    (r"^\d{1,3} .*", ""),  # strptime would take a day for a year
    # Each with a zone: where one of several formats has none, DuckDB takes the zone of an earlier row.
    (r"(.)$", r"\1 +0000"),
    (r"( [+-]\d{4}) \+0000$", r"\1"),
)
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", " %I:%M:%S.%f %p")
_WORD_FORMATS = [f"%Y %b %d{clock} %z" for clock in _CLOCKS]

_MONTHS_ABROAD = {
    "Jan": "janvier|janv|januari?|jän(?:ner)?|enero|ene|gennaio|gen|janeiro",
    "Feb": "février|fevrier|févr|fév|februari?|febrero|febbraio|fevereiro|fev",
    "Mar": "mars|märz|maerz|mär|mrz|marzo|março|marco|maart|mrt",
    "Apr": "avril|avr|abril|abr|aprile",
    "May": "mai|mayo|maggio|mag|maio|mei",
    "Jun": "juin|juni|junio|giugno|giu|junho",
    "Jul": "juillet|juil|juli|julio|luglio|lug|julho",
    "Aug": "août|aout|agosto|ago|augustus",
    "Sep": "septembre|sept|septiembre|settembre|setembro|set",
    "Oct": "octobre|oktober|okt|octubre|ottobre|ott|outubro|out",
    "Nov": "novembre|noviembre|novembro",
    "Dec": "décembre|decembre|déc|dezember|dez|diciembre|dicembre|dic|dezembro",
}
"""Months in French, German, Spanish, Italian, Portuguese and Dutch, by their short names in English."""

_DAY_ABROAD = r"(\d{1,2})(?:er|º|°|\.)?[\s/.-]*(?:de\s+)?"
_YEAR_ABROAD = r"\.?[\s/.,-]*(?:del?\s+)?(\d{4}\b|\d\d(?:\s|$))"
_ENGLISH = (
    *(
        (
            rf"(?i)^[^\pL\d]*(?:\pL+[.,]?\s+)*?{_DAY_ABROAD}(?:{english}|{names}){_YEAR_ABROAD}",
            rf"\1 {english} \2",
        )
        for english, names in _MONTHS_ABROAD.items()
    ),
    (r"(?i)(\d),?\s+(?:à|às|a las|alle ore|alle|ore|om|um)\s+(\d)", r"\1 \2"),
    (r"(?i)\b(\d{1,2})\s?h\s?(\d\d)\b", r"\1:\2"),
    (r"(?i)\s+Uhr\b", ""),
)
_NAMES_ABROAD = "|".join(_MONTHS_ABROAD.values())
_IS_ABROAD = rf"(?i)\d(?:er|º|°)\s|\d\s+de\s|\d[\s/.-]*(?:{_NAMES_ABROAD})\.?[\d\s/.,-]"
_WITH_MONTH = rf"(?i)^(?:.*[\s/.\[-])?(?:{_DAY}[\s/.-]*)?(?:de\s+)?(?:{_MONTH}|(?:{_NAMES_ABROAD})\.?)[\d\s/.,-].*$"

_ZONES_AT = {
    -10: "HST",
    -9: "AKST",
    -8: "PST AKDT",
    -7: "PDT MST",
    -6: "MDT CST",
    -5: "CDT EST",
    -4: "EDT",
    -3: "BRT",
    0: "WET",
    1: "WEST BST CET MET MEZ WAT",
    2: "CEST EET MEST MESZ CAT SAST",
    3: "EEST MSK EAT",
    7: "WIB",
    8: "HKT SGT AWST",
    9: "JST KST",
    10: "AEST",
    11: "AEDT",
    12: "NZST",
    13: "NZDT",
}
_ZONES = {name: f"{hours:+03d}:00" for hours, names in _ZONES_AT.items() for name in names.split()}
"""Short names of zones, as RFC 2822 and the clocks of Europe have them; a database takes BST for Bangladesh."""

_NO_ZONES = ("UTC", "GMT", "UCT", "ZULU", "UHR")  # the last is what German clocks say
# Behind a clock, which is no offset: 10:07:09 PDT, but not -07:00 PDT.
_ZONE_END = (
    r"(?i)(?:^|[^\d+-])\d{1,2}[:.]\d\d(?:[:.]\d\d)?(?:[.,]\d+)?"
    r"(?:\s*[ap]\.?\s?m\.?)?\s+([a-z]{3,4})(?:\s+\d{4})?$"
)

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


def with_offsets(text: ir.StringValue) -> ir.StringValue:
    """Times with an offset in place of the short name of a zone; null where several zones have that name, or none."""
    # As a list of one, so that the SQL has the text once: it may be the result of many replacements.
    return ibis.array([text]).map(_with_offset)[0]


def _with_offset(text: ir.StringValue) -> ir.StringValue:
    zone = text.re_extract(_ZONE_END, 1)
    offset = zone.upper().cases(*_ZONES.items())
    return zone.upper().isin(("", *_NO_ZONES)).ifelse(text, text.replace(ibis.literal(" ") + zone, offset))


def parse_written_times(text: ir.StringValue) -> ir.TimestampValue:
    """Texts as UTC timestamps; null where a text is no time.

    Args:
        text (`ibis.StringColumn`): ISO 8601 in any of its forms, also with a space before the offset, `UTC`, or a
            decimal comma; fourteen digits; and texts with a month in words, such as RFC 2822 or `1. Mai 2024`. A
            time without a zone is UTC; one with a short name that several zones share, such as IST, cannot be read.

    Example:
        >>> from logs2lang.dataset_builders.raw_log import connect
        >>> from tempfile import TemporaryDirectory
        >>> table = ibis.memtable({"time": ["2024-05-01 10:07:09.123 -0700", "Wed May 01 10:07:09 -0700 2024", "x"]})
        >>> with TemporaryDirectory() as folder:
        ...     times = connect(folder).execute(table.select(time=parse_written_times(table.time)))["time"]
        >>> times.dt.strftime("%H:%M:%S").fillna("unreadable").to_list()
        ['17:07:09', '17:07:09', 'unreadable']
    """
    stripped = with_offsets(with_plain_signs(text).strip())
    in_words = stripped.re_extract(_WITH_MONTH, 0)
    english = in_words.re_search(_IS_ABROAD).ifelse(_replaced(in_words, _ENGLISH), in_words)
    return ibis.coalesce(
        stripped.try_cast(UTC_MICROSECONDS),
        with_offsets(_replaced(stripped, _TIDY)).try_cast(UTC_MICROSECONDS),
        _try_strptime(_replaced(english, _WORDS), _WORD_FORMATS).cast(UTC_MICROSECONDS),
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
