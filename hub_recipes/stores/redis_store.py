"""Texts in Redis, by redis-py: one hash per user."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from threading import Event, Lock, Thread
from time import monotonic

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import LockError, RedisError
from redis.lock import Lock as RedisLock
from redis.retry import Retry

from logs2lang.dataset_builders.input_error import InputError

from .store import Lease, Store, StoredText, StoreError, TextKey, without_password

_PREFIX = "logs2lang:text:"
_LEASES = "logs2lang:lease:"
_FIELDS = ("history", "revision", "text")
_AT_ONCE = 1_000
_TIMEOUT_S = 10
LEASE_S = 30.0
"""How long a lease outlives a process that died."""


class RedisStore(Store):
    """Texts in one database of a Redis server, under keys that begin with `logs2lang:`.

    Args:
        url (`str`): As redis-py takes it, such as `redis://localhost:6379/0`.

    Raises:
        InputError: This is no such URL.
        StoreError: The server cannot be reached, or does not let us in.
    """

    def __init__(self, url: str):
        self._url = url
        try:
            self._client = redis.Redis.from_url(
                url,
                decode_responses=True,
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
                retry=Retry(ExponentialBackoff(), 3),  # a second at most: whoever asks decides whether to wait longer
            )
        except ValueError as error:
            raise InputError(
                f"{without_password(url)} is no URL of Redis ({error}). Give one such as redis://localhost:6379/0."
            ) from error
        with self._reachable():
            self._client.ping()
        self._held: set[_RenewedLease] = set()
        self._turn = Lock()
        self._over = Event()
        self._renewer: Thread | None = None

    def get(self, users: Sequence[str]) -> dict[str, StoredText]:
        return {
            user: StoredText(user, TextKey(history, revision), text)
            for user, (history, revision, text) in self._read(users, _FIELDS).items()
        }

    def keys(self, users: Sequence[str]) -> dict[str, TextKey]:
        return {user: TextKey(*values) for user, values in self._read(users, _FIELDS[:2]).items()}

    def put(self, texts: Sequence[StoredText]) -> None:
        with self._reachable(), self._client.pipeline(transaction=True) as transaction:
            for text in texts:
                named = chain.from_iterable(zip(_FIELDS, (*text.key, text.text), strict=True))
                transaction.hset(_PREFIX + text.user, items=list(named))
            transaction.execute()

    def delete(self, user: str) -> bool:
        with self._reachable():
            return self._client.delete(_PREFIX + user) > 0

    def __iter__(self) -> Iterator[StoredText]:
        with self._reachable():
            found = self._client.scan_iter(match=f"{_PREFIX}*", count=_AT_ONCE)
            users = {name.removeprefix(_PREFIX) for name in found}  # a scan may name a key twice
        remaining = iter(users)
        while batch := list(islice(remaining, _AT_ONCE)):
            yield from self.get(batch).values()

    @contextmanager
    def lease(self, part: int) -> Iterator[Lease | None]:
        lock = self._client.lock(f"{_LEASES}{part}", timeout=LEASE_S, blocking=False, thread_local=False)
        with self._reachable():
            lease = _RenewedLease(lock) if lock.acquire() else None
        if lease is not None:
            self._renew(lease)
        try:
            yield lease
        finally:
            if lease is not None:
                with self._turn:
                    self._held.discard(lease)
                with suppress(RedisError):  # it ends by itself
                    lock.release()

    def close(self) -> None:
        self._over.set()
        self._client.close()

    def _read(self, users: Sequence[str], fields: Sequence[str]) -> dict[str, list[str]]:
        found = {}
        for start in range(0, len(users), _AT_ONCE):
            batch = users[start : start + _AT_ONCE]
            with self._reachable(), self._client.pipeline(transaction=False) as pipeline:
                for user in batch:
                    pipeline.hmget(_PREFIX + user, fields)
                values = pipeline.execute()
            found.update({user: each for user, each in zip(batch, values, strict=True) if None not in each})
        return found

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise StoreError(
                f"The store {without_password(self._url)} cannot be used ({reason}). Check that Redis is running, and "
                "the URL."
            ) from error

    def _renew(self, lease: "_RenewedLease") -> None:
        """Prolong a lease for as long as it is held."""
        with self._turn:
            self._held.add(lease)
            if self._renewer is None:
                self._renewer = Thread(target=self._keep_renewing, daemon=True)
                self._renewer.start()

    def _keep_renewing(self) -> None:
        while not self._over.wait(LEASE_S / 3):
            with self._turn:
                held = list(self._held)
            for lease in held:
                lease.renew()


class _RenewedLease:
    """A lease that lasts `LEASE_S` from when it was last renewed."""

    def __init__(self, lock: RedisLock):
        self._lock = lock
        self._until = monotonic() + LEASE_S

    def is_held(self) -> bool:
        return monotonic() < self._until

    def renew(self) -> None:
        asked = monotonic()
        try:
            self._lock.reacquire()
        except LockError:  # it had ended, and another process may have it
            self._until = 0.0
        except RedisError:
            return  # once more in a while, as long as it lasts
        else:
            self._until = asked + LEASE_S
