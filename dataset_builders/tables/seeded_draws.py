"""Chance as a column: draws that depend on a seed and on keys, never on row order, thread or engine.

Plain integer arithmetic, so that DuckDB and Spark compute the same numbers.
"""

import ibis.expr.types as ir

PRIME = 2**31 - 1
"""Draws are integers in `[0, PRIME)`: a product of two of them still fits in 64 bits."""

_MULTIPLIERS = (48271, 69621, 40692, 39373)  # primitive roots modulo PRIME (L'Ecuyer, 1988)


def draw(seed: int, *keys: ir.IntegerValue) -> ir.IntegerValue:
    """A pseudo-random integer for each combination of keys.

    Args:
        seed (`int`): Another seed gives other draws.
        keys (`ibis.IntegerColumn`): Non-negative integer columns below 2**31; at most four.

    Returns:
        `ibis.IntegerColumn`: Uniform on `[0, 2**31 - 1)`.

    Example:
        >>> import ibis
        >>> numbers = ibis.memtable({"user": [1, 2], "item": [7, 7]})
        >>> numbers.select(draw=draw(0, numbers.user, numbers.item)).execute()["draw"].nunique()
        2
    """
    state = keys[0].cast("int64") * 0 + (seed % PRIME) + 1
    for multiplier, key in zip(_MULTIPLIERS, keys, strict=False):
        state = (state * multiplier + key.cast("int64") + 1) % PRIME
        state = state * (state + multiplier) % PRIME  # squaring breaks the lattice of a linear generator
    state = (state * state + 16807) % PRIME
    return (state * 16807 + seed) % PRIME


def in_drawn_order(drawn: ir.IntegerValue, key: ir.IntegerValue) -> ir.IntegerValue:
    """Draws and, where two are equal, keys, as one integer to order by.

    One column is sorted faster than two; and where only the first rows of a group are asked for, DuckDB finds them
    without any sorting, but for one column alone.

    Args:
        drawn (`ibis.IntegerColumn`): As `draw` returns them.
        key (`ibis.IntegerColumn`): Non-negative and below 2**31.

    Example:
        >>> import ibis
        >>> rows = ibis.memtable({"drawn": [1, 1, 0], "key": [3, 2, 9]})
        >>> rows.order_by(in_drawn_order(rows.drawn, rows.key)).execute()["key"].tolist()
        [9, 2, 3]
    """
    return drawn * 2**31 + key
