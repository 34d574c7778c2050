"""Texts in a folder of Parquet files: for one machine, and for as many users as its memory can list.

A file is never changed. Each `put` adds one, a later file outdoes earlier ones, and small files are merged into larger
ones, as in a log-structured merge tree. Processes take turns at changing the folder by a file lock; readers need none.
"""

import math
import os
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate, chain, takewhile
from pathlib import Path
from threading import RLock
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from logs2lang.dataset_builders.dataset_folder.output_paths import require_folder_place
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import USER

from .store import Lease, Store, StoredText, StoreError, TextKey

_SCHEMA = pa.schema([(USER, pa.string()), ("history", pa.string()), ("revision", pa.string()), ("text", pa.string())])
_KEY_COLUMNS = _SCHEMA.names[:3]
_ROWS_READ_AT_ONCE = 256
"""Rows of a row group: what has to be read for the text of one user."""
_FILES_OF_A_SIZE = 16
"""As many files of about the same size are merged into one."""
_SMALLEST = 256
_NAME = re.compile(r"texts-(\d{12})-(\d{6})\.parquet")
_LOCK, _LEASES, _PARTIAL = ".lock", ".leases", ".partial"
_LOOK_AGAIN_S = 0.005
_TRIES = 20


class _File(NamedTuple):
    """A file of texts, by its place in the order of files and by how often it was written anew."""

    number: int
    generation: int

    @property
    def name(self) -> str:
        return f"texts-{self.number:012d}-{self.generation:06d}.parquet"


class _Place(NamedTuple):
    """Where the text of a user stands."""

    file: _File
    row: int
    key: TextKey


