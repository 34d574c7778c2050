"""Which interaction is a train, validation or test target, and which interactions a model may be fitted on.

`leave_last_out`: the last interaction of a user is the test target, the second last the validation target, and
earlier ones are training targets. Other users' later interactions remain in train, so popularity leaks from the
future: a film that becomes a hit next month is already a hit in the counts.

A user is long enough with `min_history` + 2 choices: that many before the validation target, then the validation and
the test target. With one more the user gives training targets too.

`temporal`: two cut times for everybody. Before the first is training; a user's first interaction between the cuts is
the validation target, the first after the second cut the test target. Nothing after a cut is known before it. Users
who are not active after a cut have no target there.

Impressions are never targets, and neither are events that say little about taste (`schema.NOISE_EVENTS`).
"""

from datetime import datetime, timezone

import ibis
import ibis.expr.types as ir

from .build_options import BuildOptions
from .events import POSITION, USER_KEY
from .filters import is_choice
from .schema import TIMESTAMP
from .tables.counted_quantiles import quantiles
from .tables.seeded_draws import draw, in_drawn_order

SPLIT = "split"
_FROM_END = "from_end"


def to_targets(events: ir.Table, options: BuildOptions, cuts: tuple[datetime, datetime] | None) -> ir.Table:
    """The interactions that examples ask for.

    Args:
        events (`ibis.Table`): As `key_log` numbers them.
        options ([`BuildOptions`]): `protocol`, `min_history`, `train_targets` and `seed` are used.
        cuts (`tuple[datetime, datetime]` or `None`): End of training and of validation, for `temporal`.

    Returns:
        `ibis.Table`: Rows of `events` with the column `split`.
    """
    choices = events.filter(is_choice(events)).select(USER_KEY, POSITION, TIMESTAMP)
    held_out, training = _last_two(choices, options) if cuts is None else _after_cuts(choices, options, cuts)
    training = training.filter(training[POSITION] > options.least_history)
    # A column first: an expression inside a window would be computed for every comparison.
    chance = draw(options.seed + 1, training[USER_KEY], training[POSITION])
    training = training.mutate(chance=in_drawn_order(chance, training[POSITION]))
    place = ibis.row_number().over(group_by=USER_KEY, order_by="chance")
    drawn = training.filter(place < options.train_targets).select(USER_KEY, POSITION, split=ibis.literal("train"))
    return held_out.select(USER_KEY, POSITION, SPLIT).union(drawn).join(events, [USER_KEY, POSITION])


def length_rule(protocol: str, min_history: int) -> str:
    """How long is long enough, in one sentence.

    Example:
        >>> length_rule("leave_last_out", 5)
        'A user needs 7 interactions: 5 before the validation target, that target, and the test target. Training ...'
        >>> length_rule("temporal", 5)
        'A user needs 5 interactions before a target; a target is the first interaction after a cut, or one before ...'
    """
    if protocol == "temporal":
        return (
            f"A user needs {min_history} interactions before a target; a target is the first interaction after a "
            "cut, or one before the first cut."
        )
    return (
        f"A user needs {min_history + 2} interactions: {min_history} before the validation target, that target, and "
        f"the test target. Training needs {min_history + 3}."
    )


def fitting_history(events: ir.Table, options: BuildOptions) -> int:
    """The least number of interactions before a target that a log allows, where the user does not say it.

    Args:
        events (`ibis.Table`): As `key_log` numbers them.
        options ([`BuildOptions`]): `protocol` and `min_history` are used.

    Returns:
        `int`: What `options` say, or 5. Where no user is long enough then to give a target of each split, fewer: as
        many as half of the users with three choices or more have before the last but two.
    """
    least = options.least_history
    if options.min_history is not None or options.protocol == "temporal":
        return least
    choices = events.filter(is_choice(events)).select(USER_KEY, POSITION)
    from_end = ibis.row_number().over(group_by=USER_KEY, order_by=ibis.desc(POSITION))
    third_last = choices.mutate(from_end=from_end).filter(lambda row: row[_FROM_END] == 2)
    before = third_last.mutate(before=third_last[POSITION] - 1).filter(lambda row: row.before >= 1).before
    found = ibis.struct({"most": before.max(), "half": before.quantile(0.5)})
    facts = events.get_backend().to_pyarrow(found).as_py()
    if facts["most"] is None or facts["most"] >= least:
        return least if facts["most"] is not None else 1
    return max(1, min(int(facts["half"]), least))


def training_events(events: ir.Table, targets: ir.Table, cuts: tuple[datetime, datetime] | None) -> ir.Table:
    """The interactions that baselines, candidate counts and language models may be fitted on.

    With `leave_last_out` these are a user's interactions before the validation target (all of them for a user who is
    too short for one), with `temporal` all before the first cut.
    """
    if cuts is not None:
        return events.filter(events[TIMESTAMP] < cuts[0])
    held_out = targets.filter(targets[SPLIT] == "validation").select(USER_KEY, held_out=POSITION)
    joined = events.left_join(held_out, USER_KEY)
    return joined.filter(joined.held_out.isnull() | (joined[POSITION] < joined.held_out)).select(*events.columns)


def cut_times(events: ir.Table, options: BuildOptions) -> tuple[datetime, datetime] | None:
    """The cut times of a temporal split: those given, else the 80% and 90% quantiles; `None` without such a split."""
    if options.protocol != "temporal" or options.cuts is not None:
        return options.cuts
    by_second = events.select(second=events[TIMESTAMP].epoch_seconds()).group_by("second")
    counts = by_second.agg(events=lambda rows: rows.count()).order_by("second").to_pyarrow()
    found = quantiles(counts["second"].to_numpy(), counts["events"].to_numpy(), (0.8, 0.9))
    return tuple(datetime.fromtimestamp(int(second), timezone.utc) for second in found)  # type: ignore[return-value]


def _last_two(choices: ir.Table, options: BuildOptions) -> tuple[ir.Table, ir.Table]:
    """Each user's last two choices, and all the earlier ones of the users who have such a pair."""
    last = choices.group_by(USER_KEY).agg(position=choices[POSITION].max())
    earlier = choices.join(last.rename(end=POSITION), USER_KEY).filter(lambda row: row[POSITION] < row.end)
    second_last = earlier.group_by(USER_KEY).agg(position=earlier[POSITION].max())
    second_last = second_last.filter(second_last[POSITION] > options.least_history)
    test, validation = last.semi_join(second_last, USER_KEY), second_last
    held_out = ibis.union(test.mutate(split=ibis.literal("test")), validation.mutate(split=ibis.literal("validation")))
    training = choices.join(validation.rename(end=POSITION), USER_KEY).filter(lambda row: row[POSITION] < row.end)
    return held_out, training.select(USER_KEY, POSITION)


def _after_cuts(
    choices: ir.Table, options: BuildOptions, cuts: tuple[datetime, datetime]
) -> tuple[ir.Table, ir.Table]:
    """Each user's first choice after each cut, and all choices before the first."""
    later = choices.filter((choices[TIMESTAMP] >= cuts[0]) & (choices[POSITION] > options.least_history))
    later = later.mutate(split=(later[TIMESTAMP] < cuts[1]).ifelse("validation", "test"))
    first = later.group_by([USER_KEY, SPLIT]).agg(position=later[POSITION].min())
    return first, choices.filter(choices[TIMESTAMP] < cuts[0]).select(USER_KEY, POSITION)
