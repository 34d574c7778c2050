"""Histories to write about."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest


@pytest.fixture(scope="session")
def to_history() -> Callable[..., list[dict]]:
    """Makes a history out of titles, one a day, oldest first; item ids count from i0."""
    noon = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)

    def make(*titles: str) -> list[dict]:
        return [
            {
                "timestamp": noon + timedelta(days=day),
                "item_id": f"i{day}",
                "title": title,
                "event": "play",
                "duration_s": None,
                "value": None,
                "device": None,
            }
            for day, title in enumerate(titles)
        ]

    return make
