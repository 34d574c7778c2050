import pytest

from logs2lang.dataset_builders.input_error import InputError

HEADER = "Profile Name,Start Time,Duration,Attributes,Title,Supplemental Video Type,Device Type\n"


def test_viewing_activity(read, told, items, exports):
    log = read(exports / "netflix")
    assert told(log, "user_id", "event", "item_id", "timestamp") == [
        ("Bo", "play", "Tång: Säsong 2: Ön", "2024-03-07 18:00:00+00:00"),
        ("Bo", "play", "Kelp: Part Two", "2024-03-08 18:00:00+00:00"),
        ("Ada", "autoplay", "Fog Over Malin", "2024-03-09 20:11:00+00:00"),
        ("Ada", "trailer", "Season 1 Trailer: Harbour Lights", "2024-03-09 20:12:40+00:00"),
        ("Ada", "play", 'Harbour Lights: Season 1: "The Ferry"', "2024-03-09 20:15:02+00:00"),
    ]
    # 41:10 is 41 * 60 + 10 seconds.
    assert told(log, "duration_s", "device")[-1] == (2470.0, "Roku Ultra 2020 TV")
    assert items(log, "series", "title") == {
        "Fog Over Malin": (None, "Fog Over Malin"),
        'Harbour Lights: Season 1: "The Ferry"': ("Harbour Lights", 'Harbour Lights: Season 1: "The Ferry"'),
        "Kelp: Part Two": (None, "Kelp: Part Two"),
        "Season 1 Trailer: Harbour Lights": (None, "Season 1 Trailer: Harbour Lights"),
        "Tång: Säsong 2: Ön": ("Tång", "Tång: Säsong 2: Ön"),
    }


def test_profiles_stay_apart_and_one_can_be_kept(read, told, exports):
    assert {user for (user,) in told(read(exports / "netflix"), "user_id")} == {"Ada", "Bo"}
    kept = read(exports / "netflix", profile="Bo")
    assert told(kept, "user_id", "item_id") == [("Bo", "Tång: Säsong 2: Ön"), ("Bo", "Kelp: Part Two")]
    assert kept.counts["items"] == 2


def test_an_unknown_profile_is_answered_with_those_that_exist(read, exports):
    with pytest.raises(InputError, match="has no profile 'bo'; it has 'Ada', 'Bo'"):
        read(exports / "netflix", profile="bo")
    with pytest.raises(InputError, match="has no profiles"):
        read(exports / "netflix-titles", profile="Ada")


@pytest.mark.parametrize(
    ("length", "seconds"), [("00:00:07", 7.0), ("1:02:03", 3723.0), ("10:00:00", 36_000.0), ("24:00:00", 86_400.0)]
)
def test_lengths_are_seconds(read, told, write, length, seconds):
    log = read(write("a.csv", f"{HEADER}Ada,2024-03-09 20:15:02,{length},,Fog,,TV\n"))
    assert told(log, "duration_s") == [(seconds,)]


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        ("-00:00:07", "duration negative or over 7 days"),
        ("72:00:00", "duration over 24 hours"),
        ("24:00:01", "duration over 24 hours"),
        ("999999999:00:00", "duration over 24 hours"),
    ],
)
def test_lengths_that_cannot_be_are_set_aside(read, write, length, reason):
    rows = f"Ada,2024-03-09 20:15:02,{length},,Fog,,TV\nAda,2024-03-09 20:15:02,00:10:00,,Kelp,,TV\n"
    log = read(write("a.csv", HEADER + rows))
    assert log.counts["quarantined_by_reason"] == {reason: 1}
    assert log.quarantine.to_pyarrow().to_pylist()[0]["source_row"] == 2


def test_a_length_that_is_no_number_costs_no_record(read, write):
    rows = "Ada,2024-03-09 20:15:02,an hour,,Fog,,TV\nAda,2024-03-09 20:15:02,00:10:00,,Kelp,,TV\n"
    log = read(write("a.csv", HEADER + rows))
    assert log.counts["used"] == 2
    assert log.notes[0].startswith("1 values of duration_s, such as 'an hour', are not numbers")


def test_a_spreadsheet_may_have_rewritten_the_times(read, told, write):
    rows = "Ada;3/14/2024 20:15;00:10:00;;Fog;;TV\nAda;3/4/2024 8:05 PM;00:10:00;;Kelp;;TV\n"
    log = read(write("a.csv", HEADER.replace(",", ";") + rows))
    assert told(log, "item_id", "timestamp") == [
        ("Kelp", "2024-03-04 20:05:00+00:00"),
        ("Fog", "2024-03-14 20:15:00+00:00"),
    ]


