import ast
import random
from functools import partial
from importlib.util import resolve_name
from pathlib import Path

import pytest

import logs2lang.dataset_builders.sources.viewing_history as package
from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.interactions import canonicalize
from logs2lang.dataset_builders.sources.viewing_history import read_viewing_history

ALLOWED = {
    "__future__", "ast", "codecs", "collections", "contextlib", "csv", "dataclasses", "difflib", "errno", "functools",
    "glob", "itertools", "json", "operator", "pathlib", "re", "shutil", "struct", "tempfile", "typing", "zipfile",
    "zlib", "duckdb", "ibis", "dataset_builders",
}  # fmt: skip
ACTIVITY = "netflix/CONTENT_INTERACTION/ViewingActivity.csv"
AUDIO = "spotify/Streaming_History_Audio_2023-2024_0.json"
HISTORY = "youtube/history/watch-history.json"


def modules():
    return sorted(Path(package.__file__).parent.glob("*.py"))


def test_no_module_can_reach_the_network():
    nodes = [node for path in modules() for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    inside = package.__name__
    names |= {
        resolve_name("." * node.level + (node.module or ""), inside)
        for node in nodes
        if isinstance(node, ast.ImportFrom)
    }
    assert {name.removeprefix("logs2lang.").split(".")[0] for name in names} <= ALLOWED
    assert not names & {"logs2lang.dataset_builders.web_files", "logs2lang.dataset_builders.package_files"}
    assert "logs2lang.dataset_builders.raw_log" in names


# What a file says first, what it is changed to, and the rows of the file after that.
DAMAGES = {
    "netflix, a line cut off": (ACTIVITY, "Ada,2024-03-09 20:12:40,00:00:31,", "Ada,2024-03-09", 5),
    "netflix, a quote never closed": (ACTIVITY, '"Kelp: Part Two"', '"Kelp: Part Two', 5),
    "netflix, no profile": (ACTIVITY, "Bo,2024-03-08", ",2024-03-08", 5),
    "netflix, no title": (ACTIVITY, "Fog Over Malin", "", 5),
    "netflix, a row twice": (ACTIVITY, "Bo,2024-03-07 18:00:00,00:22:05,,Tång: Säsong 2: Ön,,", None, 6),
    "netflix, a clock never set": (ACTIVITY, "2024-03-08 18", "1970-01-01 18", 5),
    "netflix titles, 30 February": ("netflix-titles/NetflixViewingHistory.csv", "3/9/24", "2/30/24", 3),
    "spotify, no object": (AUDIO, "[", "[7, null,", 4),
    "spotify, a negative length": (AUDIO, "200000", "-200000", 2),
    "spotify, half of an emoji": (AUDIO, "Low Water", "Low \\ud83d", 2),
    "youtube, no time": (HISTORY, "2024-05-02T19:00:00.123Z", "", 5),
    "letterboxd, too many columns": ("letterboxd/diary.csv", "4.5,", "4,5,", 2),
    "letterboxd, no number": ("letterboxd/ratings.csv", ",3\n", ",three\n", 2),
    "trakt, no time": ("trakt/watched-history-1.json", "2024-08-21T06:41:00.000Z", "soon", 2),
    "trakt csv, an empty line": ("trakt-csv/history.csv", "2024-08-20T19", "\n\n2024-08-20T19", 2),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_row_of_a_damaged_file_is_lost(connection, exports, write, damage):
    file, before, after, rows = DAMAGES[damage]
    text = (exports / file).read_text(encoding="utf-8")
    assert before in text
    if after is None:
        line = next(line for line in text.splitlines() if before in line)
        text = text.replace(line, f"{line}\n{line}")
    path = write(Path(file).name, text if after is None else text.replace(before, after, 1))
    log = canonicalize(read_viewing_history(connection, path), connection)
    counts = log.counts
    assert counts["input_rows"] == rows
    assert counts["used"] + counts["merged_duplicates"] + counts["quarantined"] == rows
    assert (
        counts["merged_duplicates"] + counts["quarantined"] or "empty line" in damage or "not numbers" in log.notes[0]
    )


def test_random_damage_is_set_aside_or_refused(connection, exports, tmp_path):
    files = sorted(path for path in exports.rglob("*") if path.is_file())
    rng = random.Random(0)
    for _ in range(25):
        path = rng.choice(files)
        content = bytearray(path.read_bytes())
        for place in (rng.randrange(len(content)) for _ in range(3)):
            content[place : place + rng.randrange(4)] = bytes(rng.choices(b'",\n\r\0\xe9[]{}\\0', k=rng.randrange(4)))
        (tmp_path / path.name).write_bytes(content)
        try:
            counts = canonicalize(read_viewing_history(connection, tmp_path / path.name), connection).counts
        except InputError:
            continue
        assert counts["input_rows"] == counts["used"] + counts["merged_duplicates"] + counts["quarantined"]


@pytest.mark.parametrize(
    ("file", "keep", "message"),
    [
        (AUDIO, -1, "is truncated: a JSON array ends with ]"),
        (AUDIO, -40, "truncated"),
        (HISTORY, 700, "truncated"),
        (ACTIVITY, 119, "has no rows"),
        ("netflix-titles/NetflixViewingHistory.csv", 11, "has no rows"),
    ],
)
def test_files_that_were_cut_off_or_have_no_rows_are_refused(connection, exports, tmp_path, file, keep, message):
    (tmp_path / "cut").write_bytes((exports / file).read_bytes()[:keep])
    with pytest.raises(InputError, match=message):
        read_viewing_history(connection, tmp_path / "cut")


def test_json_that_is_broken_in_the_middle_is_refused_with_the_place(connection, exports, write):
    text = (exports / AUDIO).read_text().replace('"ms_played": 4000', '"ms_played" 4000')
    with pytest.raises(InputError, match=r"a\.json is not valid JSON: .*line 30"):
        read_viewing_history(connection, write("a.json", text))


def test_a_title_of_ten_thousand_letters_is_a_title(read, told, write):
    title = "fog " * 2500 + "end"
    assert told(read(write("h.csv", f"Title,Date\n{title},2024-03-01\n")), "item_id") == [(title,)]


def test_a_household_can_be_built_and_its_names_are_hashed(tmp_path):
    people = {"Ada Profile": range(30), "Bo Profile": range(20, 50)}
    rows = [
        f"{person},2024-03-{1 + number % 28:02d} 20:{number:02d}:00,01:00:00,,Film {number},,TV"
        for person, films in people.items()
        for number in films
    ]
    header = "Profile Name,Start Time,Duration,Attributes,Title,Supplemental Video Type,Device Type"
    (tmp_path / "a.csv").write_text("\n".join([header, *rows]))
    source = partial(read_viewing_history, path=tmp_path / "a.csv")
    report = build_dataset(source, tmp_path / "built", BuildOptions(num_candidates=2))
    assert (report["name"], report["counts"]["users"], report["counts"]["used"]) == ("netflix-history", 2, 60)
    assert report["splits"]["test"]["examples"] == 2
    assert not report["license"]["redistributable"]
    assert b" Profile" not in b"".join(file.read_bytes() for file in (tmp_path / "built").rglob("*.parquet"))
