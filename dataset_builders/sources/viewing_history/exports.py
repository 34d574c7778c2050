"""Which service wrote an export, detected from their contents and not from their names."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ...input_error import InputError
from .csv_rows import header_of
from .export_files import ExportFile, head_of

_SHEETS = (".xlsx", ".xls", ".ods", ".numbers")
_SHOWN, _SHOWN_CHARS = 8, 40
_BLANK = "\ufeff \r\n\t"
_GAP = re.compile(r"[\s,]*")
_HTML_HISTORY = re.compile(r"^\s*<.*(content-cell|youtube\.com)", re.DOTALL)

# The two columns of NetflixViewingHistory.csv in the languages of its website.
_NETFLIX_TITLE = re.compile(
    "title|titel|titre|título|titolo|tytuł|název|názov|cím|otsikko|nimike|tittel|titlu|naslov|başlık|название|назва|"
    "заглавие|τίτλος|タイトル|片名|標題|标题|제목"
)
_NETFLIX_DATE = re.compile("date|datum|fecha|data|dato|päivämäärä|dátum|dată|tarih|дата|ημερομηνία|日付|日期|날짜")


@dataclass(frozen=True)
class Export:
    """One kind of export. The files of one export are one log; two exports of a service tell the same viewings twice.

    Args:
        service (`str`): `"Netflix"`, ...
        files (`str`): What the service calls the files.
        where (`str`): How to get them.
    """

    service: str
    files: str
    where: str


NETFLIX_ACTIVITY = Export("Netflix", "ViewingActivity.csv", "netflix.com/account/getmyinfo")
NETFLIX_TITLES = Export("Netflix", "NetflixViewingHistory.csv", "Account > Profile > Viewing activity > Download all")
SPOTIFY_EXTENDED = Export(
    "Spotify",
    "Streaming_History_Audio_*.json or endsong_*.json",
    "spotify.com/account/privacy, extended streaming history",
)
SPOTIFY_ACCOUNT = Export("Spotify", "StreamingHistory*.json", "spotify.com/account/privacy, account data")
YOUTUBE = Export("YouTube", "watch-history.json", "takeout.google.com, with the history as JSON")
LETTERBOXD = Export("Letterboxd", "diary.csv, ratings.csv, watched.csv", "letterboxd.com/settings/data")
TRAKT_JSON = Export("Trakt", "watched-history-*.json, ratings-*.json", "trakt.tv/settings/data")
TRAKT_CSV = Export("Trakt", "a history or ratings CSV", "trakt.tv, Export CSV on the history page")
EXPORTS = (
    NETFLIX_ACTIVITY,
    NETFLIX_TITLES,
    SPOTIFY_EXTENDED,
    SPOTIFY_ACCOUNT,
    YOUTUBE,
    LETTERBOXD,
    TRAKT_JSON,
    TRAKT_CSV,
)


def recognise(files: Sequence[ExportFile], shown: str) -> tuple[Export, list[ExportFile]]:
    """Find the one export among some files.

    Args:
        files (`list[ExportFile]`): As `open_export` yields them.
        shown (`str`): The path as the user wrote it, for messages.

    Returns:
        `tuple`: The export, and those of the files that belong to it.

    Raises:
        InputError: No file is of a known export, or files of several are there.
    """
    found: dict[ExportFile, Export] = {}
    for file in files:
        export = export_of(file.name, head_of(file))
        if export is not None:
            found[file] = export
    kinds = sorted(set(found.values()), key=EXPORTS.index)
    if not kinds:
        raise InputError(_unknown(files, shown))
    if len(kinds) > 1:
        first, second = (next(file.name for file in found if found[file] == kind) for kind in kinds[:2])
        raise InputError(
            f"{shown} contains two different exports: {kinds[0].service} {first} and {kinds[1].service} {second}. "
            "Give one of them."
        )
    return kinds[0], list(found)


def export_of(name: str, head: str) -> Export | None:
    """The export that a file belongs to.

    Args:
        name (`str`): The file's name, below its folder or archive.
        head (`str`): The beginning of the file.

    Returns:
        [`Export`] or `None`: `None` when it is of no export, or of one but no history: searches, lists to watch.

    Example:
        >>> export_of("mine.csv", "Titel,Datum\\n").service
        'Netflix'
        >>> export_of("mine.json", '[{"endTime": "2024-05-01 20:00", "trackName": "So What", "msPlayed": 9}]').files
        'StreamingHistory*.json'
    """
    if head.lstrip(_BLANK).startswith("["):
        return _json_export(first_objects(head))
    return _csv_export(PurePosixPath(name), header_of(head)[1])


def first_objects(head: str) -> list[Mapping[str, Any]]:
    """The objects at the beginning of a JSON array that may be cut off."""
    decoder, objects = json.JSONDecoder(), []
    place = head.find("[") + 1
    try:
        while gap := _GAP.match(head, place):
            value, place = decoder.raw_decode(head, gap.end())
            objects.append(value)
    except (ValueError, RecursionError):
        pass  # the end of the head, or of the array
    return [value for value in objects if isinstance(value, dict)]


def _json_export(objects: Sequence[Mapping[str, Any]]) -> Export | None:
    keys = {key for each in objects for key in each}
    if {"ts", "ms_played"} <= keys:
        return SPOTIFY_EXTENDED
    if {"endTime", "msPlayed"} <= keys:
        return SPOTIFY_ACCOUNT
    if keys & {"watched_at", "rated_at"} and keys & {"movie", "episode", "show"}:
        return TRAKT_JSON
    if {"title", "time"} <= keys and _tells_of_videos(objects):
        return YOUTUBE
    return None


def _tells_of_videos(objects: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an activity file of Google is about videos watched: the one of searches holds advertisements too."""
    addresses = [str(each.get("titleUrl")) for each in objects]
    videos = sum("youtu" in address and "/results?" not in address for address in addresses)
    removed = sum("titleUrl" not in each and str(each.get("header")).startswith("YouTube") for each in objects)
    return videos + removed > len(objects) / 2


