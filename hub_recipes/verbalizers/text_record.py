"""What is recorded beside texts: of which examples they are, and what decided them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset

from ..models.language_models import fingerprint_of
from ..models.model_folders import VERBALIZER_CONFIG, content_hash, model_folder
from .by_rule import is_written_by_rule, to_rule_verbalizer
from .learned import LOADED_VERBALIZERS

_METADATA_KEY = b"logs2lang"

DATASET, SPLIT, LENGTH = "dataset", "split", "history_length"
"""Of a record: the content of the dataset as a hash, the split, and how many of the newest records were read."""
VERBALIZER = "verbalizer"
"""Of a record: who wrote. `fingerprint` says what stands behind the name."""


def examples_record(
    dataset: BuiltDataset, split: str, limit: int | None = None, discoveries: bool = False, seed: int = 0
) -> dict[str, Any]:
    """Which examples have texts.

    Args:
        dataset ([`BuiltDataset`]): Whose histories are written as text.
        split, limit, discoveries, seed: Which examples; see [`choose_examples`].
    """
    choice = {"limit": limit, "seed": limit and seed, "discoveries": discoveries}
    return {DATASET: content_of(dataset), SPLIT: split, **choice}


def writer_record(
    dataset: BuiltDataset, verbalizer: str, adapter: str | None, model: str, history_length: int | None
) -> dict[str, Any]:
    """What decides a text beside its example. Says at once where something is missing, without loading a model.

    Args:
        dataset ([`BuiltDataset`]): For the catalogue and the successors.
        verbalizer (`str`): Its name, such as `"successors"` or `"action"`.
        adapter (`str` or `None`): Hub id or folder, for a verbalizer that is loaded.
        model (`str`): Writes `zero_shot`, and counts the tokens.
        history_length (`int` or `None`): How many of the newest records it reads; all when `None`.

    Raises:
        InputError: A model or an adapter is nowhere to be had, or was taught to be another verbalizer.
    """
    if adapter is not None:
        folder = model_folder(adapter)
        LOADED_VERBALIZERS[verbalizer].trained_choices(folder / VERBALIZER_CONFIG)
        fingerprint = fingerprint_of(folder)
    elif is_written_by_rule(verbalizer):
        fingerprint = to_rule_verbalizer(verbalizer, dataset).fingerprint
    else:
        fingerprint = content_hash(model_folder(model))
    return {
        VERBALIZER: verbalizer,
        "fingerprint": fingerprint,
        "model": content_hash(model_folder(model)),
        LENGTH: history_length,
    }


def content_of(dataset: BuiltDataset) -> str:
    """What decides the texts of a dataset, as one hash."""
    hashes = dataset.report.get("content_sha256", {})
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def to_metadata(record: Mapping[str, Any]) -> dict[bytes, bytes]:
    """A record as the metadata of a Parquet file.

    Example:
        >>> to_metadata({"split": "test"})
        {b'logs2lang': b'{"split": "test"}'}
    """
    return {_METADATA_KEY: json.dumps(record, sort_keys=True).encode()}


def read_record(path: Path) -> dict[str, Any] | None:
    """The record in a Parquet file; `None` where it has none, or is no Parquet file."""
    try:
        found = json.loads((pq.read_schema(path).metadata or {}).get(_METADATA_KEY, b"null"))
    except (pa.ArrowInvalid, OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
