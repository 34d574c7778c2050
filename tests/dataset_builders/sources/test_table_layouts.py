"""Layouts that people have their logs in: RecBole, Yelp, MovieLens 1M, Hive, and others without a comma."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.interactions import canonicalize
from logs2lang.dataset_builders.sources.tabular import guess_columns, read_tabular

TRIPLES = [("ann", "i1", 1714521600), ("bob", "i2", 1714521601)]


@pytest.fixture
def read(connection):
    def read_file(path, **options):
        return canonicalize(read_tabular(connection, str(path), **options), connection)

    return read_file


def triples(log):
    rows = log.interactions.to_pyarrow().to_pylist()
    return sorted((row["user_id"], row["item_id"], int(row["timestamp"].timestamp())) for row in rows)


def items_of(log):
    return log.items.to_pyarrow().to_pylist()


def lines(separator, *rows):
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("name", "between", "separator"),
    [
        ("log.dat", "::", None),
        ("log.txt", "\x01", None),
        ("log.dat", "|", None),
        ("log.dat", ";;", ";;"),
        ("log.csv", "^", "^"),
        ("log.data", "\t", "\\t"),
        ("log.txt", " ", "space"),
    ],
)
def test_any_separator(tmp_path, read, name, between, separator):
    header = ("user_id", "item_id", "timestamp")
    (tmp_path / name).write_text(lines(between, header, *TRIPLES))
    assert triples(read(tmp_path / name, separator=separator)) == TRIPLES
    (tmp_path / name).write_text(lines(between, *TRIPLES, ("short", "row")))
    log = read(tmp_path / name, separator=separator, header=header)
    assert triples(log) == TRIPLES
    assert log.counts["quarantined_by_reason"] == {"too few columns": 1}


def test_double_colons_without_a_header_are_told(tmp_path, read):
    (tmp_path / "ratings.dat").write_text("1::1193::5::978300760\n1::661::3::978302109\n")
    with pytest.raises(
        InputError, match=r"its first line, 1, 1193, 5, 978300760, looks like a row\. .*--columns NAME"
    ):
        read(tmp_path / "ratings.dat")


def test_a_separator_that_nothing_tells_is_asked_for(tmp_path, read):
    (tmp_path / "log.csv").write_text("user_id^item_id^timestamp\nann^i1^1714521600\n")
    with pytest.raises(InputError, match="specify what separates them: --separator"):
        read(tmp_path / "log.csv")
    for wrong in ("", '"', "12345"):
        with pytest.raises(InputError, match="cannot separate values"):
            read(tmp_path / "log.csv", separator=wrong)
    (tmp_path / "log.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="has no separators"):
        read(tmp_path / "log.jsonl", separator=";")


def test_recbole_files_with_typed_headers(tmp_path, read):
    inter = lines(
        "\t", ("user_id:token", "item_id:token", "rating:float", "timestamp:float"), ("7", "1", 4, 881250949)
    )
    (tmp_path / "ml.inter").write_text(inter)
    item = lines(
        "\t",
        ("item_id:token", "movie_title:token_seq", "release_year:token", "genre:token_seq"),
        ("1", "Toy Story", 1995, "Animation Children's"),
    )
    (tmp_path / "ml.item").write_text(item)
    log = read(tmp_path / "ml.inter", items=str(tmp_path / "ml.item"))
    assert triples(log) == [("7", "1", 881250949)]
    (film,) = items_of(log)
    assert (film["title"], film["year"], film["tags"]) == ("Toy Story", 1995, ["Animation", "Children's"])


def test_json_files_with_one_object_per_line(tmp_path, read):
    review = {"user_id": "ann", "business_id": "b1", "stars": 4.0, "date": "2018-07-07 22:09:11"}
    (tmp_path / "review.json").write_text(json.dumps(review) + "\n")
    (tmp_path / "business.json").write_text(json.dumps({"business_id": "b1", "name": "Pho", "categories": "Soup"}))
    log = read(tmp_path / "review.json", items=str(tmp_path / "business.json"))
    assert triples(log) == [("ann", "b1", 1531001351)]
    assert [(item["title"], item["tags"]) for item in items_of(log)] == [("Pho", ["Soup"])]


@pytest.mark.parametrize("encoding", [None, "utf-8"])
@pytest.mark.parametrize("name", ["log.csv.gz", "log.jsonl.gz"])
def test_gzip_with_several_members(tmp_path, connection, read, name, encoding):
    rows = [f"{user},{item},{time}\n" for user, item, time in TRIPLES]
    if "json" in name:
        rows = [json.dumps(dict(zip(("user_id", "item_id", "ts"), row, strict=True))) + "\n" for row in TRIPLES]
    head = "" if "json" in name else "user_id,item_id,timestamp\n"
    (tmp_path / name).write_bytes(b"".join(gzip.compress(part.encode()) for part in (head + rows[0], rows[1])))
    assert triples(read(tmp_path / name, encoding=encoding)) == TRIPLES


@pytest.mark.parametrize("name", ["items.jsonl", "items.parquet", "items.csv"])
def test_lists_of_texts_are_joined(tmp_path, read, name):
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nann,i1,1714521600\nann,i2,1714521601\n")
    rows = [{"item_id": "i1", "title": "[REC]", "description": ["A film.", "", "It is dark."]}]
    rows += [{"item_id": "i2", "title": "Heat", "description": []}]
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    elif name.endswith("jsonl"):
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
    else:
        (tmp_path / name).write_text(
            "item_id,title,description\ni1,[REC],\"['A film.', 'It is dark.']\"\ni2,Heat,[]\n"
        )
    found = {
        item["title"]: item["description"] for item in items_of(read(tmp_path / "log.csv", items=str(tmp_path / name)))
    }
    assert found == {"[REC]": "A film. It is dark.", "Heat": None}


def test_a_log_without_a_header_is_its_own_catalogue(tmp_path, read):
    (tmp_path / "plays.tsv").write_text("user_1\t2024-05-01T00:00:00Z\tx\tDeep Dish\t\tFlashdance\n")
    header = ["user_id", "timestamp", "-", "item_id", "-", "title"]
    log = read(tmp_path / "plays.tsv", items=str(tmp_path / "plays.tsv"), header=header)
    assert triples(log) == [("user_1", "Deep Dish", 1714521600)]
    assert [item["title"] for item in items_of(log)] == ["Flashdance"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["session", "aid", "ts"], ("session", "aid", "ts")),
        (["user_id", "session_id", "video_id", "time_ms"], ("user_id", "video_id", "time_ms")),
        (["user", "artist", "track", "time"], ("user", "track", "time")),
        (["uid", "business_id", "artist", "date"], ("uid", "business_id", "date")),
    ],
)
def test_more_usual_names(names, expected):
    guess = guess_columns(names)
    assert tuple(guess[ours] for ours in ("user_id", "item_id", "timestamp")) == expected


def test_titles_that_are_not_in_their_encoding_are_counted(tmp_path, read, connection):
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nann,5,1714521600\nann,6,1714521601\n")
    pq.write_table(pa.table({"item_id": ["5", "6"], "title": [b"Heat", b"Caf\xe9"]}), tmp_path / "items.parquet")
    log = read(tmp_path / "log.csv", items=str(tmp_path / "items.parquet"))
    assert [item["title"] for item in items_of(log)] == ["Heat", "6"]
    assert log.counts["catalogue_quarantined_by_reason"] == {"broken encoding": 1}
    assert log.counts["catalogue_rows"] == 2
    (tmp_path / "items.csv").write_bytes(b"item_id,title\n5,Heat\n6,Caf\x81 Noir\n")
    raw = read_tabular(connection, str(tmp_path / "log.csv"), items=str(tmp_path / "items.csv"), encoding="cp1252")
    assert any("1 rows of" in note and "show as U+FFFD" in note for note in raw.notes)


@pytest.mark.parametrize(
    ("ours", "theirs", "remedy"),
    [
        ("1234", '"1,234"', "The ids of the catalogue have separators between thousands"),
        ('"1,234"', "1234", "The ids of the log have separators between thousands"),
        ("0012", '"=""0012"""', "A spreadsheet wrote the ids of the catalogue as formulas"),
        ('"=""0012"""', "0012", "A spreadsheet wrote the ids of the log as formulas"),
    ],
)
def test_ids_of_a_spreadsheet_have_their_own_remedy(tmp_path, read, ours, theirs, remedy):
    (tmp_path / "log.csv").write_text(f"user_id,item_id,timestamp\nann,{ours},1714521600\n")
    (tmp_path / "items.csv").write_text(f"item_id,title\n7,Fog\n{theirs},Heat\n")
    with pytest.raises(InputError, match=remedy):
        read(tmp_path / "log.csv", items=str(tmp_path / "items.csv"))
