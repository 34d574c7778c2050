"""A build on Spark: everything global as expressions of Ibis on Spark, everything per group of users by the code that
builds it on one machine, run by executors."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ..build_options import BuildOptions
from ..builder import Engine, OpenEngine, SplitLog
from ..candidates import to_weights
from ..checks import count_rules, refuse_broken, to_choices
from ..dataset_folder.export import shards_of
from ..events import ITEM_KEY, USER_KEY
from ..raw_log import RawLog
from ..schema import EVENT, ITEM_ID, SPLITS, USER
from ..user_groups import to_user_groups
from .cluster_tables import ClusterTables
from .group_task import GROUP, GroupTask, to_group_rows
from .prompt_task import PromptTask
from .session import spark_session
from .successor_shards import ORDER, ROWS_PER_SHARD, SHARD, ShardWriter, to_shard_rows


def on_spark(master: str, memory_limit: str = "3GB") -> OpenEngine:
    """The engine of a build on Spark, for `build_dataset`.

    Args:
        master (`str`): Where Spark runs: `"local[2]"` for two cores of this machine, `"spark://HOST:7077"`, `"yarn"`
            or `"k8s://HOST:PORT"`. All machines see the folder of the build, and logs2lang is installed on them.
        memory_limit (`str`, *optional*, defaults to `"3GB"`): What DuckDB may hold in memory in one task.

    Example:
        >>> from logs2lang.dataset_builders.builder import build_dataset
        >>> build_dataset(source, "data/own", engine=on_spark("local[2]"))  # doctest: +SKIP
    """
    return partial(_opened, master=master, memory_limit=memory_limit)


@contextmanager
def _opened(scratch: Path, machine: DuckDB, *, master: str, memory_limit: str) -> Iterator[Engine]:
    scratch = scratch.absolute()
    with spark_session(master, scratch.parent) as session:
        yield SparkEngine(ClusterTables(session, scratch / "tables", machine), memory_limit)


@dataclass
class SparkEngine:
    """See `builder.Engine`.

    Args:
        tables ([`ClusterTables`]): Where the tables of the log lie.
        memory_limit (`str`): What DuckDB may hold in memory in one task.
    """

    tables: ClusterTables
    memory_limit: str
    _broken: Counter[str] = field(default_factory=Counter, repr=False)

    @property
    def machine(self) -> DuckDB:
        return self.tables.machine

    def take(self, raw: RawLog) -> RawLog:
        return replace(raw, interactions=self.tables.spread(raw.interactions, raw.scan))

    def bring(self, table: ir.Table) -> ir.Table:
        return self.tables.bring(table)

    def write_examples(self, log: SplitLog, folder: Path, options: BuildOptions) -> None:
        groups = to_user_groups(log.keyed)
        weights = self.tables.store("weights", to_weights(log.keyed, log.training, options))
        rows = self.tables.frame(to_group_rows(log.keyed, len(groups), groups[-1].high))
        task = GroupTask(
            tuple(groups),
            options,
            log.cuts,
            str(self.tables.files_of(log.keyed.items)),
            str(self.tables.files_of(weights)),
            str(folder.absolute()),
            self.memory_limit,
        )
        done = rows.repartitionById(len(groups), rows[GROUP]).mapInArrow(task, "broken string").collect()
        for row in done:
            self._broken.update(json.loads(row["broken"]))

    def write_successors(self, log: SplitLog, folder: Path, options: BuildOptions) -> None:
        items = int(log.keyed.items.count().execute())
        per_fold = 1 + items * options.num_successors // ROWS_PER_SHARD
        shards = per_fold * (1 + options.successor_folds)
        for table in to_shard_rows(log.training, log.keyed, per_fold, items, options, self.tables):
            rows = self.tables.frame(table)
            rows = rows.repartitionById(shards, rows[SHARD]).sortWithinPartitions(*ORDER)
            rows.mapInArrow(ShardWriter(str(folder.absolute()), shards), "nothing string").collect()

    def check(self, log: SplitLog, folder: Path, options: BuildOptions) -> None:
        users = log.keyed.users
        repeated = self.tables.execute(users.count() - users[USER].nunique())
        refuse_broken({**self._broken, "user is not unique": int(repeated)})

    def count_rules(self, log: SplitLog, folder: Path) -> dict[str, Any]:
        keys = log.keyed.items.select(ITEM_KEY, ITEM_ID)
        named = log.training.select(USER_KEY, ITEM_KEY, EVENT).join(keys, ITEM_KEY)
        return count_rules(folder, self.machine, self.bring(to_choices(named, USER_KEY)))

    def write_prompt_configs(self, folder: Path, options: BuildOptions) -> None:
        folder = folder.absolute()
        shards = tuple((str(path), split) for split in SPLITS for path in shards_of(folder, "examples", split))
        places = self.tables.session.range(0, len(shards), 1, len(shards))
        places.mapInArrow(PromptTask(shards, str(folder), options), "nothing string").collect()
