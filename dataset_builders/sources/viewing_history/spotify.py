"""Spotify: the extended streaming history, and the shorter history of the account data."""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ...cells.written_times import UTC_MICROSECONDS
from ..delimited import ReadRows
from .export_files import ExportFile
from .json_rows import read_json_rows
from .viewings import OWNER, PLAY, to_viewings

# Spotify itself counts no stream below this.
STREAM_S = 30

_EXTENDED = {
    "ended": "/ts",
    "ms": "/ms_played",
    "user": "/username",
    "platform": "/platform",
    "artist": "/master_metadata_album_artist_name",
    "track": "/master_metadata_track_name",
    "track_uri": "/spotify_track_uri",
    "show": "/episode_show_name",
    "episode": "/episode_name",
    "episode_uri": "/spotify_episode_uri",
    "book": "/audiobook_title",
    "chapter": "/audiobook_chapter_title",
    "why_ended": "/reason_end",
}
_ACCOUNT = {
    "ended": "/endTime",
    "ms": "/msPlayed",
    "artist": "/artistName",
    "track": "/trackName",
    "show": "/podcastName",
    "episode": "/episodeName",
    "book": "/audiobookName",
    "chapter": "/chapterName",
}
_PLAYED_THROUGH = "trackdone"
_DAY_MS = 24 * 3600 * 1000


def read_spotify_extended(connection: DuckDB, files: Sequence[ExportFile], day_first: bool | None = None) -> ReadRows:
    """Read `Streaming_History_*.json` or `endsong_*.json`, as many files as there are.

    A play of under 30 seconds that did not reach the end is `abandon`, every other one `play`. Times are those of the
    start: Spotify writes the end. An item is known by artist and track (a track has several ids on Spotify), or by
    show and episode. An episode's series is its show, a chapter's its book; a track has none, because an artist is no
    work: the next track of a known artist is a discovery. The artist is the track's tag.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        files (`list[ExportFile]`): UTF-8 text on disk.
        day_first (`bool`, *optional*): Not needed: the times are ISO 8601.

    Returns:
        [`ReadRows`]: Viewings; the user is the username where the export has one.
    """
    return _read(connection, files, _EXTENDED)


def read_spotify_account(connection: DuckDB, files: Sequence[ExportFile], day_first: bool | None = None) -> ReadRows:
    """Read `StreamingHistory*.json` of the account data: the same log without device and reason, minutes for times.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        files (`list[ExportFile]`): UTF-8 text on disk.
        day_first (`bool`, *optional*): Not needed: the times are ISO 8601.

    Returns:
        [`ReadRows`]: Viewings.
    """
    return _read(connection, files, _ACCOUNT)


def _read(connection: DuckDB, files: Sequence[ExportFile], values: dict[str, str]) -> ReadRows:
    read = read_json_rows(connection, "spotify", files, values)
    rows = read.rows.mutate(**{name: ibis.null("string") for name in _EXTENDED if name not in values})
    series = rows.show.nullif("").fill_null(rows.book.nullif(""))
    title = ibis.coalesce(
        _titled(rows.artist, rows.track),
        _titled(rows.show, rows.episode),
        _titled(rows.book, rows.chapter),
        rows.track_uri,
        rows.episode_uri,
    )
    viewings = to_viewings(
        rows,
        user_id=rows.user.nullif("").fill_null(OWNER),
        item_id=title,
        timestamp=_start(rows),
        event=_event(rows),
        duration_s=ibis.coalesce((rows.ms.try_cast("float64") / 1000).cast("string"), rows.ms),
        device=rows.platform,
        title=title,
        tags=rows.artist.nullif("").isnull().ifelse(ibis.null("array<string>"), ibis.array([rows.artist])),
        series=series,
    )
    return ReadRows(viewings, read.rejected)


def _titled(maker: ir.StringValue, name: ir.StringValue) -> ir.StringValue:
    """`Artist - Track`; null without a name."""
    return maker.nullif("").isnull().ifelse(name.nullif(""), maker + " - " + name.nullif(""))


def _start(rows: ir.Table) -> ir.StringValue:
    """When a play began; if that is unknown, what the export says about its end."""
    ended, ms = rows.ended.try_cast(UTC_MICROSECONDS), rows.ms.try_cast("int64")
    played = ms.between(0, _DAY_MS).ifelse(ms, 0).fill_null(0).as_interval("ms")
    return ibis.coalesce((ended - played).cast("string"), rows.ended)


def _event(rows: ir.Table) -> ir.StringValue:
    short = rows.ms.try_cast("float64") < STREAM_S * 1000
    whole = (rows.why_ended == _PLAYED_THROUGH).fill_null(False)
    return (short & ~whole).fill_null(False).ifelse("abandon", PLAY)
