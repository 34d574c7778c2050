"""Texts that a language model wrote, kept on disk: the same history, model and settings are never written twice."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

from diskcache import Cache
from diskcache.core import DBNAME
from huggingface_hub import cached_assets_path

WRITTEN_AT_ONCE = 32
"""Prompts between two visits to the disk, so that a kill loses no more than their texts."""


def cache_folder() -> Path:
    """Where the texts lie; deleting the folder costs time and nothing else."""
    return cached_assets_path("logs2lang", namespace="verbalizations")


def empty_cache(folder: Path) -> int:
    """Forget everything in a cache on disk: its entries do not say which user they are about.

    Args:
        folder (`Path`): Of the cache, such as `cache_folder()`.

    Returns:
        `int`: How many entries there were.
    """
    if not folder.exists():
        return 0
    with Cache(folder) as cache:
        count = cache.clear()
    with closing(sqlite3.connect(folder / DBNAME)) as database:  # what was deleted stays in free pages until then
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return count


def cache_key(prompt_ids: Sequence[int], fingerprint: str, settings: Mapping[str, Any]) -> str:
    """What decides a text: the prompt as the model reads it, the model, and how it decodes.

    Example:
        >>> cache_key([1, 2], "model", {"max_new_tokens": 8}) == cache_key([1, 2], "model", {"max_new_tokens": 9})
        False
    """
    return hashlib.sha256(json.dumps([list(prompt_ids), fingerprint, settings], sort_keys=True).encode()).hexdigest()


def write_missing(
    keys: Sequence[str],
    write: Callable[[list[int]], list[str]],
    progress: Callable[[int], None] | None = None,
    folder: Path | None = None,
    keep: bool = True,
) -> list[str]:
    """The text of each key, from disk or written now.

    Args:
        keys (`list[str]`): One per text; see `cache_key`.
        write (`Callable[[list[int]], list[str]]`): Writes the texts of some places in `keys`.
        progress (`Callable[[int], None]`, *optional*): Called with the number of texts at hand.
        folder (`Path`, *optional*): Of the cache; `cache_folder()` when `None`.
        keep (`bool`, *optional*, defaults to `True`): Whether the cache is used at all.
    """
    with Cache(folder or cache_folder()) if keep else nullcontext({}) as cache:
        texts = {key: text for key in set(keys) if isinstance(text := cache.get(key), str)}
        missing = [place for key, place in {key: place for place, key in enumerate(keys)}.items() if key not in texts]
        for start in range(0, len(missing), WRITTEN_AT_ONCE):
            places = missing[start : start + WRITTEN_AT_ONCE]
            for place, text in zip(places, write(places), strict=True):
                texts[keys[place]] = cache[keys[place]] = text
            if progress is not None:
                progress(len(keys) - len(missing) + start + len(places))
    if progress is not None:
        progress(len(keys))
    return [texts[key] for key in keys]
