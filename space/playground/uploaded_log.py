"""A visitor's own log: read from the bytes that came, kept in the memory of the session, and nowhere else.

While a log is read its bytes are in a temporary folder, because DuckDB reads files; the folder is gone when reading
ends. Nothing is logged: messages name columns and counts, and are shown only to the sender of the file.
"""

import random
import zipfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ibis
import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend as DuckDB
from pyarrow import ArrowException

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.events import ITEM_KEY, POSITION, USER_KEY, WORK_KEY, KeyedLog, key_log
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.interactions import CanonicalLog, canonicalize
from logs2lang.dataset_builders.raw_log import RawLog, connect
from logs2lang.dataset_builders.schema import (
    ALL_USERS,
    COUNT,
    DURATION,
    EVENT,
    ITEM_COLUMNS,
    ITEM_ID,
    LIFT,
    MAX_HISTORY,
    NOISE_EVENTS,
    NUM_CANDIDATES,
    RANK,
    RECORD_FEATURES,
    SUCCESSOR_ID,
    TAGS,
    TIMESTAMP,
    TITLE,
    USER,
    USER_ID,
    VALUE,
    YEAR,
    Item,
    Record,
)
from logs2lang.dataset_builders.sources.tabular import column_names, guess_columns, read_tabular
from logs2lang.dataset_builders.sources.viewing_history import read_viewing_history
from logs2lang.dataset_builders.sources.viewing_history.export_files import head_of, open_export
from logs2lang.dataset_builders.sources.viewing_history.exports import export_of
from logs2lang.dataset_builders.successor_lists import Successor, SuccessorLists
from logs2lang.dataset_builders.successors import fold_of, successor_tables

from .decision import Decision, no_successors

MAX_BYTES = 20 * 2**20
"""What Gradio calls 20 Mb where it refuses a file before it is sent."""
MAX_UNPACKED_BYTES = 200_000_000
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".zip")

ROLES = (USER_ID, ITEM_ID, TITLE, TIMESTAMP, EVENT, DURATION, VALUE, YEAR, TAGS)
"""What a column of a table can be."""

MAX_USERS = 20
_POOL = 1_000
_ONE_PERSON = "you"
_FOLDS = 2
"""Few, because somebody waits, and each is a pass over the log: half the users stand for what the others did."""
_IN_LOG = (USER_ID, ITEM_ID, TIMESTAMP, EVENT, DURATION, VALUE)


@dataclass(frozen=True)
class UploadedFile:
    """A file as it came.

    Args:
        name (`str`): What its sender calls it.
        content (`bytes`): All of it, in memory.

    Raises:
        InputError: It is too large, empty, or of a kind that is not read here.
    """

    name: str
    content: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.content) > MAX_BYTES:
            raise InputError(
                f"The file is larger than the limit of {MAX_BYTES >> 20} MB. For larger files, run `logs2lang build` "
                "on your own machine."
            )
        if not self.content:
            raise InputError("The file is empty (0 bytes). Check that it was written completely.")
        if self.suffix not in SUFFIXES:
            raise InputError(f"The file name must end in {', '.join(SUFFIXES)}; this one has a different ending.")

    @property
    def suffix(self) -> str:
        """The ending of the name, in lower case."""
        return Path(self.name).suffix.lower()

    @contextmanager
    def on_disk(self) -> Any:
        """The file in a temporary folder, with a connection; both are gone at the end.

        Yields:
            `tuple[Path, DuckDB]`
        """
        with TemporaryDirectory(prefix="logs2lang-") as folder:
            path = Path(folder) / f"log{self.suffix}"
            path.write_bytes(self.content)
            connection = connect(folder, threads=2, memory_limit="1GB")
            try:
                self._refuse_bombs(path)
                yield path, connection
            except InputError as error:
                raise InputError(str(error).replace(str(path), "The file").replace(path.name, "The file")) from None
            finally:
                connection.disconnect()

    def _refuse_bombs(self, path: Path) -> None:
        """Refuse what is small as it came and huge when it is unpacked."""
        unpacked = 0
        if zipfile.is_zipfile(path):
            with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:  # its reader says what is wrong
                unpacked = sum(member.file_size for member in archive.infolist())
        elif self.suffix == ".parquet":
            try:
                metadata = pq.read_metadata(path)
            except (ArrowException, OSError):
                raise InputError("The file is not valid Parquet. Check that it was written completely.") from None
            unpacked = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
        if unpacked > MAX_UNPACKED_BYTES:
            raise InputError(
                f"Unpacked, the file has {unpacked / 1e6:,.0f} MB; the limit here is {MAX_UNPACKED_BYTES / 1e6:.0f} "
                "MB. For larger files, run `logs2lang build` on your own machine."
            )


