import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.interactions import canonicalize
from logs2lang.dataset_builders.raw_log import connect
from logs2lang.dataset_builders.sources.tabular import TabularMapping, read_mapping, read_tabular

ROWS = [("ann", "i1", "1714521600"), ("bob", "i2", "1714521601")]
TRIPLES = [("ann", "i1", 1714521600), ("bob", "i2", 1714521601)]


@pytest.fixture
def connection(tmp_path):
    return connect(tmp_path, threads=2)


@pytest.fixture
def triples(connection):
    """What a log canonicalizes to, as (user, item, seconds)."""

    def read(path, **options):
        log = canonicalize(read_tabular(connection, str(path), **options), connection)
        rows = log.interactions.to_pyarrow().to_pylist()
        return sorted((row["user_id"], row["item_id"], int(row["timestamp"].timestamp())) for row in rows)

    return read


def csv_text(header="user_id,item_id,timestamp", delimiter=","):
    return "\n".join([header, *(delimiter.join(row) for row in ROWS)]) + "\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.csv", csv_text()),
        ("log.CSV", csv_text()),
        ("log.csv", csv_text("user_id;item_id;timestamp", ";")),
        ("log.tsv", csv_text("user_id\titem_id\ttimestamp", "\t")),
        ("log.csv", csv_text("userId,movieId,ts")),
        ("log.csv", csv_text("UID,product_id,Event Time")),
        ("log.csv", csv_text().replace("\n", "\r\n")),
        ("log.csv", "\ufeff" + csv_text()),
        ("log.jsonl", "\n".join(json.dumps({"uid": u, "item": i, "ts": int(t)}) for u, i, t in ROWS)),
        ("log.ndjson", "\n".join(json.dumps({"ts": t, "user_id": u, "item_id": i}) for u, i, t in ROWS) + "\n\n"),
    ],
)
def test_text_logs(tmp_path, triples, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert triples(tmp_path / name) == TRIPLES


def test_compressed_text(tmp_path, triples):
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(csv_text().encode()))
    assert triples(tmp_path / "log.csv.gz") == TRIPLES


def test_typed_parquet(tmp_path, triples):
    times = pa.array([1714521600, 1714521601]).cast(pa.timestamp("s"))
    table = pa.table({"user_id": ["ann", "bob"], "item_id": ["i1", "i2"], "timestamp": times})
    pq.write_table(table, tmp_path / "log.parquet")
    assert triples(tmp_path / "log.parquet") == TRIPLES


def test_a_glob_reads_every_file(tmp_path, triples, connection):
    for user, item, time in ROWS:
        (tmp_path / f"{user}.csv").write_text(f"user_id,item_id,timestamp\n{user},{item},{time}\n")
    assert triples(tmp_path / "*.csv") == TRIPLES
    rows = read_tabular(connection, str(tmp_path / "*.csv")).interactions.to_pyarrow().to_pylist()
    assert sorted((row["source_file"], row["source_row"]) for row in rows) == [("ann.csv", 2), ("bob.csv", 2)]


def test_columns_of_a_shop_are_recognised(tmp_path, triples):
    (tmp_path / "log.csv").write_text(csv_text("CustomerID,StockCode,InvoiceDate"))
    assert triples(tmp_path / "log.csv") == TRIPLES


def test_commas_in_a_file_that_is_called_tsv(tmp_path, triples):
    (tmp_path / "log.tsv").write_text(csv_text())
    assert triples(tmp_path / "log.tsv") == TRIPLES


def test_a_map_names_any_column(tmp_path, triples):
    (tmp_path / "log.csv").write_text(csv_text('"wer, ""genau""",ID,id'))
    columns = {"user_id": 'wer, "genau"', "item_id": "ID", "timestamp": "id"}
    assert triples(tmp_path / "log.csv", columns=columns) == TRIPLES


def test_any_json_key_can_be_mapped(tmp_path, triples):
    lines = [json.dumps({"a/b~c": user, "$.x": item, '"t"': time}) for user, item, time in ROWS]
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    columns = {"user_id": "a/b~c", "item_id": "$.x", "timestamp": '"t"'}
    assert triples(tmp_path / "log.jsonl", columns=columns) == TRIPLES


