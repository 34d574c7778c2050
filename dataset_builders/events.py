"""Interactions with their keys and their place in the user's past: the table that splits and candidates work on.

Raw ids end here. An item's id is replaced by its rank under a seeded hash and a user's by a salted hash, because ids
carry order (MovieLens numbers films as they were added) and a template would show it to the reasoner.
"""

import hashlib
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from .build_options import BuildOptions
from .interactions import FILE_ORDER
from .schema import (
    DEVICE,
    DURATION,
    EVENT,
    ITEM_COLUMNS,
    ITEM_ID,
    SERIES,
    SOURCE_ITEM_ID,
    TIMESTAMP,
    TITLE,
    USER,
    USER_ID,
    VALUE,
)
from .tables.seeded_draws import draw, in_drawn_order
from .tables.stored_tables import Tables, drop_stored, enumerate_texts, sent, store

USER_KEY = "user_key"
ITEM_KEY = "item_key"
WORK_KEY = "work_key"
POSITION = "position"
TIE = "tie"
FIRST_SEEN = "first_seen"

IMPRESSION = "impression"
_HASH_CHARS = 16


@dataclass(frozen=True)
class KeyedLog:
    """A canonical log under opaque ids.

    Args:
        users (`ibis.Table`): `user_id`, `user_key` (int, from 0 in hash order), `user` (the salted hash).
        items (`ibis.Table`): `item_key`, `work_key`, `item_id` (opaque), `source_item_id` and the other item columns.
        events (`ibis.Table`): What users did: `user_key`, `item_key`, `work_key`, `position` (1 = the user's first),
            and the columns of interactions that are not ids.
        impressions (`ibis.Table`): What the service showed: the same columns without `position`.
    """

    users: ir.Table
    items: ir.Table
    events: ir.Table
    impressions: ir.Table

    def num_interactions(self) -> int:
        """Events and impressions together: as many as the canonical log had."""
        return int(self.events.count().execute()) + int(self.impressions.count().execute())


def key_log(interactions: ir.Table, items: ir.Table, options: BuildOptions, connection: Tables) -> KeyedLog:
    """Replace raw ids by opaque ones and number every user's interactions.

    Interactions at the same instant are ordered by a seeded draw of (user, item), never by item id: MovieLens lists
    ids in order, and "the candidate whose id is nearest to the last id" alone would reach 0.23 Recall@1. With
    `ties="file"` they stay in the order of the file, where that order is meaningful.

    Args:
        interactions (`ibis.Table`): As `canonicalize` returns them.
        items (`ibis.Table`): As `canonicalize` returns them.
        options ([`BuildOptions`]): `seed`, `salt` and `ties` are used.
        connection (`ibis.backends.duckdb.Backend` or `Cluster`): Where the tables are kept.

    Returns:
        [`KeyedLog`]
    """
    users = store("keyed_users", to_users(interactions, options), connection)
    keyed_items = store("keyed_items", to_keyed_items(sent(items, connection), options.seed), connection)
    item_keys = keyed_items.select(ITEM_KEY, WORK_KEY, item_id=SOURCE_ITEM_ID)
    keyed = interactions.join(users.drop(USER), USER_ID).join(item_keys, ITEM_ID)
    tie = draw(options.seed, keyed[USER_KEY], keyed[ITEM_KEY])
    drawn = in_drawn_order(tie, keyed[ITEM_KEY])
    keyed = keyed.mutate(tie=keyed[FILE_ORDER] if options.ties == "file" else drawn)
    keyed = keyed.select(USER_KEY, ITEM_KEY, WORK_KEY, TIMESTAMP, EVENT, DURATION, VALUE, DEVICE, TIE)
    keyed = store("keyed", keyed, connection)
    enumerate_texts(keyed, (EVENT, DEVICE), connection)
    enumerate_texts(keyed_items, (ITEM_ID, TITLE), connection)
    events = store("events", to_events(keyed.filter(keyed[EVENT] != IMPRESSION)), connection)
    impressions = store("impressions", keyed.filter(keyed[EVENT] == IMPRESSION).drop(TIE), connection)
    drop_stored("keyed", connection)
    return KeyedLog(users, keyed_items, events, impressions)


