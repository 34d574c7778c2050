"""The log of a small service on two days, built."""

from functools import partial
from pathlib import Path

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.sources.tabular import read_tabular

USERS, RECORDS, ITEMS = 12, 9, 20
DAY = 86_400
START = 1_714_521_600  # 2024-05-01
DAMAGED = ["u3,film 4,", "u4,film 5,soon", "u3"]
"""A row without a time and one whose time is none, and a line that is cut off."""
NEWS = [f"u5,film 0 of today,{START + 99 * DAY}", f"newcomer,film 1,{START + 99 * DAY}"]
"""One user sees a film that was not there before, and a user comes who was not there either."""


def log_lines() -> list[str]:
    lines = [
        f"u{user},film {(7 * user + place * (1 + user % 3)) % ITEMS},{START + (user + place) * DAY}"
        for user in range(USERS)
        for place in range(RECORDS)
    ]
    return [*lines, *DAMAGED]


def build(folder: Path, news: list[str] = NEWS, **options) -> Path:
    """Build the log with more lines at its end."""
    log = folder.with_suffix(".csv")
    log.write_text("\n".join(["user_id,item_id,timestamp", *log_lines(), *news]) + "\n")
    chosen = BuildOptions(num_candidates=2, **options)
    build_dataset(partial(read_tabular, interactions=str(log)), folder, chosen, threads=1)
    return folder
