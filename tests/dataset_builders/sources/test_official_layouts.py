"""Six public logs, each from a small hand-made file in the layout of the official one, with rows that are odd."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.interactions import canonicalize
from logs2lang.dataset_builders.sources.amazon_reviews import read_amazon_reviews
from logs2lang.dataset_builders.sources.kuairand import read_kuairand
from logs2lang.dataset_builders.sources.lastfm import FILE, read_lastfm_1k
from logs2lang.dataset_builders.sources.mind import read_mind
from logs2lang.dataset_builders.sources.otto import read_otto
from logs2lang.dataset_builders.sources.yambda import CLOCK_START, read_yambda


@pytest.fixture
def read(connection):
    """A canonical log: its identity was checked, so that no row got lost."""

    def read_source(source, **options):
        raw = source(connection, **options)
        assert raw.counted is not None
        return canonicalize(raw, connection)

    return read_source


def rows_of(log, *names):
    """The interactions in the order of users and times, without the columns user and timestamp if not asked for."""
    rows = log.interactions.to_pyarrow().to_pylist()
    rows.sort(key=lambda row: (row["user_id"], row["timestamp"], row["item_id"]))
    return [tuple(row[name] for name in names) for row in rows]


def items_of(log):
    return {item["item_id"]: item for item in log.items.to_pyarrow().to_pylist()}


def json_lines(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def review(user, product, time=1588687728923, **others):
    common = {"rating": 5.0, "title": "Such a lovely scent", "text": "But not overpowering.", "images": []}
    ids = {"asin": f"{product}-BLUE", "parent_asin": product, "user_id": user, "timestamp": time}
    return {**common, **ids, "helpful_vote": 0, "verified_purchase": True, **others}


def product(parent_asin, title, **others):
    lists = {"features": [], "description": [], "images": [], "videos": [], "categories": [], "details": "{}"}
    rest = {"average_rating": 4.8, "rating_number": 10, "price": "—", "store": "Howard", "bought_together": None}
    return {"main_category": "All Beauty", "title": title, **rest, **lists, "parent_asin": parent_asin, **others}


PRODUCTS = (
    product("B1", "Body Mist", categories=["Beauty", "Perfume"], description=["A mist.", "For &amp; by you."]),
    product("B2", "Soap", price="$2.50", description=None),
    product("B3", None, main_category=None),
)


def test_amazon_reviews_all_of_a_category(tmp_path, read):
    reviews = [review("U1", "B1"), review("U1", "B2", 1588687729000, rating=None), review("U2", "B1", timestamp=None)]
    lines = json_lines(*reviews, review("U2", "B1"))
    (tmp_path / "All_Beauty.jsonl.gz").write_bytes(gzip.compress((lines + '{"rating": 5.0, "titl\n').encode()))
    (tmp_path / "meta_All_Beauty.jsonl").write_text(json_lines(*PRODUCTS, PRODUCTS[0]), encoding="utf-8")
    log = read(read_amazon_reviews, category="All_Beauty", reviews="raw", folder=tmp_path)
    assert rows_of(log, "user_id", "item_id", "event", "value") == [
        ("U1", "B1", "review", 5.0),
        ("U1", "B2", "review", None),
        ("U2", "B1", "review", 5.0),
    ]
    assert log.counts["quarantined_by_reason"] == {"empty time": 1, "not a JSON object": 1}
    assert log.counts["input_rows"] == 5
    items = items_of(log)
    assert (items["B1"]["title"], items["B1"]["tags"]) == ("Body Mist", ["Beauty", "Perfume"])
    assert items["B1"]["description"] == "A mist. For & by you."
    assert (items["B2"]["tags"], items["B2"]["description"]) == (["All Beauty"], None)
    assert (items["B3"]["title"], items["B3"]["tags"]) == ("B3", [])


def test_amazon_reviews_five_core(tmp_path, read):
    rows = ("U1,B1,5.0,1588687728923", "U1,B2,4.0,never", "U1,B2", ",B1,1.0,1588687728923")
    table = "\n".join(("user_id,parent_asin,rating,timestamp", *rows)) + "\n"
    place = tmp_path / "benchmark" / "5core" / "rating_only"
    place.mkdir(parents=True)
    (place / "All_Beauty.csv").write_text(table)
    (tmp_path / "meta_All_Beauty.jsonl").write_text(json_lines(*PRODUCTS))
    log = read(read_amazon_reviews, category="All_Beauty", folder=tmp_path)
    assert rows_of(log, "user_id", "item_id", "value") == [("U1", "B1", 5.0)]
    reasons = {"empty user": 1, "time not readable": 1, "too few columns": 1}
    assert log.counts["quarantined_by_reason"] == reasons


def test_amazon_reviews_wrong_requests(tmp_path, connection):
    with pytest.raises(InputError, match=r"no category 'All_Beuty'\. Did you mean 'All_Beauty'"):
        read_amazon_reviews(connection, category="All_Beuty", folder=tmp_path)
    with pytest.raises(InputError, match=r"does not hold Amazon Reviews 2023: expected Books\.csv or benchmark/5core"):
        read_amazon_reviews(connection, category="Books", folder=tmp_path)
    (tmp_path / "Books.csv").write_text("user,item\n1,2\n")
    (tmp_path / "meta_Books.jsonl").write_text(json_lines(*PRODUCTS))
    with pytest.raises(InputError, match=r"is no file of Amazon Reviews 2023: it has no 'user_id'"):
        read_amazon_reviews(connection, category="Books", folder=tmp_path)


NEWS = (
    ("N1", "sports", "golf", '"The Open" begins', "An abstract.", "https://x", "[]", "[]"),
    ("N3", "news", "news", "Title", "", "https://x", "[]", "[]"),
    ("N9", "too", "short"),
)


def write_mind(folder, *visits):
    folder.mkdir(exist_ok=True)
    (folder / "behaviors.tsv").write_text("".join("\t".join(visit) + "\n" for visit in visits))
    (folder / "news.tsv").write_text("".join("\t".join(row) + "\n" for row in NEWS))
    return folder


def test_mind(tmp_path, read):
    """Two visits of U1, whose earlier clicks count once; a label, a time, a list and columns that are missing."""
    folder = write_mind(
        tmp_path,
        ("1", "U1", "11/15/2019 9:55:12 AM", "N1 N2", "N3-1 N4-0 N5"),
        ("2", "U1", "11/15/2019 1:05:00 PM", "N1 N2", "N5-0 N6-1"),
        ("3", "U2", "11/14/2019 12:00:01 AM", "", "N4-1"),
        ("4", "U3", "soon", "N1", "N3-1"),
        ("5", "U4", "11/15/2019 9:00:00 AM", "", ""),
        ("6", "U5"),
    )
    log = read(read_mind, folder=folder)
    found = [(user, item, str(time)[:19], event) for user, item, time, event in rows_of(log, *COLUMNS)]
    assert found == [
        ("U1", "N1", "2019-11-13 23:59:59", "earlier_click"),
        ("U1", "N2", "2019-11-14 00:00:00", "earlier_click"),
        ("U1", "N3", "2019-11-15 09:55:12", "click"),
        ("U1", "N4", "2019-11-15 09:55:12", "impression"),
        ("U1", "N5", "2019-11-15 13:05:00", "impression"),
        ("U1", "N6", "2019-11-15 13:05:00", "click"),
        ("U2", "N4", "2019-11-14 00:00:01", "click"),
        ("U3", "N1", "2019-11-14 00:00:00", "earlier_click"),
    ]
    reasons = ("impression without a click label", "no list of events", "time not readable", "too few columns")
    assert log.counts["quarantined_by_reason"] == dict.fromkeys(reasons, 1)
    assert log.counts["catalogue_quarantined_by_reason"] == {"too few columns": 1}
    items = items_of(log)
    first = items["N1"]
    assert (first["title"], first["description"]) == ('"The Open" begins', "An abstract.")
    assert (first["tags"], items["N3"]["tags"]) == (["sports", "golf"], ["news"])


COLUMNS = ("user_id", "item_id", "timestamp", "event")


def test_mind_reads_train_and_dev_and_leaves_the_test_set_out(tmp_path, connection):
    for name, shown in {"MINDsmall_train": "N3-1", "MINDsmall_dev": "N4-0 N5-1", "MINDlarge_test": "N6 N7"}.items():
        write_mind(tmp_path / name, ("1", f"U-{name}", "11/15/2019 9:55:12 AM", "", shown))
    raw = read_mind(connection, folder=tmp_path)
    assert [note.partition(" ")[0] for note in raw.notes] == ["MINDlarge_test"]
    log = canonicalize(raw, connection)
    assert (log.counts["used"], log.counts["quarantined"], log.counts["merged_items"]) == (3, 0, 4)
    with pytest.raises(InputError, match="whose clicks are not published"):
        read_mind(connection, folder=tmp_path / "MINDlarge_test")


def test_candidates_of_mind_are_what_was_shown_with_the_target(tmp_path):
    visits = []
    for user in range(8):
        for day in range(9):
            shown = [f"N{user}{day}{place}" for place in range(4)]
            labels = " ".join(f"{item}-{int(place == day % 4)}" for place, item in enumerate(shown))
            visits.append((str(day), f"U{user}", f"11/{day + 9}/2019 9:55:12 AM", "N1 N2", labels))
    folder = write_mind(tmp_path / "mind", *visits)
    options = BuildOptions(candidates="impressions", num_candidates=4)
    report = build_dataset(lambda connection: read_mind(connection, folder=folder), tmp_path / "built", options)
    assert report["splits"]["test"]["examples"] == 8
    built = BuiltDataset.open(tmp_path / "built")
    names = {item_id: item["source_item_id"] for item_id, item in built.items().items()}
    for example in built.examples("test"):
        assert {names[record["item_id"]][:3] for record in example["candidates"]} == {names[example["target"]][:3]}
        assert [record["event"] for record in example["history"]][:2] == ["earlier_click", "earlier_click"]


KUAIRAND_LOG = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab\n"
)
KUAIRAND_VIDEOS = (
    "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,server_height,"
    "music_id,music_type,tag\n"
)


def exposure(video, time, click, hate, played, length):
    return f"17387,{video},20220421,400,{time},{click},0,0,0,0,{hate},0,{played},{length},0,0,0,0,1\n"


def test_kuairand(tmp_path, read):
    data = tmp_path / "KuaiRand-Pure" / "data"
    data.mkdir(parents=True)
    standard = [
        exposure(1, 1650485801301, 1, 0, 151024, 104400),
        exposure(2, 1650485801302, 0, 0, 2000, 104400),
        exposure(3, 1650485801303, 0, 0, 0, 10000),
        exposure(4, 1650485801304, 0, 0, 5000, 5000),
        exposure(5, 1650485801305, 1, 1, 60000, 60000),
        exposure(6, "", 1, 0, 60000, 60000),
        exposure(7, 1650485801307, 1, 0, "long", 0),
    ]
    (data / "log_standard_4_08_to_4_21_pure.csv").write_text(KUAIRAND_LOG + "".join(standard))
    at_random = exposure(8, 1650485801308, 0, 0, 8000, 60000) + "17387,9\n"
    (data / "log_random_4_22_to_5_08_pure.csv").write_text(KUAIRAND_LOG + at_random)
    videos = '1,441,NORMAL,2020-07-08,ShortImport,1,17200.0,720,1280,989206467,4,"12,65"\n,2,NORMAL,,,,,,,,,\n'
    (data / "video_features_basic_pure.csv").write_text(KUAIRAND_VIDEOS + videos)
    log = read(read_kuairand, folder=tmp_path / "KuaiRand-Pure")
    expected = [
        ("1", "play", 151.024, 1.4466),
        ("2", "abandon", 2.0, 0.0192),
        ("3", "impression", 0.0, 0.0),
        ("4", "play", 5.0, 1.0),
        ("5", "abandon", 60.0, 1.0),
        ("7", "play", None, None),
        ("8", "play", 8.0, 0.1333),
    ]
    found = rows_of(log, *PLAYED)
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    for row, right in zip(found, expected, strict=True):
        assert [number or 0 for number in row[2:]] == pytest.approx([number or 0 for number in right[2:]], rel=1e-5)
    assert found[5][2:] == (None, None)
    assert log.counts["quarantined_by_reason"] == {"empty time": 1, "too few columns": 1}
    assert log.counts["catalogue_quarantined_by_reason"] == {"catalogue row without an item id": 1}
    video = items_of(log)["1"]
    assert (video["year"], video["tags"]) == (2020, ["category 12", "category 65", "author 441"])


PLAYED = ("item_id", "event", "duration_s", "value")


def yambda_tables():
    rows = {
        "uid": [100, 100, 100, 200],
        "timestamp": [0, 5, 10, 86400],
        "item_id": [7, 8, 7, 9],
        "is_organic": [1, 0, 1, 0],
        "played_ratio_pct": [100, 51, 49, 120],
        "track_length_seconds": [200, 100, 200, 100],
    }
    types = {"is_organic": pa.uint8(), "played_ratio_pct": pa.uint16()}
    flat = pa.table({name: pa.array(values, types.get(name, pa.uint32())) for name, values in rows.items()})
    lists = {name: [values[:3], values[3:]] for name, values in rows.items() if name != "uid"}
    return flat, pa.table({"uid": pa.array([100, 200], pa.uint32()), **lists})


@pytest.mark.parametrize("layout", ["flat", "sequential"])
def test_yambda_flat_and_sequential_give_the_same_log(tmp_path, read, layout):
    flat, sequential = yambda_tables()
    odd = {name: pa.array([None], flat.schema.field(name).type) for name in flat.column_names}
    flat = pa.concat_tables([flat, pa.table(odd)])
    empty = {name: pa.array([[]], sequential.schema.field(name).type) for name in sequential.column_names[1:]}
    sequential = pa.concat_tables([sequential, pa.table({"uid": pa.array([300], pa.uint32()), **empty})])
    place = tmp_path / layout / "50m"
    place.mkdir(parents=True)
    pq.write_table(flat if layout == "flat" else sequential, place / "listens.parquet")
    artists = {"artist_id": pa.array([2, 1, 1], pa.uint32()), "item_id": pa.array([7, 7, 99], pa.uint32())}
    pq.write_table(pa.table(artists), tmp_path / "artist_item_mapping.parquet")
    log = read(read_yambda, layout=layout, folder=tmp_path)
    found = [
        (user, item, int(time.timestamp()) - CLOCK_START, event, round(value, 2), round(seconds))
        for user, item, time, event, value, seconds in rows_of(log, *COLUMNS, "value", "duration_s")
    ]
    assert found == [
        ("100", "7", 0, "listen", 1.0, 200),
        ("100", "8", 5, "recommended_listen", 0.51, 51),
        ("100", "7", 10, "abandon", 0.49, 98),
        ("200", "9", 86400, "recommended_listen", 1.2, 120),
    ]
    reason = "empty user" if layout == "flat" else "no list of events"
    assert log.counts["quarantined_by_reason"] == {reason: 1}
    items = items_of(log)
    assert items["7"]["tags"] == ["artist 1", "artist 2"]
    assert set(items) == {"7", "8", "9"}


def test_yambda_likes_and_what_is_not_there(tmp_path, read, connection):
    likes = yambda_tables()[0].select(["uid", "timestamp", "item_id", "is_organic"])
    pq.write_table(likes, tmp_path / "likes.parquet")
    raw = read_yambda(connection, events="likes", folder=tmp_path)
    assert any("no artist_item_mapping.parquet" in note for note in raw.notes)
    assert [row[0] for row in rows_of(canonicalize(raw, connection), "event")] == [
        "like",
        "recommended_like",
        "like",
        "recommended_like",
    ]
    with pytest.raises(InputError, match=r"expected flat/50m/listens\.parquet or listens\.parquet"):
        read_yambda(connection, folder=tmp_path)
    with pytest.raises(InputError, match=r"no size '1m'; choose one of 50m, 500m, 5b"):
        read_yambda(connection, size="1m", folder=tmp_path)


def test_lastfm_1k(tmp_path, read):
    """No header; tracks without an id; a stray quote; a repeat; a duplicate; rows without a track or a column."""
    lines = [
        ("user_000001", "2009-05-04T23:08:57Z", "f1b1cf71", "Deep Dish", "", "Fuck Me Im Famous"),
        ("user_000001", "2009-05-04T13:54:10Z", "a7f7df4a", "坂本龍一", "aaa", 'Composition 0919 "Live'),
        ("user_000001", "2009-05-04T23:18:57Z", "f1b1cf71", "Deep Dish", "bbb", "Fuck Me Im Famous"),
        ("user_000001", "2009-05-04T23:18:57Z", "f1b1cf71", "Deep Dish", "bbb", "Fuck Me Im Famous"),
        ("user_000002", "2009-05-04T23:18:57Z", "f1b1cf71", "Deep Dish", "", ""),
        ("user_000002", "2009-05-04T23:18:57Z", "f1b1cf71", "Deep Dish"),
    ]
    (tmp_path / FILE).write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")
    log = read(read_lastfm_1k, folder=tmp_path)
    assert rows_of(log, "item_id", "event") == [
        ('坂本龍一 - Composition 0919 "Live', "listen"),
        ("Deep Dish - Fuck Me Im Famous", "listen"),
        ("Deep Dish - Fuck Me Im Famous", "listen"),
    ]
    assert log.counts["merged_duplicates"] == 1
    assert log.counts["quarantined_by_reason"] == {"empty item": 1, "too few columns": 1}
    assert items_of(log)["Deep Dish - Fuck Me Im Famous"]["tags"] == ["Deep Dish"]


def test_otto(tmp_path, read):
    events = [
        {"aid": 1517085, "ts": 1659304800025, "type": "clicks"},
        {"aid": 1517085, "ts": 1659304904511, "type": "carts"},
        {"aid": 2, "ts": 1659304904512, "type": "orders"},
        {"aid": 3, "type": "clicks"},
    ]
    lines = json_lines({"session": 0, "events": events}, {"session": 1, "events": []}) + '{"session": 2, "eve\n'
    (tmp_path / "otto-recsys-train.jsonl").write_text(lines)
    (tmp_path / "otto-recsys-test.jsonl").write_text(json_lines({"session": 9, "events": events}))
    log = read(read_otto, folder=tmp_path)
    assert rows_of(log, "user_id", "item_id", "event") == [
        ("0", "1517085", "click"),
        ("0", "1517085", "cart"),
        ("0", "2", "order"),
    ]
    reasons = {"empty time": 1, "no list of events": 1, "not a JSON object": 1}
    assert log.counts["quarantined_by_reason"] == reasons


def test_otto_refuses_other_json(tmp_path, connection):
    (tmp_path / "train.jsonl").write_text(json_lines({"user": 1}))
    with pytest.raises(InputError, match=r"is no file of OTTO: it has no 'session' and no 'events', but user"):
        read_otto(connection, folder=tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        read_otto(connection, folder=tmp_path / "nowhere")
