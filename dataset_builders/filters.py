"""Which interactions of a log a build uses at all: least interactions per user and item, least rating, date range.

Filters come before everything else: what they remove is in no history, is no target and no candidate, and counts as
never touched. They are stated in the report and in the card, because numbers on a filtered log cannot be compared with
those on the whole one.

The date range and the least rating look at each row by itself. The least numbers of interactions are then applied
together, again and again, until all of the remaining users and items have them: with the same number for both that is
the k-core of Seidman (1983).
"""

from collections.abc import Mapping
from typing import Any

import ibis
import ibis.expr.types as ir

from .build_options import BuildOptions
from .input_error import InputError
from .schema import EVENT, ITEM_ID, NOISE_EVENTS, REASON, TIMESTAMP, USER_ID, VALUE
from .tables.stored_tables import Tables, drop_stored, store

FILTERED_TABLE = "filtered_interactions"

OUTSIDE_DATES = "outside the date range"
UNRATED = "no rating"
LOW_RATING = "rating below the least"
TOO_FEW = "user or item with too few interactions"

_PAIRS = ("filter_pairs", "filter_pairs_left")


def keep_interactions(
    interactions: ir.Table, options: BuildOptions, connection: Tables
) -> tuple[ir.Table, dict[str, int]]:
    """Apply the filters of a build.

    Args:
        interactions (`ibis.Table`): The columns of `schema.INTERACTION_COLUMNS`, typed; further columns stay.
        options ([`BuildOptions`]): `since`, `until`, `min_value`, `min_user_interactions` and `min_item_interactions`
            are used.
        connection (`ibis.backends.duckdb.Backend` or [`Cluster`]): Where the table `FILTERED_TABLE` is stored.

    Returns:
        `tuple`: The interactions that are used, and how many rows were left out, by reason.

    Raises:
        InputError: Nothing is left.

    Example:
        >>> from datetime import datetime, timezone
        >>> times = [datetime(2024, 5, day, tzinfo=timezone.utc) for day in (1, 2, 3)]
        >>> rows = {"user_id": ["ann", "ann", "bob"], "item_id": ["x", "y", "x"], "event": ["rate"] * 3,
        ...     "value": [5.0, 2.0, 4.0], "timestamp": times}
        >>> kept, left_out = keep_interactions(ibis.memtable(rows), BuildOptions(min_value=3), ibis.duckdb.connect())
        >>> int(kept.count().execute()), left_out
        (2, {'rating below the least': 1})
    """
    judged = interactions.mutate(reason=_reason(interactions, options))
    judged = store("judged_by_filters", judged, connection)
    left_out = _count_by_reason(judged, connection)
    passed = judged.filter(judged[REASON].isnull()).drop(REASON)
    kept = store(FILTERED_TABLE, _with_enough(passed, options, connection), connection)
    lost = int(connection.execute(passed.count())) - int(connection.execute(kept.count()))
    left_out |= {TOO_FEW: lost} if lost else {}
    for name in ("judged_by_filters", *_PAIRS):
        drop_stored(name, connection)
    if not connection.execute(kept.filter(is_choice(kept)).count()):  # what was only shown can be no target
        raise InputError(f"The filters leave no interaction of this log: {_listed(left_out)}. Loosen them.")
    return kept, left_out


def _reason(rows: ir.Table, options: BuildOptions) -> ir.StringValue:
    """Why a row is left out, whatever the others are; null where it passes."""
    holds: dict[str, ir.BooleanValue] = {}
    bounds = [rows[TIMESTAMP] < options.since] if options.since is not None else []
    bounds += [rows[TIMESTAMP] >= options.until] if options.until is not None else []
    if bounds:
        holds[OUTSIDE_DATES] = bounds[0] if len(bounds) == 1 else bounds[0] | bounds[1]
    if options.min_value is not None:
        # What was only shown or started is not rated; it is never a target either.
        holds[UNRATED] = is_choice(rows) & rows[VALUE].isnull()
        holds[LOW_RATING] = is_choice(rows) & (rows[VALUE] < options.min_value)
    if not holds:
        return ibis.null("string")
    return ibis.cases(*((condition, reason) for reason, condition in holds.items()))


def _with_enough(rows: ir.Table, options: BuildOptions, connection: Tables) -> ir.Table:
    """The rows of users and of items that have enough interactions with one another.

    Counted are choices, and an item that a user chose again once: a thousand plays of one song say nothing of others.
    """
    asked = {USER_ID: options.min_user_interactions, ITEM_ID: options.min_item_interactions}
    least = {side: number for side, number in asked.items() if number is not None}
    if not least:
        return rows
    pairs = store(_PAIRS[0], rows.filter(is_choice(rows)).select(USER_ID, ITEM_ID).distinct(), connection)
    before, turn = -1, 0
    while (left := int(connection.execute(pairs.count()))) != before:
        before, turn = left, 1 - turn
        pairs = store(_PAIRS[turn], _pairs_with_enough(pairs, least), connection)
    for side in least:
        rows = rows.semi_join(pairs, side)
    return rows


def _pairs_with_enough(pairs: ir.Table, least: Mapping[str, int]) -> ir.Table:
    for side, number in least.items():
        counts = pairs.group_by(side).agg(chosen=pairs.count())
        pairs = pairs.semi_join(counts.filter(counts.chosen >= number), side)
    return pairs


def is_choice(events: ir.Table) -> ir.BooleanValue:
    """Whether an event is something the user chose, so that it can be a target and counts as popularity."""
    return events[EVENT].notin(NOISE_EVENTS)


def _count_by_reason(judged: ir.Table, connection: Tables) -> dict[str, int]:
    left_out = judged.filter(judged[REASON].notnull())
    counts = connection.execute(left_out.group_by(REASON).agg(rows=left_out.count()).order_by(REASON))
    return dict(zip(counts[REASON], map(int, counts["rows"]), strict=True))


def _listed(left_out: Mapping[str, Any]) -> str:
    return ", ".join(f"{reason} ({count})" for reason, count in left_out.items())
