"""The candidates of an example: the target, and items the user never touched that were already in the log.

`popularity` draws them in proportion to how many users had the item in training, plus one, so that popularity is not
a shortcut and an item that nobody chose in training can be a candidate, as it can be a target. Drawn by the counts
alone, one target in twenty of MovieTweetings was the only candidate without a count. `uniform` gives every item of the
log the same chance; `impressions` takes what the service showed the user last.

An item is available from its first interaction on. Items are drawn without replacement, one after another. Most
examples are served by a fixed number of quick draws from which touched and repeated items are struck out; those that
run short draw again for some turns, and the few that are still short are served by an exponential race over all
remaining items (Efraimidis and Spirakis, 2006), which has the same distribution.
"""

from dataclasses import dataclass
from math import ceil

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from .build_options import BuildOptions
from .events import FIRST_SEEN, ITEM_KEY, POSITION, USER_KEY, WORK_KEY, KeyedLog
from .filters import is_choice
from .schema import NUM_CANDIDATES, TIMESTAMP
from .tables.seeded_draws import PRIME, draw
from .tables.stored_tables import store

FEW_DRAWS, MANY_DRAWS = 12, 24
"""For ten candidates: most examples are served by few draws, nearly all of the others by these and some more. More
candidates take as many times more draws."""

LONGEST_LINE = 100_000_000
"""Slots of a line that is kept in memory, 12 bytes each; in a longer one only the first slot of each item is."""

WEIGHT = "weight"
_EXAMPLE = [USER_KEY, POSITION]


@dataclass(frozen=True)
class CandidatePool:
    """What candidates are drawn from.

    Args:
        weights (`ibis.Table`): `item_key`, `work_key`, `first_seen`, `weight` (int64): how likely an item is, and
            since when it is in the log.
        line (`ibis.Table`): `slot`, `item_key`, `work_key`: the items side by side, in the order they came into the
            log, each as long as its weight. What is available at a moment is then a prefix of the line.
        every_slot (`bool`): Whether `line` has all slots, or only the first of each item.
    """

    weights: ir.Table
    line: ir.Table
    every_slot: bool

    def hit(self, draws: ir.Table) -> ir.Table:
        """Draws, by their `slot`, with the item that they hit."""
        if self.every_slot:
            return draws.join(self.line, "slot")
        return draws.asof_join(self.line, draws.slot >= self.line.slot)


def to_pool(log: KeyedLog, training: ir.Table, options: BuildOptions, connection: DuckDB) -> CandidatePool:
    """Weigh every item of the log.

    Args:
        log ([`KeyedLog`]): For the first interaction of each item, in any split.
        training (`ibis.Table`): The training events, for the counts.
        options ([`BuildOptions`]): `candidates` is used.
        connection (`ibis.backends.duckdb.Backend`): Where the pool is kept.

    Returns:
        [`CandidatePool`]: Its weights are one more than the number of users who chose an item in training, or 1 for
            `uniform`.
    """
    return lined_up(store("weights", to_weights(log, training, options), connection), connection)


def lined_up(weights: ir.Table, connection: DuckDB) -> CandidatePool:
    """The pool of some weights, its line stored on the connection."""
    so_far = _exact_sum(weights[WEIGHT]).over(order_by=[FIRST_SEEN, ITEM_KEY], rows=(None, 0))
    ends = weights.mutate(end=so_far.cast("int64"))
    first, total = ends.end - ends[WEIGHT], connection.execute(weights[WEIGHT].sum().fill_null(0))
    every_slot = int(total) <= LONGEST_LINE
    slot = ibis.range(first, ends.end).unnest() if every_slot else first
    line = store("line", ends.select(ITEM_KEY, WORK_KEY, slot=slot), connection)
    return CandidatePool(weights, line, every_slot)


def to_weights(log: KeyedLog, training: ir.Table, options: BuildOptions) -> ir.Table:
    """The table `weights` of a pool."""
    seen = log.events.group_by([ITEM_KEY, WORK_KEY]).agg(first_seen=log.events[TIMESTAMP].min())
    if options.candidates == "uniform":
        return seen.mutate(weight=ibis.literal(1, "int64"))
    chosen = training.filter(is_choice(training))
    counts = chosen.group_by(ITEM_KEY).agg(chosen=chosen[USER_KEY].nunique())
    counted = seen.left_join(counts, ITEM_KEY)
    return counted.select(ITEM_KEY, WORK_KEY, FIRST_SEEN, weight=counted.chosen.fill_null(0) + 1)


def draw_candidates(log: KeyedLog, targets: ir.Table, pool: CandidatePool, options: BuildOptions) -> ir.Table:
    """The items that stand beside each target.

    Args:
        log ([`KeyedLog`]): For what each user touched and was shown.
        targets (`ibis.Table`): As `to_targets` returns them.
        pool ([`CandidatePool`]): As `to_pool` returns it.
        options ([`BuildOptions`]): `candidates`, `num_candidates` and `seed` are used.

    Returns:
        `ibis.Table`: `user_key`, `position` (together the example) and `item_key`; at most `num_candidates - 1` rows
        per example, fewer when the catalogue has no more that the user never touched.
    """
    others = options.num_candidates - 1
    if options.candidates == "impressions":
        return _first(_shown_last(log, targets), others, ["order", ITEM_KEY])
    return _drawn(log, targets, pool, others, options.seed)


