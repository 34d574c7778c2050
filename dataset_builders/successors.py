"""Successors of an item: what users chose soon after it (item-to-item co-visitation), counted out of fold.

A pair is an item and one of the next choices of the same user, from training interactions only and without events that
say little about taste. `lift` is how often a pair came over how often popularity alone lets expect it, plus a
shrinkage of one: `count / (expected + 1)`, with `expected = pairs of the item * pairs of the successor / all pairs`.

What leaks: counts of a text about a training example must not hold what its own user did later, or the text names its
own target. So users are parted into folds by their hash; fold k is counted from everybody but the users of fold k, and
texts of training examples read the fold of their user. Fold -1 is counted from all users, for everybody else.
"""

from collections.abc import Generator

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from .build_options import BuildOptions
from .events import ITEM_KEY, POSITION, USER_KEY
from .filters import is_choice
from .schema import ALL_USERS, COUNT, FOLD, ITEM_ID, LIFT, RANK, SUCCESSOR_FEATURES, USER
from .tables.stored_tables import scratch_tables

SUCCESSOR_KEY = "successor_key"
_PAIR = [ITEM_KEY, SUCCESSOR_KEY]
_HEX_DIGITS = "0123456789abcdef"
_FOLD_DIGITS = 3  # 4,096 values: five folds of them differ by one


def fold_of(user: str, folds: int) -> int:
    """The fold of a user: the first three digits of the hash, modulo the number of folds.

    Args:
        user (`str`): The salted hash, as in `examples`.
        folds (`int`): How many there are.

    Example:
        >>> fold_of("00a3c19f5e02d871", 5)  # 0x00a = 10
        0
    """
    return int(user[:_FOLD_DIGITS], 16) % folds


def fold_to_read(user: str, split: str, folds: int) -> int:
    """The fold whose counts the text of an example may read: its user's own in training, else that of all users.

    Args:
        user (`str`): The salted hash, as in `examples`.
        split (`str`): `"train"`, `"validation"` or `"test"`.
        folds (`int`): How many folds there are.

    Example:
        >>> fold_to_read("00a3c19f5e02d871", "train", 5), fold_to_read("00a3c19f5e02d871", "test", 5)
        (0, -1)
    """
    return fold_of(user, folds) if split == "train" else ALL_USERS


def successor_tables(
    training: ir.Table, users: ir.Table, items: ir.Table, options: BuildOptions, connection: DuckDB
) -> Generator[ir.Table, None, None]:
    """The config `successors`, one table per fold, that of all users first.

    Args:
        training (`ibis.Table`): The training events.
        users (`ibis.Table`): `user_key` and `user`, the hash.
        items (`ibis.Table`): `item_key` and `item_id`.
        options ([`BuildOptions`]): `successor_window`, `successor_folds` and `num_successors` are used.
        connection (`ibis.backends.duckdb.Backend`): Where the counts are kept meanwhile.

    Yields:
        `ibis.Table`: Rows of `SUCCESSOR_FEATURES` of one fold, by item and rank; to be written before the next one.
    """
    with scratch_tables(connection, "of_successors") as keep:
        pairs = keep("pairs", count_pairs(training, users, options))
        of_item = keep("item", to_sums(pairs, ITEM_KEY, options))
        of_successor = keep("successor", to_sums(pairs, SUCCESSOR_KEY, options))
        for fold in (ALL_USERS, *range(options.successor_folds)):
            lifts = keep("lifts", to_lifts(pairs, of_item, of_successor, fold))
            ranked = to_ranked(_worth_sorting(lifts, options.num_successors), fold, options.num_successors)
            yield to_named(ranked, items).order_by(ITEM_KEY, RANK).select(*SUCCESSOR_FEATURES)


