"""The series that an episode's title names: "Show: Season 1: Pilot" is an episode of "Show".

Services spell titles in the language of the account. A film with a colon in its title stays a film: only a season, a
part in the middle, or an episode number makes a series. Where an export has nothing but titles and days, series
without seasons ("Show: The Ferry") are recognized by what else was watched.
"""

import ibis
import ibis.expr.types as ir

from ...schema import SERIES, TIMESTAMP, TITLE

# What a season is called where Netflix is watched most; only with a number.
_SEASON = (
    "Season|Series|Staffel|Saison|Temporada|Stagione|Seizoen|Sæson|Säsong|Sesong|Kausi|Tuotantokausi|Sezon|Seria|"
    "Serie|Seri|Sezóna|Séria|Série|Řada|Évad|Sezonul|Sezona|Сезон|Сезона|Κύκλος|Σεζόν"
)
_LAST_SEASON = "Final Season|Finale Staffel|Saison finale|Temporada final|Stagione finale"
_MINISERIES = (
    "Limited Series|Mini-?\\s?series|Mini-?s[eé]rie|Minis[eé]ries|Miniss[eé]rie|Miniserial|Minisarja|Minisorozat|"
    "Mini Dizi|Série limitée|Serie limitada|Мини-сериал|Мінісеріал|Μίνι σειρά|リミテッドシリーズ|리미티드 시리즈"
)
# Films have parts and chapters too ("Dune: Part Two"), but nothing after them; seasons called so have episodes.
_PART = (
    "Part|Teil|Partie|Parte|Deel|Del|Osa|Część|Část|Časť|Rész|Partea|Dio|Kısım|Часть|Частина|Част|Μέρος|Volume|"
    "Volumen|Vol\\.|Volym|Band|Bind|Tom|Svazek|Zväzok|Kötet|Book|Buch|Livre|Libro|Livro|Boek|Bog|Bok|Kirja|Księga|"
    "Kniha|Könyv|Kitap|Chapter|Kapitel|Chapitre|Capítulo|Capitolo|Hoofdstuk|Kapittel|Luku|Rozdział|Kapitola|Fejezet|"
    "Collection|Collezione|Colección"
)
_EPISODE = (
    "Episode|Ep\\.|Folge|Épisode|Episodio|Episódio|Aflevering|Afsnit|Avsnitt|Jakso|Odcinek|Epizoda|Epizód|Episod|"
    "Episodul|Bölüm|Серия|Серія|Эпизод|Επεισόδιο"
)
_NUMBER = "(?:\\d+[A-Z]?|(?-i:[IVXLC]+)|One|Two|Three|Four|Five|Six|Seven|Eight|Nine|Ten)"
_COLON = "\\s*[:：]\\s*"
# French and Polish keep a number beside its word by such a space, which RE2 counts as a letter.
_WIDE_SPACE = "[\u00a0\u202f\u3000]"
# Chinese, Japanese and Korean count with or without spaces: 第3シリーズ, 第 1 季, 시즌1.
_COUNTED_SEASON = "第\\s*\\d+\\s*(?:季|期|シーズン|シリーズ)|(?:シーズン|シリーズ|시즌)\\s*\\d+"
_COUNTED_PART = "第\\s*\\d+\\s*[部章]|(?:パート|파트)\\s*\\d+"
_COUNTED_EPISODE = "第\\s*\\d+\\s*[話话集]|(?:エピソード|에피소드)\\s*\\d+|\\d+\\s*화"


def _numbered(words: str) -> str:
    return f"(?:(?:{words})\\s+{_NUMBER}|\\d+[A-Z]?(?:\\.|ª|\\.ª|º|\\.º)?\\s+(?:{words}))"


