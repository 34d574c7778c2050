"""KuaiRand: what people were shown in a feed of short videos, and how long they watched it."""

from dataclasses import replace
from pathlib import Path

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ..cells.written_lists import read_tags
from ..events import IMPRESSION
from ..raw_log import LogLicense, RawLog
from ..schema import DURATION, ITEM_ID, SOURCE_FILE, SOURCE_ROW, TAGS, TIMESTAMP, USER_ID, YEAR
from .official_files import find_files, read_named, select_columns

WHAT = "KuaiRand"
LICENSE = LogLicense(
    "cc-by-sa-4.0",
    redistributable=True,
    notice="KuaiRand, by Chongming Gao and others (2022), under CC BY-SA 4.0.",
)
HOMEPAGE = "https://kuairand.com"
CITATION = """@inproceedings{gao2022kuairand,
  author = {Chongming Gao and Shijun Li and Yuan Zhang and Jiawei Chen and Biao Li and Wenqiang Lei and Peng Jiang and
    Xiangnan He},
  title = {KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly Exposed Videos},
  booktitle = {Proceedings of the 31st ACM International Conference on Information and Knowledge Management},
  series = {CIKM '22},
  pages = {3953--3957},
  year = {2022},
  doi = {10.1145/3511808.3557624}
}"""

VALID_PLAY_MS = 7_000
"""From where on the authors count a play as valid; a shorter video must be watched to its end."""

_LOGS, _VIDEOS = "log_*.csv", "video_features_basic_*.csv"
_LENGTH, _CLICKED, _HATED = "length", "clicked", "hated"
_COLUMNS = {
    USER_ID: "user_id",
    ITEM_ID: "video_id",
    TIMESTAMP: "time_ms",
    DURATION: "play_time_ms",
    _LENGTH: "duration_ms",
    _CLICKED: "is_click",
    _HATED: "is_hate",
}
_AUTHOR = "author"
_VIDEO_COLUMNS = {ITEM_ID: "video_id", YEAR: "upload_dt", TAGS: "tag", _AUTHOR: "author_id"}


def read_kuairand(connection: DuckDB, *, folder: str | Path) -> RawLog:
    """Read KuaiRand-Pure, KuaiRand-1K or KuaiRand-27K.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        folder (`str` or `Path`): The unpacked folder, such as `KuaiRand-Pure`, or its `data`: all `log_*.csv` and
            `video_features_basic_*.csv` in it, so both the standard feed and the videos that were shown at random.

    Returns:
        [`RawLog`]: Per row one event: `play` where the authors' rule calls the play valid (over 7 seconds, or to the
        end of a shorter video; `is_click`), `abandon` where it is shorter or the user marked the video as hated, and
        `impression` where a video was shown and not played. `duration_s` is the time played, `value` the watch ratio.
        Videos have no titles: ids serve as titles. Their tags are the category and the author.

    Raises:
        InputError: The folder does not hold the files.
    """
    logs = find_files(folder, (_LOGS, f"data/{_LOGS}"), WHAT)
    videos = find_files(folder, (_VIDEOS, f"data/{_VIDEOS}"), WHAT)
    read = select_columns(read_named(connection, "kuairand_log", logs, ","), _COLUMNS, WHAT)
    described = select_columns(read_named(connection, "kuairand_videos", videos, ","), _VIDEO_COLUMNS, WHAT)
    rows = read.rows.mutate(event=_event(read.rows), value=_watch_ratio(read.rows))
    raw = RawLog(
        _name(logs),
        rows.drop(_LENGTH, _CLICKED, _HATED),
        _videos(described.rows, connection),
        read.rejected,
        "milliseconds",
        LICENSE,
        HOMEPAGE,
        CITATION,
        duration_unit="ms",
    )
    return replace(raw, counted=read.counted, rejected_items=described.rejected, counted_items=described.counted)


def _name(logs: list[Path]) -> str:
    """The name of the version that the names of the files tell: `log_random_4_22_to_5_08_pure.csv`."""
    versions = {version for version in ("pure", "1k", "27k") for path in logs if f"_{version}" in path.name}
    return f"kuairand-{versions.pop()}" if len(versions) == 1 else "kuairand"


def _event(rows: ir.Table) -> ir.StringValue:
    played, length = rows[DURATION].try_cast("float64"), rows[_LENGTH].try_cast("float64")
    clicked = rows[_CLICKED].strip() == "1"
    to_the_end = (length <= VALID_PLAY_MS) & (played >= length)
    return ibis.cases(
        ((rows[_HATED].strip() == "1").fill_null(False), "abandon"),
        ((clicked | (played > VALID_PLAY_MS) | (to_the_end & (played > 0))).fill_null(False), "play"),
        ((played > 0).fill_null(False), "abandon"),
        else_=IMPRESSION,
    )


def _watch_ratio(rows: ir.Table) -> ir.FloatingValue:
    played, length = rows[DURATION].try_cast("float64"), rows[_LENGTH].try_cast("float64")
    return (length > 0).ifelse((played / length).round(4), ibis.null("float64"))


def _videos(rows: ir.Table, connection: DuckDB) -> ir.Table:
    """Bare numbers mean nothing to a reader, so tags say what they number."""
    tags = read_tags(rows[TAGS], ",", connection).map(lambda tag: "category " + tag.strip())
    author = ibis.array([ibis.literal("author ") + rows[_AUTHOR]]).filter(lambda name: name.notnull())
    none = ibis.literal([], "array<string>")
    tagged = ibis.coalesce(tags, none).concat(author)
    return rows.select(SOURCE_FILE, SOURCE_ROW, ITEM_ID, YEAR, tags=tagged)
