import json

import ibis
import pytest

from logs2lang.dataset_builders.sources.viewing_history.youtube import bare_title


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


def watched(title, place=0, **others):
    video = f"https://www.youtube.com/watch?v={place:011}"
    return {"header": "YouTube", "title": title, "titleUrl": video, "time": "2024-05-02T18:00:00Z", **others}


def test_words_of_a_language_that_is_not_known_are_told_by_what_all_titles_share(read, items, write):
    films = [
        "Low Water",
        "Kelp",
        "Fog Over Malin",
        "The Lamp",
        "Rope",
        "Tying a bowline",
        "Oars",
        "A Ferry",
        "Ebb",
        "B",
    ]
    # Hungarian and Indonesian: the words behind the title, and before it.
    for around in ("{} megtekintve", "Menonton {}"):
        rows = [watched(around.format(film), place) for place, film in enumerate(films)]
        found = items(read(write("h.json", json.dumps(rows))), "title")
        assert sorted(title for (title,) in found.values()) == sorted(films)
        # Of few titles nothing is concluded: they may share a word of their own.
        few = items(read(write("h.json", json.dumps(rows[:9]))), "title")
        assert (around.format("Kelp"),) in few.values()


def test_half_a_word_that_titles_share_stays(read, items, write):
    rows = [watched(f"Boat{place} ferry{place % 3}boat", place) for place in range(12)]
    assert ("Boat0 ferry0boat",) in items(read(write("h.json", json.dumps(rows))), "title").values()


# The details of an advertisement, as Takeout has them in English, German and Japanese.
@pytest.mark.parametrize("details", ["From Google Ads", "Von Google Ads", "Google 広告から"])
def test_advertisements_are_told_in_any_language(read, told, write, details):
    rows = [watched("Watched Buy rope", 1, details=[{"name": details}]), watched("Watched Kelp", 2)]
    assert sorted(told(read(write("h.json", json.dumps(rows))), "event")) == [("play",), ("trailer",)]


def test_likes_beside_viewings_are_set_aside(read, told, items, write):
    rows = [watched("Watched Kelp", 1), watched("Liked Kelp", 2), watched("Disliked Fog", 3)]
    log = read(write("MyActivity.json", json.dumps(rows)))
    assert [title for (title,) in items(log, "title").values()] == ["Kelp"]
    assert log.counts["quarantined_by_reason"] == {"not a viewing: a like, a vote or a save": 2}
    # In German the words stand behind the title, and a title may begin like a deed.
    german = [watched("Saved by the Ferry angesehen", 4)]
    assert list(items(read(write("h.json", json.dumps(german))), "title").values()) == [("Saved by the Ferry",)]


def test_titles_lose_the_words_around_them_in_any_language():
    address = "https://www.youtube.com/watch?v=aaaaaaaaaaa"
    bare = {
        "Watched Tying a bowline": "Tying a bowline",
        "Tying a bowline angesehen": "Tying a bowline",
        "„Tying a bowline“ angesehen": "Tying a bowline",
        "Vous avez regardé\u00a0Tying a bowline": "Tying a bowline",
        "Has visto Tying a bowline": "Tying a bowline",
        "Assistiu a Tying a bowline": "Tying a bowline",
        "Je hebt Tying a bowline bekeken": "Tying a bowline",
        "Ați vizionat Tying a bowline": "Tying a bowline",
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
