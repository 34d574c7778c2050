from collections import Counter

import pytest

from logs2lang.dataset_builders import candidates
from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import to_split_log
from logs2lang.dataset_builders.candidates import draw_candidates, to_pool
from logs2lang.dataset_builders.interactions import canonicalize
from logs2lang.dataset_builders.raw_log import connect


def drawn_by_example(source, connection, options):
    """For each example its user, its moment, and the source ids of what was drawn beside the target."""
    log = to_split_log(canonicalize(source(connection), connection), options, connection)
    pool = to_pool(log.keyed, log.training, options, connection)
    drawn = draw_candidates(log.keyed, log.targets, pool, options).join(log.keyed.items, "item_key")
    moments = log.targets.select("user_key", "position", "timestamp").join(log.keyed.users, "user_key")
    frame = drawn.join(moments, ["user_key", "position"]).execute()
    return {
        (user, position): (group.timestamp.iloc[0], set(group.source_item_id))
        for (user, position), group in frame.groupby(["user_id", "position"])
    }


@pytest.mark.parametrize("protocol", ["popularity", "uniform"])
def test_candidates_are_untouched_and_already_in_the_log(make_source, connection, crowd, protocol):
    touched = {user: {item for someone, item, _ in crowd if someone == user} for user, _, _ in crowd}
    first_hour = {item: min(hour for _, one, hour in crowd if one == item) for _, item, _ in crowd}
    drawn = drawn_by_example(make_source(crowd), connection, BuildOptions(candidates=protocol))
    assert len(drawn) > 60
    for (user, _), (moment, items) in drawn.items():
        hour = (moment.day - 1) * 24 + moment.hour
        assert not items & touched[user]
        assert all(first_hour[item] <= hour for item in items)


def test_a_line_too_long_for_memory_draws_the_same(make_source, connection, crowd, monkeypatch, tmp_path):
    drawn = drawn_by_example(make_source(crowd), connection, BuildOptions())
    monkeypatch.setattr(candidates, "LONGEST_LINE", 0)
    (tmp_path / "other").mkdir()
    assert drawn_by_example(make_source(crowd), connect(tmp_path / "other"), BuildOptions()) == drawn


def test_candidates_are_nine_or_all_there_are(make_source, connection, crowd):
    drawn = drawn_by_example(make_source(crowd), connection, BuildOptions(candidates="uniform"))
    touched = {user: {item for someone, item, _ in crowd if someone == user} for user, _, _ in crowd}
    for (user, _), (moment, items) in drawn.items():
        hour = (moment.day - 1) * 24 + moment.hour
        available = {item for _, item, when in crowd if when <= hour} - touched[user]
        assert len(items) == min(9, len(available))


def shares(make_source, connection, protocol: str) -> Counter:
    """How often each of three items is drawn first when one is drawn for each of 600 users.

    In training `often` was chosen by six users for each one that chose `seldom`, and `never` by nobody: it is the
    validation target of one user alone.
    """
    fans = [(f"fan{n}", "often" if n < 60 else "seldom", 0) for n in range(70)]
    odd = [("odd", f"own{place}", 1) for place in range(5)] + [("odd", "never", 2), ("odd", "own9", 3)]
    asked = [(f"u{user}", f"w{place}", 10 + place) for user in range(600) for place in range(7)]
    options = BuildOptions(candidates=protocol, num_candidates=2, train_targets=0)
    drawn = drawn_by_example(make_source(fans + odd + asked), connection, options)
    return Counter(item for (user, position), (_, items) in drawn.items() if user != "odd" for item in items)


def test_popularity_draws_in_proportion_to_training_counts(make_source, connection):
    counts = shares(make_source, connection, "popularity")
    # weights: often 60 + 1, seldom 10 + 1, five items of `odd` 1 + 1 each, and two that nobody chose in training 0 + 1
    # each: 1200 draws, binomial deviation about 13
    assert counts["often"] / 1200 == pytest.approx(61 / 84, abs=0.04)
    assert counts["seldom"] / 1200 == pytest.approx(11 / 84, abs=0.04)
    assert 0 < counts["never"] / 1200 < 0.04
    assert 0 < counts["own9"] / 1200 < 0.04


def test_uniform_draws_every_item_alike(make_source, connection):
    counts = shares(make_source, connection, "uniform")
    assert len(counts) == 9  # often, seldom, never and six others
    assert max(counts.values()) / 1200 == pytest.approx(1 / 9, abs=0.04)
    assert min(counts.values()) / 1200 == pytest.approx(1 / 9, abs=0.04)


def test_impressions_are_what_was_shown_last(make_source, connection):
    watched = [("u", f"m{place}", 10 * place) for place in range(7)]
    shown = [("u", f"s{place}", 50 + place) for place in range(12)]  # s10 and s11 come after the target at hour 60
    touched = ("u", "m3", 55)
    rows = [*watched, *shown, touched]
    events = dict.fromkeys([*shown, touched], "impression")
    options = BuildOptions(candidates="impressions", train_targets=0)
    drawn = drawn_by_example(make_source(rows, events=events), connection, options)
    assert drawn["u", 7][1] == {f"s{place}" for place in range(2, 11)}  # the nine newest up to hour 60
    assert drawn["u", 6][1] == {"s0"}  # only one was shown by hour 50


def test_an_episode_of_a_touched_series_is_no_candidate(make_source, connection):
    watched = [("u", f"m{place}", place) for place in range(6)] + [("u", "show-1", 6)]
    others = [("v", "show-2", 0), ("v", "other", 0)]
    series = {"show-1": "Show", "show-2": "Show"}
    ids = sorted({item for _, item, _ in watched + others})
    items = {"item_id": ids, "title": ids, "series": [series.get(item) for item in ids]}
    options = BuildOptions(candidates="uniform", train_targets=0)
    drawn = drawn_by_example(make_source(watched + others, items=items), connection, options)
    assert drawn["u", 7][1] == {"other"}