class _OpenFile:
    """A file whose rows can be read one by one."""

    def __init__(self, path: Path):
        self.parquet = pq.ParquetFile(path)
        metadata = self.parquet.metadata
        sizes = (metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
        self.starts = list(accumulate(sizes, initial=0))

    def texts(self, rows: Sequence[int]) -> dict[int, str]:
        """The texts of some rows, given in order."""
        by_group = defaultdict(list)
        for row in rows:
            by_group[bisect_right(self.starts, row) - 1].append(row)
        found = {}
        for group, inside in by_group.items():
            column = self.parquet.read_row_group(group, ["text"])["text"]
            found.update({row: column[row - self.starts[group]].as_py() for row in inside})
        return found


class ParquetStore(Store):
    """Texts in a folder of this machine.

    Args:
        folder (`Path`): A folder of its own; made where it is missing.

    Raises:
        InputError: The folder holds something else, or cannot be written to.
    """

    def __init__(self, folder: Path):
        require_folder_place(folder)
        _refuse_others(folder)
        self.folder = folder
        with self._reachable():
            (folder / _LEASES).mkdir(parents=True, exist_ok=True)
        self._places: dict[str, _Place] = {}
        self._users: dict[_File, list[str]] = {}
        self._open: dict[_File, _OpenFile] = {}
        self._turn = RLock()

    def get(self, users: Sequence[str]) -> dict[str, StoredText]:
        with self._turn, self._reachable():
            try:
                return self._get(users)
            except FileNotFoundError:  # merged away between listing and reading
                return self._get(users)

    def _get(self, users: Sequence[str]) -> dict[str, StoredText]:
        self._look()
        by_file: dict[_File, dict[int, str]] = defaultdict(dict)
        for user in users:
            if (place := self._places.get(user)) is not None:
                by_file[place.file][place.row] = user
        found = {}
        for file, by_row in by_file.items():
            for row, text in self._opened(file).texts(sorted(by_row)).items():
                user = by_row[row]
                found[user] = StoredText(user, self._places[user].key, text)
        return found

    def keys(self, users: Sequence[str]) -> dict[str, TextKey]:
        with self._turn, self._reachable():
            self._look()
            return {user: place.key for user in users if (place := self._places.get(user)) is not None}

    def put(self, texts: Sequence[StoredText]) -> None:
        if not texts:
            return
        columns = zip(*((text.user, *text.key, text.text) for text in texts), strict=True)
        table = pa.table(list(map(list, columns)), schema=_SCHEMA)
        with self._changing() as files:
            number = files[-1].number + 1 if files else 1
            self._write(_File(number, 0), [table])
            self._merge([*files, _File(number, 0)])

    def delete(self, user: str) -> bool:
        found = False
        with self._changing() as files:
            for file in files:  # oldest first: an earlier text must not outlive a later one
                users = pq.read_table(self.folder / file.name, columns=[USER])[USER].to_pylist()
                if user not in users:
                    continue
                found = True
                self._write(_File(file.number, file.generation + 1), self._rows(file, [one != user for one in users]))
                (self.folder / file.name).unlink()
        return found

    def __iter__(self) -> Iterator[StoredText]:
        with self._turn, self._reachable():
            self._look()
            users = list(self._places)
        for start in range(0, len(users), _ROWS_READ_AT_ONCE):
            yield from self.get(users[start : start + _ROWS_READ_AT_ONCE]).values()

    @contextmanager
    def lease(self, part: int) -> Iterator[Lease | None]:
        lock = FileLock(self.folder / _LEASES / f"{part:06d}.lock")
        with self._reachable(), suppress(Timeout):
            self._require_folder()
            lock.acquire(timeout=0)
        try:
            yield _FileLease(lock) if lock.is_locked else None
        finally:
            lock.release()

    def close(self) -> None:
        self._open.clear()

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"The store {self.folder} cannot be used ({str(error).splitlines()[0]}). Check that the folder is "
                "there, may be written to, and has room; a damaged file may be deleted, and `logs2lang refresh` "
                "writes its texts anew."
            ) from error

    @contextmanager
    def _changing(self) -> Iterator[list[_File]]:
        """The folder's files, oldest first, while no other process may change it."""
        with self._turn, self._reachable(), self._lock():
            for left in self.folder.glob(f".*{_PARTIAL}"):  # of a process that was killed
                left.unlink()
            found = _files_in(self.folder)
            current = _newest_generations(found)
            for outdone in set(found) - set(current):
                (self.folder / outdone.name).unlink()
            yield current

    def _lock(self) -> FileLock:
        self._require_folder()
        return FileLock(self.folder / _LOCK, poll_interval=_LOOK_AGAIN_S)

    def _require_folder(self) -> None:
        """Raise what reading would: a lock would make the folder anew where its disk is gone, and texts with it."""
        os.stat(self.folder / _LEASES)

    def _write(self, file: _File, tables: Sequence[pa.Table] | Iterator[pa.Table]) -> int:
        """Write a file as a whole, and say how many rows it has."""
        partial, rows = self.folder / f".{file.name}{_PARTIAL}", 0
        with pq.ParquetWriter(partial, _SCHEMA, compression="zstd", use_dictionary=["revision"]) as writer:
            for table in tables:
                writer.write_table(table, row_group_size=_ROWS_READ_AT_ONCE)
                rows += len(table)
        if rows:
            os.replace(partial, self.folder / file.name)
        else:
            partial.unlink()
        return rows

    def _merge(self, files: Sequence[_File]) -> None:
        """Merge the newest files, where there are many of about the same size."""
        sizes = [_size_class(pq.read_metadata(self.folder / file.name).num_rows) for file in files]
        start = _first_to_merge(sizes)
        if start is None:
            return
        self._look()
        merged = files[start:]
        self._write(
            _File(merged[-1].number, merged[-1].generation + 1), chain.from_iterable(map(self._living, merged))
        )
        for file in merged:
            (self.folder / file.name).unlink()

    def _living(self, file: _File) -> Iterator[pa.Table]:
        """The rows of a file that no later file outdoes."""
        newest = (self._places[user][:2] for user in self._users[file])
        return self._rows(file, [place == (file, row) for row, place in enumerate(newest)])

    def _rows(self, file: _File, kept: Sequence[bool]) -> Iterator[pa.Table]:
        """Some rows of a file, piece by piece."""
        start = 0
        for batch in pq.ParquetFile(self.folder / file.name).iter_batches(_ROWS_READ_AT_ONCE):
            yield pa.Table.from_batches([batch.filter(pa.array(kept[start : start + len(batch)]))])
            start += len(batch)

    def _look(self) -> None:
        """Bring the list of users up to date with the files."""
        for _ in range(_TRIES):
            files = _newest_generations(_files_in(self.folder))
            try:
                return self._list(files)
            except FileNotFoundError:  # merged away since
                continue
        raise FileNotFoundError("its files change faster than they can be read")

    def _list(self, files: Sequence[_File]) -> None:
        known = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(files, self._users, strict=False)))
        for file in list(self._users)[known:]:
            self._open.pop(file, None)
            for user in self._users.pop(file):
                if self._places[user].file == file:
                    del self._places[user]
        for file in files[known:]:
            table = pq.read_table(self.folder / file.name, columns=_KEY_COLUMNS)
            users, histories, revisions = (table[name].to_pylist() for name in _KEY_COLUMNS)
            keys = map(TextKey, histories, revisions)
            self._places.update(
                (user, _Place(file, row, key)) for row, (user, key) in enumerate(zip(users, keys, strict=True))
            )
            self._users[file] = users

    def _opened(self, file: _File) -> _OpenFile:
        if file not in self._open:
            self._open[file] = _OpenFile(self.folder / file.name)
        return self._open[file]


