"""Invariants that every built dataset must meet, and what candidates give away by their counts.

A violated invariant is an error of this program, never of the log. What counts give away depends on the log: it is
measured, reported and written in the card.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import pandas as pd
import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend as DuckDB

from .build_options import BuildOptions
from .dataset_folder.export import QUARANTINE_FILE
from .filters import is_choice
from .schema import (
    CANDIDATES,
    EXAMPLE_ID,
    HISTORY,
    IS_DISCOVERY,
    ITEM_ID,
    TARGET,
    TARGET_INDEX,
    TIMESTAMP,
    USER,
)


def violations(examples: ir.Table, options: BuildOptions) -> dict[str, int]:
    """Count the rows of `examples` that break an invariant.

    Args:
        examples (`ibis.Table`): The columns of `EXAMPLE_FEATURES`, of all splits.
        options ([`BuildOptions`]): What the examples were built with.

    Returns:
        `dict[str, int]`: For each invariant the number of rows that break it; all zero in a right build.
    """
    candidates = examples[CANDIDATES].map(lambda candidate: candidate[ITEM_ID])
    touched = examples[HISTORY].map(lambda record: record[ITEM_ID])
    times = examples[HISTORY].map(lambda record: record[TIMESTAMP])
    newest = times[times.length() - 1]
    others = candidates.filter(lambda item: item != examples[TARGET])
    broken = {
        "candidates are not distinct": candidates.unique().length() != options.num_candidates,
        "target is not at target_index": candidates[examples[TARGET_INDEX].cast("int64")] != examples[TARGET],
        "a candidate besides the target was touched": others.intersect(touched).length() > 0,
        "history is longer than allowed": touched.length() > options.history,
        "history is shorter than allowed": touched.length() < min(options.least_history, options.history),
        "history is not in order of time": times != times.sort(),
        "history goes past the target": newest > examples[TIMESTAMP],
        "discovery target stands in the history": examples[IS_DISCOVERY] & touched.contains(examples[TARGET]),
    }
    counts = examples.aggregate(
        **{f"n{place}": rule.sum().fill_null(0) for place, rule in enumerate(broken.values())},
        repeated=examples.count() - examples[EXAMPLE_ID].nunique(),
    )
    row = counts.execute().iloc[0]
    found = {name: int(row[f"n{place}"]) for place, name in enumerate(broken)}
    return {**found, "example_id is not unique": int(row["repeated"])}


def check_examples(folder: Path, options: BuildOptions, connection: DuckDB) -> None:
    """Check the examples that a build wrote.

    Args:
        folder (`Path`): The dataset folder.
        options ([`BuildOptions`]): What it was built with.
        connection (`ibis.backends.duckdb.Backend`): Any open connection.

    Raises:
        RuntimeError: An invariant does not hold; the message names it and counts the rows.
    """
    refuse_broken(count_broken(folder, options, connection, connection.read_parquet(str(folder / "items/*.parquet"))))


def count_broken(folder: Path, options: BuildOptions, connection: DuckDB, items: ir.Table) -> dict[str, int]:
    """For each invariant the number of rows of `examples` and `interactions` that break it."""
    tables = {name: connection.read_parquet(str(folder / name / "*.parquet")) for name in ("interactions", "examples")}
    used = tables["interactions"].select(ITEM_ID).union(tables["examples"].select(item_id=TARGET))
    strays = int(used.anti_join(items, ITEM_ID).count().execute())
    return {**violations(tables["examples"], options), "item_id is not in the catalogue": strays}


def refuse_broken(counts: Mapping[str, int]) -> None:
    """Stop where any row breaks an invariant; `counts` are as [`count_broken`] returns them."""
    broken = {name: count for name, count in counts.items() if count}
    if broken:
        raise RuntimeError(
            f"The built examples violate a check: {broken}. This is a bug in logs2lang; please report it."
        )


def to_choices(interactions: ir.Table, user: str = USER) -> ir.Table:
    """How many users chose each item in training: `item_id` and `chosen`.

    Args:
        interactions (`ibis.Table`): Training interactions, with the columns `item_id` and `event`.
        user (`str`, *optional*, defaults to `"user"`): The column that tells users apart.
    """
    chosen = interactions.filter(is_choice(interactions))
    return chosen.group_by(ITEM_ID).agg(chosen=chosen[user].nunique())


def count_rules(folder: Path, connection: DuckDB, choices: ir.Table | None = None) -> dict[str, Any]:
    """How often rules that look at training counts alone find the targets of the test split.

    A candidate list gives its target away where such a rule does better than the popularity baseline. Where a rule
    cannot decide between several candidates, it is credited with its share.

    Args:
        folder (`Path`): The dataset folder, with the configs `examples` and `interactions`.
        connection (`ibis.backends.duckdb.Backend`): Any open connection.
        choices (`ibis.Table`, *optional*): As `to_choices` counts them, on that connection; by default it is asked of
            the config `interactions`.

    Returns:
        `dict`: `examples`; the hit rates of `most_counted` (the popularity baseline), `least_counted` and
        `only_uncounted` (the only candidate that nobody chose in training, else a guess), in [0, 1]; and
        `beats_popularity`: the rules that do better than it by more than three standard errors of their difference.
    """
    examples = connection.read_parquet(str(folder / "examples" / "test-*.parquet"))
    if choices is None:
        choices = to_choices(connection.read_parquet(str(folder / "interactions" / "*.parquet")))
    shown = examples.select(EXAMPLE_ID, TARGET, candidate=examples[CANDIDATES].unnest())
    shown = shown.mutate(item_id=shown.candidate[ITEM_ID]).left_join(choices, ITEM_ID)
    shown = shown.select(
        EXAMPLE_ID, chosen=shown.chosen.fill_null(0), is_target=shown[ITEM_ID] == shown[TARGET]
    ).mutate(
        most=lambda row: row.chosen.max().over(group_by=EXAMPLE_ID),
        least=lambda row: row.chosen.min().over(group_by=EXAMPLE_ID),
    )
    rows = shown.group_by(EXAMPLE_ID).agg(
        all=shown.count(),
        at_most=(shown.chosen == shown.most).sum(),
        at_least=(shown.chosen == shown.least).sum(),
        uncounted=(shown.chosen == 0).sum(),
        **{name: shown[name].max(where=shown.is_target) for name in ("chosen", "most", "least")},
    )
    frame = rows.order_by(EXAMPLE_ID).execute()  # in one order, so that sums are the same to the last bit
    most = (frame["chosen"] == frame["most"]) / frame["at_most"]
    others = {
        "least_counted": (frame["chosen"] == frame["least"]) / frame["at_least"],
        "only_uncounted": (frame["chosen"] == 0).where(frame["uncounted"] == 1, 1 / frame["all"]).astype(float),
    }
    beating = [name for name, hits in others.items() if len(frame) > 1 and _exceeds(hits - most)]
    rates = {"most_counted": most, **others}
    return {
        "examples": len(frame),
        **{name: float(hits.mean()) if len(frame) else None for name, hits in rates.items()},
        "beats_popularity": beating,
    }


def _exceeds(differences: pd.Series) -> bool:
    """Whether a mean difference is above 0 by more than three of its standard errors."""
    return float(differences.mean()) > 3 * float(differences.std()) / len(differences) ** 0.5


def check_accounting(folder: Path, counts: Mapping[str, Any], kept: int) -> None:
    """Check at the end of a build that every input row is in it, was merged or filtered, or is in quarantine on disk.

    Args:
        folder (`Path`): The dataset folder.
        counts (`dict`): As `CanonicalLog.counts`.
        kept (`int`): Interactions that the build really worked on, impressions included.

    Raises:
        RuntimeError: Rows were lost or doubled on the way; the message says how many.
    """
    aside = pq.read_metadata(folder / QUARANTINE_FILE).num_rows
    filtered = counts.get("filtered", 0)
    lost = counts["input_rows"] - kept - counts["merged_duplicates"] - aside - filtered
    if lost:
        raise RuntimeError(
            f"Of {counts['input_rows']} input rows {kept} are in the build, {counts['merged_duplicates']} were "
            f"merged, {filtered} were filtered and {aside} are in quarantine: {lost} are missing. This is a bug in "
            "logs2lang; please report it."
        )
