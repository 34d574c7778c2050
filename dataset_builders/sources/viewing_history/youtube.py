"""YouTube: `watch-history.json` of Google Takeout, YouTube Music included."""

from collections.abc import Sequence
from functools import reduce
from itertools import takewhile
from operator import or_

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ..delimited import ReadRows
from .export_files import ExportFile
from .json_rows import read_json_rows
from .viewings import OWNER, PLAY, TRAILER, set_aside, to_viewings

NO_ADDRESS = "no video address: removed or private"
NO_VIDEO = "not a video: a search, a post or a visit"
NO_VIEWING = "not a viewing: a like, a vote or a save"

_VALUES = {
    "time": "/time",
    "title": "/title",
    "address": "/titleUrl",
    "channel": "/subtitles/0/name",
    "details": "/details",
}
_VIDEO_ID = r"(?:[?&]v=|youtu\.be/|/shorts/|/live/)([A-Za-z0-9_-]{5,})"
# "From Google Ads", and in Japanese "Google 広告から": the details of a video name Google only for advertisements.
_GOOGLE = "Google"

_WATCHED = "Watched "
# My Activity tells these of a video as well, with its address; where it says "Watched", in English.
_OTHER_DEEDS = ("Liked ", "Disliked ", "Saved ", "Voted ", "Dismissed ", "Subscribed to ")

_LEAST_TITLES = 10
"""From so many different titles on, what they all begin or end with is taken for words of the account's language."""

# What Takeout puts around a title, by the language of the account. Others are detected from what all titles share.
_AROUND = (
    (_WATCHED, ""),
    ("„", "“ angesehen"),
    ("", " angesehen"),
    ("Angesehen: ", ""),
    ("Vous avez regardé ", ""),
    ("Has visto ", ""),
    ("Viste ", ""),
    ("Miraste ", ""),
    ("Hai guardato ", ""),
    ("Assistiu a ", ""),
    ("Assistiu ", ""),
    ("Você assistiu a ", ""),
    ("Viu ", ""),
    ("Je hebt ", " bekeken"),
    ("", " bekeken"),
    ("Bekeken ", ""),
    ("Bekeken: ", ""),
    ("Obejrzano: ", ""),
    ("Du tittade på ", ""),
    ("Du så ", ""),
    ("Ați vizionat ", ""),
    ("Ai vizionat ", ""),
    ("Pregledali ste ", ""),
    ("Вы посмотрели видео ", ""),
    ("Просмотрено: ", ""),
    ("", "을(를) 시청했습니다."),
    ("观看了 ", ""),
    ("觀看了 ", ""),
    ("", " を視聴しました"),
    ("", "を視聴しました"),
)


def read_youtube(connection: DuckDB, files: Sequence[ExportFile], day_first: bool | None = None) -> ReadRows:
    """Read `watch-history.json`.

    Advertisements are `trailer`, everything else is `play`; the file says nothing of how long. The channel is a tag
    and no series: the next video of a known channel is a discovery.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        files (`list[ExportFile]`): UTF-8 text on disk.
        day_first (`bool`, *optional*): Not needed: the times are ISO 8601.

    Returns:
        [`ReadRows`]: Viewings by video id. What has no address, is no video or was not watched is rejected.
    """
    read = _viewings_of(read_json_rows(connection, "youtube", files, _VALUES), connection)
    rows = read.rows
    shared = shared_words(rows, connection)
    viewings = to_viewings(
        rows,
        user_id=OWNER,
        item_id=rows.address.re_extract(_VIDEO_ID, 1),
        timestamp=rows.time,
        event=rows.details.contains(_GOOGLE).fill_null(False).ifelse(TRAILER, PLAY),
        title=bare_title(rows.title, rows.address, shared),
        tags=rows.channel.nullif("").isnull().ifelse(ibis.null("array<string>"), ibis.array([rows.channel])),
    )
    return ReadRows(viewings, read.rejected)


def _viewings_of(read: ReadRows, connection: DuckDB) -> ReadRows:
    rows = read.rows
    missing = rows.address.nullif("").isnull()
    no_video = rows.address.re_extract(_VIDEO_ID, 1) == ""
    in_english = bool(connection.execute(rows.title.startswith(_WATCHED).any()))
    other = reduce(or_, [rows.title.startswith(words) for words in _OTHER_DEEDS]) & in_english
    reason = ibis.cases((missing, NO_ADDRESS), (no_video, NO_VIDEO), else_=NO_VIEWING)
    return set_aside(read, missing | no_video | other.fill_null(False), reason)


def shared_words(rows: ir.Table, connection: DuckDB) -> tuple[str, str]:
    """What every title of the export begins and ends with: the words around it in a language that is not known here.

    Args:
        rows (`ibis.Table`): `title` and `address` of each viewing.
        connection (`ibis.backends.duckdb.Backend`): Where the titles are compared.

    Returns:
        `tuple[str, str]`: Whole words, with the space beside them; empty where titles share none, or are few.

    Example:
        >>> from logs2lang.dataset_builders.raw_log import connect
        >>> from tempfile import TemporaryDirectory
        >>> titles = [f"{number} hajó megtekintve" if number % 2 else f"{number} megtekintve" for number in range(10)]
        >>> with TemporaryDirectory() as folder:
        ...     shared_words(ibis.memtable({"title": titles, "address": ["a"] * 10}), connect(folder))
        ('', ' megtekintve')
    """
    titles = rows.select(title=rows.title.replace("\u00a0", " ")).distinct()
    ends = titles.title.reverse()
    found = connection.execute(
        ibis.struct(
            {
                "count": titles.title.nunique(),
                "starts": ibis.array([titles.title.min(), titles.title.max()]),
                "ends": ibis.array([ends.min(), ends.max()]),
            }
        )
    )
    if not found or found["count"] < _LEAST_TITLES:
        return "", ""
    # The first and the last in order share only what all share; half a word is no word.
    start, end = (_beginning(*map(str, found[key])) for key in ("starts", "ends"))
    return start[: start.rfind(" ") + 1], end[: end.rfind(" ") + 1][::-1]


def _beginning(one: str, other: str) -> str:
    """What two texts both begin with."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(letter for letter, _ in alike)


def bare_title(title: ir.StringValue, address: ir.StringValue, shared: tuple[str, str] = ("", "")) -> ir.StringValue:
    """The title without the words around it; null where the address stands in its place.

    Args:
        title (`ibis.StringColumn`): As the export has it.
        address (`ibis.StringColumn`): Of the video.
        shared (`tuple[str, str]`, *optional*): As `shared_words` returns them; for languages that are not known here.

    Example:
        >>> table = ibis.memtable({"title": ["Watched Heat", "„Heat“ angesehen", "Has visto https://a.b"],
        ...     "address": ["https://a.b"] * 3})
        >>> table.select(bare=bare_title(table.title, table.address)).execute()["bare"].fillna("nothing").to_list()
        ['Heat', 'Heat', 'nothing']
    """
    plain = title.replace("\u00a0", " ")
    taken = [
        (
            plain.startswith(before) & plain.endswith(after) & (plain.length() > len(before + after)),
            plain.substr(len(before), plain.length() - len(before + after)),
        )
        for before, after in (*_AROUND, *([shared] if any(shared) else []))
    ]
    return ibis.cases(*taken, else_=plain).nullif(address)
