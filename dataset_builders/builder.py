"""Raw log to dataset folder, station by station.

    source -> canonicalize -> key_log -> to_targets -> draw_candidates, to_windows -> to_examples -> prompt configs
                                                    -> successors
                                      -> to_newest_histories

`build_dataset` writes a folder that `load_dataset` reads.
"""

import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import ibis
import ibis.expr.types as ir
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from ibis.backends.duckdb import Backend as DuckDB

from .build_options import FILTERS, BuildOptions
from .candidates import CandidatePool, draw_candidates, to_pool
from .checks import check_accounting, check_examples, count_rules
from .dataset_folder.export import (
    CARD_FILE,
    HISTORIES_FOLDER,
    ITEMS_QUARANTINE_FILE,
    QUARANTINE_FILE,
    REPORT_FILE,
    TRUTH_FOLDER,
    content_hashes,
    count_examples,
    shard_path,
    shards_of,
    write_card,
    write_mapped,
    write_report,
    write_table,
)
from .dataset_folder.output_paths import require_folder_place
from .dataset_folder.remote_folder import uploaded_to
from .events import IMPRESSION, ITEM_KEY, POSITION, USER_KEY, KeyedLog, key_log, tie_shares
from .examples import to_decisions, to_examples, to_windows
from .filters import FILTERED_TABLE
from .input_error import InputError
from .interactions import CanonicalLog, canonicalize
from .newest_histories import to_newest_histories
from .prompting.prompt_configs import prompt_configs, to_prompt_rows
from .raw_log import OWN_LOG, LogLicense, RawLog, connect
from .remote_files import is_remote
from .schema import (
    CONFIG_FEATURES,
    DATASET_VERSION,
    EXAMPLE_FEATURES,
    HISTORY,
    HISTORY_HASH,
    ITEM_FEATURES,
    ITEM_ID,
    SPLITS,
    TIMESTAMP,
    TRAINING_INTERACTION_FEATURES,
    USER,
    USER_ID,
)
from .splits import (
    SPLIT,
    cut_times,
    fitting_history,
    length_rule,
    to_targets,
    training_events,
)
from .successor_lists import SuccessorLists
from .successors import fold_to_read, successor_tables
from .tables.machine_limits import plain_limits
from .tables.parquet_scan import naming_broken_file
from .tables.stored_tables import Tables, drop_stored, scratch_tables, store
from .user_groups import UserGroup, build_groups, to_user_groups

_MANY_TIES = 0.05
_SCRATCH_LOCK = ".build.lock"
Source = Callable[[DuckDB], RawLog]
Progress = Callable[[str], None]


class Engine(Protocol):
    """Where the stations of a build do their work: [`ThisMachine`], or a cluster."""

    @property
    def machine(self) -> DuckDB:
        """DuckDB here, for what is small whatever the log."""

    @property
    def tables(self) -> Tables:
        """Where the tables of the log lie."""

    def take(self, raw: RawLog) -> RawLog:
        """The log that a source read on `machine`, where this engine works on it."""

    def write_examples(self, log: "SplitLog", folder: Path, options: BuildOptions) -> None:
        """Write the configs `examples` and `interactions`."""

    def write_successors(self, log: "SplitLog", folder: Path, options: BuildOptions) -> None:
        """Write the config `successors`."""

    def check(self, log: "SplitLog", folder: Path, options: BuildOptions) -> None:
        """Check what was written; see `checks.check_examples`."""

    def count_rules(self, log: "SplitLog", folder: Path) -> dict[str, Any]:
        """As `checks.count_rules`."""

    def write_prompt_configs(self, folder: Path, options: BuildOptions) -> None:
        """Write the configs `verbalizer` and `reasoner`."""

    def bring(self, table: ir.Table) -> ir.Table:
        """A table of the log as one of `machine`."""


OpenEngine = Callable[[Path, DuckDB], AbstractContextManager[Engine]]
"""Opens an engine, given the folder in which the build works and DuckDB on this machine."""


