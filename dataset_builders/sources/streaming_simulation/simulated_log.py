"""The simulation as a source: accounts are simulated in groups, and each group is appended to DuckDB as numbers.

A group always holds the same number of accounts and draws from a stream of its own, so that neither memory nor the log
of the first accounts depends on how many others there are.
"""

from collections.abc import Sequence
from datetime import timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
from ibis.backends.duckdb import Backend as DuckDB

from ...raw_log import LogLicense, RawLog
from ...schema import (
    DEVICE,
    DURATION,
    EVENT,
    ITEM_ID,
    SOURCE_FILE,
    SOURCE_ROW,
    TIMESTAMP,
    USER_ID,
)
from ...tables.stored_tables import drop_stored
from .catalogue import (
    ITEM_ID_PREFIX,
    TAG_NAMES,
    Catalogue,
    make_catalogue,
)
from .households import Households, draw_households
from .invented_words import DEVICES
from .noise import EVENTS, KINDS
from .records import Records, draw_records, number_episodes
from .sessions import Sessions, draw_sessions
from .simulation_config import PERIOD_DAYS, SimulationConfig

LICENSE = LogLicense(
    "apache-2.0",
    redistributable=True,
    notice="Invented by logs2lang: no person, film or series in it is real. Use and share it freely.",
)

GROUP_ACCOUNTS = 500
_RECORDS, _TASTES = "simulated_records", "simulated_tastes"
_LOGGED = (USER_ID, ITEM_ID, TIMESTAMP, EVENT, DURATION, DEVICE)
_RECORD_TRUTH = (USER_ID, ITEM_ID, TIMESTAMP, EVENT, "noise_kind", "person", "season", "episode")


def read_streaming_simulation(connection: DuckDB, config: SimulationConfig = SimulationConfig()) -> RawLog:  # noqa: B008
    """Simulate the log of a streaming service, and keep its truth aside.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the tables are stored; an earlier simulation is replaced.
        config ([`SimulationConfig`], *optional*): What the service is like.

    Returns:
        [`RawLog`]: With the `truth` tables `records` (every record: `noise_kind`, null when genuine; `person`;
        `season` and `episode`), `tastes` (per person and period of 30 days: `share`, `since`, `log_normaliser` and
        `taste`, one number per tag), `tags` (their order) and `works` (`log_popularity`). `generative_model.md`
        explains them.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from logs2lang.dataset_builders.raw_log import connect
        >>> with TemporaryDirectory() as folder:
        ...     raw = read_streaming_simulation(connect(folder), SimulationConfig(events=500, accounts=10))
        ...     int(raw.interactions.user_id.nunique().execute())
        10
    """
    catalogue = make_catalogue(config, _stream(config, 0))
    for table in (_RECORDS, _TASTES):
        drop_stored(table, connection)
    num_records = 0
    for first in range(0, config.accounts, GROUP_ACCOUNTS):
        records, tastes = _simulate_group(config, catalogue, first)
        rows = np.arange(num_records + 1, num_records + len(records) + 1)
        _append(_RECORDS, records.append_column(SOURCE_ROW, pa.array(rows)), connection)
        _append(_TASTES, tastes, connection)
        num_records += len(records)
    named = _named_records(connection.table(_RECORDS))
    return RawLog(
        name="streaming-simulation",
        interactions=named.select(*_LOGGED, SOURCE_FILE, SOURCE_ROW),
        items=ibis.memtable(catalogue.to_items()),
        rejected=None,
        time_format="iso",
        license=LICENSE,
        truth={
            "records": named.mutate(**_season_and_episode(named, catalogue)).select(*_RECORD_TRUTH),
            "tastes": _named_tastes(connection.table(_TASTES), config),
            "tags": ibis.memtable({"tag": TAG_NAMES, "position": range(len(TAG_NAMES))}),
            "works": ibis.memtable(catalogue.to_works()),
        },
    )


def _stream(config: SimulationConfig, group: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(group,)))


