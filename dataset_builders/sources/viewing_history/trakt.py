"""Trakt: the JSON files of its data export, and its CSV exports of history and ratings."""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ..delimited import ReadRows
from .csv_rows import read_csv_rows
from .export_files import ExportFile
from .json_rows import read_json_rows
from .viewings import OWNER, PLAY, RATE, WATCHED, joined, to_viewings

_JSON = {
    "watched_at": "/watched_at",
    "rated_at": "/rated_at",
    "rating": "/rating",
    "action": "/action",
    "movie": "/movie/title",
    "movie_year": "/movie/year",
    "movie_id": "/movie/ids/trakt",
    "show": "/show/title",
    "show_year": "/show/year",
    "show_id": "/show/ids/trakt",
    "season_of_season": "/season/number",
    "season": "/episode/season",
    "episode": "/episode/number",
    "episode_title": "/episode/title",
}
_CSV = {
    "watched_at": "watched_at",
    "rated_at": "rated_at",
    "rating": "rating",
    "action": "action",
    "type": "type",
    "title": "title",
    "year": "year",
    "trakt_id": "trakt_id",
    "season": "season_number",
    "episode": "episode_number",
    "episode_title": "episode_title",
    "genres": "genres",
}
_BY_HAND = "watch"


def read_trakt_json(connection: DuckDB, files: Sequence[ExportFile], day_first: bool | None = None) -> ReadRows:
    """Read `watched-history-*.json` and `ratings-*.json`.

    What a player or the user reported while it ran (`scrobble`, `checkin`) is `play`, what was added by hand is
    `watched`, a rating is `rate` with its points. The series of an episode is its show.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        files (`list[ExportFile]`): UTF-8 text on disk.
        day_first (`bool`, *optional*): Not needed: the times are ISO 8601.

    Returns:
        [`ReadRows`]: Viewings, known by Trakt's ids.
    """
    read = read_json_rows(connection, "trakt", files, _JSON)
    rows = read.rows
    named = rows.mutate(
        season=rows.season.fill_null(rows.season_of_season),
        work=rows.show.fill_null(rows.movie),
        year=rows.show.isnull().ifelse(rows.movie_year, rows.show_year),
        work_id=rows.show.isnull().ifelse("movie-" + rows.movie_id, "show-" + rows.show_id),
        series=rows.show,
        genres=ibis.null("string"),
    )
    return ReadRows(_viewings(named), read.rejected)


def read_trakt_csv(connection: DuckDB, files: Sequence[ExportFile], day_first: bool | None = None) -> ReadRows:
    """Read a CSV of the history or of the ratings; see `read_trakt_json`. Genres become tags.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        files (`list[ExportFile]`): UTF-8 text on disk.
        day_first (`bool`, *optional*): Not needed: the times are ISO 8601.

    Returns:
        [`ReadRows`]: Viewings, known by Trakt's ids.
    """
    read = joined([read_csv_rows(connection, f"trakt_{place}", file, _CSV) for place, file in enumerate(files)])
    rows = read.rows
    is_film = rows.type.lower() == "movie"
    named = rows.mutate(
        work=rows.title.nullif(""),
        work_id=is_film.ifelse("movie-", "show-") + rows.trakt_id.nullif(""),
        series=is_film.ifelse(ibis.null("string"), rows.title.nullif("")),
        season=rows.season.nullif(""),
        episode=rows.episode.nullif(""),
    )
    return ReadRows(_viewings(named), read.rejected)


def _viewings(rows: ir.Table) -> ir.Table:
    place = _numbered(" S", rows.season) + _numbered("E", rows.episode)
    episode = rows.episode_title.nullif("")
    rating = rows.rated_at.nullif("").notnull()
    return to_viewings(
        rows,
        user_id=OWNER,
        item_id=rows.work_id.fill_null(rows.work) + place,
        timestamp=rating.ifelse(rows.rated_at, rows.watched_at),
        event=ibis.cases((rating, RATE), (rows.action == _BY_HAND, WATCHED), else_=PLAY),
        value=rows.rating,
        title=rows.work + place + episode.isnull().ifelse("", ": " + episode),
        year=rows.year,
        tags=rows.genres.nullif("").split(","),
        series=rows.series,
    )


def _numbered(mark: str, number: ir.StringValue) -> ir.StringValue:
    """`S02`; empty without a number."""
    return (mark + number.lpad(2, "0")).fill_null("")
