"""Users in groups that are built one by one, so that memory does not grow with the log, and side by side, so that all
cores work."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from .events import USER_KEY, KeyedLog
from .tables.stored_tables import beside

EVENTS_PER_GROUP = 2_500_000
GROUPS_AT_ONCE = 4
"""Most groups in memory; about 0.5 GB each."""


@dataclass(frozen=True)
class UserGroup:
    """Users whose keys lie in `[low, high)`; they are built together."""

    low: int
    high: int

    def rows(self, table: ir.Table) -> ir.Table:
        """The rows of these users."""
        return table.filter((table[USER_KEY] >= self.low) & (table[USER_KEY] < self.high))

    def log(self, log: KeyedLog) -> KeyedLog:
        """The log of these users."""
        return KeyedLog(log.users, log.items, self.rows(log.events), self.rows(log.impressions))


def to_user_groups(log: KeyedLog) -> list[UserGroup]:
    """Groups of about `EVENTS_PER_GROUP` events each."""
    num_users, num_events = log.users.count().execute(), log.events.count().execute()
    groups = max(1, min(num_users, round(num_events / EVENTS_PER_GROUP)))
    # Keys are ranks under a hash, so that groups of equal numbers of users hold about equally many events.
    bounds = [num_users * group // groups for group in range(groups + 1)]
    return [UserGroup(low, high) for low, high in pairwise(bounds)]


def build_groups(build: Callable[[int, DuckDB], None], groups: int, connection: DuckDB) -> None:
    """Build groups side by side, with no more threads than the connection has.

    DuckDB shares out a table by its rows, and a group is too few of them: tens of thousands of large lists go to one
    thread. So each group gets a thread of ours.

    Args:
        build (`Callable[[int, DuckDB], None]`): Builds one group, given its number and a connection for its thread.
        groups (`int`): How many there are.
        connection (`ibis.backends.duckdb.Backend`): Where the stored tables lie.
    """
    (threads,) = connection.raw_sql("SELECT current_setting('threads')").fetchone()
    at_once = min(threads, groups, GROUPS_AT_ONCE)
    # A thread of ours works on its own statement; beside those DuckDB keeps one less than this number.
    connection.raw_sql(f"SET threads = {threads - at_once + 1}")
    try:
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(lambda group: build(group, beside(connection)), range(groups)))
    finally:
        connection.raw_sql(f"SET threads = {threads}")