def build_dataset(
    source: Source,
    output: str | Path,
    options: BuildOptions = BuildOptions(),  # noqa: B008 (frozen)
    *,
    strict: bool = False,
    threads: int | None = None,
    memory_limit: str = "3GB",
    license: LogLicense | None = None,
    prompts: bool = True,
    progress: Progress | None = None,
    engine: OpenEngine | None = None,
) -> dict[str, Any]:
    """Build a dataset folder out of a log.

    Args:
        source (`Callable`): Reads the log onto a DuckDB connection and returns a [`RawLog`], such as `read_movielens`.
        output (`str` or `Path`): Folder to write. An earlier build there is replaced once the new one is whole; a
            folder with anything else in it is refused. Or the URL of a new folder in an object store, such as
            `"s3://datasets/own"`, to which the dataset is copied when it is whole.
        options ([`BuildOptions`], *optional*): Every choice of the build.
        strict (`bool`, *optional*, defaults to `False`): Whether a single bad row is an error.
        threads (`int`, *optional*): DuckDB threads; the result does not depend on it.
        memory_limit (`str`, *optional*, defaults to `"3GB"`): What DuckDB may hold in memory before it spills to disk.
        license ([`LogLicense`], *optional*): The terms of a log of one's own; see `own_license`.
        prompts (`bool`, *optional*, defaults to `True`): Whether to write the configs of prompts, which an evaluation
            does not read and which take the longest.
        progress (`Callable[[str], None]`, *optional*): Called with the name of each step as it begins.
        engine (`Callable`, *optional*): What builds, such as `on_spark("yarn")`; DuckDB on this machine by
            default. The rows do not depend on it.

    Returns:
        `dict`: The build report, as in `build_report.json`: options, counts, splits, license.

    Raises:
        InputError: The log cannot be used, `output` holds something that no build wrote, or the memory limit
            is too small.
        OSError: The disk is full or not to be written; nothing is left behind, and an earlier build stays.

    Example:
        >>> from logs2lang.dataset_builders.sources.movielens import read_movielens
        >>> report = build_dataset(read_movielens, "data/movielens-100k")  # doctest: +SKIP
        >>> report["splits"]["test"]["examples"]  # doctest: +SKIP
        943
    """
    tell = progress or (lambda step: None)
    with _place_of(output) as folder, _scratch_folder(folder) as scratch:
        staging = Path(scratch) / "dataset"
        staging.mkdir()
        with plain_limits(memory_limit):
            connection = connect(scratch, threads=threads, memory_limit=memory_limit)
            try:
                with (engine or _this_machine)(Path(scratch), connection) as opened:
                    report = _build(_licensed(source, license), staging, options, strict, prompts, opened, tell)
            finally:
                connection.disconnect()
        _replace(folder, staging)
    return report


@contextmanager
def _place_of(output: str | Path) -> Iterator[Path]:
    """The folder to write: the user's, or one of this machine whose files are copied to a store in the end."""
    with uploaded_to(str(output)) if is_remote(output) else nullcontext(Path(output)) as folder:
        _refuse_foreign_folder(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        yield folder


def _licensed(source: Source, license: LogLicense | None) -> Source:
    """The source with the terms that the owner gave the log."""
    if license is None:
        return source

    def read(connection: DuckDB) -> RawLog:
        raw = source(connection)
        if raw.license != OWN_LOG:
            raise InputError(
                f"The log {raw.name!r} has its own licence ({raw.license.name}); use --license and --redistributable "
                "only for your own logs."
            )
        return replace(raw, license=license)

    return read


@contextmanager
def _scratch_folder(output: Path) -> Iterator[str]:
    """Where a build works, beside its output; what builds that were killed left behind there is cleaned up.

    A build holds a lock in its folder for as long as it lives, so one that is at work is left alone.
    """
    prefix = f".{output.name}-"
    for left in output.parent.glob(f"{glob.escape(prefix)}*/{_SCRATCH_LOCK}"):
        with suppress(Timeout), FileLock(left, timeout=0):
            shutil.rmtree(left.parent, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=output.parent) as scratch,
        FileLock(Path(scratch) / _SCRATCH_LOCK),
    ):
        yield scratch