@dataclass(frozen=True)
class FileColumns:
    """What a file looks like before it is read.

    Args:
        service (`str`, *optional*): The service whose personal export it is; no column need be named then.
        names (`Sequence[str]`): The columns of a table.
        guess (`dict[str, str]`): Those that are clearly one of `ROLES`.
    """

    service: str | None
    names: Sequence[str] = ()
    guess: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class UploadedUser:
    """One user of an uploaded log.

    Args:
        records (`Sequence[Record]`): The newest ones, oldest first.
        touched (`frozenset[str]`): Every item id of the user's past, and of the works these belong to.
        first_touches (`Sequence[bool]`): Per record, whether the user had never touched its work before.
        size (`int`): How many records there are in all.
        successors ([`SuccessorLists`]): What others chose after the items of these records; neither this user nor the
            others of the same fold are counted, so that no text names what is held out because this user chose it.
    """

    records: Sequence[Record]
    touched: frozenset[str]
    first_touches: Sequence[bool]
    size: int
    successors: SuccessorLists = field(default_factory=no_successors)


@dataclass(frozen=True)
class UploadedLog:
    """A log that was read.

    Args:
        users (`Sequence[UploadedUser]`): Those with the most records, at most `MAX_USERS`.
        num_users (`int`): How many there are in all.
        items (`dict[str, Item]`): What users touched, and what other candidates can be drawn from.
        popularity (`dict[str, int]`): Users per item.
        counts (`dict`): What became of the rows; see `CanonicalLog.counts`.
        notes (`tuple[str, ...]`): What had to be assumed, a sentence each.
    """

    users: Sequence[UploadedUser]
    num_users: int
    items: Mapping[str, Item]
    popularity: Mapping[str, int]
    counts: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def look_at(file: UploadedFile) -> FileColumns:
    """Tell what a file is: a personal export of a service, or a table and which of its columns are clear.

    Raises:
        InputError: It cannot be read at all.
    """
    with file.on_disk() as (path, connection):
        service = _service(path)
        if service is not None:
            return FileColumns(service)
        if file.suffix in (".zip", ".json"):
            read_viewing_history(connection, path)  # says what it expected
        names = column_names(connection, path)
        guess = guess_columns(names, [role for role in ROLES if role != ITEM_ID])
        # A title names an item as well as an id does, and is no guess at all when the id is there.
        return FileColumns(None, names, {**guess, **guess_columns(names, [ITEM_ID])})


def read_upload(file: UploadedFile, columns: Mapping[str, str]) -> UploadedLog:
    """Read a log.

    Args:
        file ([`UploadedFile`]): As it came.
        columns (`dict[str, str]`): Of `ROLES` -> the file's column; empty for a personal export. Without a user all
            rows are of one person; without an item id the title is one.

    Raises:
        InputError: The time or the item is missing, or no row can be used.
    """
    with file.on_disk() as (path, connection):
        exported = _service(path) is not None
        raw = read_viewing_history(connection, path) if exported else _read_table(connection, path, columns)
        notes = tuple(note.replace(path.name, "The file") for note in raw.notes)
        return replace(_to_uploaded(canonicalize(raw, connection), connection), notes=notes)


