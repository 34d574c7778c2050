"""Filters, on logs whose cores are known by hand or computed another way."""

import json
from collections import Counter
from datetime import datetime, timedelta, timezone

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.interactions import canonicalize
from logs2lang.dataset_builders.raw_log import connect
from logs2lang.dataset_builders.sources.tabular import read_tabular

START = datetime(2024, 1, 1, tzinfo=timezone.utc)


def core_of(pairs, least_of_user, least_of_item):
    """The pairs that remain, by removing one bad pair after another."""
    pairs = set(pairs)
    while True:
        users, items = Counter(user for user, _ in pairs), Counter(item for _, item in pairs)
        bad = {pair for pair in pairs if users[pair[0]] < least_of_user or items[pair[1]] < least_of_item}
        if not bad:
            return pairs
        pairs.remove(min(bad))


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("uvwxyz")), min_size=1, max_size=30),
    st.integers(1, 4),
    st.integers(1, 4),
)
@settings(max_examples=8)
def test_least_numbers_of_interactions_hold_for_all_that_remain(make_source, tmp_path_factory, pairs, users, items):
    rows = [(user, item, hour) for hour, (user, item) in enumerate(pairs)]
    options = BuildOptions(min_user_interactions=users, min_item_interactions=items)
    connection = connect(tmp_path_factory.mktemp("core"), threads=1)
    left = core_of(pairs, users, items)
    try:
        if not left:
            with pytest.raises(InputError, match=r"leave no interaction of this log: user or item with too few"):
                canonicalize(make_source(rows)(connection), connection, options=options)
            return
        log = canonicalize(make_source(rows)(connection), connection, options=options)
        kept = log.interactions.execute()
    finally:
        connection.disconnect()
    assert set(zip(kept["user_id"], kept["item_id"], strict=True)) == left
    assert len(kept) == sum(pair in left for pair in pairs)  # a choice that came again stays
    assert log.counts["input_rows"] == log.counts["used"] + log.counts.get("filtered", 0) == len(pairs)


def write_ratings(path):
    """Forty users with twelve of thirty films, one a day; the rating is the day modulo 5, missing on day 7."""
    lines = ["user_id,item_id,value,timestamp"]
    for user in range(40):
        for day in range(12):
            time = (START + timedelta(days=day, minutes=user)).isoformat()
            lines.append(f"u{user},m{(7 * user + day) % 30},{'' if day == 7 else day % 5},{time}")
    path.write_text("\n".join(lines) + "\n")
    return lambda connection: read_tabular(connection, interactions=str(path))


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        ({"since": START + timedelta(days=1), "until": START + timedelta(days=11)}, {"outside the date range": 80}),
        ({"min_value": 2}, {"rating below the least": 240, "no rating": 40}),
        ({"min_value": 1, "until": START + timedelta(days=8)}, {"outside the date range": 160, "no rating": 40,
                                                                "rating below the least": 80}),
    ],
)  # fmt: skip
def test_every_row_is_used_or_counted_with_its_reason(tmp_path, options, left_out):
    source = write_ratings(tmp_path / "log.csv")
    chosen = BuildOptions(num_candidates=2, min_history=1, **options)
    counts = build_dataset(source, tmp_path / "built", chosen)["counts"]
    assert counts["filtered_by_reason"] == left_out
    assert counts["filtered"] == sum(left_out.values())
    assert counts["used"] == 480 - counts["filtered"]


def test_what_was_left_out_is_nowhere_in_the_dataset(tmp_path):
    source = write_ratings(tmp_path / "log.csv")
    until = START + timedelta(days=9)
    build_dataset(source, tmp_path / "built", BuildOptions(num_candidates=2, min_value=1, until=until))
    dataset = BuiltDataset.open(tmp_path / "built")
    records = [record for row in dataset.examples("test") for record in row["history"]]
    assert records
    assert all(record["value"] >= 1 and record["timestamp"] < until for record in records)
    assert dataset.training_interactions()["value"].min() >= 1


