"""Lists that one cell holds: tags, and texts that come in paragraphs."""

import ast
import csv
import json
from collections.abc import Iterator
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

_LIST_OF_TEXTS = r"""^\s*\[\s*["'\]]"""
_MAY_BE_LIST = r"^\s*[\[({]"
_NAMES = ("name", "title", "label")
"""What an object calls the tag that it is about, in the order of preference."""
_NO_TAG = ("", "nan", "NaN", "null", "NULL", "None", "<NA>", "N/A", "\\N")


def read_tags(column: ir.Value, separator: str, connection: DuckDB) -> ir.ArrayValue:
    """Tags as a list, whether they are one, or one text: separated, or a list as some program writes it.

    Args:
        column (`ibis.Column`): Text or lists, also of lists or of objects that have a name.
        separator (`str`): What stands between the tags of a text that is no list.
        connection (`ibis.backends.duckdb.Backend`): What works out the result.

    Example:
        >>> tags = ["Crime|Drama", "['Crime', 'Drama']", '[{"id": 80, "name": "Crime"}]', "[]"]
        >>> table = ibis.memtable({"tags": tags})
        >>> connection = ibis.duckdb.connect()
        >>> connection.to_pyarrow(table.select(tags=read_tags(table.tags, "|", connection)))["tags"].to_pylist()
        [['Crime', 'Drama'], ['Crime', 'Drama'], ['Crime'], []]
    """
    if column.type().is_string():
        tags = ibis.coalesce(_listed(column, connection), column.split(separator))
    elif column.type().is_array():
        tags = _flat(column)
    else:
        return column
    return tags.filter(lambda tag: tag.notnull() & tag.strip().notin(_NO_TAG))


def _flat(tags: ir.ArrayValue) -> ir.ArrayValue:
    """Lists as typed: of lists their parts, of objects their names."""
    kind = tags.type().value_type
    if kind.is_array():
        return _flat(tags.flatten())
    if kind.is_struct():
        known = next((name for name in _NAMES if name in kind.names), kind.names[0])
        return tags.map(lambda tag: tag[known].cast("string"))
    return tags.map(lambda tag: tag.cast("string"))


def read_joined(column: ir.Value, connection: DuckDB) -> ir.Value:
    """Texts, with a space between the parts of those that are lists, as some shops keep paragraphs.

    Args:
        column (`ibis.Column`): Text, also as a list that JSON or Python wrote, or lists; all else stays as it is.
        connection (`ibis.backends.duckdb.Backend`): What works out the result.

    Example:
        >>> table = ibis.memtable({"text": ['["A lamp.", "It is blue."]', "[REC]", "[]"]})
        >>> connection = ibis.duckdb.connect()
        >>> connection.to_pyarrow(table.select(text=read_joined(table.text, connection)))["text"].to_pylist()
        ['A lamp. It is blue.', '[REC]', '']
    """
    if column.type().is_array():
        return _joined(column)
    if not column.type().is_string():
        return column
    is_list = column.re_search(_LIST_OF_TEXTS)
    return is_list.ifelse(ibis.coalesce(_joined(_listed(column, connection)), column), column)


def _joined(texts: ir.ArrayValue) -> ir.StringValue:
    plain = texts.map(lambda text: text.cast("string").strip())
    return plain.filter(lambda text: text.notnull() & (text != "")).join(" ")


def _listed(text: ir.StringValue, connection: DuckDB) -> ir.ArrayValue:
    """A written list; null where the text is none."""
    known = connection.con.execute("SELECT 1 FROM duckdb_functions() WHERE function_name = 'written_list'")
    if not known.fetchall():
        connection.con.create_function("written_list", _list_of, ["VARCHAR"], "VARCHAR[]", null_handling="special")
    return text.re_search(_MAY_BE_LIST).ifelse(written_list(text), ibis.null("array<string>"))


@ibis.udf.scalar.builtin
def written_list(text: str) -> list[str]: ...  # type: ignore[empty-body]


def _list_of(text: str | None) -> list[str] | None:
    """The words of a list as JSON, Python, PostgreSQL or Spark writes it; `None` where the text is no list.

    Example:
        >>> _list_of("[['Toys', 'Puzzles'], None]"), _list_of('{"Sci-Fi",Drama}'), _list_of("[Crime, Drama]")
        (['Toys', 'Puzzles'], ['Sci-Fi', 'Drama'], ['Crime', 'Drama'])
        >>> _list_of("(500) Days of Summer") is None
        True
    """
    stripped = (text or "").strip()
    brackets = stripped[:1] + stripped[-1:]
    if brackets not in ("[]", "{}", "()"):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            return list(_words_of(read(stripped)))
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):  # what their parsers end with
            continue
    inside = stripped[1:-1]
    if brackets == "()" or any(sign in inside for sign in brackets):
        return None
    try:
        words = next(csv.reader([inside], skipinitialspace=True, escapechar="\\"), [])
    except csv.Error:
        return None
    return [word.strip() for word in words]


def _words_of(value: Any) -> Iterator[str]:
    """The texts in nested lists; of an object its name, or else its keys, as of `{"fiction": 3, "history": 1}`."""
    if isinstance(value, dict):
        named = next((value[name] for name in _NAMES if isinstance(value.get(name), str)), None)
        yield from map(str, value) if named is None else [named]
    elif isinstance(value, (list, tuple, set)):
        for part in value:
            yield from _words_of(part)
    elif value is not None and value == value:  # NaN is what is not equal to itself
        yield str(value)
