"""Ids that went through pandas or a spreadsheet, and ids of a log that its catalogue writes in another way."""

import re
from dataclasses import replace

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ..input_error import InputError
from ..raw_log import RawLog
from ..schema import ITEM_ID, USER_ID
from ..tables.stored_tables import Tables
from .plain_text import plain_text

_WHOLE = r"^(\d+)\.0$"
_DECIMAL = r"^\d+\.\d+$"
_ROUNDED = r"^[1-9](?:(?:[.,]\d+)?[eE]\+\d\d+|[.,]\d+[eE]\d\d+)$"
_BEFORE_DIGITS = r"^[^0-9]*0*"
_FORMULA = r'^="(.*)"$'
_THOUSANDS = r"^[1-9]\d{0,2}(?:[,.'\s]\d{3})+$"
_FEW = 0.05
# How pandas, R, Python, SQL, JavaScript and spreadsheets write that there is none; in small letters, but for R's.
_NO_ID = (
    "nan",
    "<na>",
    "none",
    "null",
    "nil",
    "(null)",
    "<null>",
    "[null]",
    "undefined",
    "nat",
    "n/a",
    "-",
    "?",
    "#n/a",
    "#ref!",
    "#name?",
    "#value!",
)
_NO_ID_OF_R = "NA"


def with_whole_ids(raw: RawLog, connection: Tables) -> tuple[RawLog, tuple[str, ...]]:
    """A log whose ids have lost the `.0` that pandas adds to whole numbers, and a note where there was any.

    Ids such as `1.0` stay as they are where `1.5` stands beside them.
    """
    log, catalogue, notes = raw.interactions, raw.items, []
    users = _text_of(log, USER_ID)
    items = [*_text_of(log, ITEM_ID), *([] if catalogue is None else _text_of(catalogue, ITEM_ID))]
    for name, columns in ((USER_ID, users), (ITEM_ID, items)):
        facts = [_whole_facts(column, connection) for column in columns]
        if not any(example for example, _ in facts) or any(decimal for _, decimal in facts):
            continue
        log = _stripped(log, name)
        catalogue = _stripped(catalogue, name) if catalogue is not None and name in catalogue.columns else catalogue
        example = next(example for example, _ in facts if example)
        notes.append(f"Values of {name} such as {example!r} are read as {example.removesuffix('.0')!r}.")
    return replace(raw, interactions=log, items=catalogue), tuple(notes)


def said_id(column: ir.Value) -> ir.StringValue:
    """The id that a cell says; null where it says that there is none: visitors without one are not one user."""
    text = plain_text(column)
    is_none = (text == _NO_ID_OF_R) | ((text.length() < 10) & text.lower().isin(_NO_ID))
    return is_none.ifelse(ibis.null("string"), text)


def is_rounded(column: ir.Value) -> ir.BooleanValue:
    """Whether an id is one such as `8,80123E+12`, which is what a spreadsheet leaves of a long number, or a decimal
    number past 2^53, from where on neighbours are one."""
    if isinstance(column, ir.FloatingColumn):
        return (column.abs() > (2**24 if column.type().is_float32() else 2**53)).fill_null(False)
    if not column.type().is_string():
        return ibis.literal(False)
    return (column.upper().contains("E") & column.strip().re_search(_ROUNDED)).fill_null(False)


