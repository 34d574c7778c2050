import zipfile

import ibis
import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.interactions import canonicalize
from logs2lang.dataset_builders.raw_log import connect
from logs2lang.dataset_builders.sources import movielens
from logs2lang.dataset_builders.sources.movie_titles import spoken_title_of
from logs2lang.dataset_builders.sources.movielens import GENRES_100K, read_movielens
from logs2lang.dataset_builders.sources.tabular import read_tabular

RATINGS = [("7", "1", "4", "881250949"), ("7", "267", "3", "881250950"), ("8", "1412", "5", "881250951")]


def u_item_line(item_id, title, *genres):
    flags = ["1" if genre in genres else "0" for genre in GENRES_100K]
    return "|".join([item_id, title, "01-Jan-1995", "", "http://us.imdb.com/x", *flags]) + "\n"


U_ITEM = (
    u_item_line("1", "Misérables, Les (1995)", "Drama", "Musical")
    + u_item_line("267", "unknown", "unknown")
    + u_item_line("1412", "Land Before Time III (1995) (V)", "Animation", "Children's")
    + u_item_line("1128", "Heidi Fleiss (1995) ", "Documentary")
)
RECBOLE_ITEM = (
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "1\tMisérables, Les\t1995\tDrama Musical\n"
    "267\tunkonwn\tunkonwn\tunknown\n"
    "1412\tLand Before Time III (1995)\tV\tAnimation Children's\n"
    "1128\tHeidi Fleiss\t1995\tDocumentary\n"
)
EXPECTED_ITEMS = [
    ("1", "Les Misérables", 1995, ["Drama", "Musical"]),
    ("1128", "Heidi Fleiss", 1995, ["Documentary"]),
    ("1412", "Land Before Time III", 1995, ["Animation", "Children's"]),
    ("267", "unknown", None, ["unknown"]),
]


def write(folder, files, encoding="utf-8"):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding=encoding)
    return folder


def joined(delimiter):
    return "".join(delimiter.join(rating) + "\n" for rating in RATINGS)


def tables(tmp_path, **options):
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    connection = connect(work)
    log = canonicalize(read_movielens(connection, **options), connection)
    items = [(row["item_id"], row["title"], row["year"], row["tags"]) for row in log.items.to_pyarrow().to_pylist()]
    rows = log.interactions.to_pyarrow().to_pylist()
    ratings = [(r["user_id"], r["item_id"], r["event"], r["value"], int(r["timestamp"].timestamp())) for r in rows]
    return sorted(ratings), items


EXPECTED_RATINGS = [("7", "1", "rate", 4.0, 881250949), ("7", "267", "rate", 3.0, 881250950)]
EXPECTED_RATINGS += [("8", "1412", "rate", 5.0, 881250951)]


@pytest.fixture
def grouplens(tmp_path):
    return write(tmp_path / "ml-100k", {"u.data": joined("\t"), "u.item": U_ITEM}, "latin-1")


