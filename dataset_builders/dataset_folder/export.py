"""A built dataset as files: Parquet shards per config and split, a card, and the build report."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, List
from huggingface_hub import DatasetCardData
from ibis.backends.duckdb import Backend as DuckDB
from ibis.backends.sql.datatypes import DuckDBType
from jinja2 import Environment, StrictUndefined

from ..checksums import sha256_of
from ..schema import CONFIG_FEATURES, CONFIGS, IS_DISCOVERY, SPLITS
from ..splits import length_rule
from ..tables.stored_tables import to_sql

REPORT_FILE = "build_report.json"
QUARANTINE_FILE = "quarantine.parquet"
ITEMS_QUARANTINE_FILE = "quarantine_items.parquet"
TRUTH_FOLDER = "truth"
HISTORIES_FOLDER = "histories"
"""The newest records of every user, for texts that are kept up to date. No config, and never published: examples hold
a user's records up to a target, these hold them all."""
CARD_FILE = "README.md"
ROW_GROUP_ROWS = 5_000
_BATCH_ROWS = 500
_ROW_MEANINGS = {
    "examples": "a decision: history, candidates, target",
    "items": "an item of the catalogue",
    "successors": "an item that users chose soon after another; see below",
    "interactions": "a training interaction, for classical recommenders",
    "verbalizer": "the prompt that asks for a rewrite of a log, and what a reward needs to judge it",
    "reasoner": "the prompt that asks for the next item, and the answer",
}


def shard_path(folder: Path, config: str, split: str, shard: int, shards: int) -> Path:
    """Where one shard lies, named as on the Hub.

    Example:
        >>> str(shard_path(Path("data"), "examples", "test", 0, 3))
        'data/examples/test-00000-of-00003.parquet'
    """
    return folder / config / f"{split}-{shard:05d}-of-{shards:05d}.parquet"


