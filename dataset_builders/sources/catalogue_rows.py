"""The rows of a user's own catalogue: lists taken apart, broken texts set aside, and notes on what seems wrong."""

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ..cells.written_lists import read_joined, read_tags
from ..input_error import InputError
from ..interactions import BROKEN_ENCODING
from ..schema import DESCRIPTION, ITEM_COLUMNS, ITEM_ID, SERIES, SOURCE_FILE, SOURCE_ROW, TAGS, TITLE
from .delimited import ReadRows

_SHOWN = 60
_UNDECODED = "\ufffd"
_OTHER_SEPARATORS = (",", ";", "/")


def with_lists_read(items: ir.Table, separator: str, connection: DuckDB) -> ir.Table:
    """Items whose tags are lists, and whose titles, series and descriptions are none."""
    read = {TAGS: read_tags(items[TAGS], separator, connection)} if TAGS in items.columns else {}
    texts = [name for name in (TITLE, SERIES, DESCRIPTION) if name in items.columns]
    read |= {name: read_joined(items[name], connection) for name in texts}
    return items.mutate(**read) if read else items


def unseparated_notes(items: ir.Table, separator: str, connection: DuckDB) -> tuple[str, ...]:
    """A note where no tags have their separator between them, and most have another one."""
    if TAGS not in items.columns or not items[TAGS].type().is_string():
        return ()
    text = items[TAGS].strip().nullif("")
    plain = ~text.re_search(r"^[\[({]")
    facts = {
        "rows": text.count(),
        "separated": text.contains(separator).any(),
        **{sign: (plain & text.contains(sign)).sum() for sign in _OTHER_SEPARATORS},
        **{f"with {sign}": text.min(where=plain & text.contains(sign)) for sign in _OTHER_SEPARATORS},
    }
    found = connection.to_pyarrow(ibis.struct(facts)).as_py()
    often = max(_OTHER_SEPARATORS, key=lambda sign: found[sign] or 0)
    if found["separated"] or 2 * (found[often] or 0) <= found["rows"]:
        return ()
    return (
        f"Tags such as {found[f'with {often}'][:_SHOWN]!r} are read as one tag. If {often!r} separates them, pass "
        f"--tag-separator {often!r}.",
    )


def without_undecodable(items: ReadRows, shown: str, connection: DuckDB) -> tuple[ReadRows, tuple[str, ...]]:
    """Set aside the rows of a catalogue of which a whole value is no text in its encoding, as a reader of text files
    does; rows that lost a letter are kept and counted in a note."""
    rows = items.rows
    texts = [rows[name] for name in ITEM_COLUMNS if name in rows.columns and rows[name].type().is_string()]
    lists = [rows[TAGS]] if TAGS in rows.columns and rows[TAGS].type().is_array() else []
    lost = [(text == _UNDECODED).fill_null(False) for text in texts]
    lost += [tags.contains(_UNDECODED).fill_null(False) for tags in lists if tags.type().value_type.is_string()]
    is_lost = ibis.or_(ibis.literal(False), *lost)
    is_damaged = ibis.or_(ibis.literal(False), *(text.contains(_UNDECODED).fill_null(False) for text in texts))
    marked = rows.mutate(lost=is_lost, damaged=is_damaged & ~is_lost)
    counted = marked.aggregate(lost=marked.lost.sum(), damaged=marked.damaged.sum())
    facts = connection.to_pyarrow(counted).to_pylist()[0]
    notes: tuple[str, ...] = ()
    if facts["damaged"]:
        notes = (
            f"{facts['damaged']:,} rows of {shown} have letters that could not be decoded and show as U+FFFD. If the "
            "file is not UTF-8, give its encoding with --encoding.",
        )
    if not facts["lost"]:
        return items, notes
    broken = marked.filter(marked.lost)
    content = {name: broken[name].cast("string") for name in ITEM_COLUMNS if name in rows.columns}
    raw = ibis.struct(content).cast("json").cast("string")
    rejected = broken.select(SOURCE_FILE, SOURCE_ROW, raw=raw, reason=ibis.literal(BROKEN_ENCODING))
    kept = marked.filter(~marked.lost).select(*rows.columns)
    return ReadRows(kept, items.rejected.union(rejected), items.counted), notes


def check_repeated(items: ir.Table, shown: str, connection: DuckDB, *, refuse: bool) -> tuple[str, ...]:
    """Compare what several rows of a catalogue say of one item.

    Args:
        items (`ibis.Table`): The catalogue.
        shown (`str`): What messages call it.
        connection (`ibis.backends.duckdb.Backend`): Where the rows are.
        refuse (`bool`): Whether most items may not disagree, because the catalogue is the log itself.

    Returns:
        `tuple[str, ...]`: A note where items have several titles or descriptions.

    Raises:
        InputError: Most have, so that what is called a title is none: a review has a headline too.
    """
    notes = []
    for name in (TITLE, DESCRIPTION):
        if name not in items.columns or not items[name].type().is_string():
            continue
        by_item = items.group_by(ITEM_ID).agg(
            rows=items.count(), different=items[name].nunique(), one=items[name].min(), other=items[name].max()
        )
        several = by_item.filter(by_item.different > 1)
        repeated = int(connection.execute((by_item.rows > 1).sum()) or 0)
        count = int(connection.execute(several.count()))
        if not count:
            continue
        example = several.order_by(ITEM_ID).limit(1).to_pyarrow().to_pylist()[0]
        said = (
            f"{count:,} of {repeated:,} items that occur more than once in {shown} have several values of {name}: "
            f"{example[ITEM_ID]!r} has {str(example['one'])[:_SHOWN]!r} and {str(example['other'])[:_SHOWN]!r}"
        )
        if refuse and count > 1 and 2 * count > repeated:
            raise InputError(
                f"{said}. The column therefore describes records, not items. Leave it out with --map-items {name}=-, "
                "or give a catalogue with --items."
            )
        notes.append(f"{said}; the first value is used.")
    return tuple(notes)
