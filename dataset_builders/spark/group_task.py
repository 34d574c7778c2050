"""Groups of users, built on an executor by the code that builds them on one machine."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend as DuckDB

from ..build_options import BuildOptions
from ..builder import SplitLog, named_training, write_group, write_group_histories
from ..candidates import WEIGHT, lined_up
from ..checks import count_broken
from ..dataset_folder.export import HISTORIES_FOLDER, shard_path, write_table
from ..events import IMPRESSION, ITEM_KEY, POSITION, USER_KEY, KeyedLog
from ..raw_log import connect
from ..schema import DEVICE, EVENT, ITEM_ID, SOURCE_ITEM_ID, SPLITS, TITLE, USER
from ..splits import to_targets, training_events
from ..tables.machine_limits import plain_limits
from ..tables.stored_tables import drop_stored, enumerate_texts, store
from ..user_groups import UserGroup
from .files_moved import move_files

GROUP = "user_group"
BROKEN = pa.schema({"broken": pa.string()})
"""What a task gives back: for each invariant the number of rows that break it, as JSON."""

_ROWS = "rows_of_group"


def to_group_rows(log: KeyedLog, groups: int, users: int) -> ir.Table:
    """Everything that belongs to users, in one table, each row with the number of its user's group.

    Args:
        log ([`KeyedLog`]): The keyed log.
        groups (`int`): How many groups there are.
        users (`int`): How many users there are.

    Returns:
        `ibis.Table`: The columns of `log.events`, and `user` and `user_group`. Rows of users have `user`, those of
        impressions no `position`.
    """
    columns = log.events.schema()
    events = log.events.mutate(user=ibis.null("string"))
    shown = log.impressions.mutate(position=ibis.null("int32"), user=ibis.null("string")).select(events.columns)
    absent = {name: ibis.null(kind) for name, kind in columns.items() if name != USER_KEY}
    known = log.users.select(USER_KEY, USER).mutate(**absent).select(events.columns)
    rows = events.union(shown).union(known)
    # The inverse of the bounds of `to_user_groups`.
    return rows.mutate(user_group=(((rows[USER_KEY].cast("int64") + 1) * groups - 1) // users).cast("int32"))


@dataclass(frozen=True)
class GroupTask:
    """Builds the groups whose rows are in one partition, as `DataFrame.mapInArrow` asks for it.

    Args:
        groups (`list[UserGroup]`): All groups of the build.
        options ([`BuildOptions`]): Those of the build, with the least history that the log allows.
        cuts (`tuple` or `None`): The cut times of a temporal split.
        items (`str`): Folder with the keyed items.
        weights (`str`): Folder with the weights of the pool.
        folder (`str`): The dataset folder.
        memory_limit (`str`): What DuckDB may hold in memory in one task.
    """

    groups: Sequence[UserGroup]
    options: BuildOptions
    cuts: tuple[datetime, datetime] | None
    items: str
    weights: str
    folder: str
    memory_limit: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """One row of `BROKEN`, or none for an empty partition."""
        with TemporaryDirectory(prefix="logs2lang-") as scratch, plain_limits(self.memory_limit):
            own = connect(scratch, threads=1, memory_limit=self.memory_limit)
            try:
                numbers = _take(batches, own)
                if numbers:
                    broken = self._build(numbers, Path(scratch) / "made", own)
                    yield pa.RecordBatch.from_pylist([{"broken": json.dumps(broken)}], BROKEN)
            finally:
                own.disconnect()

    def _build(self, numbers: Sequence[int], made: Path, own: DuckDB) -> dict[str, int]:
        log = self._split_log(own)
        weights = own.read_parquet(f"{self.weights}/*.parquet").cast({WEIGHT: "int64"})  # Spark writes 1 as 32 bits
        pool = lined_up(store("weights", weights, own), own)
        broken: Counter[str] = Counter()
        for number in numbers:
            folder = made / str(number)
            group = self.groups[number]
            paths = {name: shard_path(folder, "examples", name, number, len(self.groups)) for name in SPLITS}
            write_group(log, group, pool, paths, self.options, own)
            newest = shard_path(folder, HISTORIES_FOLDER, "train", number, len(self.groups))
            write_group_histories(group.log(log.keyed), newest, self.options, own)
            training = SplitLog(log.keyed, log.targets, group.rows(log.training), log.cuts, log.options)
            path = shard_path(folder, "interactions", "train", number, len(self.groups))
            write_table(named_training(training), path, own)
            broken.update(count_broken(folder, self.options, own, log.keyed.items))
            move_files(folder, Path(self.folder))
        return dict(broken)

    def _split_log(self, own: DuckDB) -> SplitLog:
        """The users of this partition, keyed as they are, with their targets chosen again."""
        rows = own.table(_ROWS)
        users = store("users", rows.filter(rows[USER].notnull()).select(USER_KEY, USER), own)
        happened = rows.filter(rows[USER].isnull()).drop(USER, GROUP)
        seen = happened[EVENT] == IMPRESSION
        events = store("events", happened.filter(~seen), own)
        impressions = store("impressions", happened.filter(seen).drop(POSITION), own)
        drop_stored(_ROWS, own)
        enumerate_texts(events, (EVENT, DEVICE), own)
        items = own.read_parquet(f"{self.items}/*.parquet").select(ITEM_KEY, ITEM_ID, SOURCE_ITEM_ID, TITLE)
        items = store("items", items, own)
        enumerate_texts(items, (ITEM_ID, TITLE), own)
        targets = store("targets", to_targets(events, self.options, self.cuts), own)
        keyed = KeyedLog(users, items, events, impressions)
        return SplitLog(keyed, targets, training_events(events, targets, self.cuts), self.cuts, self.options)


def _take(batches: Iterator[pa.RecordBatch], own: DuckDB) -> list[int]:
    """Store the rows of a partition as they arrive, and return the numbers of its groups."""
    found: set[int] = set()
    for batch in batches:
        own.con.register("arrived", pa.Table.from_batches([batch]))
        own.raw_sql(f"CREATE TABLE IF NOT EXISTS {_ROWS} AS FROM arrived LIMIT 0")
        own.raw_sql(f"INSERT INTO {_ROWS} FROM arrived")
        own.con.unregister("arrived")
        found.update(batch.column(GROUP).unique().to_pylist())
    return sorted(found)
