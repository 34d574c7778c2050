import json

import pytest

PLAY = {
    "ts": "2024-05-01T20:00:00Z",
    "ms_played": 200_000,
    "master_metadata_track_name": "Low Water",
    "master_metadata_album_artist_name": "The Estuaries",
    "reason_end": "trackdone",
}


def test_extended_history_of_several_files(read, told, items, exports):
    log = read(exports / "spotify")
    assert told(log, "event", "item_id", "timestamp", "duration_s", "device") == [
        # The export has the end of each play: 23:59:50 minus 200 seconds, 00:00:05 minus 4 seconds, and so on.
        ("play", "The Estuaries - Low Water", "2023-12-31 23:56:30+00:00", 200.0, "android"),
        ("abandon", "The Estuaries - High Water", "2024-01-01 00:00:01+00:00", 4.0, "android"),
        ("play", "Coast Talk - On Kelp", "2024-02-01 08:00:00+00:00", 1800.0, "android"),
        ("play", "The Lamp - Chapter 3", "2024-02-02 08:20:00+00:00", 600.0, "android"),
    ]
    # An artist is no work, so a second track is a discovery; a show and a book are.
    assert items(log, "series", "tags") == {
        "Coast Talk - On Kelp": ("Coast Talk", []),
        "The Estuaries - High Water": (None, ["The Estuaries"]),
        "The Estuaries - Low Water": (None, ["The Estuaries"]),
        "The Lamp - Chapter 3": ("The Lamp", []),
    }


def test_history_of_the_account_data(read, told, items, exports):
    log = read(exports / "spotify-account")
    assert told(log, "event", "item_id", "timestamp", "duration_s") == [
        ("play", "The Estuaries - Low Water", "2024-01-01 10:00:40+00:00", 200.0),
        ("play", "Coast Talk - On Kelp", "2024-01-02 08:00:00+00:00", 1800.0),
    ]
    assert items(log, "series")["Coast Talk - On Kelp"] == ("Coast Talk",)


def test_usernames_are_profiles(read, told, write):
    plays = [{**PLAY, "username": "ada"}, {**PLAY, "username": "bo"}, PLAY]
    log = read(write("endsong_0.json", json.dumps(plays)))
    assert sorted(told(log, "user_id")) == [("ada",), ("bo",), ("owner",)]


@pytest.mark.parametrize(
    ("change", "event"),
    [
        ({"ms_played": 29_999, "reason_end": "fwdbtn"}, "abandon"),
        ({"ms_played": 30_000, "reason_end": "fwdbtn"}, "play"),
        ({"ms_played": 12_000, "reason_end": "trackdone"}, "play"),  # a track of twelve seconds
        ({"ms_played": 12_000, "reason_end": None}, "abandon"),
    ],
)
def test_a_short_play_that_did_not_reach_the_end_is_abandoned(read, told, write, change, event):
    assert told(read(write("a.json", json.dumps([{**PLAY, **change}]))), "event") == [(event,)]


def test_plays_that_cannot_be_are_set_aside_with_their_reason(read, write):
    damages = {
        "duration negative or over 7 days": {"ms_played": -1},
        "duration over 24 hours": {"ms_played": 10**18},
        "time not readable": {"ts": "yesterday"},
        "empty time": {"ts": None},
        "empty item": {"master_metadata_track_name": None},
        "broken encoding": {"master_metadata_track_name": "cut emoji \ud83d"},
    }
    log = read(write("a.json", json.dumps([PLAY, *({**PLAY, **damage} for damage in damages.values())])))
    assert log.counts["used"] == 1
    assert log.counts["quarantined_by_reason"] == dict.fromkeys(sorted(damages), 1)


def test_a_length_that_is_no_number_costs_no_play(read, write):
    log = read(write("a.json", json.dumps([{**PLAY, "ms_played": "long"}])))
    assert log.counts["used"] == 1
    assert "such as 'long', are not numbers" in log.notes[0]
