import shutil

import pytest

from logs2lang.dataset_builders.input_error import InputError


def test_the_three_lists_tell_each_film_once(read, told, items, exports):
    log = read(exports / "letterboxd")
    assert told(log, "event", "item_id", "timestamp", "value") == [
        ("play", "Fog Over Malin (2001)", "2024-01-01 00:00:00+00:00", 4.5),
        # The diary is oldest first, and both films were seen on one day.
        ("play", "Kelp, Part Two (2023)", "2024-01-01 00:00:00.000001+00:00", None),
        ("rate", "The Lamp (1977)", "2024-01-05 00:00:00+00:00", 3.0),
        ("watched", "Low Water", "2024-01-06 00:00:00+00:00", None),
    ]
    # 2 in the diary, 2 ratings, 4 films watched: one rating and three marks repeat what is known.
    counts = log.counts
    assert (counts["input_rows"], counts["merged_duplicates"], counts["quarantined"]) == (8, 4, 0)
    assert items(log, "title", "year")["Kelp, Part Two (2023)"] == ("Kelp, Part Two", 2023)


def test_each_list_stands_alone(read, told, exports):
    folder = exports / "letterboxd"
    assert [event for (event,) in told(read(folder / "diary.csv"), "event")] == ["play"] * 2
    assert [event for (event,) in told(read(folder / "ratings.csv"), "event")] == ["rate"] * 2
    assert [event for (event,) in told(read(folder / "watched.csv"), "event")] == ["watched"] * 4


def test_a_second_rating_of_a_film_is_kept(read, told, write, tmp_path):
    write("diary.csv", "Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date\n2024-01-02,Fog,2001,u,4,,,\n")
    write("ratings.csv", "Date,Name,Year,Letterboxd URI,Rating\n2024-02-02,Fog,2001,u,2.5\n")
    assert told(read(tmp_path), "event", "timestamp", "value") == [
        ("play", "2024-01-02 00:00:00+00:00", 4.0),
        ("rate", "2024-02-02 00:00:00+00:00", 2.5),
    ]


@pytest.mark.parametrize("name", ["watchlist.csv", "likes/films.csv", "reviews.csv", "profile.csv"])
def test_lists_that_are_no_history_are_refused(read, exports, name):
    with pytest.raises(InputError, match=r"is not a supported history: .*Letterboxd diary\.csv"):
        read(exports / "letterboxd" / name)


def test_two_people_in_one_folder_are_refused(read, exports, tmp_path):
    for person in ("ada", "bo"):
        (tmp_path / person).mkdir()
        shutil.copy(exports / "letterboxd" / "diary.csv", tmp_path / person)
    with pytest.raises(InputError, match=r"more than one file like ada/diary\.csv; give the export of one person"):
        read(tmp_path)
