"""The tables of a build on Spark: Parquet in the folder of the build, seen through Ibis.

Three kinds of expressions meet here. Those over the raw rows of the log become SQL of DuckDB that executors run chunk
by chunk; those over stored tables become Spark SQL; those over tables of this machine stay with DuckDB.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.types as ir
import numpy as np
from ibis.backends.duckdb import Backend as DuckDB

from ..dataset_folder.export import write_table
from ..tables.counted_quantiles import quantiles
from ..tables.parquet_scan import ParquetScan, quoted
from ..tables.stored_tables import to_sql
from .chunk_query import ROWS, SCANNED, ChunkQuery, Chunks, ScannedChunks, StoredChunks

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CHUNK_ROWS = 250_000
"""Rows of the log that one task reads."""

_PARTS: dict[type[ops.Node], Callable[[Iterable[Any]], Any]] = {
    ops.Any: any,
    ops.All: all,
    ops.Sum: sum,
    ops.Count: sum,
    ops.CountStar: sum,
    ops.Min: min,
    ops.Max: max,
}
"""How the values of all chunks give the value of the log; DuckDB leaves out what is null."""

_BY_ROW = (ops.Project, ops.DropColumns, ops.Filter)
_OF_MANY_ROWS = (ops.Reduction, ops.Analytic, ops.WindowFunction, ops.Subquery)


class ClusterTables:
    """See `stored_tables.Cluster`.

    Args:
        session (`pyspark.sql.SparkSession`): Where Spark runs.
        folder (`Path`): Where the tables are stored; all executors see it.
        machine (`ibis.backends.duckdb.Backend`): DuckDB here.
    """

    def __init__(self, session: "SparkSession", folder: Path, machine: DuckDB) -> None:
        self.session, self.folder, self.machine = session, folder, machine
        self.spark = ibis.pyspark.connect(session)
        self._chunks: Chunks = StoredChunks(())
        self._paths: dict[str, Path] = {}
        self._numbers = count()

    def spread(self, rows: ir.Table, scan: ParquetScan | None) -> ir.Table:
        """Rows of DuckDB in chunks that executors read; every expression over the result is worked out by them.

        Args:
            rows (`ibis.Table`): The raw rows of a log.
            scan ([`ParquetScan`] or `None`): The files they are read from, if nothing of them is stored. Executors
                read these files themselves, unless a row of the log depends on others.
        """
        if scan is not None and _is_by_row(rows, scan.view):
            scanned = ops.UnboundTable(name=SCANNED, schema=self.machine.table(scan.view).schema())
            tables = rows.op().find(ops.DatabaseTable)
            by_row = rows.op().replace(dict.fromkeys(tables, scanned)).to_expr()
            self._chunks = ScannedChunks(scan, scan.parts(CHUNK_ROWS), self.machine.compile(by_row))
        else:
            self._chunks = self._written(rows)
        return ibis.table(rows.schema(), name=ROWS)

    def _written(self, rows: ir.Table) -> StoredChunks:
        folder = self._new_path("raw")
        folder.mkdir(parents=True)
        options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {CHUNK_ROWS}, ROW_GROUPS_PER_FILE 1"
        self.machine.raw_sql(f"COPY ({to_sql(rows, self.machine)}) TO {quoted(str(folder))} ({options})")
        return StoredChunks(tuple(str(path) for path in sorted(folder.glob("*.parquet"))))

    def store(self, name: str, table: ir.Table) -> ir.Table:
        path = self._new_path(name)
        if table.op().find(ops.UnboundTable):
            self._on_chunks(table).write.parquet(str(path))
        else:
            self.spark.to_parquet(table, path)
        return self._stored(path, table.schema())

    def _stored(self, path: Path, schema: ibis.Schema) -> ir.Table:
        view = f"logs2lang_{path.name}"
        self.session.read.parquet(str(path)).createOrReplaceTempView(view)
        self._paths[view] = path
        # With the types of the expression: Spark's timestamps are in UTC too, but Ibis does not say so.
        return self.spark.table(view).op().copy(schema=schema).to_expr()

    def drop(self, name: str) -> None:
        for view, path in list(self._paths.items()):
            if path.name.rpartition("_")[0] == name:
                self.session.catalog.dropTempView(view)
                shutil.rmtree(path, ignore_errors=True)
                del self._paths[view]

    def bring(self, table: ir.Table) -> ir.Table:
        if isinstance(table.op(), ops.DatabaseTable) and table.op().source is not self.spark:
            return table
        path = self.files_of(table)
        return self.machine.read_parquet(str(path / "*.parquet")).cast(dict(table.schema()))

    def files_of(self, table: ir.Table) -> Path:
        """The folder whose Parquet files hold a table of the cluster; it is stored if it is not yet."""
        known = self._paths.get(table.op().name) if isinstance(table.op(), ops.DatabaseTable) else None
        return known or self._paths[self.store("brought", table).op().name]

    def send(self, table: ir.Table) -> ir.Table:
        path = self._new_path("sent")
        write_table(table, path / "0.parquet", self.machine)
        return self._stored(path, table.schema())

    def frame(self, table: ir.Table) -> "DataFrame":
        """A table of the cluster as Spark has it."""
        return self.session.sql(self.spark.compile(table))

    def execute(self, expression: ir.Expr) -> Any:
        return self._place_of(expression).execute(self._known(expression))

    def to_pyarrow(self, expression: ir.Expr) -> Any:
        return self._place_of(expression).to_pyarrow(self._known(expression))

    def _place_of(self, expression: ir.Expr) -> Any:
        of_spark = any(table.source is self.spark for table in expression.op().find(ops.DatabaseTable))
        return self.spark if of_spark else self.machine

    def _known(self, expression: ir.Expr) -> ir.Expr:
        """An expression whose reductions of raw rows are replaced by their values."""
        if not expression.op().find(ops.UnboundTable):
            return expression
        nodes = list(dict.fromkeys(expression.op().find(ops.Reduction)))
        values = {**self._combined([node for node in nodes if type(node) in _PARTS])}
        for node in nodes:
            if isinstance(node, ops.Median):
                values[node] = self._median(node)
            elif isinstance(node, ops.CountDistinct):
                values[node] = len(self._counted(node)[0])
        known = {node: ops.Literal(value, dtype=node.dtype) for node, value in values.items()}
        return expression.op().replace(known).to_expr()

    def _combined(self, nodes: Sequence[Any]) -> dict[Any, Any]:
        """Reductions that every chunk gives a part of."""
        if not nodes:
            return {}
        names = {f"part{place}": node for place, node in enumerate(nodes)}
        parts = _rows_of(nodes[0]).aggregate(**{name: node.to_expr() for name, node in names.items()})
        found = self._on_chunks(parts).toArrow()
        values = {node: [part for part in found[name].to_pylist() if part is not None] for name, node in names.items()}
        return {node: _PARTS[type(node)](known) if known else None for node, known in values.items()}

    def _median(self, node: Any) -> float | None:
        values, counts = self._counted(node)
        return quantiles(values, counts, (0.5,))[0] if len(values) else None

    def _counted(self, node: Any) -> tuple[np.ndarray, np.ndarray]:
        """The different values that a reduction reduces, in order, and how often each occurs."""
        rows = _rows_of(node).select(value=node.arg, taken=True if node.where is None else node.where)
        rows = rows.filter(rows.taken & rows.value.notnull())
        by_chunk = self._on_chunks(rows.group_by("value").agg(rows=rows.count()))
        counts = by_chunk.groupBy("value").sum("rows").toArrow().sort_by("value")
        return counts["value"].to_numpy(), counts["sum(rows)"].to_numpy()

    def _on_chunks(self, table: ir.Table) -> "DataFrame":
        from ibis.backends.pyspark.datatypes import PySparkSchema

        schema = table.schema()
        query = ChunkQuery(self._chunks, self.machine.compile(table), schema.to_pyarrow())
        chunks = self.session.range(0, len(self._chunks), 1, len(self._chunks))
        return chunks.mapInArrow(query, PySparkSchema.from_ibis(_nullable(schema)))

    def _new_path(self, name: str) -> Path:
        return self.folder / f"{name}_{next(self._numbers)}"


def _is_by_row(rows: ir.Table, view: str) -> bool:
    """Whether each row of a table comes from one row of a view, whatever the others say."""
    relations = rows.op().find(ops.Relation)
    known = all(isinstance(each, _BY_ROW) or _is_table(each, view) for each in relations)
    return known and not rows.op().find(_OF_MANY_ROWS)


def _is_table(node: Any, name: str) -> bool:
    return isinstance(node, ops.DatabaseTable) and node.name == name


def _rows_of(node: Any) -> ir.Table:
    """The table that a reduction is over."""
    relation = node.arg if isinstance(node, ops.CountStar) else next(iter(node.arg.relations))
    return relation.to_expr()


def _nullable(schema: ibis.Schema) -> ibis.Schema:
    return ibis.schema({name: dt.dtype(kind).copy(nullable=True) for name, kind in schema.items()})
