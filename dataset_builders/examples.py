"""Examples (history, candidates, target) as one Ibis expression over the keyed log.

A history is cut out of blocks: each user's events are collected in blocks of `history` records, and a target's history
lies in its own block and the one before. So no list is ever longer than a block, and a user with ten million events
costs no more than ten million events of many users.
"""

import ibis
import ibis.expr.types as ir

from dataset_builders.build_options import BuildOptions
from dataset_builders.events import ITEM_KEY, POSITION, USER_KEY, WORK_KEY, KeyedLog
from dataset_builders.schema import (
    EXAMPLE_FEATURES,
    ITEM_ID,
    RECORD_FEATURES,
    TITLE,
    USER,
)
from dataset_builders.seeded_draws import draw
from dataset_builders.splits import SPLIT

BLOCK = "block"
_EXAMPLE = [USER_KEY, POSITION]


def to_examples(
    log: KeyedLog, targets: ir.Table, blocks: ir.Table, drawn: ir.Table, options: BuildOptions
) -> ir.Table:
    """Join targets, histories and candidates into the table of examples.

    Args:
        log ([`KeyedLog`]): The keyed log.
        targets (`ibis.Table`): As `to_targets` returns them.
        blocks (`ibis.Table`): As `to_blocks` returns them.
        drawn (`ibis.Table`): As `draw_candidates` returns them.
        options ([`BuildOptions`]): `history`, `num_candidates` and `seed` are used.

    Returns:
        `ibis.Table`: The columns of `EXAMPLE_FEATURES` and `split`, ordered by user hash and position. Targets with
        fewer than `num_candidates` candidates are left out.
    """
    histories = to_histories(targets, blocks, options.history)
    candidates = to_candidate_lists(log, targets, drawn, options)
    first_touch = log.events.group_by([USER_KEY, WORK_KEY]).agg(first_position=log.events[POSITION].min())
    joined = targets.join(histories, _EXAMPLE).join(candidates, _EXAMPLE).join(first_touch, [USER_KEY, WORK_KEY])
    joined = joined.join(log.users.select(USER_KEY, USER), USER_KEY)
    joined = joined.join(log.items.select(ITEM_KEY, ITEM_ID), ITEM_KEY)
    examples = joined.mutate(
        example_id=joined[USER] + "-" + joined[POSITION].cast("string"),
        target=joined[ITEM_ID],
        is_discovery=joined.first_position == joined[POSITION],
    )
    return examples.order_by(_EXAMPLE).select(*EXAMPLE_FEATURES, SPLIT)


def to_blocks(log: KeyedLog, length: int) -> ir.Table:
    """Each user's events as history records, in blocks of `length`.

    Returns:
        `ibis.Table`: `user_key`, `block` (from 0), `records` (list of struct, oldest first).
    """
    named = log.events.join(log.items.select(ITEM_KEY, ITEM_ID, TITLE), ITEM_KEY)
    record = ibis.struct({name: named[name] for name in RECORD_FEATURES})
    named = named.select(USER_KEY, POSITION, block=_block(named[POSITION], length), record=record)
    return named.group_by([USER_KEY, BLOCK]).agg(records=named.record.collect(order_by=named[POSITION]))


def to_histories(targets: ir.Table, blocks: ir.Table, length: int) -> ir.Table:
    """The last `length` records before each target, oldest first.

    Args:
        targets (`ibis.Table`): As `to_targets` returns them.
        blocks (`ibis.Table`): As `to_blocks` returns them, with the same `length`.

    Returns:
        `ibis.Table`: `user_key`, `position`, `history`.
    """
    own_block = _block(targets[POSITION], length)
    place = targets[POSITION] - 1 - own_block * length  # records of the target's own block that precede it
    wanted = targets.select(*_EXAMPLE, block=own_block, place=place)
    own = wanted.join(blocks, [USER_KEY, BLOCK]).select(*_EXAMPLE, BLOCK, "place", newer=ibis._.records)
    before = blocks.select(USER_KEY, block=blocks[BLOCK] + 1, older=blocks.records)
    both = own.left_join(before, [USER_KEY, BLOCK])
    both = both.select(*_EXAMPLE, newer=both.newer[: both.place], older=both.older[both.place :])
    return both.select(*_EXAMPLE, history=ibis.coalesce(both.older.concat(both.newer), both.newer))


def to_candidate_lists(log: KeyedLog, targets: ir.Table, drawn: ir.Table, options: BuildOptions) -> ir.Table:
    """Each target among its candidates, in an order drawn by seed.

    Returns:
        `ibis.Table`: `user_key`, `position`, `candidates`, `target_index`; full sets only.
    """
    rows = drawn.mutate(is_target=False).union(targets.select(*_EXAMPLE, ITEM_KEY).mutate(is_target=True))
    chance = draw(options.seed + 4, rows[USER_KEY], rows[POSITION], rows[ITEM_KEY])
    place = ibis.row_number().over(group_by=_EXAMPLE, order_by=[chance, ITEM_KEY])
    placed = rows.mutate(place=place).join(log.items.select(ITEM_KEY, ITEM_ID, TITLE), ITEM_KEY)
    candidate = ibis.struct({ITEM_ID: placed[ITEM_ID], TITLE: placed[TITLE]})
    lists = placed.mutate(candidate=candidate).group_by(_EXAMPLE)
    lists = lists.agg(
        candidates=ibis._.candidate.collect(order_by=ibis._.place),
        target_index=ibis._.place.max(where=ibis._.is_target).cast("int8"),
        complete=ibis._.count() == options.num_candidates,
    )
    return lists.filter(lists.complete).drop("complete")


def _block(position: ir.IntegerValue, length: int) -> ir.IntegerValue:
    return ((position - 1) // length).cast("int32")
