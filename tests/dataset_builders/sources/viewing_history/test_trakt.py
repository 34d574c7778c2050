import json

import pytest

from logs2lang.dataset_builders.input_error import InputError


def test_json_export(read, told, items, exports):
    log = read(exports / "trakt")
    assert told(log, "event", "item_id", "timestamp", "value") == [
        ("play", "show-5 S01E01", "2024-08-20 19:19:00+00:00", None),
        ("watched", "movie-1", "2024-08-21 06:41:00+00:00", None),
        ("rate", "show-5", "2024-08-22 19:30:29+00:00", 9.0),
    ]
    assert items(log, "title", "year", "series") == {
        "movie-1": ("Fog Over Malin", 2001, None),
        "show-5": ("Harbour Lights", 2019, "Harbour Lights"),
        "show-5 S01E01": ("Harbour Lights S01E01: The Ferry", 2019, "Harbour Lights"),
    }


def test_csv_export_says_the_same_and_has_genres(read, told, items, exports):
    log = read(exports / "trakt-csv" / "history.csv")
    assert told(log, "event", "item_id") == [("play", "show-5 S01E01"), ("watched", "movie-1")]
    assert items(log, "title", "series", "tags") == {
        "movie-1": ("Fog Over Malin", None, ["mystery", "drama"]),
        "show-5 S01E01": ("Harbour Lights S01E01: The Ferry", "Harbour Lights", ["drama"]),
    }


def test_ratings_of_seasons_and_films_without_ids(read, told, items, write):
    season = {"season": {"number": 2}, "show": {"title": "Harbour Lights", "ids": {"trakt": 5}}}
    ratings = [
        {"rated_at": "2024-08-22T00:00:00Z", "rating": 7, **season},
        {"rated_at": "2024-08-23T00:00:00Z", "rating": 8, "movie": {"title": "Kelp", "year": 1999}},
    ]
    log = read(write("ratings.json", json.dumps(ratings)))
    assert told(log, "event", "item_id", "value") == [("rate", "show-5 S02", 7.0), ("rate", "Kelp", 8.0)]
    assert items(log, "series")["show-5 S02"] == ("Harbour Lights",)


RATINGS_HEADER = (
    "rated_at,type,title,year,trakt_rating,trakt_id,imdb_id,tmdb_id,tvdb_id,url,released,season_number,"
    "episode_number,episode_title,episode_released,episode_trakt_rating,episode_trakt_id,episode_imdb_id,"
    "episode_tmdb_id,episode_tvdb_id,genres,rating\n"
)


def test_ratings_csv(read, told, items, write):
    """Trakt's own columns, as importers of this file spell them: no action, no runtime, and the rating last."""
    rows = (
        "2024-08-22T06:33:24.000Z,episode,Harbour Lights,2019,8.1,5,tt9000005,5,5,https://x,2019-01-01,1,2,"
        "The Storm,2019-01-08,7.9,502,tt9000010,10,10,drama,9\n"
        '2024-08-23T13:48:52Z,movie,Fog Over Malin,2001,7.1,1,tt9000001,1,,https://x,2001-02-03,,,,,,,,,,"mystery,drama",8\n'
    )
    log = read(write("ratings.csv", RATINGS_HEADER + rows))
    assert told(log, "event", "item_id", "timestamp", "value") == [
        ("rate", "show-5 S01E02", "2024-08-22 06:33:24+00:00", 9.0),
        ("rate", "movie-1", "2024-08-23 13:48:52+00:00", 8.0),
    ]
    assert items(log, "series", "tags") == {
        "show-5 S01E02": ("Harbour Lights", ["drama"]),
        "movie-1": (None, ["mystery", "drama"]),
    }


def test_the_csv_of_a_collection_is_no_history(read, write):
    with pytest.raises(InputError, match=r"first columns of collection\.csv are 'collected_at'"):
        read(write("collection.csv", RATINGS_HEADER.replace("rated_at", "collected_at").replace(",rating", "")))
