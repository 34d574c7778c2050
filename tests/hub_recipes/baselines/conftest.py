"""Tiny worlds: a log is a word per user, whose letters are items; `!` before a letter makes it a mere trailer."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pandas as pd
import pytest
from datasets import Dataset

from logs2lang.dataset_builders.schema import EXAMPLE_FEATURES, TRAINING_INTERACTION_FEATURES

START = datetime(2024, 5, 1, tzinfo=timezone.utc)


def to_events(word: str) -> list[tuple[str, str]]:
    """`"a!b"` is a rating of a and a trailer of b."""
    return [(item, "trailer" if mark else "rate") for mark, item in re.findall("(!?)([a-z])", word)]


def to_records(word: str) -> list[dict[str, Any]]:
    blank = {"duration_s": None, "value": None, "device": None}
    return [
        {"timestamp": START + timedelta(days=day), "item_id": item, "event": event, **blank}
        for day, (item, event) in enumerate(to_events(word))
    ]


@pytest.fixture
def training() -> Callable[..., pd.DataFrame]:
    """`training("abc", "ab")` is the log of a user who chose a, b and c in turn, and of one who chose a and b."""

    def build(*words: str) -> pd.DataFrame:
        rows = [{"user": f"u{user}", **record} for user, word in enumerate(words) for record in to_records(word)]
        return Dataset.from_list(rows, features=TRAINING_INTERACTION_FEATURES).to_pandas()

    return build


@pytest.fixture
def examples() -> Callable[..., Dataset]:
    """`examples(("ab", "xyz"))` is one example: who chose a and b, and now x, y and z stand to choose."""

    def build(*pairs: tuple[str, str]) -> Dataset:
        rows = [
            {
                "example_id": f"u{number}-9",
                "user": f"u{number}",
                "timestamp": START + timedelta(days=99),
                "history": [{**record, "title": record["item_id"]} for record in to_records(history)],
                "candidates": [{"item_id": item, "title": item} for item in shown],
                "target": shown[0],
                "target_index": 0,
                "is_discovery": True,
            }
            for number, (history, shown) in enumerate(pairs)
        ]
        return Dataset.from_list(rows, features=EXAMPLE_FEATURES)

    return build


@pytest.fixture
def catalogue() -> Callable[..., dict[str, dict[str, Any]]]:
    """`catalogue(a=(1999, "xy"))` knows one item, of the year 1999 and with the tags x and y."""

    def build(**items: tuple[int | None, str]) -> dict[str, dict[str, Any]]:
        return {
            item_id: {
                "item_id": item_id,
                "title": item_id,
                "year": year,
                "tags": list(tags),
                "series": None,
                "description": None,
            }
            for item_id, (year, tags) in items.items()
        }

    return build
