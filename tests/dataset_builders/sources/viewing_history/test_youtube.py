import json

import ibis

from dataset_builders.sources.viewing_history.youtube import bare_title


def test_watch_history(read, told, items, exports):
    log = read(exports / "youtube")
    assert told(log, "event", "item_id", "timestamp") == [
        ("play", "ccccccccccc", "2024-04-29 10:00:00+00:00"),
        ("trailer", "bbbbbbbbbbb", "2024-05-01 18:59:00+00:00"),
        ("play", "aaaaaaaaaaa", "2024-05-02 19:00:00.123000+00:00"),
    ]
    assert items(log, "title", "tags", "series") == {
        "aaaaaaaaaaa": ("Tying a bowline", ["Knots and Ropes"], None),
        "bbbbbbbbbbb": ("Buy rope", [], None),
        "ccccccccccc": ("Low Water", ["The Estuaries - Topic"], None),
    }
    # The five rows of watch-history.json; the searches beside it are no viewings and are not read.
    assert log.counts["input_rows"] == 5
    assert log.counts["quarantined_by_reason"] == {
        "no video address: removed or private": 1,
        "not a video: a search, a post or a visit": 1,
    }


def test_all_activity_may_be_in_one_file(read, told, exports, write):
    both = [
        entry
        for name in ("watch-history.json", "search-history.json")
        for entry in json.loads((exports / "youtube" / "history" / name).read_text())
    ]
    log = read(write("MyActivity.json", json.dumps(both)))
    assert len(told(log, "item_id")) == 3
    assert log.counts["quarantined_by_reason"]["not a video: a search, a post or a visit"] == 3


def test_titles_lose_the_words_around_them_in_any_language():
    address = "https://www.youtube.com/watch?v=aaaaaaaaaaa"
    bare = {
        "Watched Tying a bowline": "Tying a bowline",
        "Tying a bowline angesehen": "Tying a bowline",
        "„Tying a bowline“ angesehen": "Tying a bowline",
        "Vous avez regardé\u00a0Tying a bowline": "Tying a bowline",
        "Has visto Tying a bowline": "Tying a bowline",
        "Hai guardato Tying a bowline": "Tying a bowline",
        "Obejrzano: Tying a bowline": "Tying a bowline",
        "Tying a bowline を視聴しました": "Tying a bowline",
        "Tying a bowline": "Tying a bowline",
        "Watched ": "Watched ",
        f"Watched {address}": None,
    }
    table = ibis.memtable({"place": range(len(bare)), "title": list(bare), "address": [address] * len(bare)})
    found = table.select("place", bare=bare_title(table.title, table.address)).order_by("place")
    assert dict(zip(bare, found.to_pyarrow()["bare"].to_pylist(), strict=True)) == bare
