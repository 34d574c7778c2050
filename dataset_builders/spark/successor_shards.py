"""The config `successors`, counted and written on a cluster."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from ..build_options import BuildOptions
from ..dataset_folder.export import ROW_GROUP_ROWS, shard_path
from ..events import ITEM_KEY, KeyedLog
from ..schema import ALL_USERS, RANK, SUCCESSOR_FEATURES
from ..successors import SUCCESSOR_KEY, count_pairs, to_lifts, to_named, to_ranked, to_sums
from ..tables.stored_tables import Tables, scratch_tables
from .files_moved import move_files

ROWS_PER_SHARD = 15_000_000
"""About 500 MB."""

SHARD = "shard"


def to_shard_rows(
    training: ir.Table, log: KeyedLog, shards: int, items: int, options: BuildOptions, tables: Tables
) -> Iterator[ir.Table]:
    """All folds in one table, each row with the number of its shard: those of all users first, then fold by fold.

    Args:
        training (`ibis.Table`): The training events.
        log ([`KeyedLog`]): For its users and items.
        shards (`int`): Shards of one fold.
        items (`int`): How many items there are.
        options ([`BuildOptions`]): As in `successor_tables`.
        tables (`Cluster`): Where the counts are kept until the generator is asked again.
    """
    with scratch_tables(tables, "of_successors") as keep:
        pairs = keep("pairs", count_pairs(training, log.users, options))
        of_item = keep("item", to_sums(pairs, ITEM_KEY, options))
        of_successor = keep("successor", to_sums(pairs, SUCCESSOR_KEY, options))
        parts = []
        for place, fold in enumerate((ALL_USERS, *range(options.successor_folds))):
            lifts = to_lifts(pairs, of_item, of_successor, fold)
            named = to_named(to_ranked(lifts, fold, options.num_successors), log.items)
            within = named[ITEM_KEY].cast("int64") * shards // items
            parts.append(named.mutate(shard=(within + place * shards).cast("int32")))
        yield reduce(ir.Table.union, parts)


@dataclass(frozen=True)
class ShardWriter:
    """Writes the rows of a partition, which are in order, as the shard of its number; for `DataFrame.mapInArrow`.

    Args:
        folder (`str`): The dataset folder.
        shards (`int`): How many shards there are.
    """

    folder: str
    shards: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Nothing."""
        from pyspark import TaskContext

        number = TaskContext.get().partitionId()  # type: ignore[union-attr]
        schema = SUCCESSOR_FEATURES.arrow_schema.remove_metadata()
        with TemporaryDirectory(prefix="logs2lang-") as scratch:
            path = shard_path(Path(scratch), "successors", "train", number, self.shards)
            path.parent.mkdir()
            with pq.ParquetWriter(path, schema, compression="zstd") as writer:
                for batch in batches:
                    rows = pa.Table.from_batches([batch]).select(schema.names).cast(schema)
                    writer.write_table(rows, ROW_GROUP_ROWS)
            move_files(Path(scratch), Path(self.folder))
        yield from ()


ORDER = [SHARD, ITEM_KEY, RANK]
