import json
import shutil
import zipfile

import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.sources.viewing_history.export_files import open_export
from logs2lang.dataset_builders.sources.viewing_history.exports import recognise

SEARCH = {
    "header": "YouTube",
    "title": "Searched for rope",
    "titleUrl": "https://www.youtube.com/results?search_query=rope",
    "time": "2024-05-02T18:00:00.000Z",
}
ADVERTISEMENT = {**SEARCH, "title": "Watched Buy rope", "titleUrl": "https://www.youtube.com/watch?v=bbbbbbbbbbb"}
HTML = '<html><body><div class="content-cell mdl-cell">Watched <a href="https://www.youtube.com/watch?v=a">A</a>'


def recognised(path):
    with open_export(path) as files:
        export, found = recognise(files, str(path))
        return export.service, export.files, [file.name for file in found]


def test_only_the_history_of_an_export_is_read(exports):
    found = {folder.name: recognised(folder) for folder in exports.iterdir()}
    assert {kind: names for kind, (_, _, names) in found.items()} == {
        "netflix": ["CONTENT_INTERACTION/ViewingActivity.csv"],
        "netflix-titles": ["NetflixViewingHistory.csv"],
        "spotify": ["Streaming_History_Audio_2023-2024_0.json", "Streaming_History_Audio_2024_1.json"],
        "spotify-account": ["StreamingHistory_music_0.json", "StreamingHistory_podcast_0.json"],
        "youtube": ["history/watch-history.json"],
        "letterboxd": ["diary.csv", "ratings.csv", "watched.csv"],
        "trakt": ["ratings-shows.json", "watched-history-1.json"],
        "trakt-csv": ["history.csv"],
    }


@pytest.mark.parametrize("kind", ["netflix", "spotify", "youtube", "trakt-csv"])
def test_files_are_told_by_content_whatever_they_are_called(exports, tmp_path, kind):
    service, files, names = recognised(exports / kind)
    shutil.copy(exports / kind / names[0], tmp_path / "download")
    assert recognised(tmp_path / "download") == (service, files, ["download"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "file is empty"),
        ("\ufeff\n\n", "file is empty"),
        ("user_id,item_id,timestamp\na,b,1\n", "first columns of file are 'user_id', 'item_id', 'timestamp'"),
        ("Profile Name,Title Name,Thumbs Value\n", "first columns of file are 'profile name', 'title name'"),
        ("[]", "its first keys are missing"),
        ('[{"ts": "2024-05-01T20', "its first keys are missing, so it may be truncated"),
        ("[1, 2]", "its first keys are missing"),
        ('[{"playlists": []}]', "file is JSON, and its first keys are playlists"),
        ('{"username": "ada"}', "file is JSON"),
        (json.dumps([SEARCH, SEARCH, ADVERTISEMENT]), "its first keys are header, title, titleUrl, time"),
        ("[" * 100_000, "file is JSON"),
        ("%PDF-1.7\0\0\n", "first columns of file are '%pdf-1.7"),
        ("\0" * 100, "first columns of file are"),
    ],
)
def test_other_files_are_named_with_what_they_are_and_what_was_expected(tmp_path, content, message):
    (tmp_path / "file").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message) as raised:
        recognised(tmp_path / "file")
    for service in ("ViewingActivity.csv", "Streaming_History", "takeout.google.com", "letterboxd.com", "trakt.tv"):
        assert service in str(raised.value)


def test_a_youtube_history_as_html_is_answered_with_the_remedy(tmp_path):
    (tmp_path / "watch-history.html").write_text(HTML)
    for path in (tmp_path, tmp_path / "watch-history.html"):
        with pytest.raises(InputError, match="choose JSON"):
            recognised(path)


def test_a_folder_without_an_export(tmp_path):
    with pytest.raises(InputError, match=r"it contains no \.csv or \.json file"):
        recognised(tmp_path)
    for name in "abcdefghij":
        (tmp_path / f"{name}.csv").write_text("x,y\n")
    with pytest.raises(InputError, match=r"it contains a\.csv, .*h\.csv, \.\.\.\."):
        recognised(tmp_path)


def test_exports_that_are_no_one_log_are_refused(exports, tmp_path):
    shutil.copytree(exports / "netflix", tmp_path / "both")
    shutil.copytree(exports / "netflix-titles", tmp_path / "both" / "short")
    with pytest.raises(InputError, match=r"Netflix CONTENT_INTERACTION/ViewingActivity\.csv and Netflix short/Netf"):
        recognised(tmp_path / "both")
    with pytest.raises(InputError, match="two different exports"):
        recognised(exports)


def test_a_spreadsheet_is_to_be_saved_as_csv(tmp_path):
    with zipfile.ZipFile(tmp_path / "history.xlsx", "w") as book:
        book.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(InputError, match=r"is a spreadsheet\. Give the CSV file"):
        recognised(tmp_path / "history.xlsx")