def to_decision(
    log: UploadedLog, user: int, films: Mapping[str, Item], own_candidates: str = "", seed: int = 0
) -> Decision:
    """The choice of one user that the reasoner is asked about.

    Held out is the newest record of a work that was new to the user, and the history ends before it. The other
    candidates are items that the user never touched, drawn in proportion to how many users did; where the log holds
    too few of them, films that it does not name fill up the ten.

    Args:
        log ([`UploadedLog`]): As it was read.
        user (`int`): Place in `log.users`.
        films (`dict[str, Item]`): What to fill up with.
        own_candidates (`str`, *optional*): Titles, one a line; then nothing is held out.
        seed (`int`, *optional*, defaults to 0): Decides the draw.

    Raises:
        InputError: There is no such user, or there are fewer than two or more than ten candidates of one's own.
    """
    if not 0 <= user < len(log.users):
        raise InputError(f"There is no user {user + 1}; {len(log.users)} users of the log can be chosen.")
    chosen = log.users[user]
    name = "Your log" if log.num_users == 1 else f"User {user + 1}"
    if own_candidates.strip():
        return _with_own_candidates(name, chosen, log, own_candidates)
    end = _held_out(chosen)
    if end is None:
        raise InputError("The log has only one record, so there is no history to predict it from. Give a longer log.")
    target = chosen.records[end][ITEM_ID]
    others = _draw(log, chosen, NUM_CANDIDATES - 1, seed)
    named = {item[TITLE].casefold() for item in log.items.values()}
    strange = sorted(item_id for item_id, film in films.items() if film[TITLE].casefold() not in named)
    filling = random.Random(seed).sample(strange, NUM_CANDIDATES - 1 - len(others))
    renamed = {f"film-{item_id}": {**films[item_id], ITEM_ID: f"film-{item_id}"} for item_id in filling}
    candidates = [target, *others, *renamed]
    random.Random(f"{seed}:order").shuffle(candidates)
    notes = [_filled_note(len(filling))] if filling else []
    items = {**log.items, **renamed}
    return Decision(name, chosen.records[:end], items, candidates, target, notes, chosen.successors)


def _filled_note(count: int) -> str:
    return (
        f"The log has too few titles that this user never touched, so {count} of the ten candidates are films from "
        "another log, which are easy to recognise. For a fair question, give your own candidates."
    )


def _with_own_candidates(name: str, user: UploadedUser, log: UploadedLog, lines: str) -> Decision:
    titles = list(dict.fromkeys(line.strip() for line in lines.splitlines() if line.strip()))
    if not 2 <= len(titles) <= NUM_CANDIDATES:
        raise InputError(f"Give 2 to {NUM_CANDIDATES} different candidates, one title per line; got {len(titles)}.")
    by_title = {item[TITLE].casefold(): item_id for item_id, item in log.items.items()}
    found = {title: by_title.get(title.casefold(), f"own-{place}") for place, title in enumerate(titles)}
    new = {
        item_id: Item(item_id=item_id, title=title, year=None, tags=[], series=None, description=None)
        for title, item_id in found.items()
        if item_id not in log.items
    }
    short = f"Only {len(titles)} candidates: pure chance is 1 in {len(titles)}, not 1 in {NUM_CANDIDATES}."
    notes = [short] if len(titles) < NUM_CANDIDATES else []
    items = {**log.items, **new}
    return Decision(name, user.records, items, list(dict.fromkeys(found.values())), None, notes, user.successors)


def _held_out(user: UploadedUser) -> int | None:
    """Place of the record to predict: the newest that was a discovery, or else the newest genuine one."""
    genuine = [place for place, record in enumerate(user.records) if place and record[EVENT] not in NOISE_EVENTS]
    discoveries = [place for place in genuine if user.first_touches[place]]
    return next(iter([*discoveries[::-1], *genuine[::-1]]), None)


def _draw(log: UploadedLog, user: UploadedUser, count: int, seed: int) -> list[str]:
    pool = [item_id for item_id in log.popularity if item_id not in user.touched]
    rng = random.Random(seed)
    # Each item a clock that rings at its rate: the first to ring are a draw without replacement.
    order = sorted(pool, key=lambda item_id: rng.expovariate(log.popularity[item_id]))
    return order[:count]


def _service(path: Path) -> str | None:
    if path.suffix == ".parquet":
        return None
    with open_export(path) as files:
        exports = [export_of(file.name, head_of(file)) for file in files]
    return next((export.service for export in exports if export is not None), None)


def _read_table(connection: DuckDB, path: Path, columns: Mapping[str, str]) -> RawLog:
    named = {role: column for role, column in columns.items() if column}
    item = named.get(ITEM_ID) or named.get(TITLE)
    for role, column in (("the time", named.get(TIMESTAMP)), ("the item or its title", item)):
        if column is None:
            raise InputError(f"No column is clearly {role}. Choose one under 'Columns', and read the log again.")
    in_log = {role: named[role] for role in _IN_LOG if role in named} | {ITEM_ID: item}
    missing_user = USER_ID not in in_log
    if missing_user:
        in_log[USER_ID] = named[TIMESTAMP]  # any column will do: it is replaced below
    in_items = {role: named[role] for role in ITEM_COLUMNS if role in named} | {ITEM_ID: item}
    raw = read_tabular(connection, str(path), items=str(path), columns=in_log, item_columns=in_items)
    if missing_user:
        raw = replace(raw, interactions=raw.interactions.mutate(user_id=ibis.literal(_ONE_PERSON)))
    return raw