def _simulate_group(config: SimulationConfig, catalogue: Catalogue, first: int) -> tuple[pa.Table, pa.Table]:
    """Records and tastes of the accounts from `first` on."""
    rng = _stream(config, 1 + first // GROUP_ACCOUNTS)
    # Always a full group, so that no account's log depends on how many accounts there are.
    households = draw_households(config, GROUP_ACCOUNTS, rng)
    sessions, log_normalisers = draw_sessions(config, catalogue, households, rng)
    records = draw_records(config, catalogue, sessions, rng)
    rows = _record_rows(config, records, sessions, number_episodes(records, sessions, catalogue))
    tastes = _taste_rows(households, log_normalisers)
    return _of_accounts(rows, first, config.accounts), _of_accounts(tastes, first, config.accounts)


def _of_accounts(table: pa.Table, first: int, accounts: int) -> pa.Table:
    numbers = table["account"].to_numpy() + first
    named = table.set_column(table.column_names.index("account"), "account", pa.array(numbers))
    return named.filter(pa.array(numbers < accounts))


def _record_rows(config: SimulationConfig, records: Records, sessions: Sessions, episode: np.ndarray) -> pa.Table:
    """One row per record; names and kinds as small numbers, which `_named_records` spells out."""
    start_us = int(config.start.timestamp()) * 1_000_000
    return pa.table(
        {
            "account": sessions.account[records.session].astype(np.int32),
            "work": records.work.astype(np.int32),
            TIMESTAMP: pa.array(start_us + records.time_s * 1_000_000).cast(pa.timestamp("us", "UTC")),
            "kind": records.kind.astype(np.int8),
            DURATION: records.duration_s.astype(np.float32),
            "device_number": sessions.device[records.session].astype(np.int8),
            "person": (sessions.person >= GROUP_ACCOUNTS)[records.session].astype(np.int8),
            "number": pa.array(episode.astype(np.int16), mask=episode < 0),
        }
    )


def _taste_rows(households: Households, log_normalisers: np.ndarray) -> pa.Table:
    """One row per person and period."""
    people, periods, tags = households.tastes.shape
    is_second = np.arange(people) >= GROUP_ACCOUNTS
    return pa.table(
        {
            "account": np.repeat(households.account, periods).astype(np.int32),
            "person": np.repeat(is_second.astype(np.int8), periods),
            "share": np.repeat(households.share, periods),
            "period": np.tile(np.arange(periods, dtype=np.int16), people),
            "log_normaliser": log_normalisers.ravel(),
            "taste": pa.FixedSizeListArray.from_arrays(households.tastes.ravel(), tags).cast(pa.list_(pa.float32())),
        }
    )


def _append(name: str, rows: pa.Table, connection: DuckDB) -> None:
    connection.con.register("simulated_group", rows)
    connection.raw_sql(f"CREATE TABLE IF NOT EXISTS {name} AS SELECT * FROM simulated_group LIMIT 0")
    connection.raw_sql(f"INSERT INTO {name} SELECT * FROM simulated_group")
    connection.con.unregister("simulated_group")


def _named_records(records: ir.Table) -> ir.Table:
    return records.mutate(
        user_id=_account_id(records.account),
        item_id=ibis.literal(ITEM_ID_PREFIX) + records.work.cast("string"),
        event=_spelled(records.kind, EVENTS),
        noise_kind=_spelled(records.kind, KINDS),
        device=_spelled(records.device_number, DEVICES),
        source_file=ibis.literal("streaming_simulation"),
    )


def _named_tastes(tastes: ir.Table, config: SimulationConfig) -> ir.Table:
    starts = [config.start + timedelta(days=PERIOD_DAYS * period) for period in range(config.periods)]
    periods = ibis.memtable({"period": range(config.periods), "since": starts})
    periods = periods.select(period=periods.period.cast("int16"), since=periods.since.cast("timestamp('UTC', 6)"))
    named = tastes.mutate(user_id=_account_id(tastes.account)).join(periods, "period")
    return named.select(USER_ID, "person", "period", "since", "share", "log_normaliser", "taste")


def _season_and_episode(records: ir.Table, catalogue: Catalogue) -> dict[str, ir.Value]:
    per_season = _spelled(records.work, catalogue.episodes.tolist())
    return {"season": records.number // per_season + 1, "episode": records.number % per_season + 1}


def _account_id(account: ir.IntegerValue) -> ir.StringValue:
    return ibis.literal("account-") + account.cast("string")


def _spelled(number: ir.IntegerValue, names: Sequence[str | int | None]) -> ir.Value:
    """The entry of `names` that each number stands for."""
    return ibis.array(list(names))[number]