def test_lines_that_are_no_json_are_rejected(tmp_path, connection):
    good = json.dumps({"user_id": "ann", "item_id": "i1", "timestamp": 1714521600})
    (tmp_path / "log.jsonl").write_text(f"{good}\n{{broken\n\n[1]\n{good[:-5]}")
    log = canonicalize(read_tabular(connection, str(tmp_path / "log.jsonl")), connection)
    assert log.counts["quarantined_by_reason"] == {"not a JSON object": 3}
    assert [row["source_row"] for row in log.quarantine.to_pyarrow().to_pylist()] == [2, 4, 5]


@pytest.mark.parametrize(
    ("name", "items"),
    [
        ("items.csv", "movieId,title,genres,year\ni1,Alien,Horror|Sci-Fi,1979\n"),
        ("items.jsonl", '{"item": "i1", "name": "Alien", "tags": ["Horror", "Sci-Fi"], "year": 1979}'),
        ("items.tsv", 'item_id\tmovie_title\tgenre\treleaseYear\ni1\tAlien\t["Horror", "Sci-Fi"]\t1979.0\n'),
    ],
)
def test_catalogues(tmp_path, connection, name, items):
    (tmp_path / "log.csv").write_text(csv_text())
    (tmp_path / name).write_text(items)
    raw = read_tabular(connection, str(tmp_path / "log.csv"), items=str(tmp_path / name))
    first = canonicalize(raw, connection).items.to_pyarrow().to_pylist()[0]
    assert (first["title"], first["tags"], first["year"]) == ("Alien", ["Horror", "Sci-Fi"], 1979)


@pytest.mark.parametrize(("name", "pack"), [("log.csv", bytes), ("log.csv.gz", gzip.compress)])
@pytest.mark.parametrize("encoding", ["cp1250", "utf-16"])
def test_a_log_in_an_encoding_that_the_user_names(tmp_path, connection, name, pack, encoding):
    (tmp_path / name).write_bytes(pack("user_id,item_id,timestamp\nZoë,Řada,1714521600\n".encode(encoding)))
    raw = read_tabular(connection, str(tmp_path / name), encoding=encoding)
    row = raw.interactions.to_pyarrow().to_pylist()[0]
    assert (row["user_id"], row["item_id"], row["source_file"]) == ("Zoë", "Řada", "log.csv")


def test_encodings_that_are_wrong(tmp_path, connection):
    (tmp_path / "log.csv").write_text(csv_text())
    with pytest.raises(InputError, match=r"no encoding 'latin-99'\. Common ones are utf-8"):
        read_tabular(connection, str(tmp_path / "log.csv"), encoding="latin-99")
    with pytest.raises(InputError, match="is not encoded as utf-16"):
        read_tabular(connection, str(tmp_path / "log.csv"), encoding="utf-16")
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(csv_text().encode())[:-20])
    with pytest.raises(InputError, match="Check that the file is complete"):
        read_tabular(connection, str(tmp_path / "log.csv.gz"), encoding="cp1250")


