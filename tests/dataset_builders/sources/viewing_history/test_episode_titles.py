import ibis

from logs2lang.dataset_builders.sources.viewing_history.episode_titles import series_of, with_series_beside

EPISODES = [
    "Harbour: Season 1: The Ferry",
    "Harbour: Season 1: Part 1: The Ferry",
    "Harbour: Series 2: The Ferry",
    "Harbour: Season II: The Ferry",
    "Harbour: Season 4 (Part 2): The Ferry",
    "Harbour: Season 3",
    "Harbour: Staffel 1: Die Fähre",
    "Harbour: Saison 1: Le bac",
    "Harbour : Saison 1 : Le bac",
    "Harbour\u00a0: Saison 1\u00a0: Le bac",
    "Harbour: Temporada 1: El transbordador",
    "Harbour: 1ª Temporada: A balsa",
    "Harbour: Stagione 1: Il traghetto",
    "Harbour: Seizoen 1: De veerboot",
    "Harbour: Sæson 1: Færgen",
    "Harbour: Säsong 1: Färjan",
    "Harbour: Sesong 1: Ferja",
    "Harbour: Kausi 1: Lautta",
    "Harbour: Sezon 1: Prom",
    "Harbour: 1. Sezon: Feribot",
    "Harbour: 1. évad: A komp",
    "Harbour: 1. řada: Přívoz",
    "Harbour: Sezonul 1: Bacul",
    "Harbour: Сезон 1: Паром",
    "Harbour: Κύκλος 1: Το πλοίο",
    "Harbour: Limited Series: The Ferry",
    "Harbour: Miniserie: Die Fähre",
    "Harbour: Mini-série: Le bac",
    "Harbour: Minissérie: A balsa",
    "Harbour: Мини-сериал: Паром",
    "Harbour: Part 2: The Ferry",
    "Harbour: Teil 2: Die Fähre",
    "Harbour: Partie 2: Le bac",
    "Harbour: Parte 2: El transbordador",
    "Harbour: Volume 1: The Ferry",
    "Harbour: Book 1: The Ferry",
    "Harbour: Chapter Four: The Ferry",
    "Harbour: Kapitel 4: Die Fähre",
    "Harbour: Episode 7",
    "Harbour: Folge 7",
    "Harbour: Épisode 7",
    "Harbour: Episodio 7",
    "Harbour: 7. Bölüm",
    "Harbour: Harbour 3: The Ferry",
    "Harbour: The Ferry (Episode 4)",
    "Harbour: Die Fähre (Folge 4)",
    "Harbour: Staffel 2 – Teil B: Die Fähre",
    "Harbour S02E11",
    "Harbour - S2:E11 - The Ferry",
    "Harbour: SEASON 1: THE FERRY",
    # Numbers that do not part from their word, as French and Polish exports have them.
    "Harbour: Saison\u00a01: Le bac",
    "Harbour\u00a0: Saison\u202f1\u00a0: Le bac",
    "Harbour: Partie\u00a02: Le bac (Épisode\u00a04)",
    "Harbour: Épisode\u00a07",
    "Harbour: 2. Seri: Feribot",
    "Harbour: Serie 2: Aflevering 1",
    "Harbour: 3B. řada: Přívoz",
    "Harbour: 4. svazek: Přívoz",
    "Harbour: Bind 1: FÆRGEN",
    "Harbour: Temporada final: Episodio 1",
    "Harbour: シーズン1: 連絡船",
    "Harbour: 第3シリーズ: 連絡船",
    "Harbour: パート2: 連絡船",
    "Harbour: エピソード3",
    "Harbour: 시즌 1: 나룻배",
    "Harbour: 第 1 季：渡轮",
    # Names said twice.
    "Harbour: Harbour 3: Kapitel 2: Die Fähre (Folge 2)",
    "Harbour: HARBOUR: The Ferry",
    "Harbour: HARBOUR: Book 1: The Ferry",
]
FILMS = [
    "Harbour",
    "Harbour: The Ferry",
    "Star Harbour: Episode IV",
    "Star Harbour: Episode IV: A New Boat",
    "Star Harbour: Episode 1 - The Ferry",
    "Harbour: Part Two",
    "Harbour: Part II",
    "Harbour: Chapter 4",
    "Harbour: Vol. 2",
    "Harbour: Volume I",
    "Harbour: Teil 2",
    "Harbour: Season of the Witch",
    "Harbour: パート2",
    "Harbour: Harbour Forever",
    "Harbour: Civil War",
    "Open Season: Harbour",
    "Season 2 Trailer: Harbour",
    "Harbour: Season 2 (Trailer)",
    "Season 1",
    ": Episode 2",
    "Episode 2",
    "2001: Harbour",
    "",
    None,
]


def series(*titles):
    table = ibis.memtable({"place": range(len(titles)), "title": titles}, schema={"place": "int64", "title": "string"})
    parsed = table.select("place", series=series_of(table.title)).order_by("place")
    return dict(zip(titles, parsed.to_pyarrow()["series"].to_pylist(), strict=True))


def test_episodes_name_their_series():
    assert series(*EPISODES) == dict.fromkeys(EPISODES, "Harbour")


def test_films_with_colons_stay_films():
    assert series(*FILMS) == dict.fromkeys(FILMS, None)


def test_a_series_may_have_a_colon_of_its_own():
    expected = {
        "Star Harbour: The Rope Wars: Season 1: Ambush": "Star Harbour: The Rope Wars",
        "Harbour (2004): Season 1: Ambush": "Harbour (2004)",
        "ROPES: Harbour: The Ada Story: The Ferry (Episode 4)": "ROPES: Harbour: The Ada Story",
    }
    assert series(*expected) == expected


def test_a_name_with_a_colon_may_be_said_twice():
    title = "Harbour: The Ada Story: Harbour: the Ada story: Book 1: Ambush"
    assert series(title) == {title: "Harbour: The Ada Story"}


def beside(*days):
    """`beside([("Fog: Ebb", None), ...], ...)`: the series of every title; one list for each day."""
    rows = [
        {"title": title, "series": known, "timestamp": f"2024-05-0{place}"}
        for place, titles in enumerate(days, start=1)
        for title, known in titles
    ]
    table = ibis.memtable(rows, schema={"title": "string", "series": "string", "timestamp": "string"})
    return {row["title"]: row["series"] for row in with_series_beside(table).to_pyarrow().to_pylist()}


def test_episodes_without_a_season_belong_to_a_series_that_others_name():
    told = beside([("Fog: Season 1: Ambush", "Fog")], [("Fog: Chapter Seven: Ebb", None), ("Fog\u00a0: Rope", None)])
    assert set(told.values()) == {"Fog"}
    assert beside([("Fog: Season 1: Ambush", "Fog"), ("Foghorn: Rope", None)])["Foghorn: Rope"] is None


def test_three_titles_of_a_day_make_a_series_and_a_trilogy_over_weeks_does_not():
    episodes = [(f"Kelp: {name}", None) for name in ("Oars", "Rope", "Ebb")]
    assert set(beside(episodes, [("Kelp: Tide", None)]).values()) == {"Kelp"}
    assert set(beside(episodes[:2], episodes[2:]).values()) == {None}
    # The same title three times is one title, and titles without a name before the colon are none of it.
    assert set(beside([("Kelp: Oars", None)] * 3 + [(f": {number}", None) for number in range(3)]).values()) == {None}


def test_a_very_long_title_is_parsed_like_any_other():
    name = "fog " * 2500
    assert list(series(f"{name}: Season 1: Ambush", name).values()) == [name.strip(), None]
