"""Tables of a build that are computed once and then stored on its connection."""

import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB


def store(name: str, table: ir.Table, connection: DuckDB) -> ir.Table:
    """Compute a table now, and replace what was stored under its name.

    Args:
        name (`str`): One of our own names, never one from a file.
        table (`ibis.Table`): What to compute; it may not read the table it replaces.
        connection (`ibis.backends.duckdb.Backend`): Where it is stored.

    Returns:
        `ibis.Table`: The stored table.

    Example:
        >>> import ibis
        >>> connection = ibis.duckdb.connect()
        >>> stored = store("toy", ibis.memtable({"a": [1]}), connection)
        >>> int(store("toy", ibis.memtable({"a": [1, 2]}), connection).count().execute())
        2
    """
    drop_stored(name, connection)
    return connection.create_table(name, table, temp=True)  # in memory, spilled to disk where it does not fit


def drop_stored(name: str, connection: DuckDB) -> None:
    """Drop a stored table where there is one."""
    # Not drop_table or overwrite=True: ibis 12 with sqlglot 30 writes a DROP without the name.
    connection.raw_sql(f'DROP TABLE IF EXISTS "{name}"')
