"""Expressions over the rows of a log, run by DuckDB on executors.

What one row says (an id, a time in any spelling, a reason to set it aside) does not depend on other rows. So executors
read it with the very SQL that reads it on one machine, and no engine's own idea of a number or a date comes in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

ROWS = "raw_rows"
"""What the SQL calls the rows of a chunk."""

_BATCH_ROWS = 50_000


@dataclass(frozen=True)
class ChunkQuery:
    """Answers a query on each of some Parquet files, as `DataFrame.mapInArrow` asks for it.

    Args:
        chunks (`list[str]`): The files.
        sql (`str`): A query on the table `raw_rows`.
        schema (`pa.Schema`): The columns of its result.
    """

    chunks: Sequence[str]
    sql: str
    schema: pa.Schema

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The rows of the result; `batches` say in their only column which chunks are asked."""
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        for batch in batches:
            for place in batch.column(0).to_pylist():
                connection.execute(f"CREATE OR REPLACE VIEW {ROWS} AS FROM read_parquet({quoted(self.chunks[place])})")
                yield from connection.sql(self.sql).to_arrow_table().cast(self.schema).to_batches(_BATCH_ROWS)


def quoted(path: str | Path) -> str:
    """A path as a text of SQL.

    Example:
        >>> quoted("ann's/log.parquet")
        "'ann''s/log.parquet'"
    """
    return "'" + str(path).replace("'", "''") + "'"
