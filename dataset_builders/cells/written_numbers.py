"""Ratings and durations as people and programs write them: 4.5, 4,5, 4/5, 00:20:10."""

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from ..tables.stored_tables import Tables
from .plain_text import plain_text

SECONDS_PER_UNIT = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}

_MAX_FLOAT32 = 3.4028234e38
_OUT_OF = r"^(.*\d)\s*(?:/|out of)\s*(\d+)$"
_CLOCK = r"^(\d+):([0-5]\d):([0-5]\d(?:[.,]\d+)?)$"
_THOUSANDS = r"^[1-9]\d{0,2}(?:,\d{3})+$"
_LONG_S = 2 * 3600


@dataclass(frozen=True)
class ReadNumbers:
    """An optional column of numbers.

    Args:
        numbers (`ibis.FloatingColumn`): Null where there is no number.
        unreadable (`int`): How many values are there but are no number.
        example (`str` or `None`): One of them.
        notes (`tuple[str, ...]`): What a reader of the numbers should know, a sentence each.
    """

    numbers: ir.FloatingValue
    unreadable: int
    example: str | None
    notes: tuple[str, ...] = ()


def read_values(column: ir.Value, connection: Tables) -> ReadNumbers:
    """Read a column of ratings or other values.

    Args:
        column (`ibis.Column`): Text or numbers. `4/5` and `4 out of 5` are 4, `4,5` is 4.5; `1,234` is no number, as
            long as no other value of the column tells that its comma is a decimal one.
        connection (`ibis.backends.duckdb.Backend`): Where the column is looked at.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from logs2lang.dataset_builders.raw_log import connect
        >>> table = ibis.memtable({"value": ["4,5", "4/5", "good"]})
        >>> with TemporaryDirectory() as folder:
        ...     connection = connect(folder)
        ...     read = read_values(table["value"], connection)
        ...     connection.execute(table.select(value=read.numbers))["value"].to_list()[:2]
        [4.5, 4.0]
        >>> read.unreadable, read.example
        (1, 'good')
    """
    if not column.type().is_string():
        return _counted(column, _as_float32(plain_text(column).try_cast("float64")), connection)
    written = plain_text(column)
    direct = written.try_cast("float64")
    facts = {
        "other": (written.notnull() & direct.isnull()).any(),
        "decimal": _has_decimal_comma(written),
        "scales": written.re_extract(_OUT_OF, 2).nullif("").nunique(where=direct.isnull()),
    }
    found = connection.to_pyarrow(ibis.struct(facts)).as_py()
    if not found["other"]:
        return _counted(column, _as_float32(direct), connection)
    head = written.re_search(_OUT_OF).ifelse(written.re_extract(_OUT_OF, 1), written)
    numbers = ibis.coalesce(direct, _point(head, bool(found["decimal"])).try_cast("float64"))
    scales = ("Values use several scales, such as 4/5 and 8/10; each is read as its first number.",)
    return _counted(column, _as_float32(numbers), connection, scales if (found["scales"] or 0) > 1 else ())


def read_durations(column: ir.Value, unit: str, connection: Tables) -> ReadNumbers:
    """Read a column of durations, in seconds.

    Args:
        column (`ibis.Column`): Text or numbers; `00:20:10` is twenty minutes and ten seconds, whatever the unit.
            Commas are read as in `read_values`.
        unit (`str`): What a number counts: one of `SECONDS_PER_UNIT`.
        connection (`ibis.backends.duckdb.Backend`): Where the column is looked at.
    """
    written = plain_text(column)
    numbers = written.try_cast("float64")
    clocks: ir.Value = ibis.null("float64")
    facts = {"other": (written.notnull() & numbers.isnull()).any(), "decimal": _has_decimal_comma(written)}
    found = connection.to_pyarrow(ibis.struct(facts)).as_py()
    if found["other"]:
        numbers = ibis.coalesce(numbers, _point(written, bool(found["decimal"])).try_cast("float64"))
        hours, minutes, seconds = (
            written.re_extract(_CLOCK, group).replace(",", ".").try_cast("float64") for group in (1, 2, 3)
        )
        clocks = 3600 * hours + 60 * minutes + seconds
    scaled = numbers if unit == "s" else numbers * SECONDS_PER_UNIT[unit]
    durations = ibis.coalesce(scaled, clocks)
    read = _counted(column, durations, connection)
    median = connection.to_pyarrow(durations.median()).as_py()
    if median is None or not median > _LONG_S:
        return read
    note = (
        f"Half of the durations are over {_LONG_S // 3600} hours ({median / 3600:,.1f} at the median). If they are "
        "not in seconds, specify their unit: --map duration_s=COLUMN:ms."
    )
    return ReadNumbers(read.numbers, read.unreadable, read.example, (note,))


def _has_decimal_comma(written: ir.StringValue) -> ir.BooleanValue:
    """Whether a number tells that the comma of its column is a decimal one: `1,5` does, `1,234` does not."""
    return (written.re_search(r"^[-+]?\d+,\d+$") & ~written.re_search(_THOUSANDS)).any()


def _as_float32(numbers: ir.FloatingValue) -> ir.FloatingValue:
    return (numbers.abs() > _MAX_FLOAT32).ifelse(ibis.null("float64"), numbers)


def _counted(
    column: ir.Value, numbers: ir.FloatingValue, connection: Tables, notes: tuple[str, ...] = ()
) -> ReadNumbers:
    bad = plain_text(column).notnull() & (numbers.isnull() | numbers.isnan())
    facts = {"bad": bad.sum(), "example": column.cast("string").min(where=bad)}
    found = connection.to_pyarrow(ibis.struct(facts)).as_py()
    kept = bad.ifelse(ibis.null("float64"), numbers)
    return ReadNumbers(kept, int(found["bad"] or 0), found["example"], notes)


def _point(text: ir.StringValue, decimal: bool) -> ir.StringValue:
    """Numbers with a decimal comma or with thousands marked, as Python writes them."""
    both = text.re_replace(r"^([-+]?\d{1,3}(?:\.\d{3})+),(\d+)$", r"\1,\2")
    german = both.re_search(r"^[-+]?\d{1,3}(?:\.\d{3})+,\d+$")
    english = both.re_search(r"^[-+]?\d{1,3}(?:,\d{3})+\.\d+$")
    comma = both.re_search(r"^[-+]?\d+,\d+$")
    if not decimal:
        comma = comma & ~both.re_search(_THOUSANDS)
    return ibis.cases(
        (german, both.replace(".", "").replace(",", ".")),
        (english, both.replace(",", "")),
        (comma, both.replace(",", ".")),
        (both.re_search(r"^[-+]?\d+(?:\.\d+)?$"), both),
    )
