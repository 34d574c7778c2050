"""Input rows = used + merged + quarantined, at the end of the build of every source, on damaged files.

The lines that go in are counted here, as they are written; how a source reads them has no part in it.
"""

import csv
import io
import json
import random
import zipfile
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from logs2lang.dataset_builders import events
from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.sources.movielens import read_movielens
from logs2lang.dataset_builders.sources.movietweetings import read_movietweetings
from logs2lang.dataset_builders.sources.streaming_simulation import SimulationConfig, read_streaming_simulation
from logs2lang.dataset_builders.sources.tabular import read_tabular
from logs2lang.dataset_builders.sources.viewing_history import read_viewing_history

OPTIONS = BuildOptions(num_candidates=2)
SECONDS = 1_714_521_600  # 2024-05-01
# A line cut off, one with too much, no user, no time, a broken letter.
BAD = (
    "u3",
    "u3{0}m4{0}4{0}1714521600{0}x{0}y",
    "{0}m4{0}4{0}1714521600",
    "u3{0}m4{0}4{0}soon",
    "u\xff{0}m4{0}4{0}1714521600",
)


def ratings(delimiter: str) -> list[bytes]:
    """Twelve users with twelve of thirty films, a line twice, and each kind of bad line, at drawn places."""
    good = [
        delimiter.join((f"u{user}", f"m{(7 * user + day) % 30}", "4", str(SECONDS + 86_400 * day)))
        for user in range(12)
        for day in range(12)
    ]
    lines = [line.encode() for line in [*good, good[5]]]
    lines += [line.format(delimiter).encode("latin-1") for line in BAD]
    random.Random(0).shuffle(lines)
    return lines


def movies(delimiter: str, *, damaged: bool) -> list[bytes]:
    lines = [delimiter.join((f"m{film}", f"Film {film} (1999)", "Drama")) for film in range(30)]
    return [line.encode() for line in [*lines, *(["m1"] if damaged else [])]]


def tabular_csv(folder: Path):
    (folder / "log.csv").write_bytes(b"\n".join([b"user_id,item_id,value,timestamp", *ratings(",")]) + b"\n")
    return partial(read_tabular, interactions=str(folder / "log.csv")), len(ratings(","))