def count_pairs(training: ir.Table, users: ir.Table, options: BuildOptions) -> ir.Table:
    """How often users chose the second item of a pair soon after the first.

    Returns:
        `ibis.Table`: `item_key`, `successor_key`, and a count for each fold, named by `_column`: that of all users,
        and those without the users of one fold.
    """
    chosen = training.filter(is_choice(training)).select(USER_KEY, POSITION, ITEM_KEY)
    of_user = ibis.window(group_by=USER_KEY, order_by=POSITION)
    # Shifted copies side by side, not a join: the work is one sort, whatever the length of a user's past.
    later = ibis.array(
        [chosen[ITEM_KEY].lead(steps).over(of_user) for steps in range(1, options.successor_window + 1)]
    )
    pairs = chosen.mutate(later=later).select(USER_KEY, ITEM_KEY, successor_key=lambda row: row.later.unnest())
    pairs = pairs.filter(pairs[SUCCESSOR_KEY].notnull() & (pairs[SUCCESSOR_KEY] != pairs[ITEM_KEY]))
    pairs = pairs.join(users.select(USER_KEY, fold=_fold(users[USER], options.successor_folds)), USER_KEY)
    # All folds in one pass: there are far more pairs than items, and grouping them is most of the work.
    without = {_column(fold): pairs.count(where=pairs[FOLD] != fold) for fold in range(options.successor_folds)}
    return pairs.group_by(_PAIR).agg(**{_column(ALL_USERS): pairs.count()}, **without)


def _column(fold: int) -> str:
    """The counts that a fold reads."""
    return "of_all" if fold == ALL_USERS else f"without_{fold}"


def _fold(user: ir.StringValue, folds: int) -> ir.IntegerValue:
    """[`fold_of`] as an expression; digits are looked up, because engines read hexadecimal numbers differently."""
    digits = [ibis.literal(_HEX_DIGITS).find(user.substr(place, 1)) for place in range(_FOLD_DIGITS)]
    number = digits[0] * 256 + digits[1] * 16 + digits[2]
    return (number % folds).cast("int8")


def to_sums(pairs: ir.Table, key: str, options: BuildOptions) -> ir.Table:
    """All counts of an item's pairs, on one side of them."""
    columns = map(_column, (ALL_USERS, *range(options.successor_folds)))
    return pairs.group_by(key).agg(**{column: pairs[column].sum().cast("float64") for column in columns})


def to_lifts(pairs: ir.Table, of_item: ir.Table, of_successor: ir.Table, fold: int) -> ir.Table:
    """Counts and lifts of the pairs that a fold reads."""
    column = _column(fold)
    counted = pairs.select(*_PAIR, count=pairs[column]).filter(pairs[column] > 0)
    counted = counted.join(of_item.select(ITEM_KEY, from_item=of_item[column]), ITEM_KEY)
    counted = counted.join(of_successor.select(SUCCESSOR_KEY, to_successor=of_successor[column]), SUCCESSOR_KEY)
    counted = counted.cross_join(of_item.aggregate(all_pairs=of_item[column].sum()))
    expected = counted.from_item * counted.to_successor / counted.all_pairs
    return counted.select(*_PAIR, COUNT, lift=counted[COUNT] / (expected + 1))


def _worth_sorting(lifts: ir.Table, most: int) -> ir.Table:
    """The pairs but those below the last of their item's list, which are nearly all; they need no sorting."""
    least = lifts.group_by(ITEM_KEY).agg(least=_largest(lifts[LIFT], most).mins())
    pairs = lifts.join(least, ITEM_KEY)
    return pairs.filter(pairs[LIFT] >= pairs.least)


def to_ranked(pairs: ir.Table, fold: int, most: int) -> ir.Table:
    """The pairs of each item with the highest lift."""
    order = [pairs[LIFT].desc(), pairs[COUNT].desc(), pairs[SUCCESSOR_KEY]]
    pairs = pairs.mutate(rank=ibis.row_number().over(group_by=ITEM_KEY, order_by=order) + 1)
    return pairs.filter(pairs[RANK] <= most).mutate(fold=ibis.literal(fold, "int8"))


@ibis.udf.agg.builtin(name="max")
def _largest(value: float, how_many: int) -> list[float]:
    """The largest values of a group, by DuckDB's own function."""
    raise NotImplementedError


def to_named(ranked: ir.Table, items: ir.Table) -> ir.Table:
    """The columns of `SUCCESSOR_FEATURES` and `item_key`, by which rows are ordered."""
    named = ranked.join(items.select(ITEM_KEY, ITEM_ID), ITEM_KEY)
    named = named.join(items.select(successor_key=ITEM_KEY, successor_id=ITEM_ID), SUCCESSOR_KEY)
    typed = {RANK: "int16", COUNT: "int32", LIFT: "float32"}
    named = named.mutate(**{name: named[name].cast(kind) for name, kind in typed.items()})
    return named.select(ITEM_KEY, *SUCCESSOR_FEATURES)