@dataclass(frozen=True)
class ThisMachine:
    """DuckDB does everything; see [`Engine`]."""

    machine: DuckDB

    @property
    def tables(self) -> DuckDB:
        return self.machine

    def take(self, raw: RawLog) -> RawLog:
        if raw.scan is None or not raw.scan.is_remote:
            return raw
        return replace(raw, interactions=store("taken_interactions", raw.interactions, self.machine))

    def write_examples(self, log: "SplitLog", folder: Path, options: BuildOptions) -> None:
        path = shard_path(folder, "interactions", "train", 0, 1)
        write_table(named_training(log), path, self.machine)
        write_examples(log, folder, options, self.machine)
        write_histories(log.keyed, folder, options, self.machine)

    def write_successors(self, log: "SplitLog", folder: Path, options: BuildOptions) -> None:
        write_successors(log, folder, options, self.machine)

    def check(self, log: "SplitLog", folder: Path, options: BuildOptions) -> None:
        check_examples(folder, options, self.machine)

    def count_rules(self, log: "SplitLog", folder: Path) -> dict[str, Any]:
        return count_rules(folder, self.machine)

    def write_prompt_configs(self, folder: Path, options: BuildOptions) -> None:
        write_prompt_configs(folder, options)

    def bring(self, table: ir.Table) -> ir.Table:
        return table


def _this_machine(scratch: Path, machine: DuckDB) -> AbstractContextManager[Engine]:
    return nullcontext(ThisMachine(machine))


def _build(
    source: Source,
    folder: Path,
    options: BuildOptions,
    strict: bool,
    prompts: bool,
    engine: Engine,
    tell: Progress,
) -> dict[str, Any]:
    tell("Step 1 of 7: reading the log")
    raw = source(engine.machine)
    with naming_broken_file(raw.scan, engine.machine):
        raw = engine.take(raw)
        options = _in_file_order(raw, options)
        tell("Step 2 of 7: checking every row")
        log = canonicalize(raw, engine.tables, strict=strict, file_order=options.ties == "file", options=options)
    write_table(log.quarantine, folder / QUARANTINE_FILE, engine.machine)
    if log.counts.get("catalogue_quarantined"):
        write_table(log.items_quarantine, folder / ITEMS_QUARANTINE_FILE, engine.machine)
    tell("Step 3 of 7: choosing targets")
    asked = options
    split_log = to_split_log(log, options, engine.tables)
    options = split_log.options
    _write_items(split_log, folder, engine)
    tell("Step 4 of 7: drawing candidates and cutting histories")
    engine.write_examples(split_log, folder, options)
    _write_truth(raw, split_log.keyed, folder, engine)
    tell("Step 5 of 7: counting successors")
    engine.write_successors(split_log, folder, options)
    tell("Step 6 of 7: checking the examples")
    engine.check(split_log, folder, options)
    check_accounting(folder, log.counts, split_log.keyed.num_interactions())
    if prompts:
        tell("Step 7 of 7: writing prompts")
        engine.write_prompt_configs(folder, options)
    report = _to_report(raw, log, split_log, folder, options)
    report["content_sha256"] = content_hashes(folder)
    report["count_rules"] = engine.count_rules(split_log, folder)
    report["notes"] += [
        *_titles_notes(report["counts"]),
        *_length_notes(report, asked, options),
        *_tie_notes(report),
        *_counts_note(report["count_rules"]),
    ]
    write_report(folder, report)
    write_card(folder, report)
    return report


@dataclass(frozen=True)
class SplitLog:
    """A keyed log whose targets and training interactions are known.

    Args:
        keyed ([`KeyedLog`]): Users, items and numbered events.
        targets (`ibis.Table`): As `to_targets` returns them.
        training (`ibis.Table`): As `training_events` returns them.
        cuts (`tuple` or `None`): The cut times of a temporal split.
        options ([`BuildOptions`]): Those of the build, with the least history that the log allows.
    """

    keyed: KeyedLog
    targets: ir.Table
    training: ir.Table
    cuts: tuple | None
    options: BuildOptions


def to_split_log(log: CanonicalLog, options: BuildOptions, connection: Tables) -> SplitLog:
    """Key a canonical log and choose its targets; the interactions of the log itself are gone then."""
    keyed = key_log(log.interactions, log.items, options, connection)
    for name in ("interactions", FILTERED_TABLE):  # keyed they take a third of the memory, and are not read again
        drop_stored(name, connection)
    if options.candidates == "impressions" and not keyed.impressions.count().execute():
        raise InputError(
            f"This log has no event {IMPRESSION!r}, so there are no shown items to use as candidates. Use "
            "--candidates popularity or uniform, or add records of what was shown."
        )
    options = replace(options, min_history=fitting_history(keyed.events, options))
    cuts = cut_times(keyed.events, options)
    _refuse_cuts_outside(options.cuts, keyed.events)
    targets = store("targets", to_targets(keyed.events, options, cuts), connection)
    if not targets.filter(targets[SPLIT] == "test").count().execute():
        remedy = "Lower min_history (--min-history), or use" if options.least_history > 1 else "Use"
        raise InputError(
            f"No user of this log has a test target with protocol {options.protocol!r}. "
            f"{length_rule(options.protocol, options.least_history)} {remedy} a longer log."
        )
    return SplitLog(keyed, targets, training_events(keyed.events, targets, cuts), cuts, options)