def tie_shares(events: ir.Table, targets: ir.Table, split: str = "test") -> dict[str, float]:
    """What share of records, and of the targets of one split, shares its time with a neighbour of the same user.

    Args:
        events (`ibis.Table`): As `key_log` numbers them.
        targets (`ibis.Table`): Rows of `events` with the column `split`.

    Returns:
        `dict[str, float]`: `records` and `targets`, each in [0, 1].
    """
    at_once = events.group_by([USER_KEY, TIMESTAMP]).agg(records=events.count())
    records = at_once.aggregate(tied=at_once.records.sum(where=at_once.records > 1), all=at_once.records.sum())
    chosen = targets.filter(targets.split == split).select(USER_KEY, TIMESTAMP)
    chosen = chosen.join(at_once, [USER_KEY, TIMESTAMP])
    tied = chosen.aggregate(tied=(chosen.records > 1).sum(), all=chosen.count())
    shares = {name: table.to_pyarrow().to_pylist()[0] for name, table in {"records": records, "targets": tied}.items()}
    return {name: float(row["tied"] or 0) / float(row["all"] or 1) for name, row in shares.items()}


def to_users(interactions: ir.Table, options: BuildOptions) -> ir.Table:
    """One row per user: the raw id, the salted hash that replaces it, and its rank."""
    users = interactions.select(USER_ID).distinct()
    hashed = (ibis.literal(_salt(options.seed, options.salt)) + users[USER_ID]).hexdigest("sha256")
    users = users.mutate(user=hashed.left(_HASH_CHARS))
    return users.mutate(user_key=_rank(USER, USER_ID))


def user_hash(user_id: str, seed: int, salt: str | None = None) -> str:
    """What a dataset calls a user.

    Args:
        user_id (`str`): As the log has it.
        seed (`int`): Of the build.
        salt (`str`, *optional*): Of the build.

    Example:
        >>> user_hash("ann", seed=0)
        '538389d64cf0e748'
    """
    return hashlib.sha256(f"{_salt(seed, salt)}{user_id}".encode()).hexdigest()[:_HASH_CHARS]


def _salt(seed: int, salt: str | None) -> str:
    return f"seed {seed}|" if salt is None else f"{salt}|"


def to_keyed_items(items: ir.Table, seed: int) -> ir.Table:
    """The catalogue under opaque ids. A work is a series, or an item that belongs to none."""
    hashed = (ibis.literal(f"seed {seed}|") + items[ITEM_ID]).hexdigest("sha256")
    keyed = items.mutate(hashed=hashed).mutate(item_key=_rank("hashed", ITEM_ID))
    work = ibis.coalesce(ibis.literal("series|") + keyed[SERIES], ibis.literal("item|") + keyed[ITEM_ID])
    keyed = keyed.mutate(work=work)
    keyed = keyed.mutate(work_key=ibis.dense_rank().over(order_by=keyed.work).cast("int32"))
    opaque = ibis.literal("i") + keyed[ITEM_KEY].cast("string")
    columns = [column for column in ITEM_COLUMNS if column != ITEM_ID]
    return keyed.mutate(source_item_id=keyed[ITEM_ID], item_id=opaque).select(
        ITEM_KEY, WORK_KEY, ITEM_ID, SOURCE_ITEM_ID, *columns
    )


def to_events(keyed: ir.Table) -> ir.Table:
    """Number each user's interactions in time; ties fall by a seeded draw of (user, item)."""
    order = [TIMESTAMP, TIE, EVENT, DURATION, VALUE, DEVICE]
    position = ibis.row_number().over(group_by=USER_KEY, order_by=order)
    return keyed.mutate(position=(position + 1).cast("int32")).drop(TIE)


def _rank(hashed: str, raw: str) -> ir.IntegerValue:
    return ibis.row_number().over(order_by=[hashed, raw]).cast("int32")
