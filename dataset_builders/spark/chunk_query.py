"""Expressions over the rows of a log, run by DuckDB on executors.

What one row says (an id, a time in any spelling, a reason to set it aside) does not depend on other rows. So executors
read it with the very SQL that reads it on one machine, and no engine's own idea of a number or a date comes in.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import ibis
import pyarrow as pa
from ibis.backends.duckdb import Backend as DuckDB

from ..input_error import InputError
from ..tables.parquet_scan import FileRows, ParquetScan, naming_broken_file, quoted, reach_stores

ROWS = "raw_rows"
"""What the SQL calls the rows of a chunk."""

SCANNED = "scanned_rows"
"""What the SQL of a chunk calls the rows of a file."""

_BATCH_ROWS = 50_000


class Chunks(Protocol):
    """The raw rows of a log in parts that one task reads each."""

    def __len__(self) -> int:
        """How many parts there are."""

    def sql(self, place: int) -> str:
        """The rows of a part as a query."""

    def reading(self, place: int, connection: DuckDB) -> AbstractContextManager[None]:
        """Where a part is read: makes one sentence of what is wrong with its file."""


@dataclass(frozen=True)
class StoredChunks:
    """Chunks that were written for the tasks, one Parquet file each.

    Args:
        paths (`tuple[str, ...]`): The files.
    """

    paths: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def sql(self, place: int) -> str:
        return f"FROM read_parquet({quoted(self.paths[place])})"

    def reading(self, place: int, connection: DuckDB) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass(frozen=True)
class ScannedChunks:
    """Chunks that lie in the files of the log.

    Args:
        scan ([`ParquetScan`]): The files.
        parts (`tuple[FileRows, ...]`): Which rows of them each chunk is.
        rows (`str`): A query on the table `scanned_rows` that gives the raw rows.
    """

    scan: ParquetScan
    parts: tuple[FileRows, ...]
    rows: str

    def __len__(self) -> int:
        return len(self.parts)

    def sql(self, place: int) -> str:
        return f"WITH {SCANNED} AS ({self.scan.to_sql(self.parts[place])}) {self.rows}"

    @contextmanager
    def reading(self, place: int, connection: DuckDB) -> Iterator[None]:
        file = self.scan.files[self.parts[place].file]
        reach_stores([file.path], connection)
        if not self.scan.is_remote and not Path(file.path).is_file():
            raise InputError(
                f"{file.path} is not there on a machine of the cluster. Put the log where all of them see it at the "
                "same path."
            )
        with naming_broken_file(replace(self.scan, files=(file,)), connection):
            yield


@dataclass(frozen=True)
class ChunkQuery:
    """Answers a query on each of some chunks, as `DataFrame.mapInArrow` asks for it.

    Args:
        chunks ([`Chunks`]): The chunks.
        sql (`str`): A query on the table `raw_rows`.
        schema (`pa.Schema`): The columns of its result.
    """

    chunks: Chunks
    sql: str
    schema: pa.Schema

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The rows of the result; `batches` say in their only column which chunks are asked.

        Raises:
            InputError: A file cannot be read.
        """
        connection = ibis.duckdb.connect()
        connection.raw_sql("SET TimeZone = 'UTC'; SET threads = 1")
        for batch in batches:
            for place in batch.column(0).to_pylist():
                with self.chunks.reading(place, connection):
                    connection.raw_sql(f"CREATE OR REPLACE VIEW {ROWS} AS {self.chunks.sql(place)}")
                    found = connection.con.sql(self.sql).to_arrow_table().cast(self.schema)
                yield from found.to_batches(_BATCH_ROWS)