def test_the_tag_separator_can_be_chosen(tmp_path, connection):
    (tmp_path / "log.csv").write_text(csv_text())
    (tmp_path / "items.tsv").write_text("item_id\ttags\ni1\tHorror, Sci-Fi\n")
    options = {"items": str(tmp_path / "items.tsv"), "tag_separator": ","}
    log = canonicalize(read_tabular(connection, str(tmp_path / "log.csv"), **options), connection)
    assert log.items.to_pyarrow().to_pylist()[0]["tags"] == ["Horror", "Sci-Fi"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.csv", b"", "is empty"),
        ("log.csv", b"user_id,item_id,timestamp\n", "has no rows"),
        ("log.csv", b"\nuser_id,item_id,timestamp\n", "begins with an empty line"),
        ("log.csv", b"user_id,item_id,timestamp,item_id\na,b,1,c\n", "two columns named 'item_id'"),
        ("log.csv", b"reader,item_id,timestamp\na,b,1\n", r"reader, item_id, timestamp.*--map user_id=COLUMN"),
        ("log.csv", b"user,uid,item_id,timestamp\na,b,c,1\n", "no column that is clearly user_id"),
        ("log.csv", bytes(range(256)) * 20, "not UTF-8 text"),
        ("log.csv", "user_id,item_id,timestamp\n".encode("utf-16"), "not UTF-8 text"),
        ("log.csv.gz", b"user_id,item_id,timestamp\n", "cannot be read"),
        ("log.jsonl", b"\x00\x01\x02\n", "not UTF-8 text"),
        ("log.jsonl", b"\n\n", "has no rows"),
        ("log.csv", b"user_id,what,when\na,b,1\n", r"clearly item_id or timestamp.*--map item_id=COLUMN,timestamp="),
        ("log.csv", b"Title,Date\na,1\n", "build viewing-history"),
        ("log.jsonl", b"1\n", "has no line that is a JSON object"),
        ("log.jsonl", b'[{"user_id": "ann"}]\n', "is one JSON array; write one object per line"),
        ("log.parquet", b"PAR1 and no more", "cannot be read as Parquet"),
        ("log.xlsx", b"PK", r"files of one type.*as CSV"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, connection, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_tabular(connection, str(tmp_path / name))


def test_a_truncated_parquet_file_is_refused(tmp_path, connection):
    pq.write_table(pa.table({"user_id": ["ann"] * 1000, "item_id": ["i"] * 1000}), tmp_path / "log.parquet")
    whole = (tmp_path / "log.parquet").read_bytes()
    (tmp_path / "log.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_tabular(connection, str(tmp_path / "log.parquet"))


def test_a_path_that_leads_nowhere(tmp_path, connection):
    (tmp_path / "ratings.csv").write_text(csv_text())
    with pytest.raises(InputError, match=r"Did you mean .*ratings\.csv"):
        read_tabular(connection, str(tmp_path / "rating.csv"))
    with pytest.raises(InputError, match="is a folder"):
        read_tabular(connection, str(tmp_path))


def test_files_of_one_glob_must_agree(tmp_path, connection):
    (tmp_path / "a.csv").write_text(csv_text())
    (tmp_path / "b.csv").write_text(csv_text("user_id,timestamp,item_id"))
    with pytest.raises(InputError, match=r"b\.csv has different columns than"):
        read_tabular(connection, str(tmp_path / "*.csv"))


def test_wrong_names_are_answered_with_the_nearest(tmp_path, connection):
    (tmp_path / "log.csv").write_text(csv_text("uid,item_id,timestamp"))
    with pytest.raises(InputError, match=r"'usr_id' is not an interaction column\. Did you mean 'user_id'"):
        read_tabular(connection, str(tmp_path / "log.csv"), columns={"usr_id": "uid"})
    with pytest.raises(InputError, match=r"no column 'uidd' for user_id\. Did you mean 'uid'"):
        read_tabular(connection, str(tmp_path / "log.csv"), columns={"user_id": "uidd"})


def test_a_map_can_be_a_file(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text(
        "interactions: {user_id: reader}\nitems: {title: name}\ntime_format: milliseconds\ntag_separator: ','"
    )
    assert read_mapping(path) == TabularMapping({"user_id": "reader"}, {"title": "name"}, "milliseconds", ",")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("interaction: {user_id: a}", "'interaction' is not a key of .*Did you mean 'interactions'"),
        ("interactions: {userid: a}", "'userid' is not an interaction column. Did you mean 'user_id'"),
        ("interactions: [user_id]", "'interactions' of .* must map"),
        ("interactions: {user_id: 3}", "'interactions' of .* must map"),
        ("time_format: milis", "'milis' is not a time format"),
        ("tag_separator: ''", "tag_separator must be a text"),
        ("- a", "must be a YAML mapping"),
        ("{", "cannot be read as YAML"),
    ],
)
def test_wrong_map_files(tmp_path, content, message):
    (tmp_path / "map.yaml").write_text(content)
    with pytest.raises(InputError, match=message):
        read_mapping(tmp_path / "map.yaml")


def dated(*dates):
    return (
        "\n".join(["user_id,item_id,timestamp", *(f"ann,i{place},{date}" for place, date in enumerate(dates))]) + "\n"
    )


DAY = 24 * 3600
SECOND_OF_MAY, THIRD_OF_MAY, FIFTH_OF_FEBRUARY = 1714521600 + DAY, 1714521600 + 2 * DAY, 1707091200


def test_local_dates_are_read_as_the_whole_column_says(tmp_path, triples):
    (tmp_path / "log.csv").write_text(dated("2/5/24", "2024-05-03", "13/5/24 10:00"))
    assert triples(tmp_path / "log.csv")[:2] == [("ann", "i0", SECOND_OF_MAY), ("ann", "i1", THIRD_OF_MAY)]


@pytest.mark.parametrize(("day_first", "seconds"), [(True, SECOND_OF_MAY), (False, FIFTH_OF_FEBRUARY)])
def test_dates_that_can_be_read_two_ways_are_refused_until_the_user_says_which(tmp_path, triples, day_first, seconds):
    (tmp_path / "log.csv").write_text(dated("2/5/24", "2024-05-03"))
    with pytest.raises(InputError, match=r"log\.csv can be read two ways: 2/5/24 .*--day-first or --month-first"):
        triples(tmp_path / "log.csv")
    assert ("ann", "i0", seconds) in triples(tmp_path / "log.csv", day_first=day_first)


def test_a_log_of_numbers_or_iso_dates_is_not_searched_for_local_ones(tmp_path, triples, monkeypatch):
    monkeypatch.setattr("logs2lang.dataset_builders.sources.tabular.parse_local_times", None)
    for name, content in {"numbers.csv": csv_text(), "iso.csv": dated("2024-05-02", "2024-05-03T00:00:00Z")}.items():
        (tmp_path / name).write_text(content)
        assert len(triples(tmp_path / name)) == 2


def test_times_in_any_format_of_strptime(tmp_path, triples):
    (tmp_path / "log.csv").write_text(dated("02.05.2024 00h00", "03.05.2024 00h00"))
    expected = [("ann", "i0", SECOND_OF_MAY), ("ann", "i1", THIRD_OF_MAY)]
    assert triples(tmp_path / "log.csv", time_format="%d.%m.%Y %Hh%M") == expected
    with pytest.raises(InputError, match=r"'%d\.%Q' cannot be read"):
        triples(tmp_path / "log.csv", time_format="%d.%Q")


def test_an_optional_column_can_be_left_out(tmp_path, connection):
    (tmp_path / "log.csv").write_text(csv_text("user_id,item_id,timestamp,rating").replace("\n", ",good\n", 3))
    path = str(tmp_path / "log.csv")
    assert "value" not in read_tabular(connection, path, columns={"value": "-"}).interactions.columns
    with pytest.raises(InputError, match="needs a column for user_id"):
        read_tabular(connection, path, columns={"user_id": "-"})


def test_a_duration_may_name_its_unit(tmp_path, connection):
    lines = ["user_id,item_id,timestamp,played:ms", *(",".join((*row, "11000")) for row in ROWS)]
    (tmp_path / "log.csv").write_text("\n".join(lines).replace("played:ms", "played"))
    path = str(tmp_path / "log.csv")
    log = canonicalize(read_tabular(connection, path, columns={"duration_s": "played:ms"}), connection)
    assert {row["duration_s"] for row in log.interactions.to_pyarrow().to_pylist()} == {11.0}
    with pytest.raises(InputError, match=r"'days' is not a unit of duration_s\. Choose one of ms, s, min, h"):
        read_tabular(connection, path, columns={"duration_s": "played:days"})
    (tmp_path / "log.csv").write_text("\n".join(lines))  # a column that is really called so
    assert read_tabular(connection, path, columns={"duration_s": "played:ms"}).duration_unit == "s"


REVIEWS = [("ann", "a1", "P1", 1), ("bob", "a2", "P1", 2), ("ann", "b1", "P2", 3), ("bob", "b2", "P2", 4)]
PRODUCTS = {"P1": "Desk Lamp", "P2": "Stool"}


@pytest.fixture
def shop(tmp_path):
    """Reviews with a headline each, of products that come in two colours, and the products."""
    reviews = [
        {
            "title": f"Headline {time}",
            "asin": asin,
            "parent_asin": parent,
            "user_id": user,
            "timestamp": 1714521600 + DAY * time,
        }
        for user, asin, parent, time in REVIEWS
    ]
    products = [{"title": title, "categories": [], "price": "—", "parent_asin": id} for id, title in PRODUCTS.items()]
    for name, rows in {"reviews": reviews, "products": products}.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(tmp_path / "reviews.jsonl"), str(tmp_path / "products.jsonl")


@pytest.mark.parametrize("item_columns", [{}, {"item_id": "parent_asin"}])
def test_colours_of_a_product_are_one_item(shop, connection, item_columns):
    log, products = shop
    read = canonicalize(read_tabular(connection, log, items=products, item_columns=item_columns), connection)
    assert {row["item_id"]: row["title"] for row in read.items.to_pyarrow().to_pylist()} == PRODUCTS
    assert all(row["tags"] == [] for row in read.items.to_pyarrow().to_pylist())


def test_the_id_of_the_catalogue_is_taken_where_the_log_has_it(tmp_path, connection):
    (tmp_path / "log.csv").write_text("user_id,item_id,group,timestamp\nann,i1,g1,1714521600\n")
    (tmp_path / "items.csv").write_text("group,title\ng1,Alien\n")
    files = {"interactions": str(tmp_path / "log.csv"), "items": str(tmp_path / "items.csv")}
    raw = read_tabular(connection, **files, item_columns={"item_id": "group"})
    assert raw.notes == ("Item ids come from 'group', as in the catalogue, not from 'item_id'.",)
    assert canonicalize(raw, connection).counts["items_without_metadata"] == 0
    own = read_tabular(connection, **files, columns={"item_id": "item_id"}, item_columns={"item_id": "group"})
    with pytest.raises(InputError, match=r"No item of the log is in the catalogue: .*'i1', .*'g1'"):
        canonicalize(own, connection)


def test_headlines_of_reviews_are_no_titles(shop, connection):
    with pytest.raises(
        InputError, match=r"2 of 2 items .* several values of title: 'P1' has 'Headline 1' and 'Headline 2'"
    ):
        read_tabular(connection, shop[0], items=shop[0])
    raw = read_tabular(connection, shop[0], items=shop[0], item_columns={"title": "-"})
    assert canonicalize(raw, connection).counts["items_without_metadata"] == 2


def test_one_title_that_was_changed_is_said(tmp_path, connection):
    rows = [("i1", "Alien"), ("i1", "Alien"), ("i2", "Heat"), ("i2", "Heat (HD)"), ("i3", "Fargo"), ("i3", "Fargo")]
    lines = [
        "user_id,item_id,title,timestamp",
        *(f"u,{item},{title},17145216{n:02}" for n, (item, title) in enumerate(rows)),
    ]
    (tmp_path / "log.csv").write_text("\n".join(lines))
    raw = read_tabular(connection, str(tmp_path / "log.csv"), items=str(tmp_path / "log.csv"))
    assert raw.notes[0].startswith("1 of 3 items that occur more than once")


@pytest.mark.parametrize(
    "content",
    [
        "user_id,history_item_id,item_id\n1,\"['a', 'b']\",c\n",
        'user_id,history_item_id,item_id,timestamp\n1,"[1, 2]",c,1714521600\n',
        'user_id,item_ids,timestamps\n1,"[1, 2]","[1714521600, 1714521601]"\n',
        'user_id,item_id,timestamp\n1,"[1, 2]","[1714521600, 1714521601]"\n',
    ],
)
def test_whole_histories_in_one_row_are_refused_with_a_hint(tmp_path, connection, content):
    (tmp_path / "log.csv").write_text(content)
    with pytest.raises(InputError, match=r"has whole histories in one row: .*explode.*--order file"):
        read_tabular(connection, str(tmp_path / "log.csv"))


def test_lists_that_are_no_histories_are_no_hindrance(tmp_path, triples):
    lines = [
        json.dumps({"user_id": u, "item_id": i, "timestamp": int(t), "images": [], "sequel": [1]}) for u, i, t in ROWS
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    assert triples(tmp_path / "log.jsonl") == TRIPLES


def test_columns_without_a_name_and_doubled_ones_that_nobody_maps_are_left_behind(tmp_path, triples):
    lines = ["Benutzer;Artikel;Zeit;Menge;Menge;;", *(";".join((*row, "1", "2", "", "")) for row in ROWS)]
    (tmp_path / "log.csv").write_text("\n".join(lines))
    columns = {"user_id": "Benutzer", "item_id": "Artikel", "timestamp": "Zeit"}
    assert triples(tmp_path / "log.csv", columns=columns) == TRIPLES
    with pytest.raises(InputError, match="two columns named 'Menge'"):
        triples(tmp_path / "log.csv", columns={**columns, "value": "Menge"})


HEADERLESS = "\n".join("\t".join((user, time, "x", item)) for user, item, time in ROWS) + "\n"


@pytest.mark.parametrize("columns", [{}, {"timestamp": "1714521600"}])
def test_a_file_without_a_header_is_told(tmp_path, triples, columns):
    (tmp_path / "log.tsv").write_text(HEADERLESS)
    with pytest.raises(InputError, match=r"ann, 1714521600, x, i1, looks like a row\..*--columns NAME"):
        triples(tmp_path / "log.tsv", columns=columns)


def test_the_first_record_of_a_file_without_a_header_is_kept(tmp_path, connection, triples):
    (tmp_path / "log.tsv").write_text(HEADERLESS)
    names = ["user_id", "timestamp", "-", "item_id"]
    assert triples(tmp_path / "log.tsv", header=names) == TRIPLES
    assert read_tabular(connection, str(tmp_path / "log.tsv"), header=names).counted == len(ROWS)
    renamed = {"user_id": "who"}
    assert triples(tmp_path / "log.tsv", header=["who", *names[1:]], columns=renamed) == TRIPLES
    with pytest.raises(InputError, match=r"has 4 columns, but 3 are named: user_id,timestamp,item_id\."):
        triples(tmp_path / "log.tsv", header=["user_id", "timestamp", "item_id"])


@pytest.mark.parametrize("tag", ["Horror", "Crime"])
def test_a_catalogue_without_a_header(tmp_path, connection, tag):
    (tmp_path / "log.csv").write_text(csv_text())
    (tmp_path / "items.csv").write_text(f"i1,Alien,Horror\ni2,Heat,{tag}\n")
    files = {"interactions": str(tmp_path / "log.csv"), "items": str(tmp_path / "items.csv")}
    with pytest.raises(InputError, match=r"seems to have no header.*--columns-items NAME.*item_id,"):
        read_tabular(connection, **files)
    raw = read_tabular(connection, **files, items_header=["item_id", "title", "tags"])
    assert [row["title"] for row in canonicalize(raw, connection).items.to_pyarrow().to_pylist()] == ["Alien", "Heat"]


def test_a_header_may_stand_again_below_or_be_a_year(tmp_path, triples):
    """Two files put behind one another; a sheet with a column per year."""
    (tmp_path / "log.csv").write_text(2 * csv_text())
    assert triples(tmp_path / "log.csv") == TRIPLES
    (tmp_path / "years.csv").write_text(csv_text("user_id,item_id,2024"))
    assert triples(tmp_path / "years.csv", columns={"timestamp": "2024"}) == TRIPLES


def test_half_an_emoji_and_nan_cost_no_json_line(tmp_path, connection):
    lines = ['{"user_id": "ann", "item_id": "i1", "timestamp": 1714521600, "review": "So good \\ud83d"}']
    lines += ['{"user_id": "bob", "item_id": "i2", "timestamp": 1714521601, "rating": NaN}']
    lines += ['{"user_id": "bob", "item_id": "i\\ud83d", "timestamp": 1714521602}']
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    raw = read_tabular(connection, str(tmp_path / "log.jsonl"))
    assert raw.notes == ()
    log = canonicalize(raw, connection)
    assert sorted(row["item_id"] for row in log.interactions.to_pyarrow().to_pylist()) == ["i1", "i2"]
    assert log.counts["quarantined_by_reason"] == {"broken encoding": 1}


def test_python_literals_are_read_and_no_code_is_run(tmp_path, connection):
    lines = [str({"user_id": u, "item_id": i, "timestamp": int(t), "new": True}) for u, i, t in ROWS]
    evil = "{'user_id': __import__('os').getpid(), 'item_id': 'i1', 'timestamp': 1714521600}"
    good = json.dumps({"user_id": "eve", "item_id": "it's", "timestamp": 1714521600})
    (tmp_path / "log.jsonl").write_text("\n".join([*lines, evil, good]))
    raw = read_tabular(connection, str(tmp_path / "log.jsonl"))
    log = canonicalize(raw, connection)
    assert sorted(row["user_id"] for row in log.interactions.to_pyarrow().to_pylist()) == ["ann", "bob", "eve"]
    assert log.counts["quarantined_by_reason"] == {"not a JSON object": 1}
    assert raw.counted == log.counts["input_rows"] == 4
    assert raw.notes[0].startswith("2 lines of ")
    assert "Python literals" in raw.notes[0]


def test_a_json_line_that_is_too_long_is_counted(tmp_path, connection):
    good = json.dumps({"user_id": "ann", "item_id": "i1", "timestamp": 1714521600})
    long = json.dumps({"user_id": "bob", "item_id": "x" * 40_000_000, "timestamp": 1714521600})
    (tmp_path / "log.jsonl").write_text(f"{good}\n  \n{long}\n")
    log = canonicalize(read_tabular(connection, str(tmp_path / "log.jsonl")), connection)
    assert (log.counts["input_rows"], log.counts["quarantined_by_reason"]) == (2, {"line over 2 MB": 1})


def write_lake(folder, **files):
    for name, columns in files.items():
        path = folder / name.replace("__", "/").replace("_is_", "=") / "part.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)
    return folder / "**" / "*.parquet"


TYPED = {"user_id": ["ann", "bob"], "item_id": ["i1", "i2"], "timestamp": [1714521600, 1714521601]}


def test_parquet_names_that_sql_cannot_tell_apart(tmp_path, triples, connection):
    table = {"ID": [1, 2], "id": TYPED["item_id"], "filename": TYPED["user_id"], "ts": TYPED["timestamp"]}
    own = {"source_file": ["app", "app"], "source_row": [900, 901], "column0": ["x", "y"], "path": ["x", "y"]}
    pq.write_table(pa.table({**table, **own}), tmp_path / "log.parquet")
    columns = {"user_id": "filename", "item_id": "id"}
    assert triples(tmp_path / "log.parquet", columns=columns) == TRIPLES
    rows = (
        read_tabular(connection, str(tmp_path / "log.parquet"), columns=columns).interactions.to_pyarrow().to_pylist()
    )
    assert sorted((row["source_file"], row["source_row"]) for row in rows) == [("log.parquet", 1), ("log.parquet", 2)]


def test_parquet_bytes_without_the_mark_of_text_are_text(tmp_path, connection):
    items = pa.table({"item_id": ["i1", "i2"], "title": [b"Caf\xc3\xa9", b"Heat"], "tags": [[b"\xc3\xa9"], []]})
    pq.write_table(items, tmp_path / "items.parquet")
    users = [b"ann", b"b\xff"]
    pq.write_table(pa.table({**TYPED, "user_id": users}), tmp_path / "log.parquet")
    raw = read_tabular(connection, str(tmp_path / "log.parquet"), items=str(tmp_path / "items.parquet"))
    log = canonicalize(raw, connection)
    first = log.items.to_pyarrow().to_pylist()[0]
    assert (first["title"], first["tags"]) == ("Café", ["é"])
    assert [row["user_id"] for row in log.interactions.to_pyarrow().to_pylist()] == ["ann"]
    assert log.counts["quarantined_by_reason"] == {"broken encoding": 1}


def test_ids_are_text_before_files_are_put_together(tmp_path, triples):
    """As floats both large ids would be 9007199254740992."""
    large = [2**53, 2**53 + 1]
    lake = write_lake(
        tmp_path, a={**TYPED, "item_id": large}, b={**TYPED, "user_id": ["cy", "di"], "item_id": [7.0, None]}
    )
    assert [item for _, item, _ in triples(lake)] == ["9007199254740992", "9007199254740993", "7"]


def test_ids_that_a_decimal_number_cannot_hold_are_set_aside(tmp_path, connection):
    long = [2**53 + 2.0, 2**53 + 4.0, 7.0, 8.0]
    table = {"user_id": ["ann"] * 4, "item_id": long, "timestamp": [1714521600 + i for i in range(4)]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    log = canonicalize(read_tabular(connection, str(tmp_path / "a.parquet")), connection)
    assert (log.counts["used"], log.counts["quarantined"]) == (2, 2)
    pq.write_table(pa.table(table | {"item_id": ["w", "x", "y", "z"]}), tmp_path / "b.parquet")
    log = canonicalize(read_tabular(connection, str(tmp_path / "*.parquet")), connection)
    assert (log.counts["used"], log.counts["quarantined"]) == (6, 2)


@pytest.mark.parametrize(
    ("ours", "theirs", "remedy"),
    [
        ("8801234567890", "8.80123E+12", "A spreadsheet has rounded the ids of the catalogue"),
        ("AB", "ab", "Ids are case-sensitive"),
        ("item-7", "7", "One side has a prefix before the number"),
        ("007", "7", "Ids lose leading zeros"),
        ("heat", "1995", "--map-items item_id=COLUMN"),
    ],
)
def test_the_remedy_fits_how_ids_differ(tmp_path, connection, ours, theirs, remedy):
    (tmp_path / "log.csv").write_text(f"user_id,item_id,timestamp\nann,{ours},1714521600\n")
    (tmp_path / "items.csv").write_text(f"item_id,title\n{theirs},Heat\n")
    raw = read_tabular(connection, str(tmp_path / "log.csv"), items=str(tmp_path / "items.csv"))
    with pytest.raises(InputError, match=remedy):
        canonicalize(raw, connection)


@pytest.mark.parametrize("tags", ["['Crime', 'Drama']", "['Crime','Drama']", "Crime|Drama"])
def test_tags_may_be_a_list_as_python_writes_it(tmp_path, connection, tags):
    (tmp_path / "log.csv").write_text(csv_text())
    (tmp_path / "items.csv").write_text(f'item_id,title,tags\ni1,Heat,"{tags}"\ni2,Fargo,[]\n')
    raw = read_tabular(connection, str(tmp_path / "log.csv"), items=str(tmp_path / "items.csv"))
    items = canonicalize(raw, connection).items.to_pyarrow().to_pylist()
    assert {item["title"]: item["tags"] for item in items} == {"Heat": ["Crime", "Drama"], "Fargo": []}


@pytest.mark.parametrize("line", ["{user_id:'ann',item_id:'i1'}", "{'user_id': open('x'), 'item_id': 'i1'}", "ann i1"])
def test_a_file_without_any_json_line_is_told(tmp_path, connection, line):
    (tmp_path / "log.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=r"has no line that is a JSON object\. The first line is .*double quotes"):
        read_tabular(connection, str(tmp_path / "log.jsonl"))


def test_what_stands_in_the_file_wins_over_its_folder(tmp_path, triples, connection):
    lake = write_lake(tmp_path, timestamp_is_1999__ITEM_ID_is_zz=TYPED)
    assert triples(lake) == TRIPLES
    assert read_tabular(connection, str(lake)).counted == 2


def test_folders_name_what_no_file_does(tmp_path, triples):
    rest = {name: TYPED[name] for name in ("item_id", "timestamp")}
    lake = write_lake(tmp_path, user_id_is_ann=rest, user_id_is_bob=rest)
    assert len(triples(lake)) == 4
    folder = tmp_path / "csv" / "user_id=ann"
    folder.mkdir(parents=True)
    (folder / "log.csv").write_text("item_id,timestamp\ni1,1714521600\n")
    assert triples(folder / "*.csv") == TRIPLES[:1]


def test_files_of_a_lake_may_differ_in_columns_order_and_case(tmp_path, triples):
    other = {"rating": [1.5], "device": pa.nulls(1), "timestamp": [1714521601], "ITEM_ID": ["i2"], "user_id": ["bob"]}
    first = {name: values[:1] for name, values in TYPED.items()}
    assert triples(write_lake(tmp_path, a=first, b=other)) == TRIPLES


def test_parquet_rows_are_counted_from_the_footers(tmp_path, connection):
    pq.write_table(
        pa.table({name: values * 50 for name, values in TYPED.items()}), tmp_path / "log.parquet", row_group_size=7
    )
    assert read_tabular(connection, str(tmp_path / "log.parquet")).counted == 100