def _shown_last(log: KeyedLog, targets: ir.Table) -> ir.Table:
    shown = targets.select(*_EXAMPLE, moment=TIMESTAMP).join(log.impressions, USER_KEY)
    shown = _untouched(shown.filter(shown[TIMESTAMP] <= shown.moment), log)
    shown = shown.group_by([*_EXAMPLE, ITEM_KEY]).agg(last=shown[TIMESTAMP].max())
    return shown.mutate(order=-shown.last.epoch_seconds())


def _drawn(log: KeyedLog, targets: ir.Table, pool: CandidatePool, others: int, seed: int) -> ir.Table:
    targets = _with_available_weight(targets, pool.weights)
    times = max(1, ceil(others / (NUM_CANDIDATES - 1)))
    few_draws, many_draws = times * FEW_DRAWS, times * MANY_DRAWS
    few = _quick_draws(log, targets, pool, few_draws, seed)
    left = targets.anti_join(_served(few, others), _EXAMPLE)
    many = _quick_draws(log, left, pool, many_draws, seed)
    last = left.anti_join(_served(many, others), _EXAMPLE)
    race = _race(log, last, pool.weights, seed).anti_join(many, [*_EXAMPLE, ITEM_KEY])
    slow = many.mutate(order=(many.turn - many_draws).cast("float64")).drop("turn").union(race)
    return _first(few.anti_join(left, _EXAMPLE), others, "turn").union(_first(slow, others, ["order", ITEM_KEY]))


def _first(ranked: ir.Table, count: int, order: str | list[str]) -> ir.Table:
    """The first rows of each example."""
    place = ibis.row_number().over(group_by=_EXAMPLE, order_by=order)
    return ranked.filter(place < count).select(*_EXAMPLE, ITEM_KEY)


def _served(drawn: ir.Table, others: int) -> ir.Table:
    """The examples that were drawn enough items."""
    counts = drawn.group_by(_EXAMPLE).agg(served=drawn.count())
    return counts.filter(counts.served >= others)


def _quick_draws(log: KeyedLog, targets: ir.Table, pool: CandidatePool, turns: int, seed: int) -> ir.Table:
    """So many draws with replacement per example; the first draw of each untouched item counts."""
    draws = targets.select(*_EXAMPLE, "available", turn=ibis.range(0, turns).unnest().cast("int64"))
    chance = draw(seed + 2, draws[USER_KEY], draws[POSITION], draws.turn)
    draws = draws.mutate(slot=(chance * draws.available) // PRIME)
    hits = _untouched(pool.hit(draws).select(*_EXAMPLE, "turn", ITEM_KEY, WORK_KEY), log)
    return hits.group_by([*_EXAMPLE, ITEM_KEY]).agg(turn=hits.turn.min())


def _with_available_weight(targets: ir.Table, weights: ir.Table) -> ir.Table:
    """Add the total weight of the items that are in the log at each target's moment."""
    arrivals = weights.select(
        user_key=ibis.null("int32"), position=ibis.null("int32"), moment=FIRST_SEEN, weight=WEIGHT
    )
    moments = targets.select(*_EXAMPLE, moment=TIMESTAMP, weight=ibis.literal(0, "int64"))
    timeline = arrivals.union(moments)
    so_far = _exact_sum(timeline.weight).over(order_by="moment", range=(None, 0))
    timeline = timeline.mutate(available=so_far.cast("int64"))
    return timeline.filter(timeline[USER_KEY].notnull()).select(*_EXAMPLE, "moment", "available")


def _race(log: KeyedLog, targets: ir.Table, weights: ir.Table, seed: int) -> ir.Table:
    """Every untouched, available item of an example and its arrival time: exponential, its weight the rate."""
    pairs = targets.select(*_EXAMPLE, "moment").join(weights, ibis._.moment >= weights[FIRST_SEEN])
    pairs = _untouched(pairs, log)
    chance = (draw(seed + 3, pairs[USER_KEY], pairs[POSITION], pairs[ITEM_KEY]) + 1) / PRIME
    return pairs.select(*_EXAMPLE, ITEM_KEY, order=-chance.ln() / pairs[WEIGHT])


def _untouched(pairs: ir.Table, log: KeyedLog) -> ir.Table:
    return pairs.anti_join(log.events.select(USER_KEY, WORK_KEY), [USER_KEY, WORK_KEY])


def _exact_sum(counts: ir.IntegerValue) -> ir.FloatingValue:
    # DuckDB sums 64-bit integers into 128 bits, which `range` does not take; doubles are exact up to 2**53.
    return counts.cast("float64").sum()