def test_noise_is_not_rated_and_not_counted(make_source, connection):
    """Bob has one choice and two trailers: too few for 2, and his trailers go with him."""
    rows = [("ann", "x", 0), ("ann", "y", 1), ("bob", "x", 2), ("bob", "y", 3), ("bob", "z", 4), ("ann", "z", 5)]
    events = dict.fromkeys(rows[3:], "trailer")
    source = make_source(rows, events=events)
    log = canonicalize(source(connection), connection, options=BuildOptions(min_user_interactions=2))
    assert log.interactions.execute()["user_id"].tolist().count("ann") == 3
    assert log.counts["filtered_by_reason"] == {"user or item with too few interactions": 3}


def test_the_report_and_the_card_state_the_filters(tmp_path):
    source = write_ratings(tmp_path / "log.csv")
    options = BuildOptions(
        num_candidates=2, min_user_interactions=3, min_item_interactions=3, min_value=1, since=START
    )
    build_dataset(source, tmp_path / "built", options)
    report = json.loads((tmp_path / "built" / "build_report.json").read_text())
    assert report["options"]["min_item_interactions"] == 3
    assert report["options"]["since"] == "2024-01-01T00:00:00+00:00"
    card = (tmp_path / "built" / "README.md").read_text()
    assert "the 3-core (users with at least 3 items" in card
    assert "choices rated at least 1; from 2024-01-01 on" in card
    assert f"left out {report['counts']['filtered']} of\n480 interactions" in card
    assert f"| of these, no rating | {report['counts']['filtered_by_reason']['no rating']} |" in card


def test_a_build_without_filters_says_nothing_of_them(make_source, crowd, tmp_path):
    report = build_dataset(make_source(crowd), tmp_path / "built", BuildOptions(num_candidates=5))
    assert "min_value" not in report["options"]
    assert "filtered" not in report["counts"]
    assert "ilter" not in (tmp_path / "built" / "README.md").read_text()


def test_the_cut_times_of_a_temporal_split_are_in_the_report(make_source, crowd, tmp_path):
    cuts = (START + timedelta(hours=25), START + timedelta(hours=32))
    options = BuildOptions(num_candidates=2, protocol="temporal", cuts=cuts)
    build_dataset(make_source(crowd), tmp_path / "built", options)
    report = json.loads((tmp_path / "built" / "build_report.json").read_text())
    assert report["options"]["cuts"] == [cut.isoformat() for cut in cuts]


def test_a_log_without_times_has_no_date_range(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("user_id,item_id\n" + "".join(f"u{n % 9},m{n % 7}\n" for n in range(90)))
    source = lambda connection: read_tabular(connection, interactions=str(log), order="file")  # noqa: E731
    with pytest.raises(InputError, match="has no times, so --since and --until"):
        build_dataset(source, tmp_path / "built", BuildOptions(num_candidates=2, since=START))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"min_user_interactions": 0}, "'min_user_interactions' is 0; expected at least 1"),
        ({"min_value": float("nan")}, "'min_value' is nan; expected a number"),
        ({"since": START, "until": START}, "'until' is 2024-01-01; expected a time after since"),
        ({"num_candidates": 101}, "expected 2 to 100"),
    ],
)
def test_impossible_filters_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        BuildOptions(**options)


def test_a_hundred_candidates_are_built_without_prompts_that_ask_for_a_label(make_source, tmp_path):
    rows = [
        (f"u{user}", f"m{(user * 13 + place * 7) % 200}", user + place) for user in range(60) for place in range(9)
    ]
    build_dataset(make_source(rows), tmp_path / "built", BuildOptions(num_candidates=100, candidates="uniform"))
    examples = BuiltDataset.open(tmp_path / "built").examples("test")
    assert len(examples)
    assert {len({one["item_id"] for one in shown}) for shown in examples["candidates"]} == {100}
    assert not (tmp_path / "built" / "reasoner").exists()
    (prompts,) = (tmp_path / "built" / "verbalizer").glob("test-*")
    assert pq.read_metadata(prompts).num_rows == len(examples)
    assert "`reasoner` | the prompt" not in (tmp_path / "built" / "README.md").read_text()