def _refuse_cuts_outside(cuts: tuple | None, events: ir.Table) -> None:
    """Stop where a part before, between or after the cut times holds nothing of the log."""
    if cuts is None:
        return
    ends = events.aggregate(first=events[TIMESTAMP].min(), last=events[TIMESTAMP].max()).to_pyarrow().to_pylist()[0]
    first, last = ends["first"], ends["last"]  # as Arrow: Ibis has no time zone in what pandas gets from Spark
    if not first < cuts[0] < cuts[1] <= last:
        given = " and ".join(cut.date().isoformat() for cut in cuts)
        raise InputError(
            f"The cut times {given} are not both within the log, which runs from {first.date()} to {last.date()}. "
            "Choose two days in that range, the earlier one first, or omit --cuts for the 80% and 90% quantiles."
        )


def write_examples(log: SplitLog, folder: Path, options: BuildOptions, connection: DuckDB) -> None:
    """Write the config `examples`, one shard per group of users and split."""
    pool = to_pool(log.keyed, log.training, options, connection)
    groups = to_user_groups(log.keyed)

    def build(shard: int, own: DuckDB) -> None:
        paths = {split: shard_path(folder, "examples", split, shard, len(groups)) for split in SPLITS}
        write_group(log, groups[shard], pool, paths, options, own)

    build_groups(build, len(groups), connection)


def write_group(
    log: SplitLog,
    group: UserGroup,
    pool: CandidatePool,
    paths: Mapping[str, Path],
    options: BuildOptions,
    connection: DuckDB,
) -> None:
    """Write the examples of some users, each split to its path."""
    part, targets = group.log(log.keyed), group.rows(log.targets)
    with scratch_tables(connection, f"from_{group.low}") as keep:
        drawn = keep("drawn", draw_candidates(part, targets, pool, options))
        windows = keep("windows", to_windows(part, targets, options.history))
        decisions = keep("decisions", to_decisions(part, targets, drawn, options))
        for split, path in paths.items():
            of_split = to_examples(decisions.filter(decisions[SPLIT] == split), windows, options.history)
            write_table(of_split.order_by(USER_KEY, POSITION).select(*EXAMPLE_FEATURES), path, connection)


def write_histories(log: KeyedLog, folder: Path, options: BuildOptions, connection: DuckDB) -> None:
    """Write the newest records of every user, one shard per group of users."""
    groups = to_user_groups(log)

    def build(shard: int, own: DuckDB) -> None:
        path = shard_path(folder, HISTORIES_FOLDER, "train", shard, len(groups))
        write_group_histories(groups[shard].log(log), path, options, own)

    build_groups(build, len(groups), connection)


def write_group_histories(part: KeyedLog, path: Path, options: BuildOptions, connection: DuckDB) -> None:
    """Write the newest records of some users."""
    users = to_newest_histories(part, options).order_by(USER_KEY)
    write_table(users.select(USER, HISTORY, HISTORY_HASH), path, connection)


def write_successors(log: SplitLog, folder: Path, options: BuildOptions, connection: DuckDB) -> None:
    """Write the config `successors`, one shard per fold."""
    tables = successor_tables(log.training, log.keyed.users, log.keyed.items, options, connection)
    with closing(tables):  # it drops its tables while the connection is open, also where an interruption ends it
        for shard, table in enumerate(tables):
            path = shard_path(folder, "successors", "train", shard, 1 + options.successor_folds)
            write_table(table, path, connection)


def write_prompt_configs(folder: Path, options: BuildOptions) -> None:
    """Write the configs of prompts beside the examples they are made of."""
    write_prompts = prompt_writer(folder, options)
    for split in SPLITS:
        for source in shards_of(folder, "examples", split):
            write_prompts(source, split)


