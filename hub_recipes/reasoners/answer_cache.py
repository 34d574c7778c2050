"""Answers of a chat server, kept on disk: the same question to the same model is never paid twice."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from diskcache import Cache
from huggingface_hub import cached_assets_path

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import Message

from .chat_server import ChatAnswer


def answers_folder() -> Path:
    """Where the answers lie; deleting the folder costs money and nothing else."""
    return cached_assets_path("logs2lang", namespace="answers")


def question_key(server: str, model: str, messages: Sequence[Message], settings: Mapping[str, Any]) -> str:
    """What decides an answer: the server, its model, the context and candidates as they are asked, the settings.

    Example:
        >>> key = question_key("http://localhost/v1", "m", [{"role": "user", "content": "A or B?"}], {})
        >>> key == question_key("http://localhost/v1", "m", [{"role": "user", "content": "A or C?"}], {})
        False
    """
    return hashlib.sha256(json.dumps([server, model, list(messages), settings], sort_keys=True).encode()).hexdigest()


class AnswerCache:
    """Answers by question; open one with `open_answers`."""

    def __init__(self, cache: Cache):
        self._cache = cache

    def get(self, key: str) -> ChatAnswer | None:
        """The answer to a question, if it was answered before."""
        stored = self._cache.get(key)
        return ChatAnswer(**json.loads(stored)) if isinstance(stored, str) else None

    def put(self, key: str, answer: ChatAnswer) -> None:
        """Keep an answer, on disk before this returns."""
        # JSON, not the cache's own pickles: a cache folder may come from somebody else.
        self._cache[key] = json.dumps(answer.__dict__)

    def forget(self, keys: Iterable[str]) -> None:
        """Ask these questions again the next time."""
        for key in keys:
            self._cache.delete(key)


@contextmanager
def open_answers(folder: Path | str | None = None) -> Iterator[AnswerCache]:
    """Open the cache of answers; several processes may do so at once.

    Args:
        folder (`Path`, *optional*): `answers_folder()` when `None`.

    Raises:
        InputError: The folder cannot be used, or its disk is full.
    """
    folder = Path(folder) if folder is not None else answers_folder()
    try:
        # diskcache throws out old entries at 1 GB, and these were paid for.
        with Cache(folder, eviction_policy="none") as cache:
            yield AnswerCache(cache)
    except sqlite3.Error as error:
        raise InputError(
            f"The cache of answers in {folder} cannot be used ({error}). Free some disk space, or set another "
            "cache_folder."
        ) from error