def check_catalogue(catalogue: ir.Table, interactions: ir.Table, connection: DuckDB) -> tuple[str, ...]:
    """Compare the ids of a catalogue with those of the log.

    Args:
        catalogue (`ibis.Table`): As in `RawLog.items`.
        interactions (`ibis.Table`): The canonical interactions, or their item ids.
        connection (`ibis.backends.duckdb.Backend`): Where both are.

    Returns:
        `tuple[str, ...]`: A note where hardly any item of the log stands in the catalogue, or where some do but for
        what stands before their first digit that is not 0.

    Raises:
        InputError: No item of the log stands in the catalogue.
    """
    described = catalogue.select(item_id=plain_text(catalogue[ITEM_ID])).distinct()
    described = described.filter(described[ITEM_ID].notnull())
    used = interactions.select(ITEM_ID).distinct()
    unknown = used.anti_join(described, ITEM_ID)
    total, missing = int(connection.execute(used.count())), int(connection.execute(unknown.count()))
    if not missing:
        return ()
    left = _folded(unknown, "log").join(_folded(described.anti_join(used, ITEM_ID), "catalogue"), "folded")
    alike = left.order_by(["log", "catalogue"]).limit(1).to_pyarrow().to_pylist()
    pairs = int(connection.execute(left["log"].nunique()))
    known = total - missing
    if known >= max(1, _FEW * total) and not pairs:
        return ()
    ours, theirs = (
        (alike[0]["log"], alike[0]["catalogue"])
        if alike
        else (_first(unknown, connection), _first(described, connection))
    )
    shown = f"the log has ids such as {ours!r}, the catalogue such as {theirs!r}"
    remedy = _remedy(ours, theirs)
    if not known:
        raise InputError(f"No item of the log is in the catalogue: {shown}. {remedy}")
    if known < _FEW * total:
        return (f"Only {known:,} of {total:,} items of the log are in the catalogue: {shown}. {remedy}",)
    return (
        (
            f"{pairs:,} of {total:,} items of the log are in the catalogue only under a different spelling: {shown}. "
            f"{remedy}"
        ),
    )


def _first(ids: ir.Table, connection: DuckDB) -> str:
    return connection.to_pyarrow(ids[ITEM_ID].min()).as_py()


def _text_of(table: ir.Table, name: str) -> list[ir.StringValue]:
    return [table[name]] if name in table.columns and table[name].type().is_string() else []


def _whole_facts(column: ir.StringValue, connection: Tables) -> tuple[str | None, bool]:
    """An id that ends in `.0`, and whether there are others with a decimal point."""
    whole = column.endswith(".0") & column.re_search(_WHOLE)
    decimal = column.contains(".") & column.re_search(_DECIMAL) & ~whole
    facts = connection.to_pyarrow(ibis.struct({"example": column.min(where=whole), "decimal": decimal.any()})).as_py()
    return facts["example"], bool(facts["decimal"])


def _stripped(table: ir.Table, name: str) -> ir.Table:
    return table.mutate(**{name: table[name].re_replace(_WHOLE, r"\1")}) if _text_of(table, name) else table


def _folded(ids: ir.Table, name: str) -> ir.Table:
    """Ids by what their spellings share: numbers from the first digit that is not 0 on, else the small letters."""
    bare = ids[ITEM_ID].re_replace(_FORMULA, r"\1")
    bare = bare.re_search(_THOUSANDS).ifelse(bare.re_replace(r"\D", ""), bare)
    named = ids.select(**{name: ids[ITEM_ID]}, digits=bare.re_replace(_BEFORE_DIGITS, ""))
    is_number = named.digits.re_search(r"^\d+$")
    return named.select(name, folded=is_number.ifelse(named.digits, named[name].lower()))


def _remedy(ours: str, theirs: str) -> str:
    """What to do where the log writes an id as `ours` and the catalogue as `theirs`."""
    if re.search(_ROUNDED, theirs):
        return "A spreadsheet has rounded the ids of the catalogue; export that column as text."
    for side, written in {"log": ours, "catalogue": theirs}.items():
        if re.search(_FORMULA, written):
            return (
                f'A spreadsheet wrote the ids of the {side} as formulas, with =" before and " after them; take these '
                "signs away, or export the column as text."
            )
        if re.search(_THOUSANDS, written) and re.sub(r"\D", "", ours) == re.sub(r"\D", "", theirs):
            return (
                f"The ids of the {side} have separators between thousands; write them without, or export the column "
                "as text."
            )
    if ours.lower() == theirs.lower():
        return "Ids are case-sensitive; write them in the same way on both sides."
    if ours.lstrip("0") == theirs.lstrip("0"):
        return (
            "Ids lose leading zeros when they are read as numbers; write them as text, in the same way on both sides."
        )
    if re.sub(_BEFORE_DIGITS, "", ours) == re.sub(_BEFORE_DIGITS, "", theirs):
        return "One side has a prefix before the number; write the ids in the same way on both sides."
    return "Specify the column of the catalogue that holds the ids of the log: --map-items item_id=COLUMN."