def _csv_export(name: PurePosixPath, header: Sequence[str]) -> Export | None:
    columns = set(header)
    if {"title", "start time", "duration"} <= columns:
        return NETFLIX_ACTIVITY
    # A spreadsheet leaves empty columns behind, and numbers its rows in one without a name.
    named = [column for column in header if column]
    if len(named) == 2 and _NETFLIX_TITLE.fullmatch(named[0]) and _NETFLIX_DATE.match(named[1]):
        return NETFLIX_TITLES
    if {"date", "name", "year", "letterboxd uri"} <= columns:
        return LETTERBOXD if _tells_of_films_seen(name, columns) else None
    if {"watched_at", "type", "title"} <= columns or {"rated_at", "rating", "type", "title"} <= columns:
        return TRAKT_CSV
    return None


def _tells_of_films_seen(name: PurePosixPath, columns: set[str]) -> bool:
    if {"deleted", "orphaned"} & set(name.parts) or "review" in columns:
        return False  # reviews.csv repeats rows of diary.csv
    # watched.csv, watchlist.csv and likes/films.csv have the same columns: only here does the name decide.
    return bool({"rating", "watched date"} & columns) or name.stem.lower().startswith("watched")


def _unknown(files: Sequence[ExportFile], shown: str) -> str:
    if any(_HTML_HISTORY.search(head_of(file)) for file in files if file.name.lower().endswith(".html")):
        return (
            f"{shown} has the YouTube history as HTML. Request it again at takeout.google.com, and choose JSON for "
            "it under 'Multiple formats'."
        )
    if shown.lower().endswith(_SHEETS):
        return f"{shown} is a spreadsheet. Give the CSV file that the service sent, or save the sheet as CSV."
    expected = "; ".join(f"{export.service} {export.files} ({export.where})" for export in EXPORTS)
    return (
        f"{shown} is not a supported history: {_described(files)}. Expected one of: {expected}. For your own table, "
        "use `logs2lang build tabular`."
    )


def _described(files: Sequence[ExportFile]) -> str:
    if not files:
        return "it contains no .csv or .json file"
    if len(files) > 1:
        names = [file.name for file in files]
        return f"it contains {', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''}"
    name, head = files[0].name, head_of(files[0]).strip(_BLANK)
    if not head:
        return f"{name} is empty"
    if head.startswith(("[", "{")):
        keys = list(dict.fromkeys(key for each in first_objects(head) for key in each))
        return (
            f"{name} is JSON, and its first keys are {', '.join(keys[:_SHOWN]) or 'missing, so it may be truncated'}"
        )
    columns = ", ".join(repr(column[:_SHOWN_CHARS]) for column in header_of(head)[1][:_SHOWN])
    return f"the first columns of {name} are {columns}"
