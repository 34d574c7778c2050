"""Film titles as rating logs write them: `Matrix, The (1999)` is a title and a year."""

import ibis
import ibis.expr.types as ir

from ..schema import TAGS, TITLE, YEAR

# "(V)" and "(TV)" mark films made for video or television; some titles end in a space.
_YEAR_AT_END = r"^(.*?)\s*\((\d{4})\)\s*(?:\((?:V|TV)\))?\s*$"

_ARTICLES = "The|A|An|Le|La|Les|Un|Une|Der|Die|Das|Ein|Eine|El|Los|Las|Il|Lo|Gli|Een|Het|Den|Det"
# An article stands last in a title and in each name in parentheses; "a.k.a." comes before the name.
_ARTICLE_LAST = rf"(a\.k\.a\. )?([^()]+), ({_ARTICLES})(\s*[()]|\s*$)"
_ELIDED_LAST = r"(a\.k\.a\. )?([^()]+), (L'|L’)(\s*[()]|\s*$)"
_NO_GENRES = "(no genres listed)"


def title_of(column: ir.StringValue) -> ir.StringValue:
    """The title without its year; a title that ends in none is kept as it is.

    Example:
        >>> import ibis
        >>> films = ibis.memtable({"film": ["Matrix, The (1999)", "2001", "Land Before Time III (1995) (V)"]})
        >>> films.select(title=title_of(films.film)).execute()["title"].to_list()
        ['Matrix, The', '2001', 'Land Before Time III']
    """
    return column.re_search(_YEAR_AT_END).ifelse(column.re_extract(_YEAR_AT_END, 1), column.strip())


def year_of(column: ir.StringValue) -> ir.StringValue:
    """The year at the end of the title, as text; null where there is none.

    Example:
        >>> import ibis
        >>> films = ibis.memtable({"film": ["Matrix, The (1999)", "2001 (1968)"]})
        >>> films.select(year=year_of(films.film)).execute()["year"].to_list()
        ['1999', '1968']
    """
    return column.re_extract(_YEAR_AT_END, 2).nullif("")


def spoken_title_of(column: ir.StringValue) -> ir.StringValue:
    """The title without its year, and with its article where people say it. Only for catalogues that put it last.

    Example:
        >>> films = ibis.memtable({"film": ["Matrix, The (1999)", "City of Lost Children, The (Cité, La) (1995)"]})
        >>> films.select(title=spoken_title_of(films.film)).execute()["title"].to_list()
        ['The Matrix', 'The City of Lost Children (La Cité)']
    """
    elided = title_of(column).re_replace(_ELIDED_LAST, r"\1\3\2\4")
    return elided.re_replace(_ARTICLE_LAST, r"\1\3 \2\4")


def without_no_genres(tags: ir.ArrayValue) -> ir.ArrayValue:
    """Tags without what MovieLens writes where a film has none."""
    return tags.filter(lambda tag: tag != _NO_GENRES)


def with_spoken_titles(items: ir.Table) -> ir.Table:
    """A catalogue of anything, with film titles in the style of MovieLens rewritten as people write them.

    A title is rewritten only if it ends in a year and the catalogue gives no other year.

    Example:
        >>> goods = ibis.memtable({"title": ["Matrix, The (1999)", "Table, The", "Catch (22)"]})
        >>> with_spoken_titles(goods).execute().fillna("none").to_dict("list")
        {'title': ['The Matrix', 'Table, The', 'Catch (22)'], 'year': ['1999', 'none', 'none']}
    """
    if TAGS in items.columns and items[TAGS].type().is_array():
        items = items.mutate(tags=without_no_genres(items[TAGS]))
    if TITLE not in items.columns or not items[TITLE].type().is_string():
        return items
    found, spoken = year_of(items[TITLE]), spoken_title_of(items[TITLE])
    if YEAR not in items.columns:
        return items.mutate(title=ibis.ifelse(found.notnull(), spoken, items[TITLE]), year=found)
    same = items[YEAR].try_cast("float64") == found.try_cast("float64")
    is_film = found.notnull() & (items[YEAR].isnull() | same.fill_null(False))
    year = items[YEAR].fill_null(found.try_cast(items[YEAR].type()))
    return items.mutate(title=ibis.ifelse(is_film, spoken, items[TITLE]), year=year)
