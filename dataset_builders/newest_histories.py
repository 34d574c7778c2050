"""The newest records of every user, targets included: what a text for the service is written from.

The histories of examples end before a target. A service asks after the last record, so it needs these. They are kept
beside the configs, in a folder that `load_dataset` does not know and that is never published.
"""

import ibis
import ibis.expr.types as ir

from .build_options import BuildOptions
from .events import ITEM_KEY, POSITION, USER_KEY, KeyedLog
from .schema import (
    DEVICE,
    DURATION,
    EVENT,
    ITEM_ID,
    RECORD_FEATURES,
    SOURCE_ITEM_ID,
    TIMESTAMP,
    TITLE,
    USER,
    VALUE,
)

_HASHED = (TIMESTAMP, EVENT, SOURCE_ITEM_ID, TITLE, DURATION, VALUE, DEVICE)
"""What a record says, under the item's own id: a new item in the catalogue gives many others another opaque one."""


def to_newest_histories(log: KeyedLog, options: BuildOptions) -> ir.Table:
    """Each user's newest records.

    Args:
        log ([`KeyedLog`]): Of all users, or of some.
        options ([`BuildOptions`]): `history` and `ties` are used.

    Returns:
        `ibis.Table`: One row per user: `user_key`, `user`, `history` (records, oldest first) and `history_hash`, which
        changes with any record.
    """
    ends = log.events.group_by(USER_KEY).agg(end=log.events[POSITION].max())
    joined = log.events.join(ends, USER_KEY)
    newest = joined.filter(joined[POSITION] > joined.end - options.history).drop("end")
    named = newest.join(log.items.select(ITEM_KEY, ITEM_ID, SOURCE_ITEM_ID, TITLE), ITEM_KEY)
    record = ibis.struct({name: named[name] for name in RECORD_FEATURES})
    # As JSON, so that no title can look like the end of a field.
    said = ibis.struct({name: named[name] for name in _HASHED}).cast("json").cast("string").hexdigest("md5")
    marked = named.mutate(record=record, said=said)
    # Ties in time fall by draws of keys, and a new user or item shifts the keys of others.
    order = marked[POSITION] if options.ties == "file" else marked.said
    lists = marked.group_by(USER_KEY).agg(
        history=marked.record.collect(order_by=marked[POSITION]),
        said=marked.said.group_concat(sep=" ", order_by=order),
    )
    lists = lists.mutate(history_hash=lists.said.hexdigest("md5")).drop("said")
    return log.users.select(USER_KEY, USER).join(lists, USER_KEY)
