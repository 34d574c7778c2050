"""Building examples against a straightforward pandas implementation, with the same rows out, and a plot of both."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import pandas as pd
import pyarrow.parquet as pq
from build_speed_log import build_examples, movielens_like_log
from matplotlib.figure import Figure
from plain_pandas import plain_examples

from logs2lang.dataset_builders.build_options import BuildOptions

SIZES = (30_000, 100_000, 300_000, 1_000_000)
LEAST_SPEEDUP = 10
PLOT = Path(__file__).with_name("pandas_speed.svg")


def test_ten_times_faster_than_pandas_with_the_same_rows(tmp_path, capsys):
    seconds = []
    for size in SIZES:
        seconds.append(_build_both(size, tmp_path / str(size)))
        with capsys.disabled():
            ours, theirs = seconds[-1]
            print(f"\n{size:>9,} interactions: {ours:6.1f} s, pandas {theirs:6.1f} s, {theirs / ours:.0f} times")
    _plot(*zip(*seconds, strict=True))
    ours, theirs = seconds[-1]
    assert theirs / ours >= LEAST_SPEEDUP


def _build_both(size: int, folder: Path) -> tuple[float, float]:
    """Seconds of our build and of the one in pandas, whose rows must be equal."""
    folder.mkdir()
    movielens_like_log(folder, size)
    ours = _seconds(partial(build_examples, folder, folder / "dataset"))
    log, items = pd.read_parquet(folder / "interactions.parquet"), pd.read_parquet(folder / "items.parquet")
    rows: list[dict] = []
    theirs = _seconds(lambda: rows.extend(plain_examples(log, items, BuildOptions())))
    assert _by_id(rows) == _by_id(pq.read_table(folder / "dataset" / "examples").to_pylist())
    return ours, theirs


def _seconds(work) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def _by_id(rows: list[dict]) -> dict[str, tuple]:
    """What must be equal, by example: history, candidates in order, target, and whether it was a discovery."""
    return {
        row["example_id"]: (
            tuple((record["timestamp"].timestamp(), record["item_id"], record["event"]) for record in row["history"]),
            tuple((item["item_id"], item["title"]) for item in row["candidates"]),
            row["target"],
            row["target_index"],
            row["is_discovery"],
        )
        for row in rows
    }


def _plot(ours: Sequence[float], theirs: Sequence[float]) -> None:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log", xlabel="interactions", ylabel="seconds")
    axes.plot(SIZES, theirs, "s--", color="#E69F00", label="straightforward pandas")
    axes.plot(SIZES, ours, "o-", color="#0072B2", label="logs2lang")
    axes.set_title("From interactions to examples, the same rows")
    axes.legend()
    figure.savefig(PLOT, metadata={"Date": None})
