"""A person's own history as a log: the export is recognised, read by its service's reader, and given one shape."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ...cells.plain_text import plain_text
from ...input_error import InputError
from ...raw_log import LogLicense, RawLog
from ...schema import (
    DURATION,
    INTERACTION_COLUMNS,
    ITEM_ID,
    SERIES,
    SOURCE_FILE,
    SOURCE_ROW,
    TAGS,
    TITLE,
    USER_ID,
    YEAR,
)
from ...tables.stored_tables import store
from ..delimited import ReadRows, known_encoding
from . import exports
from .export_files import ExportFile, open_export, unpack
from .exports import Export, recognise
from .letterboxd import read_letterboxd
from .netflix import read_netflix_activity, read_netflix_titles
from .spotify import read_spotify_account, read_spotify_extended
from .trakt import read_trakt_csv, read_trakt_json
from .viewings import OWNER, set_aside
from .youtube import read_youtube

LICENSE = LogLicense(
    "other", redistributable=False, notice="A person's own history. It was read on their machine and stays there."
)

MAX_PLAY_S = 24 * 3600
TOO_LONG = "duration over 24 hours"

Reader = Callable[[DuckDB, Sequence[ExportFile], bool | None], ReadRows]
_READERS: dict[Export, Reader] = {
    exports.NETFLIX_ACTIVITY: read_netflix_activity,
    exports.NETFLIX_TITLES: read_netflix_titles,
    exports.SPOTIFY_EXTENDED: read_spotify_extended,
    exports.SPOTIFY_ACCOUNT: read_spotify_account,
    exports.YOUTUBE: read_youtube,
    exports.LETTERBOXD: read_letterboxd,
    exports.TRAKT_JSON: read_trakt_json,
    exports.TRAKT_CSV: read_trakt_csv,
}


def read_viewing_history(
    connection: DuckDB,
    path: str | Path,
    *,
    profile: str | None = None,
    day_first: bool | None = None,
    encoding: str | None = None,
) -> RawLog:
    """Read a person's own viewing or listening history, as the service exports it. Nothing leaves the machine.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        path (`str` or `Path`): A file of an export, a folder that holds its files, or the zip archive that the service
            sent: Netflix, Spotify, YouTube, Letterboxd or Trakt. Detected from the contents, whatever the names.
        profile (`str`, *optional*): Keep only this profile of the account. Without it each profile is a user.
        day_first (`bool`, *optional*): Whether 03/04/2024 is in April (`True`) or in March (`False`). Needed only
            if the dates of a file do not settle it.
        encoding (`str`, *optional*): Encoding of the text, as named in Python. Without it, text that is not UTF-8 is
            read as Western European (cp1252); a spreadsheet in Prague or Istanbul may have saved cp1250 or cp1254.

    Returns:
        [`RawLog`]: One row per viewing. `series` of an episode is parsed from its title or named by the service; what
        the reader sets aside is in `rejected`.

    Raises:
        InputError: It is not a known export, it is damaged or empty, its dates can be read two ways, or it has no such
            profile.

    Example:
        >>> from logs2lang.dataset_builders.raw_log import connect
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "history.csv"
        ...     size = file.write_text("Titel,Datum\\nDark: Staffel 1: Geheimnisse,13.04.24\\n")
        ...     raw = read_viewing_history(connect(folder), file)
        ...     raw.name, raw.items.execute()["series"].to_list()
        ('netflix-history', ['Dark'])
    """
    told = None if encoding is None else known_encoding(encoding)
    with TemporaryDirectory() as scratch, open_export(path, told) as files:
        export, chosen = recognise(files, str(path))
        texts = unpack(chosen, Path(scratch))
        read = _READERS[export](connection, texts, day_first)
        read = ReadRows(store("viewing_rows", read.rows, connection), read.rejected)
    read = set_aside(read, _is_absurd(read.rows[DURATION]), TOO_LONG)
    if not connection.execute(read.rows.count()) and not connection.execute(read.rejected.count()):
        raise InputError(f"{path} has no rows. Check that it was written completely.")
    rows = _of_profile(read.rows, profile, connection, str(path))
    interactions = rows.select(*INTERACTION_COLUMNS, SOURCE_FILE, SOURCE_ROW)
    name = f"{export.service.lower()}-history"
    return RawLog(name, interactions, _items(rows), read.rejected, "iso", LICENSE, notes=_notes(texts))


def _notes(texts: Sequence[ExportFile]) -> tuple[str, ...]:
    guessed = [file.name for file in texts if file.guessed]
    if not guessed:
        return ()
    return (
        f"{guessed[0]}{f' and {len(guessed) - 1} more' if guessed[1:] else ''} is not UTF-8 and was read as Western "
        "European (cp1252). If titles look wrong, save it as UTF-8, or build with --encoding cp1250 (Central "
        "Europe), cp1251 (Cyrillic) or cp1254 (Turkish).",
    )


def _is_absurd(duration: ir.StringValue) -> ir.BooleanValue:
    seconds = duration.try_cast("float64")
    return (seconds > MAX_PLAY_S) & ~seconds.isnan()


def _of_profile(rows: ir.Table, profile: str | None, connection: DuckDB, shown: str) -> ir.Table:
    if profile is None:
        return rows
    user = plain_text(rows[USER_ID])
    names = connection.execute(rows.select(name=user).distinct().order_by("name"))["name"].dropna().to_list()
    if names == [OWNER]:
        raise InputError(f"{shown} has no profiles, so --profile cannot select one. Omit --profile.")
    if profile not in names:
        raise InputError(f"{shown} has no profile {profile!r}; it has {', '.join(map(repr, names)) or 'none'}.")
    return rows.filter(user == profile)


def _items(rows: ir.Table) -> ir.Table:
    """One row per item. Where rows of an item disagree the smallest text is taken, so that the order never decides."""
    known = rows.mutate(item_id=plain_text(rows[ITEM_ID]))
    known = known.filter(known[ITEM_ID].notnull())
    return known.group_by(ITEM_ID).agg(**{name: known[name].min() for name in (TITLE, YEAR, TAGS, SERIES)})
