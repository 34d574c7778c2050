"""What a source hands over, and the DuckDB connection that all tables of one build live on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from .tables.parquet_scan import ParquetScan

TIME_FORMATS = ("auto", "seconds", "milliseconds", "microseconds", "nanoseconds", "iso", "spreadsheet")
"""How times may be written, by name; any other way is a format of `strptime`, such as `%d.%m.%Y %H:%M`."""


@dataclass(frozen=True)
class LogLicense:
    """Under which terms a log may be used; copied into the dataset card.

    Args:
        name (`str`): Identifier as the Hub spells it (`"mit"`, `"other"`, ...).
        redistributable (`bool`): Whether rows of the log may be published. `logs2lang publish` obeys it.
        notice (`str`): One sentence on what the terms ask for.
    """

    name: str
    redistributable: bool
    notice: str


@dataclass(frozen=True)
class RawLog:
    """A log as its files say it, nothing judged yet. `canonicalize` turns it into interactions and items.

    Args:
        name (`str`): Name of the dataset, such as `"movielens-100k"`.
        interactions (`ibis.Table`): At least `user_id`, `item_id`, `timestamp`; of the other interaction columns those
            the log has; each as text or already typed. Plus `source_file` (str) and `source_row` (int64, from 1):
            where the row stands, and `source_place` (int64, from 1) where rows hold several events.
        items (`ibis.Table` or `None`): At least `item_id`; `title`, `year`, `tags` (list of str), `series` and
            `description` where the catalogue has them. `None` when the log comes without a catalogue.
        rejected (`ibis.Table` or `None`): Input rows the reader itself could not read: `source_file`, `source_row`,
            `raw` (the row's text), `reason`.
        rejected_items (`ibis.Table` or `None`): The same for rows of the catalogue.
        counted (`int` or `None`): How many rows the files of the log hold, counted apart from what parsed them;
            `None` where nothing was counted.
        counted_items (`int` or `None`): The same for the catalogue.
        time_format (`str`): How `timestamp` is written when it is text or a number: a unit since 1970, `"iso"`,
            `"spreadsheet"` (days since 1899-12-30), a format of `strptime`, or `"auto"` to tell from the values.
        order (`str`): `"time"`, or `"file"` for a log without times, whose records stand in their order in the file;
            its `timestamp` is `schema.NO_TIME` throughout.
        scan ([`ParquetScan`] or `None`): The files whose rows `interactions` reads, where nothing of them is stored.
        duration_unit (`str`): What `duration_s` counts, before it becomes seconds: `"ms"`, `"s"`, `"min"` or `"h"`.
        license ([`LogLicense`]): Terms of the log.
        homepage (`str`): Where the log is described.
        citation (`str`): BibTeX, or an empty string.
        truth (`dict[str, ibis.Table]`): What only a simulator knows (which events are noise, what a user likes), by
            name. Exported beside the dataset with the same opaque ids, and read by evaluation alone.
        notes (`tuple[str, ...]`): What the reader had to assume, a sentence each; shown with the counts.
    """

    name: str
    interactions: ir.Table
    items: ir.Table | None
    rejected: ir.Table | None
    time_format: str
    license: LogLicense
    homepage: str = ""
    citation: str = ""
    truth: Mapping[str, ir.Table] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rejected_items: ir.Table | None = None
    counted: int | None = None
    counted_items: int | None = None
    order: Literal["time", "file"] = "time"
    duration_unit: str = "s"
    scan: ParquetScan | None = None


def own_license(name: str, redistributable: bool) -> LogLicense:
    """The terms that somebody gives a log of their own.

    Args:
        name (`str`): As the Hub spells licences, such as `"cc-by-4.0"` or `"mit"`.
        redistributable (`bool`): Whether its rows may be published.

    Example:
        >>> own_license("cc-by-4.0", redistributable=True).redistributable
        True
    """
    return LogLicense(name, redistributable, notice=f"The owner of the log released it under the licence {name}.")


OWN_LOG = LogLicense("other", redistributable=False, notice="Your own log; it is yours to license.")


def connect(folder: str | Path, *, threads: int | None = None, memory_limit: str = "3GB") -> DuckDB:
    """Open the DuckDB database that one build works in.

    Args:
        folder (`str` or `Path`): A temporary folder; tables larger than memory are spilled there.
        threads (`int`, *optional*): Worker threads; all cores when `None`. The result never depends on it.
        memory_limit (`str`, *optional*, defaults to `"3GB"`): What DuckDB may hold in memory.

    Returns:
        `ibis.backends.duckdb.Backend`: The connection; pass it to a source and onwards.
    """
    connection = ibis.duckdb.connect(
        Path(folder) / "build.duckdb", temp_directory=str(Path(folder) / "spill"), memory_limit=memory_limit
    )
    connection.raw_sql("SET TimeZone = 'UTC'")
    if threads is not None:
        connection.raw_sql(f"SET threads = {int(threads)}")
    return connection