def tabular_jsonl(folder: Path):
    names = ("user_id", "item_id", "value", "timestamp")
    rows = [json.dumps(dict(zip(names, line.decode("latin-1").split(","), strict=False))) for line in ratings(",")]
    rows += ["{broken", "[1, 2]", "7"]
    (folder / "log.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return partial(read_tabular, interactions=str(folder / "log.jsonl")), len(rows)


def movielens(folder: Path):
    (folder / "ratings.dat").write_bytes(b"\n".join(ratings("::")) + b"\n")
    (folder / "movies.dat").write_bytes(b"\n".join(movies("::", damaged=True)) + b"\n")
    return partial(read_movielens, variant="1m", folder=folder), len(ratings("::"))


def movietweetings(folder: Path):
    (folder / "ratings.dat").write_bytes(b"\n".join(ratings("::")) + b"\n")
    (folder / "movies.dat").write_bytes(b"\n".join(movies("::", damaged=True)) + b"\n")
    return partial(read_movietweetings, folder=folder), len(ratings("::"))


def netflix(folder: Path):
    header = "Profile Name,Start Time,Duration,Attributes,Title,Supplemental Video Type,Device Type"
    rows = [
        f"{person},2024-03-{1 + number % 28:02d} 20:{number:02d}:00,01:00:00,,Film {number},,TV"
        for person, films in {"Ada": range(30), "Bo": range(20, 50)}.items()
        for number in films
    ]
    clocks = ["Ada,2023-03-01 20:00:00,01:00:00,,Film 1,,TV", "Ada,1970-01-01 00:00:07,01:00:00,,Film 2,,TV"]
    lengths = ["Bo,2024-03-01 09:00:00,-00:10:00,,Film 3,,TV", "Bo,2024-03-01 09:30:00,9999:00:00,,Film 4,,TV"]
    broken = ['Bo,2024-03-01 10:00:00,00:10:00,,"Film 5,,TV', "Bo,2024", rows[3]]
    with zipfile.ZipFile(folder / "export.zip", "w") as archive:
        lines = [header, *rows, *clocks, *lengths, *broken]
        archive.writestr("CONTENT_INTERACTION/ViewingActivity.csv", "\r\n".join(lines) + "\r\n")
    return partial(read_viewing_history, path=folder / "export.zip"), len(lines) - 1


def spotify(folder: Path):
    plays = [
        {
            "ts": f"2024-03-{1 + number % 28:02d}T20:{number:02d}:00Z",
            "ms_played": 200_000,
            "username": person,
            "master_metadata_track_name": f"Song {number}",
            "master_metadata_album_artist_name": "The Estuaries",
        }
        for person, songs in {"ada": range(30), "bo": range(20, 50)}.items()
        for number in songs
    ]
    bad = [
        {**plays[0], "ms_played": -5},
        {**plays[0], "ms_played": 10**15},
        {**plays[0], "ts": None},
        plays[1],
        7,
        None,
    ]
    (folder / "endsong_0.json").write_text(json.dumps([*plays, *bad]), encoding="utf-8")
    return partial(read_viewing_history, path=folder / "endsong_0.json"), len(plays) + len(bad)


def simulation(folder: Path):
    return partial(read_streaming_simulation, config=SimulationConfig(events=1_000, accounts=20)), None


SOURCES = (tabular_csv, tabular_jsonl, movielens, movietweetings, netflix, spotify, simulation)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_every_row_of_a_damaged_log_is_used_merged_or_in_quarantine(source, tmp_path):
    read, rows = source(tmp_path)
    counts = build_dataset(read, tmp_path / "built", OPTIONS)["counts"]
    quarantine = pq.read_table(tmp_path / "built" / "quarantine.parquet")
    assert counts["input_rows"] == counts["used"] + counts["merged_duplicates"] + quarantine.num_rows
    assert rows in (None, counts["input_rows"])
    if rows is not None:
        assert counts["merged_duplicates"] == 1
        assert quarantine.num_rows >= 4
        assert None not in quarantine["reason"].to_pylist() + quarantine["raw"].to_pylist()


@pytest.mark.parametrize("source", [movielens, movietweetings], ids=lambda source: source.__name__)
def test_bad_rows_of_the_catalogue_have_their_own_file_and_count(source, tmp_path):
    read, _ = source(tmp_path)
    counts = build_dataset(read, tmp_path / "built", OPTIONS)["counts"]
    aside = pq.read_table(tmp_path / "built" / "quarantine_items.parquet").to_pylist()
    assert [(row["source_file"], row["raw"]) for row in aside] == [("movies.dat", "m1")]
    assert (counts["catalogue_rows"], counts["merged_items"], counts["catalogue_quarantined"]) == (31, 0, 1)


def test_a_row_that_a_step_of_the_build_loses_stops_it(tmp_path, monkeypatch):
    read, _ = simulation(tmp_path)
    number = events.to_events
    monkeypatch.setattr(events, "to_events", lambda keyed: number(keyed).limit(900))
    with pytest.raises(RuntimeError, match=r"900 are in the build, 0 were merged, 0 were filtered .* \d+ are"):
        build_dataset(read, tmp_path / "built", OPTIONS)
    assert not (tmp_path / "built").exists()


def test_lines_are_counted_as_a_plain_reader_counts_them(tmp_path):
    """The numbers of these logs do not come from the code that is tested."""
    _, rows = tabular_csv(tmp_path)
    text = (tmp_path / "log.csv").read_bytes().decode("latin-1")
    assert rows == sum(1 for _ in csv.reader(io.StringIO(text))) - 1 == 144 + 1 + len(BAD)
