"""How a store of texts is opened, by its place."""

from importlib.util import find_spec
from pathlib import Path

from logs2lang.dataset_builders.input_error import InputError

from .store import Store


def open_store(place: str) -> Store:
    """Open a store; one that is new is made.

    Args:
        place (`str`): A folder for Parquet files; or `postgresql://USER@HOST/DATABASE` (the extra `stores`
            is needed), or `redis://HOST:PORT/NUMBER` and `rediss://` (the same).

    Raises:
        InputError: The URL is of another kind, a client is not installed, or the place cannot be used.
        StoreError: The server cannot be reached.

    Example:
        >>> import tempfile
        >>> from logs2lang.stores.store import StoredText, TextKey
        >>> with tempfile.TemporaryDirectory() as folder, open_store(folder) as store:
        ...     store.put([StoredText("ann", TextKey("h1", "template"), "Fargo, Heat")])
        ...     store.get(["ann", "bob"])["ann"].text
        'Fargo, Heat'
    """
    scheme = place.partition("://")[0] if "://" in place else ""
    if scheme in ("postgresql", "postgres"):
        _require_client("psycopg", scheme)
        from .postgres_store import PostgresStore

        return PostgresStore(place)
    if scheme in ("redis", "rediss"):
        _require_client("redis", scheme)
        from .redis_store import RedisStore

        return RedisStore(place)
    if scheme:
        raise InputError(
            f"There is no store of the kind {scheme}://. Give a folder for Parquet files, postgresql://... or redis://..."
        )
    from .parquet_store import ParquetStore

    return ParquetStore(Path(place))


def _require_client(module: str, scheme: str) -> None:
    if find_spec(module) is None:
        raise InputError(
            f"A store at {scheme}:// needs the package {module!r}. Install it with `pip install 'logs2lang[stores]'`."
        )