class _FileLease:
    def __init__(self, lock: FileLock):
        self._lock = lock

    def is_held(self) -> bool:
        return self._lock.is_locked


def _files_in(folder: Path) -> list[_File]:
    """Every file of texts, oldest first."""
    matches = filter(None, map(_NAME.fullmatch, os.listdir(folder)))
    return sorted(_File(int(match[1]), int(match[2])) for match in matches)


def _newest_generations(files: Sequence[_File]) -> list[_File]:
    """Without those that were written anew: both are there where a process was killed in between.

    Example:
        >>> _newest_generations([_File(1, 0), _File(1, 1), _File(2, 0)])
        [_File(number=1, generation=1), _File(number=2, generation=0)]
    """
    return list({file.number: file for file in files}.values())


def _size_class(rows: int) -> int:
    """The order of magnitude of a file.

    Example:
        >>> [_size_class(rows) for rows in (1, 256, 257, 4096, 65_536)]
        [0, 0, 1, 1, 2]
    """
    return max(0, math.ceil(math.log(rows / _SMALLEST, _FILES_OF_A_SIZE))) if rows else 0


def _first_to_merge(sizes: Sequence[int]) -> int | None:
    """From which file on all are merged; `None` where there are few of each size.

    Args:
        sizes (`list[int]`): Size classes, oldest file first.

    Example:
        >>> _first_to_merge([2, *[0] * 16]), _first_to_merge([2, *[0] * 15]), _first_to_merge([2, 1, 1, *[0] * 14])
        (1, None, 1)
    """
    for size in sorted(set(sizes)):
        start = len(sizes)
        while start and sizes[start - 1] <= size:
            start -= 1
        # A large file is not written anew for the sake of small ones alone.
        if len(sizes) - start >= _FILES_OF_A_SIZE and sizes[start:].count(size) > 1:
            return start
    return None


def _refuse_others(folder: Path) -> None:
    """Refuse a folder that holds what no store wrote."""
    names = os.listdir(folder) if folder.is_dir() else []
    others = [name for name in names if not (_NAME.fullmatch(name) or name.startswith("."))]
    if others:
        raise InputError(
            f"{folder} contains {min(others)}, which no store of texts wrote. Give --store a folder of its own."
        )
