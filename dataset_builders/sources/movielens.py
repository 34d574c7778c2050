"""MovieLens: ratings that people gave to films on movielens.org. Its rows may not be redistributed."""

import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ..input_error import InputError
from ..package_files import PackageFile, file_from_package
from ..raw_log import LogLicense, RawLog
from ..schema import (
    ITEM_ID,
    SOURCE_FILE,
    SOURCE_ROW,
    TIMESTAMP,
    TITLE,
    USER_ID,
    VALUE,
    YEAR,
)
from ..web_files import WebFile, file_from_web
from .delimited import Dialect, ReadRows, open_text, read_delimited
from .movie_titles import spoken_title_of, without_no_genres, year_of

# The checksum is the one TensorFlow Datasets publishes for the same file.
GROUPLENS_100K = WebFile(
    "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
    sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
)
RECBOLE_100K = (
    PackageFile(
        "recbole==1.2.1",
        "recbole/dataset_example/ml-100k/ml-100k.inter",
        sha256="4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    ),
    PackageFile(
        "recbole==1.2.1",
        "recbole/dataset_example/ml-100k/ml-100k.item",
        sha256="51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    ),
)

# The genre flags of u.item, in the order of u.genre.
GENRES_100K = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
]

_RATING_COLUMNS = (USER_ID, ITEM_ID, VALUE, TIMESTAMP)
_MOVIE_COLUMNS = (ITEM_ID, TITLE, "genres")
_HEAD_CHARS, _SHOWN_CHARS = 1 << 16, 100
_PLACE = (SOURCE_FILE, SOURCE_ROW)

LICENSE = LogLicense(
    "other",
    redistributable=False,
    notice="MovieLens may be used for research, and may not be redistributed without the permission of GroupLens.",
)
HOMEPAGE = "https://grouplens.org/datasets/movielens/"
CITATION = """@article{harper2015movielens,
  author = {F. Maxwell Harper and Joseph A. Konstan},
  title = {The MovieLens Datasets: History and Context},
  journal = {ACM Transactions on Interactive Intelligent Systems},
  volume = {5},
  number = {4},
  year = {2015},
  doi = {10.1145/2827872}
}"""


def read_movielens(connection: DuckDB, *, variant: str | None = None, folder: str | Path | None = None) -> RawLog:
    """Read a MovieLens dataset.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        variant (`str`, *optional*): One of `LAYOUTS`. Without one, what the files in the folder are, or 100k.
        folder (`str` or `Path`, *optional*): Where its files lie: `u.data` and `u.item` (or RecBole's `ml-100k.inter`
            and `ml-100k.item`) for 100k, `ratings.dat` and `movies.dat` for 1m, `ratings.csv` and `movies.csv` for the
            rest. Without one, 100k is downloaded from GroupLens or, where that cannot be reached, taken from the
            package `recbole`. Both give the same tables.

    Returns:
        [`RawLog`]: One event `rate` per rating, with the stars as its `value`.

    Raises:
        InputError: There is no such variant, the folder does not hold it, or it cannot be fetched.
    """
    if variant is None:
        variant = "100k" if folder is None else _variant_of(Path(folder))
    if variant not in LAYOUTS:
        raise InputError(f"There is no MovieLens {variant!r}; choose one of {', '.join(LAYOUTS)}.")
    if folder is not None:
        ratings, movies = _read_folder(connection, variant, Path(folder))
    elif variant == "100k":
        ratings, movies = _read_100k(connection)
    else:
        raise InputError(
            f"MovieLens {variant} is not downloaded automatically. Download and unpack it from {HOMEPAGE}, and give "
            "the folder."
        )
    interactions = ratings.rows.mutate(event=ibis.literal("rate"))
    name = f"movielens-{variant}"
    log = RawLog(name, interactions, movies.rows, ratings.rejected, "seconds", LICENSE, HOMEPAGE, CITATION)
    return replace(log, counted=ratings.counted, rejected_items=movies.rejected, counted_items=movies.counted)


def _read_100k(connection: DuckDB) -> tuple[ReadRows, ReadRows]:
    try:
        archive = file_from_web(GROUPLENS_100K)
    except InputError:  # offline, or behind a proxy: the package carries the same ratings and films
        inter, item = map(file_from_package, RECBOLE_100K)
        return _read_recbole_ratings(connection, inter), _read_recbole_movies(connection, item)
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(archive) as members:
        data, item = (Path(members.extract(f"ml-100k/{name}", folder)) for name in ("u.data", "u.item"))
        return _read_u_data(connection, data), _read_u_item(connection, item)


def _read_folder(connection: DuckDB, variant: str, folder: Path) -> tuple[ReadRows, ReadRows]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the folder with the unpacked files of MovieLens {variant}.")
    for (ratings, movies), (read_ratings, read_movies) in LAYOUTS[variant].items():
        if (folder / ratings).is_file() and (folder / movies).is_file():
            return read_ratings(connection, folder / ratings), read_movies(connection, folder / movies)
    expected = " or ".join(f"{ratings} and {movies}" for ratings, movies in LAYOUTS[variant])
    raise InputError(f"{folder} does not hold MovieLens {variant}: expected {expected}{_other_variants(folder)}.")


def _fitting_variants(folder: Path) -> list[str]:
    return [
        variant
        for variant, layouts in LAYOUTS.items()
        if any((folder / ratings).is_file() and (folder / movies).is_file() for ratings, movies in layouts)
    ]


def _variant_of(folder: Path) -> str:
    """The variant whose files are in a folder. The later ones look the same: the folder's name distinguishes them."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the folder with the unpacked files of MovieLens.")
    fitting = _fitting_variants(folder)
    named = [variant for variant in fitting if folder.resolve().name.casefold() == f"ml-{variant}"]
    if len(named or fitting) == 1:
        return (named or fitting)[0]
    if fitting:
        raise InputError(f"{folder} could be MovieLens {' or '.join(fitting)}; specify which with --variant.")
    pairs = dict.fromkeys(pair for layouts in LAYOUTS.values() for pair in layouts)
    expected = " or ".join(f"{ratings} and {movies}" for ratings, movies in pairs)
    raise InputError(f"{folder} holds no MovieLens: expected {expected}.")


def _other_variants(folder: Path) -> str:
    fitting = _fitting_variants(folder)
    return f"; its files could be MovieLens {' or '.join(fitting)}" if fitting else ""


def _read_u_data(connection: DuckDB, path: Path) -> ReadRows:
    return read_delimited(connection, "movielens_ratings", [path], Dialect(_RATING_COLUMNS, "\t", encoding="latin-1"))


def _read_u_item(connection: DuckDB, path: Path) -> ReadRows:
    columns = (ITEM_ID, TITLE, "released", "released_on_video", "imdb", *GENRES_100K)
    read = read_delimited(connection, "movielens_movies", [path], Dialect(columns, "|", encoding="latin-1"))
    flags = [ibis.ifelse(read.rows[genre] == "1", genre, ibis.null("string")) for genre in GENRES_100K]
    tags = ibis.array(flags).filter(lambda tag: tag.notnull())
    return replace(read, rows=_titled(read.rows, tags))


def _read_recbole_ratings(connection: DuckDB, path: Path) -> ReadRows:
    return read_delimited(connection, "movielens_ratings", [path], Dialect(_RATING_COLUMNS, "\t", header=True))


def _read_recbole_movies(connection: DuckDB, path: Path) -> ReadRows:
    """RecBole splits title and year, which went wrong for two films: `unkonwn`, and one whose year became `V`."""
    dialect = Dialect((ITEM_ID, TITLE, YEAR, "genres"), "\t", header=True)
    read = read_delimited(connection, "movielens_movies", [path], dialect)
    movies = read.rows.mutate(title=read.rows[TITLE].replace("unkonwn", "unknown"))
    return replace(read, rows=_titled(movies, movies.genres.split(" "), movies[YEAR]))


def _read_dat_ratings(connection: DuckDB, path: Path) -> ReadRows:
    return read_delimited(connection, "movielens_ratings", [path], Dialect(_RATING_COLUMNS, "::", encoding="latin-1"))


def _read_dat_movies(connection: DuckDB, path: Path) -> ReadRows:
    read = read_delimited(connection, "movielens_movies", [path], Dialect(_MOVIE_COLUMNS, "::", encoding="latin-1"))
    return replace(read, rows=_titled(read.rows, read.rows.genres.split("|")))


def _read_csv_ratings(connection: DuckDB, path: Path) -> ReadRows:
    _require_header(path, "userId,movieId,rating,timestamp")
    return read_delimited(connection, "movielens_ratings", [path], Dialect(_RATING_COLUMNS, ",", '"', header=True))


def _read_csv_movies(connection: DuckDB, path: Path) -> ReadRows:
    _require_header(path, "movieId,title,genres")
    read = read_delimited(connection, "movielens_movies", [path], Dialect(_MOVIE_COLUMNS, ",", '"', header=True))
    return replace(read, rows=_titled(read.rows, without_no_genres(read.rows.genres.split("|"))))


def _require_header(path: Path, expected: str) -> None:
    """Columns are read by place; a file that orders them otherwise would be read wrongly and say nothing."""
    with open_text(path, "utf-8-sig") as file:
        header = file.readline(_HEAD_CHARS).strip()
    if header != expected:
        raise InputError(
            f"{path} begins with {header[:_SHOWN_CHARS]!r}, but MovieLens begins with {expected!r}. For your own "
            "table, use `logs2lang build tabular`."
        )


def _titled(movies: ir.Table, tags: ir.ArrayValue, year: ir.StringValue | None = None) -> ir.Table:
    found = year_of(movies[TITLE])
    year = found if year is None else ibis.coalesce(found, year)
    return movies.select(*_PLACE, ITEM_ID, title=spoken_title_of(movies[TITLE]), year=year, tags=tags)


_Reader = Callable[[DuckDB, Path], ReadRows]
_CSV: dict[tuple[str, str], tuple[_Reader, _Reader]] = {
    ("ratings.csv", "movies.csv"): (_read_csv_ratings, _read_csv_movies)
}
LAYOUTS: dict[str, dict[tuple[str, str], tuple[_Reader, _Reader]]] = {
    "100k": {
        ("u.data", "u.item"): (_read_u_data, _read_u_item),
        ("ml-100k.inter", "ml-100k.item"): (_read_recbole_ratings, _read_recbole_movies),
    },
    "1m": {("ratings.dat", "movies.dat"): (_read_dat_ratings, _read_dat_movies)},
    "latest-small": _CSV,
    "20m": _CSV,
    "25m": _CSV,
    "32m": _CSV,
}
"""By variant: the names of its two files, and what reads them. 100k comes in two layouts."""
