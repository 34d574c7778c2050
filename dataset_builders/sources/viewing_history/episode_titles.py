"""The series that an episode's title names: "Show: Season 1: Pilot" is an episode of "Show".

Services spell titles in the language of the account. A film with a colon in its title stays a film: only a season, a
part in the middle, or an episode number makes a series.
"""

import ibis
import ibis.expr.types as ir

# What a season is called where Netflix is watched most; only with a number.
_SEASON = (
    "Season|Series|Staffel|Saison|Temporada|Stagione|Seizoen|Sæson|Säsong|Sesong|Kausi|Tuotantokausi|Sezon|Seria|"
    "Sezóna|Séria|Série|Řada|Évad|Sezonul|Sezona|Сезон|Сезона|Κύκλος|Σεζόν"
)
_MINISERIES = (
    "Limited Series|Mini-?\\s?series|Mini-?s[eé]rie|Minis[eé]ries|Miniss[eé]rie|Miniserial|Minisarja|Minisorozat|"
    "Mini Dizi|Série limitée|Serie limitada|Мини-сериал|Мінісеріал|Μίνι σειρά"
)
# Films have parts and chapters too ("Dune: Part Two"), but nothing after them; seasons called so have episodes.
_PART = (
    "Part|Teil|Partie|Parte|Deel|Del|Osa|Część|Část|Časť|Rész|Partea|Dio|Kısım|Часть|Частина|Част|Μέρος|Volume|"
    "Volumen|Vol\\.|Volym|Book|Buch|Livre|Libro|Livro|Chapter|Kapitel|Chapitre|Capítulo|Capitolo|Hoofdstuk|"
    "Collection|Collezione|Colección"
)
_EPISODE = (
    "Episode|Ep\\.|Folge|Épisode|Episodio|Episódio|Aflevering|Afsnit|Avsnitt|Jakso|Odcinek|Epizoda|Epizód|Episod|"
    "Episodul|Bölüm|Серия|Серія|Эпизод|Επεισόδιο"
)
_NUMBER = "(?:\\d+|(?-i:[IVXLC]+)|One|Two|Three|Four|Five|Six|Seven|Eight|Nine|Ten)"
_COLON = "[\\s\u00a0\u202f]*[:：][\\s\u00a0\u202f]*"


def _numbered(words: str) -> str:
    return f"(?:(?:{words})\\s+{_NUMBER}|\\d+(?:\\.|ª|\\.ª|º|\\.º)?\\s+(?:{words}))"


_PATTERNS = (
    # A season may carry a remark ("Season 4 (Part 2)"), but a title does not end in one: that is a trailer's.
    f"(?i)^(.+?){_COLON}(?:{_numbered(_SEASON)}|{_MINISERIES})(?:[^:]{{0,40}}{_COLON}|\\s*$)",
    f"(?i)^(.+?){_COLON}{_numbered(_PART)}{_COLON}",
    f"(?i)^(.+?){_COLON}(?:(?:{_EPISODE})\\s+\\d+|\\d+\\.\\s+(?:{_EPISODE}))\\s*$",
    # "Show: The Ferry (Episode 4)", without a season; a show with a colon of its own keeps it.
    f"(?i)^(.+){_COLON}[^:]+\\((?:{_EPISODE})\\s+\\d+\\)\\s*$",
    "(?i)^(.+?)[\\s:,.–-]+S\\d{1,2}[\\s:.]*E\\d{1,4}\\b",
)
_FIRST_PART, _SECOND_PART = "^([^:]+?)\\s*:", "^[^:]+:\\s*([^:]+?)\\s*:"


def series_of(title: ir.StringValue) -> ir.StringValue:
    """The series of each title; null for a film.

    Args:
        title (`ibis.StringColumn`): Titles as a service exports them.

    Returns:
        `ibis.StringColumn`

    Example:
        >>> import ibis
        >>> episodes, films = ["Dark: Staffel 1: Lügen", "Lupin: Partie 1: Chapitre 2"], ["Dune: Part Two"]
        >>> table = ibis.memtable({"title": episodes + films})
        >>> table.select(series=series_of(table.title)).execute()["series"].fillna("film").to_list()
        ['Dark', 'Lupin', 'film']
    """
    found = [title.re_extract(pattern, 1).strip().nullif("") for pattern in _PATTERNS]
    return ibis.coalesce(*found, _named_again(title))


def _named_again(title: ir.StringValue) -> ir.StringValue:
    """Seasons that repeat the name: "Show: Show 3: Episode"."""
    first, second = title.re_extract(_FIRST_PART, 1), title.re_extract(_SECOND_PART, 1)
    rest = second.substr(first.length())
    repeated = (first != "") & second.startswith(first) & rest.re_search(f"^\\s+{_NUMBER}$")
    return repeated.ifelse(first, ibis.null("string"))