@pytest.fixture
def recbole(tmp_path):
    files = {"ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + joined("\t")}
    return write(tmp_path / "recbole", files | {"ml-100k.item": RECBOLE_ITEM})


def test_grouplens_and_recbole_give_the_same_tables(tmp_path, grouplens, recbole):
    assert tables(tmp_path, folder=grouplens) == (EXPECTED_RATINGS, EXPECTED_ITEMS)
    assert tables(tmp_path, folder=recbole) == (EXPECTED_RATINGS, EXPECTED_ITEMS)


def test_100k_comes_from_grouplens(tmp_path, grouplens, monkeypatch):
    with zipfile.ZipFile(tmp_path / "ml-100k.zip", "w") as archive:
        for path in grouplens.iterdir():
            archive.write(path, f"ml-100k/{path.name}")
    monkeypatch.setattr(movielens, "file_from_web", lambda wanted: tmp_path / "ml-100k.zip")
    assert tables(tmp_path) == (EXPECTED_RATINGS, EXPECTED_ITEMS)


def test_100k_comes_from_the_package_where_grouplens_cannot_be_reached(tmp_path, recbole, monkeypatch):
    def offline(wanted):
        raise InputError("offline")

    monkeypatch.setattr(movielens, "file_from_web", offline)
    monkeypatch.setattr(movielens, "file_from_package", lambda wanted: recbole / wanted.member.rpartition("/")[2])
    assert tables(tmp_path) == (EXPECTED_RATINGS, EXPECTED_ITEMS)


def test_1m_is_latin_1_with_double_colons(tmp_path):
    movies = "1::Misérables, Les (1995)::Drama|Musical\n267::Face: Off (1997)::Action\n1412::2001 (1968)::Sci-Fi\n"
    folder = write(tmp_path / "ml-1m", {"ratings.dat": joined("::"), "movies.dat": movies}, "latin-1")
    ratings, items = tables(tmp_path, variant="1m", folder=folder)
    assert ratings == EXPECTED_RATINGS
    assert items[0] == ("1", "Les Misérables", 1995, ["Drama", "Musical"])
    assert items[1] == ("1412", "2001", 1968, ["Sci-Fi"])


@pytest.mark.parametrize("variant", ["latest-small", "25m", "32m"])
def test_later_datasets_are_csv(tmp_path, variant):
    ratings = "userId,movieId,rating,timestamp\n" + joined(",")
    movies = 'movieId,title,genres\n1,"Misérables, Les (1995)",Drama|Musical\n267,"Say ""Hi"" ",(no genres listed)\n'
    folder = write(tmp_path / "ml", {"ratings.csv": ratings, "movies.csv": movies})
    found, items = tables(tmp_path, variant=variant, folder=folder)
    assert found == EXPECTED_RATINGS
    assert items[0] == ("1", "Les Misérables", 1995, ["Drama", "Musical"])
    assert items[2] == ("267", 'Say "Hi"', None, [])


def test_a_csv_whose_columns_are_in_another_order_is_refused(tmp_path):
    ratings = "movieId,userId,rating,timestamp\n" + joined(",")
    folder = write(tmp_path / "ml", {"ratings.csv": ratings, "movies.csv": "movieId,title,genres\n1,Fog,Drama\n"})
    with pytest.raises(InputError, match="begins with 'movieId,userId,rating,timestamp', but MovieLens begins with"):
        read_movielens(connect(tmp_path), variant="25m", folder=folder)


def test_the_rows_may_not_be_redistributed(tmp_path, grouplens):
    assert not read_movielens(connect(tmp_path), folder=grouplens).license.redistributable


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "2m"}, "no MovieLens '2m'; choose one of 100k, 1m"),
        ({"variant": "25m"}, "unpack it .* and give the folder"),
        (
            {"variant": "1m", "folder": "ml-100k"},
            r"expected ratings\.dat and movies\.dat; its files could be MovieLens 100k",
        ),
        ({"folder": "nowhere"}, "is not a folder"),
    ],
)
def test_wrong_requests(tmp_path, grouplens, options, message):
    if "folder" in options:
        options = options | {"folder": tmp_path / options["folder"]}
    with pytest.raises(InputError, match=message):
        read_movielens(connect(tmp_path), **options)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Shawshank Redemption, The (1994)", "The Shawshank Redemption"),
        ("Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)", "Amelie (Le Fabuleux destin d'Amélie Poulain)"),
        (
            "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
            "The City of Lost Children (La Cité des enfants perdus)",
        ),
        ("Seven (a.k.a. Se7en) (1995)", "Seven (a.k.a. Se7en)"),
        ("Avventura, L' (Adventure, The) (1960)", "L'Avventura (The Adventure)"),
        ("Good, the Bad and the Ugly, The (1966)", "The Good, the Bad and the Ugly"),
        ("Me, Myself and Irene (2000)", "Me, Myself and Irene"),
    ],
)
def test_titles_read_as_people_write_them(tmp_path, written, spoken):
    connection = connect(tmp_path)
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\n7,1,881250949\n")
    (tmp_path / "films.csv").write_text(f'movieId,title,genres\n1,"{written}",(no genres listed)\n')
    assert connection.execute(spoken_title_of(ibis.literal(written))) == spoken
    raw = read_tabular(connection, str(tmp_path / "log.csv"), items=str(tmp_path / "films.csv"))
    (item,) = canonicalize(raw, connection).items.to_pyarrow().to_pylist()
    assert (item["title"], str(item["year"]), item["tags"]) == (spoken, written[-5:-1], [])


@pytest.mark.parametrize(
    ("name", "header", "row", "title"),
    [
        ("no year", "item_id,title", '1,"Table, The"', "Table, The"),
        ("another year", "item_id,title,year", '1,"Annual, The (1999)",2001', "Annual, The (1999)"),
        ("the same year", "item_id,title,year", '1,"Matrix, The (1999)",1999', "The Matrix"),
    ],
)
def test_titles_of_other_catalogues_are_kept(tmp_path, name, header, row, title):
    connection = connect(tmp_path)
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\n7,1,881250949\n")
    (tmp_path / "items.csv").write_text(f"{header}\n{row}\n")
    raw = read_tabular(connection, str(tmp_path / "log.csv"), items=str(tmp_path / "items.csv"))
    assert [item["title"] for item in canonicalize(raw, connection).items.to_pyarrow().to_pylist()] == [title]


def test_the_folder_tells_the_variant(tmp_path, grouplens):
    assert read_movielens(connect(tmp_path), folder=grouplens).name == "movielens-100k"
    files = {"ratings.csv": "userId,movieId,rating,timestamp\n" + joined(","), "movies.csv": "movieId,title,genres\n"}
    files["movies.csv"] += "1,Fog,Drama\n"
    assert read_movielens(connect(tmp_path), folder=write(tmp_path / "ml-25m", files)).name == "movielens-25m"
    with pytest.raises(InputError, match="could be MovieLens latest-small or 20m or 25m or 32m; specify which"):
        read_movielens(connect(tmp_path), folder=write(tmp_path / "films", files))