def _to_uploaded(log: CanonicalLog, connection: DuckDB) -> UploadedLog:
    keyed = key_log(log.interactions, log.items, BuildOptions(), connection)
    sizes = keyed.events.group_by(USER_KEY).agg(size=keyed.events.count())
    largest = sizes.order_by([ibis.desc("size"), USER_KEY]).limit(MAX_USERS).execute()
    seen = keyed.events.group_by(ITEM_KEY).agg(users=keyed.events[USER_KEY].nunique())
    popular = seen.join(keyed.items.select(ITEM_KEY, ITEM_ID), ITEM_KEY)
    popular = popular.order_by([ibis.desc("users"), ITEM_KEY]).limit(_POOL).execute()
    popularity = {str(item_id): int(users) for item_id, users in zip(popular[ITEM_ID], popular["users"], strict=True)}
    users = [
        _to_user(keyed, int(key), int(size)) for key, size in zip(largest[USER_KEY], largest["size"], strict=True)
    ]
    recorded = {record[ITEM_ID] for user in users for record in user.records}
    followed = _successors(keyed, recorded, connection)
    hashes = keyed.users.filter(keyed.users[USER_KEY].isin(largest[USER_KEY].tolist())).execute()
    folds = {key: fold_of(name, _FOLDS) for key, name in zip(hashes[USER_KEY], hashes[USER], strict=True)}
    users = [
        replace(user, successors=SuccessorLists(Path(), {ALL_USERS: followed[folds[key]]}))
        for user, key in zip(users, largest[USER_KEY], strict=True)
    ]
    needed = recorded | set(popularity)
    needed |= {one.item_id for of_fold in followed.values() for found in of_fold.values() for one in found}
    rows = keyed.items.filter(keyed.items[ITEM_ID].cast("string").isin(sorted(needed))).select(*ITEM_COLUMNS)
    items = {str(row[ITEM_ID]): _to_item(row) for row in rows.to_pyarrow().to_pylist()}
    return UploadedLog(users, int(sizes.count().execute()), items, popularity, log.counts)


def _successors(
    keyed: KeyedLog, item_ids: Collection[str], connection: DuckDB
) -> dict[int, dict[str, list[Successor]]]:
    """What was chosen after some items, by the fold of users that is left out of the counts."""
    options = BuildOptions(successor_folds=_FOLDS)
    tables = successor_tables(keyed.events, keyed.users, keyed.items, options, connection)
    next(tables)  # that of all users
    followed: dict[int, dict[str, list[Successor]]] = {}
    for fold, table in enumerate(tables):
        rows = table.filter(table[ITEM_ID].isin(sorted(item_ids))).order_by([ITEM_ID, RANK])
        lists = followed.setdefault(fold, {})
        for item_id, *one in rows.select(ITEM_ID, SUCCESSOR_ID, COUNT, LIFT).execute().itertuples(index=False):
            lists.setdefault(item_id, []).append(Successor(*one))
    return followed


def _to_user(keyed: Any, key: int, size: int) -> UploadedUser:
    events = keyed.events.filter(keyed.events[USER_KEY] == key)
    firsts = events.group_by(WORK_KEY).agg(first=events[POSITION].min())
    newest = events.filter(events[POSITION] > size - MAX_HISTORY - 1).join(firsts, WORK_KEY)
    newest = newest.join(keyed.items.select(ITEM_KEY, ITEM_ID, TITLE), ITEM_KEY).order_by(POSITION)
    rows = newest.select(*RECORD_FEATURES, is_first=newest.first == newest[POSITION]).to_pyarrow().to_pylist()
    touched = keyed.items.semi_join(events, WORK_KEY).select(ITEM_ID).to_pyarrow()[ITEM_ID].to_pylist()
    first_touches = [bool(row.pop("is_first")) for row in rows]
    return UploadedUser(rows, frozenset(map(str, touched)), first_touches, size)


def _to_item(row: Mapping[str, Any]) -> Item:
    return {**row, ITEM_ID: str(row[ITEM_ID]), TITLE: str(row[TITLE]), TAGS: row[TAGS] or []}