_SEASONS = f"{_numbered(_SEASON)}|{_LAST_SEASON}|{_MINISERIES}|{_COUNTED_SEASON}"
_EPISODES = f"(?:{_EPISODE})\\s+\\d+|\\d+\\.\\s+(?:{_EPISODE})|{_COUNTED_EPISODE}"
# A season may carry a remark ("Season 4 (Part 2)"), but a title does not end in one: that is a trailer's.
_IN_A_SEASON = f"(?i)^(.+?){_COLON}(?:{_SEASONS})(?:[^:]{{0,40}}{_COLON}|\\s*$)"
_PATTERNS = (
    f"(?i)^(.+?){_COLON}(?:{_numbered(_PART)}|{_COUNTED_PART}){_COLON}",
    f"(?i)^(.+?){_COLON}(?:{_EPISODES})\\s*$",
    # "Show: The Ferry (Episode 4)", without a season; a show with a colon of its own keeps it.
    f"(?i)^(.+){_COLON}[^:]+\\((?:{_EPISODES})\\)\\s*$",
    "(?i)^(.+?)[\\s:,.–-]+S\\d{1,2}[\\s:.]*E\\d{1,4}\\b",
)
_FIRST_PART, _SECOND_PART = "^([^:：]+?)\\s*[:：]", "^[^:：]+[:：]\\s*([^:：]+?)\\s*[:：]"
_JOINT = ": "
_EPISODES_OF_A_DAY = 3
"""So many different titles of one beginning on one day are a series: trilogies of films are seldom watched so."""


def series_of(title: ir.StringValue) -> ir.StringValue:
    """The series of each title; null for a film.

    Args:
        title (`ibis.StringColumn`): Titles as a service exports them.

    Returns:
        `ibis.StringColumn`: With plain spaces, whichever the title has.

    Example:
        >>> import ibis
        >>> episodes, films = ["Dark: Staffel 1: Lügen", "Lupin: Partie 1: Chapitre 2"], ["Dune: Part Two"]
        >>> table = ibis.memtable({"title": episodes + films})
        >>> table.select(series=series_of(table.title)).execute()["series"].fillna("film").to_list()
        ['Dark', 'Lupin', 'film']
    """
    plain = title.re_replace(_WIDE_SPACE, " ")
    in_a_season, *others = (plain.re_extract(pattern, 1).strip().nullif("") for pattern in (_IN_A_SEASON, *_PATTERNS))
    return _said_once(ibis.coalesce(in_a_season, _named_again(plain), *others))


def with_series_beside(rows: ir.Table) -> ir.Table:
    """Add the series that only the other rows tell: of "Show: The Ferry", where "Show: Season 1: Ambush" is there too,
    or where three titles that begin with "Show:" were watched on one day.

    Args:
        rows (`ibis.Table`): `title`, `series` as `series_of` tells it, `timestamp` (text that begins with the day, or
            is unreadable), and other columns.

    Returns:
        `ibis.Table`: The same rows.

    Example:
        >>> titles = ["Fog: Season 1: Ambush", "Fog: Ebb", "Kelp: Rope", "Kelp: Oars", "Kelp: Tide", "Heat: Part Two"]
        >>> table = ibis.memtable({"title": titles, "series": ["Fog"] + [None] * 5, "timestamp": ["2024-05-01"] * 6})
        >>> sorted(with_series_beside(table).execute()["series"].fillna("film"))
        ['Fog', 'Fog', 'Kelp', 'Kelp', 'Kelp', 'film']
    """
    begun = rows.mutate(
        beginning=rows[TITLE].re_replace(_WIDE_SPACE, " ").re_extract(_FIRST_PART, 1).strip().nullif("")
    )
    named = rows.filter(rows[SERIES].notnull()).select(beside=SERIES)
    days = begun.filter(begun[SERIES].isnull()).group_by("beginning", TIMESTAMP).agg(titles=begun[TITLE].nunique())
    watched = days.filter(days.titles >= _EPISODES_OF_A_DAY).select(beside="beginning")
    known = named.union(watched).distinct()
    found = begun.left_join(known, begun.beginning == known.beside)
    return found.mutate(series=found[SERIES].fill_null(found.beside)).select(*rows.columns)


def _named_again(title: ir.StringValue) -> ir.StringValue:
    """Seasons that repeat the name: "Show: Show 3: Episode"."""
    first, second = title.re_extract(_FIRST_PART, 1), title.re_extract(_SECOND_PART, 1)
    repeated = (first != "") & (second + " ").lower().startswith(first.lower() + " ")
    return repeated.ifelse(first, ibis.null("string"))


def _said_once(series: ir.StringValue) -> ir.StringValue:
    """ "Show: The Tale: Show: The Tale" is "Show: The Tale"; services repeat the name so, in other letter case."""
    half = (series.length() - len(_JOINT)) // 2
    repeated = series.lower() == series.left(half).lower() + _JOINT + series.left(half).lower()
    return repeated.ifelse(series.left(half), series)
