"""Texts in a table of PostgreSQL, by psycopg 3."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import TypeVar
from zlib import crc32

import psycopg

from .store import Lease, Store, StoredText, StoreError, TextKey, without_password

TABLE = "logs2lang_texts"
_CREATE = f"""CREATE TABLE IF NOT EXISTS {TABLE} (
    user_id text PRIMARY KEY,
    history text NOT NULL,
    revision text NOT NULL,
    text text NOT NULL,
    written timestamptz NOT NULL DEFAULT now()
)"""
_PUT = f"""INSERT INTO {TABLE} (user_id, history, revision, text) VALUES (%s, %s, %s, %s)
ON CONFLICT (user_id) DO UPDATE
SET history = excluded.history, revision = excluded.revision, text = excluded.text, written = now()"""
_LOCKS = crc32(TABLE.encode()) - 2**31
"""Tells our advisory locks from those of others in the same database; a signed number of 32 bits."""
_ROWS_AT_ONCE = 1_000
_CONNECT_TIMEOUT_S = 5
T = TypeVar("T")


class PostgresStore(Store):
    """Texts in the table `logs2lang_texts` of a database.

    Leases are advisory locks of the session that also writes, so whoever can still write still has its leases.

    Args:
        url (`str`): As psycopg takes it, such as `postgresql://ann@db/texts`. What it leaves out comes from the
            environment: `PGPASSWORD`, `PGSSLMODE` and so on.

    Raises:
        StoreError: The server cannot be reached, or does not let us in.
    """

    def __init__(self, url: str):
        self._url = url
        self._connection: psycopg.Connection | None = None
        self._turn = RLock()
        self._leased: set[int] = set()
        self._run(self._create)

    def get(self, users: Sequence[str]) -> dict[str, StoredText]:
        query = f"SELECT user_id, history, revision, text FROM {TABLE} WHERE user_id = ANY(%s)"
        rows = self._run(lambda connection: connection.execute(query, [list(users)]).fetchall())
        return {text.user: text for text in map(_to_text, rows)}

    def keys(self, users: Sequence[str]) -> dict[str, TextKey]:
        query = f"SELECT user_id, history, revision FROM {TABLE} WHERE user_id = ANY(%s)"
        rows = self._run(lambda connection: connection.execute(query, [list(users)]).fetchall())
        return {user: TextKey(history, revision) for user, history, revision in rows}

    def put(self, texts: Sequence[StoredText]) -> None:
        # In one order, so that two processes wait for each other's rows and never both for each other.
        rows = sorted((text.user, *text.key, text.text) for text in texts)

        def put(connection: psycopg.Connection) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(_PUT, rows)

        self._run(put)

    def delete(self, user: str) -> bool:
        query = f"DELETE FROM {TABLE} WHERE user_id = %s"
        return self._run(lambda connection: connection.execute(query, [user]).rowcount) > 0

    def __iter__(self) -> Iterator[StoredText]:
        # Page by page along the key, and no cursor that would hold a transaction open between pages.
        query = f"""SELECT user_id, history, revision, text FROM {TABLE}
            WHERE user_id > %s ORDER BY user_id LIMIT {_ROWS_AT_ONCE}"""
        last = ""
        while rows := self._run(lambda connection: connection.execute(query, [last]).fetchall()):  # noqa: B023
            yield from map(_to_text, rows)
            last = rows[-1][0]

    @contextmanager
    def lease(self, part: int) -> Iterator[Lease | None]:
        lease = self._acquire(part)
        try:
            yield lease
        finally:
            if lease is not None:
                self._release(part, lease)

    def close(self) -> None:
        with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _acquire(self, part: int) -> "_SessionLease | None":
        with self._turn:
            if part in self._leased:  # the server would let the same session in again
                return None
            query = "SELECT pg_try_advisory_lock(%s, %s)"
            ((is_ours,),) = self._run(lambda connection: connection.execute(query, [_LOCKS, part]).fetchall())
            if not is_ours:
                return None
            self._leased.add(part)
            return _SessionLease(self, self._connection)

    def _release(self, part: int, lease: "_SessionLease") -> None:
        with self._turn:
            self._leased.discard(part)
            if lease.is_held():
                try:
                    lease.session.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCKS, part])
                except psycopg.Error:
                    self.close()  # which gives back every lock of the session

    def _create(self, connection: psycopg.Connection) -> None:
        # Asked first, since whoever only reads may not create.
        if connection.execute("SELECT to_regclass(%s)", [TABLE]).fetchone() == (None,):
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s, -1)", [_LOCKS])
                connection.execute(_CREATE)

    def _run(self, work: Callable[[psycopg.Connection], T]) -> T:
        """Do some work, on a new connection where the earlier one has been cut off."""
        with self._turn:
            was_open = self._connection is not None
            try:
                return self._try(work)
            except StoreError:
                if not was_open or self._connection is not None:
                    raise
                return self._try(work)

    def _try(self, work: Callable[[psycopg.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = psycopg.connect(
                    self._url, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S, client_encoding="utf8"
                )
            return work(self._connection)
        except psycopg.Error as error:
            if self._connection is not None and (self._connection.broken or self._connection.closed):
                self.close()
            shown = without_password(self._url)
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].replace(self._url, shown)
            raise StoreError(
                f"The store {shown} cannot be used ({reason}). Check that PostgreSQL is "
                "running, and the URL; a password may also be given in PGPASSWORD."
            ) from error


class _SessionLease:
    def __init__(self, store: PostgresStore, session: psycopg.Connection | None):
        self._store = store
        assert session is not None  # noqa: S101
        self.session = session

    def is_held(self) -> bool:
        return self._store._connection is self.session and not self.session.closed


def _to_text(row: tuple[str, str, str, str]) -> StoredText:
    user, history, revision, text = row
    return StoredText(user, TextKey(history, revision), text)
