"""A small log with everything a row can look at: two years of films, tags, series, repeats and trailers."""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from logs2lang.dataset_builders.sources.tabular import read_tabular

START = 1_600_000_000
DAY = 86_400


def small_log_rows(users: int = 30, items: int = 40, choices: int = 14) -> list[tuple[str, str, int, str]]:
    """User, item, second and event; users keep to a taste of ten items, and some choose an item again."""
    draws = random.Random(7)
    rows = []
    for user in range(users):
        for place in range(choices):
            own = 10 * (user % 4) + draws.randrange(10)
            item = own if draws.random() < 0.7 else draws.randrange(items)
            event = "trailer" if draws.random() < 0.1 and place < choices - 2 else "rate"
            rows.append((f"u{user}", f"m{item}", START + DAY * (3 * place + user % 9) + 60 * user, event))
    return rows


def write_small_log(folder: Path, **choices: Any) -> Callable:
    """A source as `build_dataset` takes it, and its files `log.csv` and `items.csv` in a folder."""
    rows = small_log_rows(**choices)
    lines = ["user_id,item_id,timestamp,event", *(",".join(map(str, row)) for row in rows)]
    (folder / "log.csv").write_text("\n".join(lines) + "\n")
    known = sorted({item for _, item, *_ in rows}, key=lambda item: int(item[1:]))
    described = [
        f"{item},Film {'ABCDEFGH'[number % 8]} {number},{1990 + number % 20},{'Drama|Crime' if number % 3 else 'War'},"
        f"{f'Saga {number}' if number in (4, 14) else ''}"
        for item in known
        for number in [int(item[1:])]
    ]
    (folder / "items.csv").write_text("\n".join(["item_id,title,year,tags,series", *described]) + "\n")
    files = {name: str(folder / f"{name}.csv") for name in ("log", "items")}
    return partial(read_tabular, interactions=files["log"], items=files["items"])
