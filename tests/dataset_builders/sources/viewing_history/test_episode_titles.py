import ibis

from dataset_builders.sources.viewing_history.episode_titles import series_of

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


def test_a_very_long_title_is_parsed_like_any_other():
    name = "fog " * 2500
    assert list(series(f"{name}: Season 1: Ambush", name).values()) == [name.strip(), None]
