"""Film titles as rating logs write them: `Matrix, The (1999)` is a title and a year."""

import ibis.expr.types as ir

# "(V)" and "(TV)" mark films made for video or television; some titles end in a space.
_YEAR_AT_END = r"^(.*?)\s*\((\d{4})\)\s*(?:\((?:V|TV)\))?\s*$"


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