def prompt_writer(folder: Path, options: BuildOptions, output: Path | None = None) -> Callable[[Path, str], None]:
    """What writes the prompts of one shard of examples, given the shard and its split.

    Args:
        folder (`Path`): The dataset folder; its items and successors are read once.
        options ([`BuildOptions`]): `successor_folds` is used.
        output (`Path`, *optional*): The folder to write into, where it is another one.
    """
    items = {row[ITEM_ID]: row for row in pq.read_table(folder / "items").to_pylist()}
    successors = SuccessorLists(folder / "successors")

    def to_rows(example: Mapping[str, Any], split: str) -> tuple[dict[str, Any], ...]:
        fold = fold_to_read(example[USER], split, options.successor_folds)
        return to_prompt_rows(example, items, successors, fold)

    def write(source: Path, split: str) -> None:
        configs = prompt_configs(options.num_candidates)
        targets = {(output or folder) / config / source.name: CONFIG_FEATURES[config] for config in configs}
        write_mapped(source, targets, partial(to_rows, split=split))

    return write


def _write_items(log: SplitLog, folder: Path, engine: Engine) -> None:
    items = engine.bring(log.keyed.items).order_by(ITEM_KEY).select(*ITEM_FEATURES)
    write_table(items, shard_path(folder, "items", "train", 0, 1), engine.machine)


def named_training(log: SplitLog) -> ir.Table:
    """The config `interactions`."""
    named = log.training.join(log.keyed.users.select(USER_KEY, USER), USER_KEY)
    named = named.join(log.keyed.items.select(ITEM_KEY, ITEM_ID), ITEM_KEY).order_by(USER_KEY, POSITION)
    return named.select(*TRAINING_INTERACTION_FEATURES)


def _write_truth(raw: RawLog, log: KeyedLog, folder: Path, engine: Engine) -> None:
    """Write what a simulator knows, under the same opaque ids."""
    for name, table in raw.truth.items():
        if USER_ID in table.columns:
            table = table.inner_join(engine.bring(log.users).select(USER_ID, USER), USER_ID).drop(USER_ID)
        if ITEM_ID in table.columns:
            opaque = engine.bring(log.items).select(item_id="source_item_id", opaque=ibis._.item_id)
            table = table.inner_join(opaque, ITEM_ID).drop(ITEM_ID).rename(item_id="opaque")
        write_table(table.order_by(table.columns), folder / TRUTH_FOLDER / f"{name}.parquet", engine.machine)


def _to_report(
    raw: RawLog, log: CanonicalLog, split_log: SplitLog, folder: Path, options: BuildOptions
) -> dict[str, Any]:
    splits = {split: count_examples(folder, split) for split in SPLITS}
    num_users = int(split_log.keyed.users.count().execute())
    served = int(split_log.targets.filter(split_log.targets[SPLIT] == "test")[USER_KEY].nunique().execute())
    targets = int(split_log.targets.count().execute())
    # A build without filters says nothing of them, so that its report is what it was before there were any.
    shown = {name: value for name, value in asdict(options).items() if name not in FILTERS or value is not None}
    options_shown = {**shown, **_written_times(options), "salt": "secret" if options.salt else None}
    return {
        "dataset_version": DATASET_VERSION,
        "name": raw.name,
        "options": options_shown,
        "order": raw.order,
        "ties": tie_shares(split_log.keyed.events, split_log.targets),
        "cut_times": None if split_log.cuts is None else [cut.isoformat() for cut in split_log.cuts],
        "license": asdict(raw.license),
        "homepage": raw.homepage,
        "citation": raw.citation,
        "notes": [*raw.notes, *log.notes],
        "counts": {
            **log.counts,
            "users": num_users,
            "users_too_short": num_users - served,
            "targets_without_candidates": targets - sum(split["examples"] for split in splits.values()),
        },
        "splits": splits,
    }


def _written_times(options: BuildOptions) -> dict[str, Any]:
    """The options that are times, as JSON can hold them."""
    cuts = {} if options.cuts is None else {"cuts": [cut.isoformat() for cut in options.cuts]}
    return cuts | {name: time.isoformat() for name in ("since", "until") if (time := getattr(options, name))}


