"""YouTube: `watch-history.json` of Google Takeout, YouTube Music included."""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from dataset_builders.sources.delimited import ReadRows
from dataset_builders.sources.viewing_history.export_files import ExportFile
from dataset_builders.sources.viewing_history.json_rows import read_json_rows
from dataset_builders.sources.viewing_history.viewings import OWNER, PLAY, set_aside, to_viewings

NO_ADDRESS = "no video address: removed or private"
NO_VIDEO = "not a video: a search, a post or a visit"

_VALUES = {
    "time": "/time",
    "title": "/title",
    "address": "/titleUrl",
    "channel": "/subtitles/0/name",
    "details": "/details",
}
_VIDEO_ID = r"(?:[?&]v=|youtu\.be/|/shorts/|/live/)([A-Za-z0-9_-]{5,})"
_GOOGLE_ADS = "Google Ads"

# What Takeout puts around a title, by the language of the account. Of an unknown language the words stay.
_AROUND = (
    ("Watched ", ""),
    ("„", "“ angesehen"),
    ("", " angesehen"),
    ("Angesehen: ", ""),
    ("Vous avez regardé ", ""),
    ("Has visto ", ""),
    ("Viste ", ""),
    ("Hai guardato ", ""),
    ("Assistiu a ", ""),
    ("Você assistiu a ", ""),
    ("Viu ", ""),
    ("Je hebt ", " bekeken"),
    ("", " bekeken"),
    ("Bekeken ", ""),
    ("Obejrzano: ", ""),
    ("Du tittade på ", ""),
    ("Du så ", ""),
    ("Ați vizionat ", ""),
    ("Ai vizionat ", ""),
    ("Pregledali ste ", ""),
    ("Вы посмотрели видео ", ""),
    ("Просмотрено: ", ""),
    ("", " を視聴しました"),
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
        [`ReadRows`]: Viewings by video id. What has no address or is no video is rejected.
    """
    read = read_json_rows(connection, "youtube", files, _VALUES)
    video_id = read.rows.address.re_extract(_VIDEO_ID, 1)
    missing = read.rows.address.nullif("").isnull()
    read = set_aside(read, missing | (video_id == ""), missing.ifelse(NO_ADDRESS, NO_VIDEO))
    rows = read.rows
    viewings = to_viewings(
        rows,
        user_id=OWNER,
        item_id=rows.address.re_extract(_VIDEO_ID, 1),
        timestamp=rows.time,
        event=rows.details.contains(_GOOGLE_ADS).fill_null(False).ifelse("trailer", PLAY),
        title=bare_title(rows.title, rows.address),
        tags=rows.channel.nullif("").isnull().ifelse(ibis.null("array<string>"), ibis.array([rows.channel])),
    )
    return ReadRows(viewings, read.rejected)


def bare_title(title: ir.StringValue, address: ir.StringValue) -> ir.StringValue:
    """The title without the words around it; null where the address stands in its place.

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
        for before, after in _AROUND
    ]
    return ibis.cases(*taken, else_=plain).nullif(address)
