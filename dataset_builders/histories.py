"""The histories of a log's users, without targets and candidates.

An example needs nine items that the user never touched. The log of one person has none, and still has a history that
can be verbalized.
"""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from .build_options import BuildOptions
from .events import USER_KEY, key_log
from .interactions import CanonicalLog, canonicalize
from .newest_histories import to_newest_histories
from .raw_log import connect
from .schema import HISTORY, USER, Record
from .sources.viewing_history.personal_log import read_viewing_history
from .tables.stored_tables import store

logger = logging.getLogger(__name__)


def read_histories(
    path: str | Path,
    *,
    length: int = 100,
    profile: str | None = None,
    day_first: bool | None = None,
    encoding: str | None = None,
) -> list[list[Record]]:
    """The histories in a person's own export, ready for any verbalizer. Nothing leaves the machine.

    Args:
        path (`str` or `Path`): An export of Netflix, Spotify, YouTube, Letterboxd or Trakt: a file, a folder or a zip
            archive, as `read_viewing_history` takes it.
        length (`int`, *optional*, defaults to 100): How many of the newest records each history keeps.
        profile (`str`, *optional*): Only this profile of the account; else a history for each.
        day_first (`bool`, *optional*): Whether 03/04/2024 is in April; asked for only where the file leaves it open.
        encoding (`str`, *optional*): How the text is encoded, where it is not UTF-8.

    Returns:
        `list[list[Record]]`: One history per profile, oldest record first. How many rows were set aside is logged.

    Raises:
        InputError: It is no known export, or none of its rows can be read.

    Example:
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "NetflixViewingHistory.csv"
        ...     size = file.write_text("Title,Date\\nFargo,5/13/24\\nHeat,5/14/24\\n")
        ...     histories = read_histories(file)
        >>> [record["title"] for record in histories[0]]
        ['Fargo', 'Heat']
    """
    with TemporaryDirectory() as folder:
        connection = connect(folder)
        try:
            raw = read_viewing_history(connection, path, profile=profile, day_first=day_first, encoding=encoding)
            log = canonicalize(raw, connection)
            set_aside = connection.execute(log.quarantine.count())
            if set_aside:
                logger.warning(f"{set_aside} rows of {path} could not be read and were left out.")
            rows = to_histories(log, BuildOptions(history=length), connection).to_pyarrow()
        finally:
            connection.disconnect()
    return rows[HISTORY].to_pylist()


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
        >>> import ibis
        >>> from tempfile import TemporaryDirectory
        >>> from logs2lang.dataset_builders.interactions import canonicalize
        >>> from logs2lang.dataset_builders.raw_log import OWN_LOG, RawLog, connect
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
    users = to_newest_histories(keyed, options).order_by(USER_KEY)
    return store("histories", users.select(USER, HISTORY), connection)
