"""Tables of a build that are computed once and then stored beside its connection."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

_DATABASE = "stored"
"""In memory, and spilled to disk where it does not fit. Unlike temporary tables, those of an attached database are
seen by every cursor of the connection."""


class Cluster(Protocol):
    """Where the tables of a log lie that outgrew this machine, and DuckDB here for the few that are small.

    Args:
        machine (`ibis.backends.duckdb.Backend`): The connection here.
    """

    machine: DuckDB

    def store(self, name: str, table: ir.Table) -> ir.Table:
        """As the function [`store`]."""

    def drop(self, name: str) -> None:
        """As [`drop_stored`]."""

    def bring(self, table: ir.Table) -> ir.Table:
        """A small table of the cluster as one of `machine`."""

    def send(self, table: ir.Table) -> ir.Table:
        """A table of `machine` as one of the cluster."""

    def execute(self, expression: ir.Expr) -> Any:
        """The value of an expression, as backends of Ibis give it."""

    def to_pyarrow(self, expression: ir.Expr) -> Any:
        """The same as an Arrow scalar or table."""


Tables: TypeAlias = DuckDB | Cluster
"""Where the tables of a build lie."""


def machine_of(tables: Tables) -> DuckDB:
    """The DuckDB connection on this machine, for what is small whatever the log."""
    return tables if isinstance(tables, DuckDB) else tables.machine


def brought(table: ir.Table, tables: Tables) -> ir.Table:
    """A small table on this machine; it stays where it is where it is here."""
    return table if isinstance(tables, DuckDB) else tables.bring(table)


def sent(table: ir.Table, tables: Tables) -> ir.Table:
    """A table of this machine where the others of a log lie."""
    return table if isinstance(tables, DuckDB) else tables.send(table)


def store(name: str, table: ir.Table, connection: Tables) -> ir.Table:
    """Compute a table now, and replace what was stored under its name.

    Args:
        name (`str`): One of our own names, never one from a file.
        table (`ibis.Table`): What to compute; it may not read the table it replaces.
        connection (`ibis.backends.duckdb.Backend` or [`Cluster`]): Where it is stored.

    Returns:
        `ibis.Table`: The stored table.

    Example:
        >>> import ibis
        >>> connection = ibis.duckdb.connect()
        >>> stored = store("toy", ibis.memtable({"a": [1]}), connection)
        >>> int(store("toy", ibis.memtable({"a": [1, 2]}), connection).count().execute())
        2
    """
    if not isinstance(connection, DuckDB):
        return connection.store(name, table)
    drop_stored(name, connection)
    # Not create_table, which would make plain text of enumerations again.
    connection.raw_sql(f'CREATE TABLE {_DATABASE}.main."{name}" AS {to_sql(table, connection)}')
    return _stored(name, table.schema(), connection)


def _stored(name: str, schema: ibis.Schema, connection: DuckDB) -> ir.Table:
    # Not connection.table, which would parse the names of all values of every enumeration.
    return ops.DatabaseTable(name, schema, connection, ops.Namespace(catalog=_DATABASE, database="main")).to_expr()


def drop_stored(name: str, connection: Tables) -> None:
    """Drop a stored table, or one that a reader of files created, where there is one."""
    if not isinstance(connection, DuckDB):
        connection.drop(name)
        return
    connection.raw_sql(f"ATTACH IF NOT EXISTS ':memory:' AS {_DATABASE}")
    # Not drop_table or overwrite=True: ibis 12 with sqlglot 30 writes a DROP without the name.
    for table in (f'{_DATABASE}.main."{name}"', f'"{name}"'):
        connection.raw_sql(f"DROP TABLE IF EXISTS {table}")


def to_sql(table: ir.Table, connection: DuckDB) -> str:
    """An expression in DuckDB's SQL, for statements that Ibis has no words for."""
    if table.op().find(ops.InMemoryTable):
        connection.execute(table.limit(0))  # Ibis hands over what lies in memory only to what it runs itself
    return connection.compile(table)


@contextmanager
def scratch_tables(connection: Tables, suffix: str) -> Iterator[Callable[[str, ir.Table], ir.Table]]:
    """Store tables for a while: gives a function like [`store`] that adds `suffix` to every name."""
    names: list[str] = []

    def keep(name: str, table: ir.Table) -> ir.Table:
        names.append(f"{name}_{suffix}")
        return store(names[-1], table, connection)

    try:
        yield keep
    finally:
        for name in names:
            drop_stored(name, connection)


def enumerate_texts(table: ir.Table, columns: Sequence[str], connection: Tables) -> None:
    """Turn text columns of a stored table into DuckDB enumerations: the same text to every reader, few bytes a row.

    Collecting histories and sorting them is then several times as fast, because no text is copied. Tables of a
    cluster stay as they are; Parquet has dictionaries of its own.
    """
    if not isinstance(connection, DuckDB):
        return
    name = table.op().name
    home = connection.current_catalog
    for column in columns:
        kind = f'"{name}_{column}"'
        # Sorted, so that neither order nor bytes depend on threads; never empty, which DuckDB would refuse.
        texts = f"SELECT DISTINCT coalesce({column}, '') AS text FROM \"{name}\" ORDER BY text"
        connection.raw_sql(
            # USE, because DuckDB 1 cannot read the name of a type with that of its database before it.
            f'''USE {_DATABASE}.main; CREATE TYPE {kind} AS ENUM ({texts});
            ALTER TABLE "{name}" ALTER {column} TYPE {kind}; USE "{home}".main'''
        )


def beside(connection: DuckDB) -> DuckDB:
    """A second connection that sees the same stored tables, for another thread."""
    return ibis.duckdb.from_connection(connection.con.cursor())
