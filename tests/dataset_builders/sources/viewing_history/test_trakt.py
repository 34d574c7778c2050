import json


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
