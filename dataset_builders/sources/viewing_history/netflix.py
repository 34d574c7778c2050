"""Netflix: `ViewingActivity.csv` of the personal data archive, and the short `NetflixViewingHistory.csv`."""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ...schema import DEVICE, DURATION, SERIES, TIMESTAMP, TITLE, USER_ID
from ..delimited import ReadRows
from ..local_dates import parse_local_times
from .csv_rows import header_of, read_csv_rows
from .day_order import keep_file_order
from .episode_titles import series_of, with_series_beside
from .export_files import ExportFile, head_of
from .viewings import OWNER, PLAY, TRAILER, joined, to_viewings

_ACTIVITY = {
    USER_ID: "profile name",
    TIMESTAMP: "start time",
    DURATION: "duration",
    "attributes": "attributes",
    TITLE: "title",
    "extra": "supplemental video type",
    DEVICE: "device type",
}
_NOT_APPLICABLE = "N/A"
_NOBODY_ASKED = "autoplayed: user action: none"
_CLOCK_LENGTH = r"^\s*(-?)(\d+):(\d{1,2}):(\d{1,2})\s*$"


def read_netflix_activity(connection: DuckDB, files: Sequence[ExportFile], day_first: bool | None) -> ReadRows:
    """Read `ViewingActivity.csv`.

    Trailers, hooks, teasers, recaps and whatever else Netflix calls supplemental is a `trailer`; what began to run
    and the viewer never reacted to is `autoplay`; the rest is `play`.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        files (`list[ExportFile]`): UTF-8 text on disk.
        day_first (`bool` or `None`): As in `read_viewing_history`; spreadsheets rewrite Netflix's ISO times.

    Returns:
        [`ReadRows`]: Viewings; the user is the profile's name and the item is known by its title.
    """
    return joined([_read_activity(connection, place, file, day_first) for place, file in enumerate(files)])


def read_netflix_titles(connection: DuckDB, files: Sequence[ExportFile], day_first: bool | None) -> ReadRows:
    """Read `NetflixViewingHistory.csv`: titles and days, in the order of time.

    The file names no profile, and every profile has a file of its own: the user is `OWNER`, or, of several files, each
    file's name.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        files (`list[ExportFile]`): UTF-8 text on disk; each may have the dates of another language.
        day_first (`bool` or `None`): As in `read_viewing_history`.

    Returns:
        [`ReadRows`]: Viewings.

    Raises:
        InputError: The dates of a file can be read two ways.
    """
    users = [OWNER] if len(files) == 1 else [file.name for file in files]
    places = range(len(files))
    return joined([_read_titles(connection, *each, day_first) for each in zip(places, files, users, strict=True)])


def _read_activity(connection: DuckDB, place: int, file: ExportFile, day_first: bool | None) -> ReadRows:
    name = f"netflix_activity_{place}"
    read = read_csv_rows(connection, name, file, _ACTIVITY)
    rows = _with_series(_with_times(read.rows, connection, day_first, file, name))
    if _ACTIVITY[USER_ID] not in header_of(head_of(file))[1]:
        rows = rows.mutate(user_id=ibis.literal(OWNER))
    event = _event(rows)
    viewings = to_viewings(
        rows,
        user_id=rows[USER_ID],
        item_id=rows[TITLE],
        timestamp=rows[TIMESTAMP],
        event=event,
        duration_s=_seconds(rows[DURATION]),
        device=rows[DEVICE],
        title=rows[TITLE],
        # A trailer puts words of its own before the name: "Season 1 Trailer: Show: Season 1".
        series=(event == TRAILER).ifelse(ibis.null("string"), rows[SERIES]),
    )
    return ReadRows(viewings, read.rejected)


def _read_titles(connection: DuckDB, place: int, file: ExportFile, user: str, day_first: bool | None) -> ReadRows:
    title, date = filter(None, header_of(head_of(file))[1])
    name = f"netflix_titles_{place}"
    read = read_csv_rows(connection, name, file, {TITLE: title, TIMESTAMP: date})
    rows = with_series_beside(_with_series(_with_times(read.rows, connection, day_first, file, name)))
    viewings = to_viewings(
        rows,
        user_id=user,
        item_id=rows[TITLE],
        timestamp=rows[TIMESTAMP],
        event=PLAY,
        title=rows[TITLE],
        series=rows[SERIES],
    )
    return ReadRows(keep_file_order(viewings, newest_first=True), read.rejected)


def _with_times(rows: ir.Table, connection: DuckDB, day_first: bool | None, file: ExportFile, name: str) -> ir.Table:
    shown = f"The dates of {file.name}"
    return parse_local_times(rows, connection, day_first=day_first, shown=shown, name=f"{name}_dates")


def _with_series(rows: ir.Table) -> ir.Table:
    """Add the series; each title is parsed once, however often it was watched."""
    titles = rows.select(different=rows[TITLE]).distinct()
    parsed = titles.select("different", series=series_of(titles.different))
    return rows.left_join(parsed, rows[TITLE] == parsed.different).drop("different")


def _event(rows: ir.Table) -> ir.StringValue:
    extra = rows.extra.strip().nullif("").nullif(_NOT_APPLICABLE)
    unasked = rows.attributes.lower().contains(_NOBODY_ASKED).fill_null(False)
    return ibis.cases((extra.notnull(), TRAILER), (unasked, "autoplay"), else_=PLAY)


def _seconds(length: ir.StringValue) -> ir.StringValue:
    """`01:02:03` as seconds; anything else as it is, for the quarantine to show."""
    sign, hours, minutes, seconds = (length.re_extract(_CLOCK_LENGTH, group) for group in range(1, 5))
    total = (hours.try_cast("float64") * 60 + minutes.try_cast("float64")) * 60 + seconds.try_cast("float64")
    return ibis.coalesce((total * (sign == "-").ifelse(-1, 1)).cast("string"), length)
