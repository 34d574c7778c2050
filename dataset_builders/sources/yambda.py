"""Yambda: what users of a music service listened to, on their own and as recommended."""

from pathlib import Path
from typing import Literal, get_args

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ..hub_files import HubFile, file_from_hub
from ..input_error import InputError
from ..raw_log import LogLicense, RawLog
from ..schema import DURATION, ITEM_ID, TIMESTAMP, USER_ID
from .named_rows import NamedRows
from .nested_events import explode_events
from .official_files import find_files, read_named, require_columns, select_columns

WHAT = "Yambda"
REPO = "yandex/yambda"
REVISION = "dd6f3a19eef5866e346c3270e098baa641a44948"
LICENSE = LogLicense("apache-2.0", redistributable=True, notice="Yambda, by Yandex, under the Apache License 2.0.")
HOMEPAGE = "https://huggingface.co/datasets/yandex/yambda"
CITATION = """@article{ploshkin2025yambda,
  author = {A. Ploshkin and V. Tytskiy and A. Pismenny and V. Baikalov and E. Taychinov and A. Permiakov and
    D. Burlakov and E. Krofto and N. Savushkin},
  title = {Yambda-5B --- A Large-Scale Multi-modal Dataset for Ranking And Retrieval},
  journal = {arXiv preprint arXiv:2505.22238},
  year = {2025}
}"""

Size = Literal["50m", "500m", "5b"]
Layout = Literal["flat", "sequential"]
Events = Literal["listens", "likes"]

LISTENED_PERCENT = 50
"""From which share of a track on its owners count it as listened to."""

CLOCK_START = 946_684_800
"""The first of January 2000: the data set counts seconds from a beginning that it does not tell."""

_CLOCK_NOTE = (
    "Yambda counts seconds from an unknown beginning, in steps of 5. They are shown as if it began on 2000-01-01, so "
    "only differences between times mean something."
)
_ARTISTS = "artist_item_mapping.parquet"
_ARTISTS_NOTE = f"There is no {_ARTISTS} in the folder, so no track has its artists as tags."
_ORGANIC, _PERCENT, _SECONDS = "organic", "percent", "seconds"
_COLUMNS = {USER_ID: "uid", ITEM_ID: "item_id", TIMESTAMP: "timestamp", _ORGANIC: "is_organic"}
_LISTEN_COLUMNS = {**_COLUMNS, _PERCENT: "played_ratio_pct", _SECONDS: "track_length_seconds"}


def read_yambda(
    connection: DuckDB,
    *,
    size: Size = "50m",
    layout: Layout = "flat",
    events: Events = "listens",
    folder: str | Path | None = None,
) -> RawLog:
    """Read one size of Yambda.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        size (`str`, *optional*, defaults to `"50m"`): `"50m"`, `"500m"` or `"5b"`.
        layout (`str`, *optional*, defaults to `"flat"`): `"flat"` has a row per event, `"sequential"` one per user.
            Both give the same log.
        events (`str`, *optional*, defaults to `"listens"`): `"listens"` or `"likes"`.
        folder (`str` or `Path`, *optional*): A copy of the repository, or where `listens.parquet` or `likes.parquet`
            lies; `artist_item_mapping.parquet` beside it gives each track its artists. Without a folder the files
            come from the Hub, at a pinned commit.

    Returns:
        [`RawLog`]: Per listen one event: `abandon` where less than half of the track was played, else `listen`, or
        `recommended_listen` where the service chose the track (`is_organic` is 0). `value` is the share that was
        played, above 1 where parts were played again, and `duration_s` the time. Likes are `like` and
        `recommended_like`. Tracks have no titles: ids serve as titles. Their artists are tags.

    Raises:
        InputError: The folder does not hold the files, or they cannot be fetched.
    """
    for option, value, known in (("size", size, Size), ("layout", layout, Layout), ("events", events, Events)):
        if value not in get_args(known):
            raise InputError(f"There is no {option} {value!r}; choose one of {', '.join(get_args(known))}.")
    log_file = _file(folder, f"{layout}/{size}", f"{events}.parquet")
    columns = _LISTEN_COLUMNS if events == "listens" else _COLUMNS
    found = read_named(connection, "yambda_events", [log_file], in_place=True)
    require_columns(found, list(columns.values()), WHAT)
    if _is_sequential(found):
        lists = [theirs for ours, theirs in columns.items() if ours != USER_ID]
        found = explode_events(connection, "yambda_events", found, lists)
    read = select_columns(found, columns, WHAT)
    rows = read.rows.mutate(timestamp=read.rows[TIMESTAMP].cast("int64") + CLOCK_START)
    rows = _listens(rows) if events == "listens" else _likes(rows)
    artists = _artists_file(folder)
    return RawLog(
        f"yambda-{size}-{events}",
        rows,
        None if artists is None else _tracks(connection, artists, rows),
        read.rejected,
        "seconds",
        LICENSE,
        HOMEPAGE,
        CITATION,
        notes=(_CLOCK_NOTE, _ARTISTS_NOTE) if artists is None else (_CLOCK_NOTE,),
        counted=read.counted,
        scan=found.scan,
    )


def _file(folder: str | Path | None, place: str, name: str) -> Path:
    if folder is None:
        return file_from_hub(HubFile(REPO, REVISION, f"{place}/{name}"))
    return find_files(folder, (f"{place}/{name}", name), WHAT)[0]


def _is_sequential(read: NamedRows) -> bool:
    """Whether a row holds all events of a user; the names of the columns are the same."""
    return read.rows[read.columns["item_id"]].type().is_array()


def _listens(rows: ir.Table) -> ir.Table:
    share = rows[_PERCENT].cast("float64") / 100
    half = (rows[_PERCENT] < LISTENED_PERCENT).fill_null(False)
    event = ibis.cases((half, "abandon"), (_is_recommended(rows), "recommended_listen"), else_="listen")
    listens = rows.mutate(event=event, value=share, **{DURATION: share * rows[_SECONDS]})
    return listens.drop(_ORGANIC, _PERCENT, _SECONDS)


def _likes(rows: ir.Table) -> ir.Table:
    return rows.mutate(event=_is_recommended(rows).ifelse("recommended_like", "like")).drop(_ORGANIC)


def _is_recommended(rows: ir.Table) -> ir.BooleanValue:
    return (rows[_ORGANIC].cast("int64") == 0).fill_null(False)


def _artists_file(folder: str | Path | None) -> Path | None:
    """The file that says which artist made which track; `None` where a folder does not have it."""
    if folder is None:
        return file_from_hub(HubFile(REPO, REVISION, _ARTISTS))
    places = (Path(folder).expanduser() / step / _ARTISTS for step in (".", "../.."))
    return next((place for place in places if place.is_file()), None)


def _tracks(connection: DuckDB, artists: Path, log: ir.Table) -> ir.Table:
    """The tracks of the log with their artists as tags."""
    columns = {ITEM_ID: "item_id", "artist": "artist_id"}
    read = select_columns(read_named(connection, "yambda_artists", [artists]), columns, WHAT).rows
    pairs = read.select(item_id=read[ITEM_ID].cast("string"), artist=read.artist.cast("string"))
    used = log.select(item_id=log[ITEM_ID].cast("string")).distinct()
    pairs = pairs.filter(pairs.artist.notnull()).semi_join(used, ITEM_ID).distinct()
    return pairs.group_by(ITEM_ID).agg(tags=(ibis.literal("artist ") + pairs.artist).collect().sort())
