from datetime import datetime, timedelta, timezone

import pytest

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import to_split_log
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.interactions import canonicalize

LONG = [("long", f"m{place}", place) for place in range(1, 10)]  # nine interactions: positions 1 to 9
SHORT = [("short", f"m{place}", place) for place in range(1, 7)]  # six: one too few for min_history 5 and two targets


def targets_of(source, connection, options):
    split_log = to_split_log(canonicalize(source(connection), connection), options, connection)
    rows = split_log.targets.join(split_log.keyed.users, "user_key").execute()
    return {(row.user_id, row.position, row.split) for row in rows.itertuples()}, split_log


def test_leave_last_out_takes_the_last_two_and_earlier_ones_with_enough_past(make_source, connection):
    targets, _ = targets_of(make_source(LONG + SHORT), connection, BuildOptions(train_targets=99))
    assert targets == {("long", 9, "test"), ("long", 8, "validation"), ("long", 7, "train"), ("long", 6, "train")}


def test_seven_interactions_are_just_enough(make_source, connection):
    seven = [("u", f"m{place}", place) for place in range(7)]
    targets, _ = targets_of(make_source(seven), connection, BuildOptions(min_history=5))
    assert targets == {("u", 7, "test"), ("u", 6, "validation")}


@pytest.mark.parametrize(("records", "least"), [(8, 5), (7, 4), (6, 3), (5, 2), (4, 1), (3, 1)])
def test_the_least_history_is_fitted_to_a_log_of_short_users(make_source, connection, records, least):
    rows = [(user, f"{user}{place}", place) for user in ("u", "v") for place in range(records)]
    targets, split_log = targets_of(make_source(rows), connection, BuildOptions())
    assert split_log.options.min_history == least
    assert {split for _, _, split in targets} == (
        {"test", "validation", "train"} if records > 3 else {"test", "validation"}
    )


def test_the_least_history_serves_half_of_the_users(make_source, connection):
    rows = [(user, f"{user}{place}", place) for user, size in (("u", 7), ("v", 5), ("w", 5)) for place in range(size)]
    targets, split_log = targets_of(make_source(rows), connection, BuildOptions())
    assert split_log.options.min_history == 2
    assert {user for user, _, split in targets if split == "train"} == {"u", "v", "w"}


@pytest.mark.parametrize(("rows", "asked", "least"), [(LONG + SHORT, None, 5), (LONG, 7, 7)])
def test_a_log_that_is_long_enough_or_a_number_of_the_user_stays_as_it_is(make_source, connection, rows, asked, least):
    _, split_log = targets_of(make_source(rows), connection, BuildOptions(min_history=asked))
    assert split_log.options.min_history == least


@pytest.mark.parametrize("train_targets", [0, 1])
def test_train_targets_bounds_the_training_examples_of_a_user(make_source, connection, train_targets):
    targets, _ = targets_of(make_source(LONG), connection, BuildOptions(train_targets=train_targets))
    assert sum(split == "train" for _, _, split in targets) == train_targets


def test_noise_events_are_in_the_past_but_never_a_target(make_source, connection):
    trailer = LONG[-1]
    source = make_source(LONG, events={trailer: "trailer"})
    targets, split_log = targets_of(source, connection, BuildOptions(train_targets=0))
    assert targets == {("long", 8, "test"), ("long", 7, "validation")}
    assert split_log.keyed.events.count().execute() == 9


def test_training_events_end_before_the_validation_target(make_source, connection):
    _, split_log = targets_of(make_source(LONG + SHORT), connection, BuildOptions())
    rows = split_log.training.join(split_log.keyed.users, "user_key").execute()
    assert sorted(rows[rows.user_id == "long"].position) == [1, 2, 3, 4, 5, 6, 7]
    assert sorted(rows[rows.user_id == "short"].position) == [1, 2, 3, 4, 5, 6]  # too short to hold anything out


def test_temporal_cuts_at_the_given_times(make_source, connection):
    start = datetime(2024, 1, 1, tzinfo=timezone.utc)
    cuts = (start + timedelta(hours=7), start + timedelta(hours=8))  # interactions 7 and 8 begin the later periods
    options = BuildOptions(protocol="temporal", cuts=cuts, train_targets=99)
    targets, split_log = targets_of(make_source(LONG), connection, options)
    assert targets == {("long", 6, "train"), ("long", 7, "validation"), ("long", 8, "test")}
    assert sorted(split_log.training.execute().position) == [1, 2, 3, 4, 5, 6]


def test_cuts_outside_the_log_or_in_the_wrong_order_are_told(make_source, connection):
    year = [datetime(year, 1, 1, tzinfo=timezone.utc) for year in (2030, 2031)]
    with pytest.raises(InputError, match=r"cut times 2030-01-01 and 2031-01-01 .* runs from 2024-01-01 to 2024-01-01"):
        targets_of(make_source(LONG), connection, BuildOptions(protocol="temporal", cuts=tuple(year)))
    with pytest.raises(InputError, match=r"'cuts' is 2031-01-01,2030-01-01; expected an earlier and a later time"):
        BuildOptions(protocol="temporal", cuts=tuple(reversed(year)))


def test_temporal_cuts_default_to_quantiles(make_source, connection, crowd):
    _, split_log = targets_of(make_source(crowd), connection, BuildOptions(protocol="temporal"))
    before = split_log.training.count().execute() / len(set(crowd))
    assert split_log.cuts[0] < split_log.cuts[1]
    assert 0.7 < before < 0.85


def test_a_log_without_any_test_target_is_an_input_error(make_source, connection):
    with pytest.raises(InputError, match=r"No user of this log has a test target .*needs 7 interactions: 5 before"):
        targets_of(make_source(SHORT), connection, BuildOptions(min_history=5))


def test_ties_are_not_broken_by_item_id(make_source, connection):
    rows = [(f"u{user}", f"m{place:02d}", 0) for user in range(20) for place in range(10)]  # all at one instant
    _, split_log = targets_of(make_source(rows), connection, BuildOptions())
    events = split_log.keyed.events.join(split_log.keyed.items, "item_key").execute().sort_values("position")
    orders = {tuple(group.source_item_id) for _, group in events.groupby("user_key")}
    assert len(orders) == 20  # every user has an order of their own


@pytest.mark.parametrize(
    "wrong", [{"history": 0}, {"num_candidates": 101}, {"seed": -1}, {"protocol": "random"}, {"candidates": "easy"}]
)
def test_options_out_of_range_name_what_was_expected(wrong):
    with pytest.raises(InputError, match=f"Build option '{next(iter(wrong))}' is .*expected"):
        BuildOptions(**wrong)
