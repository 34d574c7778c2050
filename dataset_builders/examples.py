"""Examples (history, candidates, target) as one Ibis expression over the keyed log.

A history is cut out of a window: each user's events are collected in blocks of `history` records, and a target's
history is in its own block and the one before. So no list is ever longer than two blocks, and a user with ten
million events costs no more than ten million events of many users.
"""

import ibis
import ibis.expr.types as ir

from .build_options import BuildOptions
from .events import ITEM_KEY, POSITION, USER_KEY, WORK_KEY, KeyedLog
from .schema import (
    EXAMPLE_FEATURES,
    HISTORY,
    ITEM_ID,
    RECORD_FEATURES,
    TITLE,
    USER,
)
from .splits import SPLIT
from .tables.seeded_draws import draw, in_drawn_order

BLOCK = "block"
RECORDS = "records"
_EXAMPLE = [USER_KEY, POSITION]


def to_decisions(log: KeyedLog, targets: ir.Table, drawn: ir.Table, options: BuildOptions) -> ir.Table:
    """Everything of an example but its history.

    Args:
        log ([`KeyedLog`]): The keyed log.
        targets (`ibis.Table`): As `to_targets` returns them.
        drawn (`ibis.Table`): As `draw_candidates` returns them.
        options ([`BuildOptions`]): `num_candidates` and `seed` are used.

    Returns:
        `ibis.Table`: The columns of `EXAMPLE_FEATURES` but `history`, and `split`, `user_key` and `position`. Targets
        with fewer than `num_candidates` candidates are left out.
    """
    candidates = to_candidate_lists(log, targets, drawn, options)
    first_touch = log.events.semi_join(targets, [USER_KEY, WORK_KEY])
    first_touch = first_touch.group_by([USER_KEY, WORK_KEY]).agg(first_position=first_touch[POSITION].min())
    joined = targets.join(candidates, _EXAMPLE).join(first_touch, [USER_KEY, WORK_KEY])
    joined = joined.join(log.users.select(USER_KEY, USER), USER_KEY)
    joined = joined.join(log.items.select(ITEM_KEY, ITEM_ID), ITEM_KEY)
    decisions = joined.mutate(
        example_id=joined[USER] + "-" + joined[POSITION].cast("string"),
        target=joined[ITEM_ID],
        target_index=joined.candidates.map(lambda candidate: candidate[ITEM_ID]).index(joined[ITEM_ID]).cast("int8"),
        is_discovery=joined.first_position == joined[POSITION],
    )
    return decisions.select(*_EXAMPLE, SPLIT, *(column for column in EXAMPLE_FEATURES if column != HISTORY))


def to_examples(decisions: ir.Table, windows: ir.Table, length: int) -> ir.Table:
    """Give each decision its history: the last `length` records before it, oldest first.

    Args:
        decisions (`ibis.Table`): As `to_decisions` returns them.
        windows (`ibis.Table`): As `to_windows` returns them, with the same `length`.
        length (`int`): Most records of a history.

    Returns:
        `ibis.Table`: The columns of `decisions` and `history`.
    """
    wanted = decisions.mutate(block=_block(decisions[POSITION], length))
    # The windows are the probing side, so that no list of records has to go through a hash table.
    both = windows.join(wanted, [USER_KEY, BLOCK])
    first = ibis.greatest(both[BLOCK] - 1, 0) * length + 1  # position of the first record of the window
    both = both.mutate(low=ibis.greatest(both[POSITION] - length - first, 0), high=both[POSITION] - first)
    return both.mutate(history=both[RECORDS][both.low : both.high]).select(*decisions.columns, HISTORY)


def to_windows(log: KeyedLog, targets: ir.Table, length: int) -> ir.Table:
    """Each user's events as history records, two blocks at a time: every history lies whole within one window.

    Args:
        log ([`KeyedLog`]): The keyed log.
        targets (`ibis.Table`): As `to_targets` returns them; blocks that no history reaches are left out.
        length (`int`): Records of a block; the most of a history.

    Returns:
        `ibis.Table`: `user_key`, `block` (from 0), `records` (list of struct, oldest first): those of the block
        before, if there is one, and then its own.
    """
    blocks = to_blocks(log, targets, length)
    before = blocks.select(USER_KEY, block=blocks[BLOCK] + 1, older=blocks[RECORDS])
    both = blocks.left_join(before, [USER_KEY, BLOCK])
    records = ibis.coalesce(both.older.concat(both[RECORDS]), both[RECORDS])
    return both.select(USER_KEY, BLOCK, records=records)


def to_blocks(log: KeyedLog, targets: ir.Table, length: int) -> ir.Table:
    """The events that histories are cut from, as records in blocks of `length`.

    Returns:
        `ibis.Table`: `user_key`, `block` (from 0), `records` (list of struct, oldest first).
    """
    own = targets.select(USER_KEY, block=_block(targets[POSITION], length))
    reached = own.union(own.mutate(block=(own[BLOCK] - 1).cast("int32"))).distinct()
    events = log.events.mutate(block=_block(log.events[POSITION], length)).semi_join(reached, [USER_KEY, BLOCK])
    named = events.join(log.items.select(ITEM_KEY, ITEM_ID, TITLE), ITEM_KEY)
    record = ibis.struct({name: named[name] for name in RECORD_FEATURES})
    named = named.select(USER_KEY, POSITION, BLOCK, record=record)
    return named.group_by([USER_KEY, BLOCK]).agg(
        # Without include_null each record would be asked whether it is one.
        records=named.record.collect(order_by=named[POSITION], include_null=True)
    )


def to_candidate_lists(log: KeyedLog, targets: ir.Table, drawn: ir.Table, options: BuildOptions) -> ir.Table:
    """Each target among its candidates, in an order drawn by seed.

    Returns:
        `ibis.Table`: `user_key`, `position`, `candidates`; full sets only.
    """
    rows = drawn.union(targets.select(*_EXAMPLE, ITEM_KEY))
    chance = draw(options.seed + 4, rows[USER_KEY], rows[POSITION], rows[ITEM_KEY])
    placed = rows.mutate(chance=in_drawn_order(chance, rows[ITEM_KEY])).join(
        log.items.select(ITEM_KEY, ITEM_ID, TITLE), ITEM_KEY
    )
    candidate = ibis.struct({ITEM_ID: placed[ITEM_ID], TITLE: placed[TITLE]})
    placed = placed.select(*_EXAMPLE, "chance", candidate=candidate)
    lists = placed.group_by(_EXAMPLE).agg(
        candidates=placed.candidate.collect(order_by=placed.chance, include_null=True),
        count=placed.count(),
    )
    return lists.filter(lists["count"] == options.num_candidates).drop("count")


def _block(position: ir.IntegerValue, length: int) -> ir.IntegerValue:
    return ((position - 1) // length).cast("int32")
