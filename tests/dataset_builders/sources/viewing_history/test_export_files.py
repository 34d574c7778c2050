import json
import shutil
import zipfile
from pathlib import Path

import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.sources.viewing_history import export_files, read_viewing_history
from logs2lang.dataset_builders.sources.viewing_history.export_files import ExportFile, encoding_of, unpack

PLAY = {"ts": "2024-05-01T20:00:00Z", "ms_played": 200_000, "master_metadata_track_name": "Low Water"}


@pytest.fixture
def archive(exports, tmp_path):
    """`archive(kind)` packs an export as its service does."""

    def make(kind):
        return shutil.make_archive(str(tmp_path / kind), "zip", exports / kind)

    return make


@pytest.mark.parametrize("kind", ["netflix", "spotify", "youtube", "letterboxd", "trakt"])
def test_an_archive_is_read_like_the_folder_it_holds(read, told, exports, archive, kind):
    names = ("user_id", "item_id", "timestamp", "event", "duration_s", "value", "device")
    from_folder = told(read(exports / kind), *names)
    assert told(read(archive(kind)), *names) == from_folder
    assert from_folder


def test_archives_that_were_cut_off_or_damaged_are_refused(read, archive, tmp_path):
    whole = Path(archive("netflix")).read_bytes()
    start = whole.index(b"ViewingActivity.csv") + 100
    damages = {
        "truncated": whole[: len(whole) // 2],
        "is damaged or truncated: CONTENT_INTERACTION/ViewingActivity.csv": whole[:start]
        + bytes(byte ^ 255 for byte in whole[start : start + 40])
        + whole[start + 40 :],
        "encrypted": whole.replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"),
    }
    for message, content in damages.items():
        (tmp_path / "damaged.zip").write_bytes(content)
        with pytest.raises(InputError, match=message):
            read(tmp_path / "damaged.zip")


def test_a_bomb_is_not_unpacked(read, tmp_path, monkeypatch):
    monkeypatch.setattr(export_files, "MAX_UNPACKED_BYTES", 10_000_000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("NetflixViewingHistory.csv", "Title,Date\n" + "Fog,2024-03-01\n" * 700_000)
        packed.writestr("pictures.csv", b"0" * 20_000_000)  # of no export, so it is not counted
    assert (tmp_path / "bomb.zip").stat().st_size < 100_000
    # 11 bytes of header and 700,000 times 15.
    with pytest.raises(InputError, match="would take 10,500,011 bytes unpacked"):
        read(tmp_path / "bomb.zip")


def test_a_member_cannot_leave_the_folder_it_is_unpacked_into(read, told, tmp_path):
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as packed:
        packed.writestr("../../evil/NetflixViewingHistory.csv", "Title,Date\nFog,2024-03-01\n")
        packed.writestr("__MACOSX/._NetflixViewingHistory.csv", b"\0\5\26\7")
    assert told(read(tmp_path / "mine.zip"), "item_id") == [("Fog",)]
    assert not (tmp_path.parent.parent / "evil").exists()


def test_a_path_that_leads_nowhere(read, tmp_path):
    (tmp_path / "ViewingActivity.csv").touch()
    with pytest.raises(InputError, match=r"no file or folder .*Did you mean .*ViewingActivity\.csv"):
        read(tmp_path / "ViewingActivty.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_csv_in_any_encoding(read, told, write, encoding):
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    text = "\r\n".join([f"{mark}Título,Fecha", '"Ñandú, café: Temporada 1: €",13/04/24', ""])
    assert told(read(write("h.csv", text, encoding)), "item_id") == [("Ñandú, café: Temporada 1: €",)]


@pytest.mark.parametrize(("encoding", "title"), [("cp1250", "Řeka"), ("cp1251", "Туман"), ("cp1254", "Işık")])
def test_a_spreadsheet_of_another_country_needs_its_encoding(read, told, write, encoding, title):
    header = {"cp1251": "Название,Дата"}.get(encoding, "Title,Date")
    path = write("h.csv", f"{header}\n{title},13.04.24\n", encoding)
    assert told(read(path, encoding=encoding), "item_id") == [(title,)]


def test_a_guessed_encoding_is_said(connection, write):
    (note,) = read_viewing_history(connection, write("h.csv", "Title,Date\nŘeka,13.04.24\n", "cp1250")).notes
    assert note.startswith("h.csv is not UTF-8 and was read as Western European (cp1252). If titles look wrong, ")


@pytest.mark.parametrize(("encoding", "said"), [("utf-8", None), ("utf-16", None), ("cp1250", "cp1250")])
def test_an_encoding_that_was_told_needs_no_note(connection, write, encoding, said):
    path = write("h.csv", "Title,Date\nŘeka,13.04.24\n", encoding)
    assert read_viewing_history(connection, path, encoding=said).notes == ()


def test_a_byte_order_mark_knows_better_than_the_user(read, told, write):
    path = write("h.csv", "Title,Date\nŘeka,13.04.24\n", "utf-16")
    assert told(read(path, encoding="cp1250"), "item_id") == [("Řeka",)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_json_in_any_encoding(read, told, write, encoding):
    text = json.dumps([{**PLAY, "master_metadata_track_name": "Ñandú"}], ensure_ascii=False)
    assert told(read(write("a.json", text, encoding)), "item_id") == [("Ñandú",)]


def test_utf_8_with_a_damaged_byte_loses_one_row_and_no_other(read, told, tmp_path):
    rows = ["Title,Date", "Café,2024-03-01", "Fog,2024-03-02", "Kelp,2024-03-03"]
    damaged = "\n".join(rows).encode().replace(b"Fog", b"F\xffg")
    (tmp_path / "h.csv").write_bytes(damaged)
    log = read(tmp_path / "h.csv")
    assert told(log, "item_id") == [("Café",), ("Kelp",)]
    assert log.counts["quarantined_by_reason"] == {"broken encoding": 1}


def test_encodings_are_told_by_the_whole_file(tmp_path):
    late = b"x" * (1 << 20)
    contents = {
        b"plain": None,
        "é".encode(): None,
        late[:-1] + "é".encode(): None,  # a letter across two chunks
        late + b"\xe9": "cp1252",
        late + "é".encode() + b"\xe9": "utf-8",
        "x".encode("utf-16"): "utf-16",
    }
    for content, expected in contents.items():
        (tmp_path / "file").write_bytes(content)
        assert encoding_of(tmp_path / "file") == expected


def test_clean_text_is_read_where_it_lies(tmp_path):
    plain = ExportFile("a.csv", tmp_path / "a.csv")
    plain.path.write_text("Título,Fecha\n", encoding="utf-8")
    assert unpack([plain], tmp_path) == [plain]
