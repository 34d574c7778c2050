"""OTTO: what visitors of a web shop clicked, put into their cart and ordered, a session per line."""

from pathlib import Path

from ibis.backends.duckdb import Backend as DuckDB

from ..raw_log import LogLicense, RawLog
from ..schema import EVENT, ITEM_ID, TIMESTAMP, USER_ID
from .nested_events import explode_events
from .official_files import find_files, read_named, require_columns, select_columns

WHAT = "OTTO"
LICENSE = LogLicense(
    "cc-by-4.0", redistributable=True, notice="OTTO Recommender Systems Dataset, Otto GmbH & Co KG, under CC BY 4.0."
)
HOMEPAGE = "https://github.com/otto-de/recsys-dataset"
CITATION = """@online{normann2022ottodataset,
  author = {Philipp Normann and Sophie Baumeister and Timo Wilm},
  title = {OTTO Recommender Systems Dataset: A real-world e-commerce dataset for session-based recommender systems
    research},
  date = {2022-11-01}
}"""

FILES = ("otto-recsys-train.jsonl", "train.jsonl", "otto-recsys-*.jsonl", "*.jsonl")
_EVENTS = {"clicks": "click", "carts": "cart", "orders": "order"}
_COLUMNS = {USER_ID: "session", ITEM_ID: "aid", TIMESTAMP: "ts", EVENT: "type"}


def read_otto(connection: DuckDB, *, folder: str | Path) -> RawLog:
    """Read the sessions of OTTO.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        folder (`str` or `Path`): Where `otto-recsys-train.jsonl` lies. The official test sessions are cut off at a
            moment, so they are read only where there is no file of training sessions.

    Returns:
        [`RawLog`]: One event `click`, `cart` or `order` per event of a session; a session is all that one visitor
        did, and stands for a user. There is no catalogue: ids serve as titles.

    Raises:
        InputError: The folder does not hold the files.
    """
    paths = find_files(folder, FILES, WHAT)
    sessions = read_named(connection, "otto_sessions", paths)
    require_columns(sessions, ("session", "events"), WHAT)
    events = explode_events(connection, "otto_sessions", sessions, ["events"])
    read = select_columns(events, _COLUMNS, WHAT)
    kind = read.rows[EVENT]
    rows = read.rows.mutate(event=kind.cases(*_EVENTS.items(), else_=kind))
    return RawLog(
        "otto",
        rows,
        None,
        read.rejected,
        "milliseconds",
        LICENSE,
        HOMEPAGE,
        CITATION,
        notes=sessions.notes,
        counted=read.counted,
    )