def write_table(table: ir.Table, path: Path, connection: DuckDB) -> None:
    """Write an expression as one Parquet file, in its own order, the same bytes whatever the number of threads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Every text plain: DuckDB 2.0 loses values of enumerations, in columns and in lists, when several threads write
    # row groups; and it puts all values of one into every row group, which makes the file half as large again.
    plain = (f'CAST("{name}" AS {DuckDBType.to_string(kind)}) AS "{name}"' for name, kind in table.schema().items())
    rows = f"SELECT {', '.join(plain)} FROM ({to_sql(table, connection)})"
    options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS}"
    target = str(path).replace("'", "''")
    connection.raw_sql(f"COPY ({rows}) TO '{target}' ({options})")


def write_mapped(
    source: Path, targets: Mapping[Path, Features], to_rows: Callable[[Mapping[str, Any]], tuple[dict[str, Any], ...]]
) -> None:
    """Write what `to_rows` makes of every row of one Parquet file as others.

    Args:
        source (`Path`): The file to read, in batches.
        targets (`dict[Path, datasets.Features]`): The files to write, and the types of their rows.
        to_rows (`Callable`): A pure function from a row to one row for each target.
    """
    with ExitStack() as stack:
        writers = [stack.enter_context(_writer(path, features)) for path, features in targets.items()]
        for rows in _batches(source):
            for writer, mapped in zip(writers, zip(*map(to_rows, rows), strict=True), strict=True):
                writer.write_table(pa.Table.from_pylist(list(mapped), writer.schema))


def _writer(path: Path, features: Features) -> pq.ParquetWriter:
    path.parent.mkdir(parents=True, exist_ok=True)
    return pq.ParquetWriter(path, features.arrow_schema.remove_metadata(), compression="zstd")


def _batches(source: Path) -> Iterator[list[dict[str, Any]]]:
    for batch in pq.ParquetFile(source).iter_batches(_BATCH_ROWS):
        yield batch.to_pylist()


def shards_of(folder: Path, config: str, split: str) -> list[Path]:
    """The shards of one split, in order."""
    return sorted((folder / config).glob(f"{split}-*-of-*.parquet"))


def filled_splits(folder: Path, config: str) -> list[str]:
    """The splits of a config that have any row; `load_dataset` refuses the others."""
    return [
        split
        for split in SPLITS
        if any(pq.read_metadata(shard).num_rows for shard in shards_of(folder, config, split))
    ]


def count_examples(folder: Path, split: str) -> dict[str, int]:
    """How many examples a split has, and how many of them are discoveries."""
    # Shard by shard: in one without rows DuckDB marks columns as never null, and in others not.
    shards = shards_of(folder, "examples", split)
    flags = [pq.read_table(shard, columns=[IS_DISCOVERY])[IS_DISCOVERY] for shard in shards]
    return {"examples": sum(map(len, flags)), "discovery": sum(sum(flag.to_pylist()) for flag in flags)}


def content_hashes(folder: Path) -> dict[str, str]:
    """What decides the rows of each config, as one SHA-256 over the names and the bytes of its shards.

    Args:
        folder (`Path`): The dataset folder, its Parquet files already written.

    Returns:
        `dict[str, str]`: By config; of a simulated log also under `truth`, what the simulator knows.
    """
    shards = {config: [shard for split in SPLITS for shard in shards_of(folder, config, split)] for config in CONFIGS}
    if known := sorted((folder / TRUTH_FOLDER).glob("*.parquet")):
        shards[TRUTH_FOLDER] = known
    return {
        config: hashlib.sha256("".join(f"{path.name} {sha256_of(path)}\n" for path in paths).encode()).hexdigest()
        for config, paths in shards.items()
    }


def write_report(folder: Path, report: Mapping[str, Any]) -> None:
    """Write the build report as JSON."""
    text = json.dumps(report, indent=2, ensure_ascii=False, sort_keys=True)
    (folder / REPORT_FILE).write_text(text + "\n", encoding="utf-8")


def write_card(folder: Path, report: Mapping[str, Any]) -> None:
    """Write the dataset card (`README.md`): its YAML names the configs, so that `load_dataset(folder, config)` works.

    Args:
        folder (`Path`): The dataset folder, its Parquet files already written.
        report (`dict`): The build report; every number of the card comes from it.
    """
    (folder / CARD_FILE).write_text(render_card(folder, report), encoding="utf-8")


def render_card(folder: Path, report: Mapping[str, Any], place: str = "path/or/namespace/name") -> str:
    """The dataset card as text.

    Args:
        folder (`Path`): The dataset folder.
        report (`dict`): The build report.
        place (`str`, *optional*): What a reader gives to `load_dataset`.
    """
    data = DatasetCardData(
        pretty_name=report["name"],
        license=report["license"]["name"],
        task_categories=["text-generation"],
        tags=["recommendation", "logs2lang"],
        configs=list(_config_entries(folder, report.get("content_sha256", {}))),
    )
    splits = {config: filled_splits(folder, config) for config in CONFIGS}
    template = Environment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(
        _text("dataset_card.md.jinja")
    )
    return template.render(
        card_data=data.to_yaml(),
        report=report,
        place=place,
        configs={config: meaning for config, meaning in _ROW_MEANINGS.items() if splits[config]},
        splits=splits,
        filters=filter_phrases(report["options"]),
        length_rule=length_rule(report["options"]["protocol"], report["options"]["min_history"]),
        columns={config: _type_names(features) for config, features in CONFIG_FEATURES.items()},
        mit_permission=_text("mit_permission.txt").strip(),
    )


def filter_phrases(options: Mapping[str, Any]) -> list[str]:
    """What the filters of a build left in, as a card says it; none without filters.

    Args:
        options (`dict`): As the build report holds them.

    Example:
        >>> filter_phrases({"min_user_interactions": 5, "min_item_interactions": 5})
        ['the 5-core (users with at least 5 items, items with at least 5 users, until both hold)']
        >>> filter_phrases({"min_value": 4.0, "since": "2013-03-01T00:00:00+00:00"})
        ['choices rated at least 4', 'from 2013-03-01 on']
    """
    users, items = (options.get(name) for name in ("min_user_interactions", "min_item_interactions"))
    counted = {
        f"users with at least {users} items": users,
        f"items with at least {items} users": items,
    }
    phrases = [phrase for phrase, number in counted.items() if number is not None]
    if len(phrases) == 2:
        both = f"{', '.join(phrases)}, until both hold"
        phrases = [f"the {users}-core ({both})" if users == items else both]
    if options.get("min_value") is not None:
        phrases.append(f"choices rated at least {options['min_value']:g}")
    bounds = {"since": "from {} on", "until": "before {}"}
    times = {name: options[name] for name in bounds if options.get(name)}
    days = {name: time.removesuffix("+00:00").removesuffix("T00:00:00") for name, time in times.items()}
    return [*phrases, *(bounds[name].format(day) for name, day in days.items())]


def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _type_names(features: Mapping[str, Any]) -> dict[str, str]:
    """The type of each column, as a reader of the card needs it.

    Example:
        >>> from datasets import Value
        >>> _type_names({"tags": List(Value("string")), "messages": List({"role": Value("string")})})
        {'tags': 'list of string', 'messages': 'list of {role: string}'}
    """
    return {name: _type_name(feature) for name, feature in features.items()}


def _type_name(feature: Any) -> str:
    if isinstance(feature, List):
        return f"list of {_type_name(feature.feature)}"
    if isinstance(feature, Mapping):
        return "{" + ", ".join(f"{name}: {_type_name(inner)}" for name, inner in feature.items()) + "}"
    return feature.dtype


def _config_entries(folder: Path, hashes: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    for config in CONFIGS:
        splits = filled_splits(folder, config)
        files = [{"split": split, "path": f"{config}/{split}-*.parquet"} for split in splits]
        # `load_dataset` keeps what it read of a local folder by the folder's name and by this text, not by its files:
        # without the hash a rebuilt folder, or another one of the same name, would yield the rows of the earlier one.
        content = {"description": f"Content {hashes[config]}"} if config in hashes else {}
        if files:
            default = {"default": True} if config == "examples" else {}
            yield {"config_name": config, **content, "data_files": files, **default}
