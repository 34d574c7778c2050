"""The newest records of every user of a built dataset, read for some users at a time."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..input_error import InputError
from ..schema import HISTORY, HISTORY_HASH, USER, Record
from .export import HISTORIES_FOLDER, shards_of

_COLUMNS = (USER, HISTORY_HASH, HISTORY)
_GROUPS_KEPT = 2


@dataclass
class NewestHistories:
    """The folder `histories` of a built dataset.

    What is read is always what lies there now: a user who was erased meanwhile has no history any more.

    Args:
        dataset (`Path`): The folder of the dataset.

    Example:
        >>> histories = NewestHistories(Path("data/ml"))  # doctest: +SKIP
        >>> users = list(histories.hashes())  # doctest: +SKIP
        >>> hashed, records = histories.read(users[:1])[users[0]]  # doctest: +SKIP
    """

    dataset: Path
    _kept: dict[tuple[int, int, int], pa.Table] = field(default_factory=dict, repr=False)

    def hashes(self) -> dict[str, str]:
        """The hash of every user's newest records, in the order of the users.

        Raises:
            InputError: The dataset has no histories, or they cannot be read.
        """
        with self._readable():
            tables = [pq.read_table(shard, columns=[USER, HISTORY_HASH]) for shard in self._shards()]
        table = pa.concat_tables(tables)
        return dict(zip(table[USER].to_pylist(), table[HISTORY_HASH].to_pylist(), strict=True))

    def read(self, users: Collection[str]) -> dict[str, tuple[str, list[Record]]]:
        """The newest records of some users, and their hash.

        Args:
            users (`list[str]`): Best neighbours in the order of the users: they lie together.

        Returns:
            `dict[str, tuple[str, list[Record]]]`: By user; those who are not there are left out.
        """
        found = {}
        with self._readable():
            for table in self._groups(min(users), max(users)) if users else ():
                rows = table.filter(pc.is_in(table[USER], pa.array(users, pa.string())))
                for user, hashed, records in zip(*(rows[name].to_pylist() for name in _COLUMNS), strict=True):
                    found[user] = (hashed, records)
        return found

    def _shards(self) -> list[Path]:
        shards = shards_of(self.dataset, HISTORIES_FOLDER, "train")
        if not shards:
            raise InputError(
                f"{self.dataset} has no {HISTORIES_FOLDER}, the newest records of each user: it was downloaded, or "
                "built by an earlier version. Build it from the log with `logs2lang build`."
            )
        return shards

    def _groups(self, first: str, last: str) -> Iterator[pa.Table]:
        """The row groups in which users between two others lie."""
        for shard in self._shards():
            with shard.open("rb") as file:
                state, parquet = os.fstat(file.fileno()), pq.ParquetFile(file)
                for group in range(parquet.num_row_groups):
                    lies = parquet.metadata.row_group(group).column(0).statistics
                    if lies is None or (lies.min <= last and first <= lies.max):
                        yield self._group(parquet, (state.st_ino, state.st_mtime_ns, group))

    def _group(self, parquet: pq.ParquetFile, key: tuple[int, int, int]) -> pa.Table:
        """A row group, kept for the neighbours who are asked for next."""
        if key not in self._kept:
            while len(self._kept) >= _GROUPS_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = parquet.read_row_group(key[-1], columns=list(_COLUMNS))
        return self._kept[key]

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException, KeyError) as error:
            raise InputError(
                f"{self.dataset / HISTORIES_FOLDER} cannot be read ({str(error).splitlines()[0]}). Build the dataset "
                "again with `logs2lang build`."
            ) from error
