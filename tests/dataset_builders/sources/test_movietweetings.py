import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.interactions import canonicalize
from logs2lang.dataset_builders.raw_log import connect
from logs2lang.dataset_builders.sources import movietweetings
from logs2lang.dataset_builders.sources.movietweetings import read_movietweetings


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ratings.dat").write_text("1::0002844::7::1365029107\n2::0021283::10::1364690142\n2::00\n")
    films = "0002844::Fantômas - À l'ombre de la guillotine (1913)::Crime|Drama\n0021283::Rakudai wa (1930)::\n"
    (tmp_path / "movies.dat").write_text(films, encoding="utf-8")
    return tmp_path


def test_official_files(folder):
    connection = connect(folder)
    raw = read_movietweetings(connection, folder=folder)
    log = canonicalize(raw, connection)
    first, second = log.items.to_pyarrow().to_pylist()
    assert (first["title"], first["year"]) == ("Fantômas - À l'ombre de la guillotine", 1913)
    assert (first["tags"], second["tags"]) == (["Crime", "Drama"], [])
    assert log.counts["quarantined_by_reason"] == {"too few columns": 1}
    rows = log.interactions.to_pyarrow().to_pylist()
    assert sorted((row["user_id"], row["item_id"], row["event"], row["value"]) for row in rows) == [
        ("1", "0002844", "rate", 7.0),
        ("2", "0021283", "rate", 10.0),
    ]
    assert raw.license.redistributable
    assert "Simon Dooms" in raw.license.notice


def test_without_a_folder_the_pinned_snapshot_is_fetched(folder, monkeypatch):
    asked = []

    def fetch(wanted):
        asked.append(wanted.url)
        return folder / wanted.url.rpartition("/")[2]

    monkeypatch.setattr(movietweetings, "file_from_web", fetch)
    assert read_movietweetings(connect(folder)).name == "movietweetings-100k"
    assert [url.split("/snapshots/")[1] for url in asked] == ["100K/ratings.dat", "100K/movies.dat"]


def test_a_folder_without_the_files_is_refused(folder):
    (folder / "movies.dat").unlink()
    with pytest.raises(InputError, match=r"holds no movies\.dat"):
        read_movietweetings(connect(folder), folder=folder)
