"""The items of a log: typed, one row per item, every item of the interactions present."""

import html
import re
from html.entities import html5

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from .cells.plain_text import plain_text
from .schema import (
    DESCRIPTION,
    ITEM_COLUMNS,
    ITEM_ID,
    SERIES,
    SOURCE_FILE,
    SOURCE_PLACE,
    SOURCE_ROW,
    TAGS,
    TITLE,
    YEAR,
)
from .tables.stored_tables import drop_stored, store

# The first film was shown in 1888; books may be older.
FIRST_YEAR, LAST_YEAR = 1000, 2100
DEFAULT_TAG_SEPARATOR = "|"

_COPY = "copy"
_ENTITY = re.compile(r"&(#\d+|#[xX][0-9a-fA-F]+|[A-Za-z]\w*);")


def to_items(
    catalogue: ir.Table | None, interactions: ir.Table, connection: DuckDB
) -> tuple[ir.Table, dict[str, int]]:
    """Type the catalogue, keep the first row of each item, and add the items that only the interactions know.

    Args:
        catalogue (`ibis.Table` or `None`): As in `RawLog.items`. Where it has `source_file` and `source_row` they say
            which row is first; else the smallest row is taken.
        interactions (`ibis.Table`): The canonical interactions, or their item ids.
        connection (`ibis.backends.duckdb.Backend`): Where the table `items` is stored.

    Returns:
        `tuple`: The items, ordered by id, and the counts `items`, `items_without_metadata` (items of the interactions
        that have no title in the catalogue; their id serves as one), `items_sharing_title` and
        `items_sharing_title_and_year` (with another item) and `merged_items` (further rows for an item).
    """
    _teach_entities(connection)
    described = store("described_items", _described(catalogue), connection)
    first = described.filter(described[_COPY] == 0).drop(_COPY)
    used = interactions.select(ITEM_ID).distinct()
    every_id = ibis.union(first.select(ITEM_ID), used, distinct=True)
    joined = every_id.left_join(first, ITEM_ID).select(*ITEM_COLUMNS)
    named = joined.mutate(
        title=joined[TITLE].fill_null(joined[ITEM_ID]),
        tags=joined[TAGS].fill_null(ibis.literal([], "array<string>")),
    )
    items = store("items", named.order_by(ITEM_ID), connection)
    titled = first.filter(first[TITLE].notnull())
    counts = {
        "items": int(items.count().execute()),
        "items_without_metadata": int(used.anti_join(titled, ITEM_ID).count().execute()),
        **_count_namesakes(items),
        "merged_items": int(described.filter(described[_COPY] > 0).count().execute()),
    }
    drop_stored("described_items", connection)
    return items, counts


def _count_namesakes(items: ir.Table) -> dict[str, int]:
    """How many items share their title with another one, and how many of them its year, or its lack of one, too."""
    alike = items.mutate(
        titles=items.count().over(group_by=[TITLE]), with_years=items.count().over(group_by=[TITLE, YEAR])
    )
    counted = alike.aggregate(
        items_sharing_title=(alike.titles > 1).sum().fill_null(0),
        items_sharing_title_and_year=(alike.with_years > 1).sum().fill_null(0),
    )
    return {name: int(count) for name, count in counted.execute().iloc[0].items()}


def without_item_id(catalogue: ir.Table) -> ir.Table:
    """The rows of a catalogue that name no item."""
    return catalogue.filter(plain_text(catalogue[ITEM_ID]).isnull())


def _described(catalogue: ir.Table | None) -> ir.Table:
    """The catalogue with its final types, and in `copy` the how-manieth row of its item each is, from 0."""
    if catalogue is None:
        empty = ibis.memtable([], schema={ITEM_ID: "string"})
        return _described(empty)
    absent = [name for name in ITEM_COLUMNS if name not in catalogue.columns]
    table = catalogue.mutate(**{name: ibis.null("string") for name in absent})
    typed = {
        ITEM_ID: plain_text(table[ITEM_ID]),
        **{name: _without_entities(plain_text(table[name])) for name in (TITLE, SERIES, DESCRIPTION)},
        YEAR: _year(table[YEAR]),
        TAGS: _tags(table[TAGS]),
    }
    place = [name for name in (SOURCE_FILE, SOURCE_ROW, SOURCE_PLACE) if name in table.columns]
    rows = table.select(**{name: typed[name] for name in ITEM_COLUMNS}, **{name: table[name] for name in place})
    rows = rows.filter(rows[ITEM_ID].notnull())
    copy = ibis.row_number().over(group_by=ITEM_ID, order_by=place or list(ITEM_COLUMNS[1:]))
    return rows.mutate(copy=copy).drop(*place)


def _year(column: ir.Value) -> ir.IntegerValue:
    """The leading four digits, so that `1995`, `1995.0` and `1995-03-01` are the same year."""
    year = column.cast("string").strip().re_extract(r"^(\d{4})(\D|$)", 1).try_cast("int16")
    return ibis.ifelse(year.between(FIRST_YEAR, LAST_YEAR), year, ibis.null("int16"))


def _tags(column: ir.Value) -> ir.ArrayValue:
    tags = column if column.type().is_array() else column.cast("string").split(DEFAULT_TAG_SEPARATOR)
    stripped = tags.map(lambda tag: _without_entities(tag.cast("string")).strip())
    return stripped.filter(lambda tag: tag != "")


def _without_entities(text: ir.StringValue) -> ir.StringValue:
    """Catalogues taken from web pages write `&amp;` and `&#39;`, which no real title contains."""
    return ibis.ifelse(text.contains("&"), decode_entities(text), text)


@ibis.udf.scalar.builtin
def decode_entities(text: str) -> str: ...  # type: ignore[empty-body]


def _teach_entities(connection: DuckDB) -> None:
    known = connection.con.execute("SELECT 1 FROM duckdb_functions() WHERE function_name = 'decode_entities'")
    if not known.fetchall():
        connection.con.create_function("decode_entities", _decoded, ["VARCHAR"], "VARCHAR")


def _decoded(text: str) -> str:
    """Each entity once, so that `&amp;lt;` is the `&lt;` that was meant; what is none, as in AT&T, stays."""
    return _ENTITY.sub(lambda found: html.unescape(found[0]) if _is_known(found[1]) else found[0], text)


def _is_known(name: str) -> bool:
    return name.startswith("#") or f"{name};" in html5