def test_the_short_history_keeps_the_order_within_a_day(read, told, exports):
    log = read(exports / "netflix-titles")
    assert told(log, "user_id", "item_id", "timestamp") == [
        ("owner", "Fog Over Malin", "2024-03-09 00:00:00+00:00"),
        # The file is newest first: the ferry was seen before the storm.
        ("owner", "Harbour Lights: Season 1: The Ferry", "2024-03-14 00:00:00+00:00"),
        ("owner", "Harbour Lights: Season 1: The Storm", "2024-03-14 00:00:00.000001+00:00"),
    ]


def test_a_file_sorted_the_other_way_says_so_itself(read, told, write):
    log = read(write("h.csv", "Title,Date\nFog,2024-03-01\nKelp,2024-03-02\nLamp,2024-03-02\n"))
    assert [item for (item,) in told(log, "item_id")] == ["Fog", "Kelp", "Lamp"]


def test_days_that_go_back_are_put_in_order_and_none_is_lost(read, told, write):
    log = read(write("h.csv", "Title,Date\nFog,2024-03-05\nKelp,2024-03-07\nLamp,2024-03-01\nRope,2024-03-06\n"))
    assert [item for (item,) in told(log, "item_id")] == ["Lamp", "Fog", "Rope", "Kelp"]


def test_a_title_twice_on_one_day_is_one_viewing(read, write):
    log = read(write("h.csv", "Title,Date\nFog,2024-03-01\nKelp,2024-03-01\nFog,2024-03-01\n"))
    assert (log.counts["used"], log.counts["merged_duplicates"]) == (2, 1)


@pytest.mark.parametrize(
    ("header", "date"),
    [
        ("Title,Date", "3/14/24"),
        ("Titel,Datum", "14.03.24"),
        ("Titre,Date", "14/03/2024"),
        ("Título,Fecha", "14/3/24"),
        ("Titolo,Data", "14/03/24"),
        ("Titel,Datum", "14-03-2024"),
        ("Titel,Datum", "2024-03-14"),
        ("Otsikko,Päivämäärä", "14.3.2024"),
        ("Tytuł,Data", "14.03.2024"),
        ("Название,Дата", "14.03.2024"),
        ("Τίτλος,Ημερομηνία", "14/3/24"),
        ("TITLE;DATE", "2024. 03. 14."),
    ],
)
def test_the_short_history_in_the_languages_of_europe(read, told, write, header, date):
    delimiter = ";" if ";" in header else ","
    log = read(write("h.csv", f'{header}\n"Fog"{delimiter}"{date}"\n'))
    assert told(log, "item_id", "timestamp") == [("Fog", "2024-03-14 00:00:00+00:00")]


def test_several_short_histories_are_several_people(read, told, write, tmp_path):
    write("a.csv", "Title,Date\nFog,3/14/24\n")
    write("b.csv", "Titel,Datum\nFog,14.03.24\n")
    assert told(read(tmp_path), "user_id", "timestamp") == [
        ("a.csv", "2024-03-14 00:00:00+00:00"),
        ("b.csv", "2024-03-14 00:00:00+00:00"),
    ]


def test_series_without_seasons_are_told_by_the_rest_of_a_short_history(read, items, write):
    """Netflix names no season where there is only one: four episodes of one evening, beside two films."""
    episodes = [f"Kelp: {name}" for name in ("Oars", "Rope", "Ebb", "Tide")]
    films = ["Fog Wars: The Lamp", "Fog Wars: The Rope"]
    text = "Title,Date\n" + "".join(f'"{title}","3/14/24"\n' for title in episodes + films)
    told = {title: series for title, (series,) in items(read(write("h.csv", text)), "series").items()}
    assert told == {**dict.fromkeys(episodes, "Kelp"), **dict.fromkeys(films)}


def test_a_trailer_is_of_no_series_whatever_stands_before_its_name(read, items, write):
    row = "Ada,2024-03-09 20:15:02,00:00:30,,{},{},TV\n"
    rows = row.format("Season 1 Trailer: Fog: Season 1", "TRAILER") + row.format("Fog: Season 1: Ebb", "")
    assert items(read(write("v.csv", HEADER + rows)), "series") == {
        "Season 1 Trailer: Fog: Season 1": (None,),
        "Fog: Season 1: Ebb": ("Fog",),
    }


@pytest.mark.parametrize("text", ["Title,Date,,\nFog,2024-03-01,,\n", ",Title,Date\n0,Fog,2024-03-01\n"])
def test_a_spreadsheet_may_have_left_columns_without_a_name(read, told, write, text):
    assert told(read(write("h.csv", text)), "item_id") == [("Fog",)]
