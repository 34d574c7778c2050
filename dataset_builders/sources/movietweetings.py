"""MovieTweetings: ratings from 1 to 10 that people tweeted with the IMDb app as they watched. MIT licence."""

from dataclasses import replace
from pathlib import Path

import ibis
from ibis.backends.duckdb import Backend as DuckDB

from ..input_error import InputError
from ..raw_log import LogLicense, RawLog
from ..schema import ITEM_ID, SOURCE_FILE, SOURCE_ROW, TIMESTAMP, TITLE, USER_ID, VALUE
from ..web_files import WebFile, file_from_web
from .delimited import Dialect, ReadRows, read_delimited
from .movie_titles import title_of, year_of

_REVISION = "4d8280a3f1ea83e3e23f13d1710d19f43564274f"
_SNAPSHOT = f"https://raw.githubusercontent.com/sidooms/MovieTweetings/{_REVISION}/snapshots/100K"
RATINGS_100K = WebFile(
    f"{_SNAPSHOT}/ratings.dat", sha256="c0dd868c2632d10002ebc928ddc5345f33adeaa59eca52c2941c26a2c5e36fd6"
)
MOVIES_100K = WebFile(
    f"{_SNAPSHOT}/movies.dat", sha256="e63fb84bc734e3c574f135634a40d3cbafab22b8f94f5fc0b80f80d1d2076efc"
)

LICENSE = LogLicense("mit", redistributable=True, notice="Copyright (c) 2013 Simon Dooms, under the MIT License.")
HOMEPAGE = "https://github.com/sidooms/MovieTweetings"
CITATION = """@inproceedings{dooms2013movietweetings,
  author = {Simon Dooms and Toon De Pessemier and Luc Martens},
  title = {MovieTweetings: a Movie Rating Dataset Collected From Twitter},
  booktitle = {Workshop on Crowdsourcing and Human Computation for Recommender Systems, CrowdRec at RecSys 2013},
  year = {2013}
}"""


def read_movietweetings(connection: DuckDB, *, folder: str | Path | None = None) -> RawLog:
    """Read MovieTweetings.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        folder (`str` or `Path`, *optional*): Where its `ratings.dat` and `movies.dat` lie. Without one, the snapshot
            of the first 100,000 ratings is downloaded from the official repository, at a pinned revision.

    Returns:
        [`RawLog`]: One event `rate` per rating, with the points as its `value`. Items are IMDb ids without `tt`.

    Raises:
        InputError: The folder does not hold the files, or they cannot be fetched.
    """
    ratings, movies = _files(folder)
    rated = _read(connection, "movietweetings_ratings", ratings, (USER_ID, ITEM_ID, VALUE, TIMESTAMP))
    films = _read(connection, "movietweetings_movies", movies, (ITEM_ID, TITLE, "genres"))
    interactions = rated.rows.mutate(event=ibis.literal("rate"))
    title = films.rows[TITLE]
    items = films.rows.select(
        SOURCE_FILE, SOURCE_ROW, ITEM_ID, title=title_of(title), year=year_of(title), tags=films.rows.genres.split("|")
    )
    name = "movietweetings-100k" if folder is None else "movietweetings"
    log = RawLog(name, interactions, items, rated.rejected, "seconds", LICENSE, HOMEPAGE, CITATION)
    return replace(log, counted=rated.counted, rejected_items=films.rejected, counted_items=films.counted)


def _files(folder: str | Path | None) -> tuple[Path, Path]:
    if folder is None:
        return file_from_web(RATINGS_100K), file_from_web(MOVIES_100K)
    ratings, movies = Path(folder) / "ratings.dat", Path(folder) / "movies.dat"
    for path in (ratings, movies):
        if not path.is_file():
            raise InputError(f"{folder} holds no {path.name}; give the folder with ratings.dat and movies.dat.")
    return ratings, movies


def _read(connection: DuckDB, name: str, path: Path, columns: tuple[str, ...]) -> ReadRows:
    return read_delimited(connection, name, [path], Dialect(columns, "::"))
