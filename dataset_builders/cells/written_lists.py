"""Lists that one cell holds: tags, and texts that come in paragraphs."""

import ibis
import ibis.expr.types as ir

_QUOTED = r"""'[^']*'|"[^"]*\""""
_LIST_OF_TEXTS = r"""^\s*\[\s*["'\]]"""


def read_tags(column: ir.Value, separator: str) -> ir.ArrayValue:
    """Tags as a list, whether they are one, or one text: separated, or a list as JSON or Python writes it.

    Args:
        column (`ibis.Column`): Text or lists.
        separator (`str`): What stands between the tags of a text that is no list.

    Example:
        >>> table = ibis.memtable({"tags": ["Crime|Drama", "['Crime', 'Drama']", "[]"]})
        >>> table.select(tags=read_tags(table.tags, "|")).to_pyarrow()["tags"].to_pylist()
        [['Crime', 'Drama'], ['Crime', 'Drama'], []]
    """
    if not column.type().is_string():
        return column
    return ibis.coalesce(_written_list(column), column.split(separator))


def read_joined(column: ir.Value) -> ir.Value:
    """Texts, with a space between the parts of those that are lists, as some shops keep paragraphs.

    Args:
        column (`ibis.Column`): Text, also as a list that JSON or Python wrote, or lists; all else stays as it is.

    Example:
        >>> table = ibis.memtable({"text": ['["A lamp.", "It is blue."]', "[REC]", "[]"]})
        >>> table.select(text=read_joined(table.text)).to_pyarrow()["text"].to_pylist()
        ['A lamp. It is blue.', '[REC]', '']
    """
    if column.type().is_array():
        return _joined(column)
    if not column.type().is_string():
        return column
    is_list = column.re_search(_LIST_OF_TEXTS)
    return is_list.ifelse(ibis.coalesce(_joined(_written_list(column)), column), column)


def _joined(texts: ir.ArrayValue) -> ir.StringValue:
    plain = texts.map(lambda text: text.cast("string").strip())
    return plain.filter(lambda text: text.notnull() & (text != "")).join(" ")


def _written_list(text: ir.StringValue) -> ir.ArrayValue:
    """A list as JSON or Python writes it; null where the text is none."""
    listed = text.try_cast("json").try_cast("array<string>")
    quoted = _extract_all(text, _QUOTED).map(lambda value: value.substr(1, value.length() - 2))
    is_python = text.re_search(rf"^\s*\[(?:\s*(?:{_QUOTED})\s*,?)+\]\s*$")
    return ibis.coalesce(listed, is_python.ifelse(quoted, ibis.null("array<string>")))


@ibis.udf.scalar.builtin(name="regexp_extract_all")
def _extract_all(text: str, pattern: str) -> list[str]: ...  # type: ignore[empty-body]
