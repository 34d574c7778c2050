"""A text that is a copy of the log names no title that the log does not hold, whatever the source of the log."""

from collections.abc import Callable
from pathlib import Path

import pytest
from ibis.backends.duckdb import Backend as DuckDB

from logs2lang.dataset_builders.interactions import canonicalize
from logs2lang.dataset_builders.prompting.prompts import template_text
from logs2lang.dataset_builders.raw_log import RawLog, connect
from logs2lang.dataset_builders.sources.movielens import read_movielens
from logs2lang.dataset_builders.sources.movietweetings import read_movietweetings
from logs2lang.dataset_builders.sources.streaming_simulation import SimulationConfig, read_streaming_simulation
from logs2lang.dataset_builders.sources.tabular import read_tabular
from logs2lang.dataset_builders.sources.viewing_history import read_viewing_history
from logs2lang.evaluation.row_measures import TextJudge, text_measures

EXPORTS = Path(__file__).parents[2] / "dataset_builders" / "sources" / "viewing_history" / "exports"

# Films that are called like what stands in dates, clock times, ratings and durations, and like events.
FILMS = ("10", "21", "42", "2012", "300", "9", "1917", "rate", "rating", "play", "Value", "Phone", "Heat")
TIME = 1_353_529_921  # 2012-11-21 20:32:01


def of_tabular(connection: DuckDB, folder: Path) -> RawLog:
    catalogue = "".join(f"x{place},{title},1990\n" for place, title in enumerate(FILMS))
    (folder / "items.csv").write_text("item_id,title,year\n" + catalogue)
    rows = [
        f"u{user},x{(place + user) % len(FILMS)},{TIME + 3600 * place},{place},{60 * place},Phone\n"
        for user in range(3)
        for place in range(10)
    ]
    (folder / "log.csv").write_text("user_id,item_id,timestamp,value,duration_s,device\n" + "".join(rows))
    return read_tabular(connection, str(folder / "log.csv"), items=str(folder / "items.csv"))


def of_movielens(connection: DuckDB, folder: Path) -> RawLog:
    films = "".join(f"{place},{title} (1990),Drama\n" for place, title in enumerate(FILMS))
    (folder / "movies.csv").write_text("movieId,title,genres\n" + films)
    ratings = "".join(f"1,{place},4.0,{TIME + place}\n" for place in range(0, len(FILMS), 2))
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + ratings)
    return read_movielens(connection, variant="latest-small", folder=folder)


def of_movietweetings(connection: DuckDB, folder: Path) -> RawLog:
    (folder / "movies.dat").write_text(
        "".join(f"{place}::{title} (1990)::Drama\n" for place, title in enumerate(FILMS))
    )
    rated = range(0, len(FILMS), 2)
    (folder / "ratings.dat").write_text("".join(f"1::{place}::10::{TIME + place}\n" for place in rated))
    return read_movietweetings(connection, folder=folder)


def of_simulation(connection: DuckDB, folder: Path) -> RawLog:
    return read_streaming_simulation(connection, SimulationConfig(events=2_000, accounts=20))


def of_netflix(connection: DuckDB, folder: Path) -> RawLog:
    return read_viewing_history(connection, EXPORTS / "netflix")


def of_letterboxd(connection: DuckDB, folder: Path) -> RawLog:
    return read_viewing_history(connection, EXPORTS / "letterboxd")


SOURCES = [of_tabular, of_movielens, of_movietweetings, of_simulation, of_netflix, of_letterboxd]


@pytest.mark.parametrize("read", SOURCES)
def test_a_copy_of_the_log_has_a_rate_of_exactly_zero(tmp_path, read: Callable[[DuckDB, Path], RawLog]):
    connection = connect(tmp_path)
    log = canonicalize(read(connection, tmp_path), connection)
    items = {row["item_id"]: row for row in log.items.to_pyarrow().to_pylist()}
    histories: dict[str, list[dict]] = {}
    for row in log.interactions.order_by("timestamp", "item_id").to_pyarrow().to_pylist():
        histories.setdefault(row["user_id"], []).append({**row, "title": items[row["item_id"]]["title"]})
    judge = TextJudge(items, lambda texts, **_: {"input_ids": [text.split() for text in texts]})
    judged = judge([*histories.values()], [template_text(history) for history in histories.values()])
    assert text_measures(judged)["unsupported_title_rate"] == 0
    assert judged["named_titles"].sum() >= sum(map(len, histories.values())) / 2  # found, in their fields
