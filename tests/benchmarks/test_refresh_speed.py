"""What it costs to keep 100,000 texts up to date where 1% of the users did something, against writing all of them.

Reading the log is apart: whoever finds what changed has to read it. The verbalizer is the fastest there is, so that
the share of looking is the largest. All by processor time. Run with `make bench`.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import write_histories
from logs2lang.dataset_builders.dataset_folder.stored_histories import NewestHistories
from logs2lang.dataset_builders.events import key_log
from logs2lang.dataset_builders.raw_log import connect
from logs2lang.stores.opening import open_store
from logs2lang.stores.refreshing import Refresher, to_revision
from logs2lang.verbalizers.template import TemplateVerbalizer

USERS, RECORDS, ITEMS = 100_000, 100, 5_000
CHANGED = USERS // 100


def build_histories(folder: Path, more: int) -> NewestHistories:
    """The histories of a log in which so many users did one more thing than the others."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    users = np.r_[np.repeat(np.arange(USERS), RECORDS), rng.choice(USERS, CHANGED, replace=False)[:more]]
    seconds = 10**9 + np.arange(len(users)) % RECORDS * 86_400 + users
    seconds[USERS * RECORDS :] += 365 * 86_400
    log = pa.table(
        {
            "user_id": pa.array(users.astype(str)),
            "item_id": pa.array(rng.integers(0, ITEMS, USERS * RECORDS + CHANGED)[: len(users)].astype(str)),
            "timestamp": pa.array(seconds * 10**6).cast(pa.timestamp("us", "UTC")),
            "event": pa.array(["play"] * len(users)),
            "duration_s": pa.nulls(len(users), pa.float32()),
            "value": pa.nulls(len(users), pa.float32()),
            "device": pa.nulls(len(users), pa.string()),
        }
    )
    items = pa.table(
        {
            "item_id": [str(item) for item in range(ITEMS)],
            "title": [f"The story of number {item}" for item in range(ITEMS)],
            "year": pa.nulls(ITEMS, pa.int16()),
            "tags": pa.array([["Drama"]] * ITEMS),
            "series": pa.nulls(ITEMS, pa.string()),
            "description": pa.nulls(ITEMS, pa.string()),
        }
    )
    for name, table in (("log", log), ("catalogue", items)):
        pq.write_table(table, folder / f"{name}.parquet")
    connection = connect(folder)
    tables = (connection.read_parquet(folder / f"{name}.parquet") for name in ("log", "catalogue"))
    write_histories(key_log(*tables, BuildOptions(), connection), folder, BuildOptions(), connection)
    connection.disconnect()
    return NewestHistories(folder)


def seconds_of(work: Callable[[], object]) -> tuple[float, object]:
    before = time.process_time()
    found = work()
    return time.process_time() - before, found


def test_refreshing_one_percent_costs_three_percent_and_reading(tmp_path, capsys):
    yesterday = build_histories(tmp_path / "yesterday", 0)
    today = build_histories(tmp_path / "today", CHANGED)
    verbalizer = TemplateVerbalizer()
    revision = to_revision("template", verbalizer)
    with open_store(str(tmp_path / "texts")) as store:
        all_s, first = seconds_of(Refresher(yesterday, verbalizer, revision, store).run)
    reading_s, _ = seconds_of(lambda: pq.read_table(tmp_path / "today" / "histories"))
    with open_store(str(tmp_path / "texts")) as store:  # as a new process would find it
        changed_s, second = seconds_of(Refresher(today, verbalizer, revision, store).run)
    with capsys.disabled():
        share = (changed_s - reading_s) / all_s
        print(
            f"\n{USERS:,} users of {RECORDS} records: writing all {all_s:.1f} s, reading {reading_s:.2f} s,", end=" "
        )
        print(f"refreshing {second.written:,} users {changed_s:.2f} s: {share:.1%} of writing all, beside reading")
    assert (first.written, second.written) == (USERS, CHANGED)
    assert changed_s <= 0.03 * all_s + reading_s
