"""Last.fm-1K: every track that nearly a thousand people listened to, for years, with all repeats."""

from pathlib import Path

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ..cells.plain_text import plain_text
from ..raw_log import LogLicense, RawLog
from ..schema import ITEM_ID, SOURCE_FILE, SOURCE_ROW, TIMESTAMP, USER_ID
from .delimited import Dialect, read_delimited
from .official_files import find_files

WHAT = "Last.fm-1K"
LICENSE = LogLicense(
    "other",
    redistributable=False,
    notice="Last.fm-1K may be used for non-commercial purposes, with the permission of Last.fm.",
)
HOMEPAGE = "http://ocelma.net/MusicRecommendationDataset/lastfm-1K.html"
CITATION = """@book{celma2010music,
  author = {Oscar Celma},
  title = {Music Recommendation and Discovery in the Long Tail},
  publisher = {Springer},
  year = {2010}
}"""

FILE = "userid-timestamp-artid-artname-traid-traname.tsv"
_ARTIST, _TRACK = "artist", "track"
_COLUMNS = (USER_ID, TIMESTAMP, "artist_id", _ARTIST, "track_id", _TRACK)


def read_lastfm_1k(connection: DuckDB, *, folder: str | Path) -> RawLog:
    """Read the listening of Last.fm-1K.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        folder (`str` or `Path`): Where `userid-timestamp-artid-artname-traid-traname.tsv` lies, which has no header;
            also as `.gz`. The profiles of the users are not read.

    Returns:
        [`RawLog`]: One event `listen` per line; repeats are kept. An item is `Artist - Track`: many lines have no
        id of a track, and a track may have several. The artist is its tag and no series, so the next track of a known
        artist is a discovery.

    Raises:
        InputError: The folder does not hold the file.
    """
    paths = find_files(folder, (FILE, f"*/{FILE}"), WHAT)
    read = read_delimited(connection, "lastfm_listens", paths, Dialect(_COLUMNS, "\t"))
    artist, track = plain_text(read.rows[_ARTIST]), plain_text(read.rows[_TRACK])
    named = read.rows.mutate(artist=artist, item_id=artist + " - " + track)
    rows = named.select(SOURCE_FILE, SOURCE_ROW, USER_ID, ITEM_ID, TIMESTAMP, event=ibis.literal("listen"))
    return RawLog(
        "lastfm-1k",
        rows,
        _tracks(named),
        read.rejected,
        "iso",
        LICENSE,
        HOMEPAGE,
        CITATION,
        counted=read.counted,
    )


def _tracks(listens: ir.Table) -> ir.Table:
    """Every track once: the log itself says what it is called."""
    tracks = listens.filter(listens[ITEM_ID].notnull()).select(ITEM_ID, _ARTIST).distinct()
    return tracks.select(ITEM_ID, title=tracks[ITEM_ID], tags=ibis.array([tracks[_ARTIST]]))
