"""The histories of a log's users, without targets and candidates.

An example needs nine items that the user never touched. The log of one person has none, and still has a history that
can be verbalized.
"""

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from dataset_builders.build_options import BuildOptions
from dataset_builders.events import ITEM_KEY, POSITION, USER_KEY, KeyedLog, key_log
from dataset_builders.interactions import CanonicalLog
from dataset_builders.schema import HISTORY, ITEM_ID, RECORD_FEATURES, TITLE, USER
from dataset_builders.stored_tables import store


def to_histories(log: CanonicalLog, options: BuildOptions, connection: DuckDB) -> ir.Table:
    """Each user's newest records, as the examples of a built dataset hold them.

    Args:
        log ([`CanonicalLog`]): As `canonicalize` returns it. It may be keyed only once on a connection.
        options ([`BuildOptions`]): `history`, `seed` and `salt` are used.
        connection (`ibis.backends.duckdb.Backend`): Where the log lies; the result is stored there.

    Returns:
        `ibis.Table`: One row per user, in the order of the hash: `user` (the salted hash) and `history`, a list of at
        most `options.history` records, oldest first.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from dataset_builders.interactions import canonicalize
        >>> from dataset_builders.raw_log import OWN_LOG, RawLog, connect
        >>> rows = {"user_id": ["ann"] * 3, "item_id": ["Fog", "Dew", "Haze"], "source_file": ["f"] * 3,
        ...     "timestamp": ["2024-05-03", "2024-05-01", "2024-05-02"], "source_row": [1, 2, 3]}
        >>> with TemporaryDirectory() as folder:
        ...     connection = connect(folder)
        ...     log = canonicalize(RawLog("toy", ibis.memtable(rows), None, None, "iso", OWN_LOG), connection)
        ...     histories = to_histories(log, BuildOptions(history=2), connection).execute()["history"]
        >>> [record["title"] for record in histories[0]]
        ['Haze', 'Fog']
    """
    keyed = key_log(log.interactions, log.items, options, connection)
    newest = _newest(keyed, options.history)
    named = newest.join(keyed.items.select(ITEM_KEY, ITEM_ID, TITLE), ITEM_KEY)
    record = ibis.struct({name: named[name] for name in RECORD_FEATURES})
    lists = named.group_by(USER_KEY).agg(history=record.collect(order_by=named[POSITION]))
    users = keyed.users.select(USER_KEY, USER).join(lists, USER_KEY).order_by(USER_KEY)
    return store("histories", users.select(USER, HISTORY), connection)


def _newest(log: KeyedLog, length: int) -> ir.Table:
    ends = log.events.group_by(USER_KEY).agg(end=log.events[POSITION].max())
    joined = log.events.join(ends, USER_KEY)
    return joined.filter(joined[POSITION] > joined.end - length).drop("end")
