"""A column of any type as text without surrounding space, so that `""`, `"  "` and null are the same nothing."""

import ibis
import ibis.expr.types as ir

WIDE_SPACES = ("\u00a0", "\u202f", "\u3000", "\u200b", "\ufeff")  # of web pages and of East Asian keyboards
_AROUND = "^[\\s{0}]+|[\\s{0}]+$".format("".join(WIDE_SPACES))


def plain_text(column: ir.Value) -> ir.StringValue:
    """The column as stripped text; null where nothing is left.

    Args:
        column (`ibis.Column`): Text, or anything that can be cast to it.

    Returns:
        `ibis.StringColumn`: Whole floats and decimals lose their `.0`: a nullable integer id that went through
        pandas is still the id of the catalogue.

    Example:
        >>> import ibis
        >>> table = ibis.memtable({"id": [" a ", " ", None]})
        >>> table.select(id=plain_text(table.id)).execute()["id"].fillna("nothing").to_list()
        ['a', 'nothing', 'nothing']
        >>> table = ibis.memtable({"id": [7.0, 7.5]})
        >>> table.select(id=plain_text(table.id)).execute()["id"].to_list()
        ['7', '7.5']
    """
    text = column.cast("string")
    is_number = column.type().is_floating() or column.type().is_decimal()
    whole = text.re_replace(r"\.0+$", "") if is_number else text
    # Stripping costs more than all other checks of a row together, and hardly any value needs it.
    first, last = whole.left(1), whole.right(1)
    spaced = (first <= " ") | (last <= " ") | first.isin(WIDE_SPACES) | last.isin(WIDE_SPACES)
    return ibis.ifelse(spaced, whole.re_replace(_AROUND, ""), whole).nullif("")