def _titles_notes(counts: Mapping[str, Any]) -> list[str]:
    """What the report says where ids stand in prompts in place of titles, and where a title does not name one item."""
    untitled, shared, alike = (
        counts[name] for name in ("items_without_metadata", "items_sharing_title", "items_sharing_title_and_year")
    )
    notes = []
    if untitled:
        notes.append(
            f"{untitled} of {counts['items']} items have no title, so prompts show their raw ids as titles, which "
            "mean nothing to a language model. Add a catalogue with their titles."
        )
    if shared:
        notes.append(
            f"{shared} of {counts['items']} items share their title with another item. If such items are candidates "
            f"of the same example, the year distinguishes them; {alike} items share the year too, and the seed then "
            "decides an answer by title."
        )
    return notes


def _in_file_order(raw: RawLog, options: BuildOptions) -> BuildOptions:
    """The options of a build, where a log without times has the order of its file."""
    if raw.order == "time":
        return options
    if options.since is not None or options.until is not None:
        raise InputError(f"{raw.name!r} has no times, so --since and --until cannot be used. Name its time column.")
    if options.protocol == "temporal":
        raise InputError(
            f"{raw.name!r} has no times, so it cannot be split by time. Use --protocol leave_last_out, or name its "
            "time column."
        )
    return replace(options, ties="file")


def _tie_notes(report: Mapping[str, Any]) -> list[str]:
    """What the report says where their time does not decide the order of many targets."""
    share = report["ties"]["targets"]
    if report["order"] == "file":
        return [
            "This log has no times: the order of the file is used instead, every item is treated as available from "
            "the start of the log, and texts show no time."
        ]
    if share < _MANY_TIES:
        return []
    made = (
        "that of the file"
        if report["options"]["ties"] == "file"
        else "random, by the seed; --ties file uses the order of the file"
    )
    return [f"{share:.0%} of the test targets have the same time as a neighbouring record. Their order is {made}."]


def _length_notes(report: Mapping[str, Any], asked: BuildOptions, options: BuildOptions) -> list[str]:
    """What the report says where users are short: of another least history, and of splits without examples."""
    notes = []
    rule = length_rule(options.protocol, options.least_history)
    if options.least_history != asked.least_history:
        notes.append(
            f"No user has enough interactions for all splits with {asked.least_history} interactions before a "
            f"target, so the minimum is lowered to {options.least_history}. {rule}"
        )
    empty = [split for split, counts in report["splits"].items() if not counts["examples"]]
    if empty and len(empty) < len(report["splits"]):
        many = len(empty) > 1
        notes.append(
            f"{'The splits' if many else 'The split'} {' and '.join(empty)} {'have' if many else 'has'} no examples "
            f"and cannot be loaded. {rule}"
        )
    return notes


def _counts_note(rules: Mapping[str, Any]) -> list[str]:
    """What the report says where training counts alone give targets away."""
    if not rules["beats_popularity"]:
        return []
    rates = ", ".join(f"{name} {rules[name]:.3f}" for name in rules["beats_popularity"])
    return [
        f"A rule that uses only training counts does better than popularity ({rules['most_counted']:.3f}) on the "
        f"test split: {rates}. Compare results with it."
    ]


def _refuse_foreign_folder(output: Path) -> None:
    require_folder_place(output)
    if output.exists() and any(output.iterdir()) and not (output / REPORT_FILE).exists():
        raise InputError(f"{output} is not empty and is not a built dataset; choose another folder or empty it.")
    if others := _files_of_others(output):
        raise InputError(
            f"{output} contains {len(others)} files that no build wrote, such as {others[0]}, and building again "
            "would delete them. Move them elsewhere, or choose another folder."
        )


def _files_of_others(output: Path) -> list[Path]:
    """The files of a built dataset's folder that a build does not write, as paths within it."""
    written = {CARD_FILE, REPORT_FILE, QUARANTINE_FILE, ITEMS_QUARANTINE_FILE}
    tables = {*CONFIG_FEATURES, TRUTH_FOLDER, HISTORIES_FOLDER}
    found = (path.relative_to(output) for path in sorted(output.rglob("*")) if not path.is_dir())
    return [
        path
        for path in found
        if str(path) not in written
        and path.name != ".DS_Store"
        and not (len(path.parts) == 2 and path.parts[0] in tables and path.suffix == ".parquet")
    ]


def _replace(output: Path, staging: Path) -> None:
    """Put the new folder where the old one was, by renaming."""
    if output.exists():
        os.replace(output, staging.with_name("replaced"))
    os.replace(staging, output)
    shutil.rmtree(staging.with_name("replaced"), ignore_errors=True)
