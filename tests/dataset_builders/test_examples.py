from datetime import datetime, timedelta, timezone

import pyarrow.parquet as pq
import pytest

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.export import shards_of

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
CATALOGUE = [("stranger", f"x{place}", 0) for place in range(12)]  # what the others' candidates are drawn from


@pytest.fixture
def examples_of(make_source, tmp_path):
    """The test examples of a log, by the user's number of interactions."""

    def build(rows, options, **others):
        build_dataset(make_source(rows, **others), tmp_path / "built", options)
        shards = shards_of(tmp_path / "built", "examples", "test")
        return [row for shard in shards for row in pq.read_table(shard).to_pylist()]

    return build


def hours(example):
    return [int((record["timestamp"] - START).total_seconds() // 3600) for record in example["history"]]


@pytest.mark.parametrize("length", [6, 7, 8, 9, 12, 13, 25])
@pytest.mark.parametrize("history", [3, 4, 12])
def test_a_history_is_the_newest_records_before_the_target(examples_of, length, history):
    watched = [("u", f"m{place}", place + 1) for place in range(1, length + 2)]
    (example,) = examples_of(CATALOGUE + watched, BuildOptions(history=history))
    assert hours(example) == list(range(2, length + 2))[-history:]
    assert example["timestamp"] == START + timedelta(hours=length + 2)


def test_histories_across_many_blocks_are_whole(examples_of):
    watched = [("u", f"m{place % 50}", place) for place in range(1000)]
    (example,) = examples_of(CATALOGUE + watched, BuildOptions(history=100))
    assert hours(example) == list(range(899, 999))


def test_discovery_looks_at_the_whole_past_not_only_the_window(examples_of):
    seen_long_ago = [("u", "old", 0)] + [("u", f"m{place}", place) for place in range(1, 9)] + [("u", "old", 9)]
    new = [("v", f"n{place}", place) for place in range(10)]
    examples = examples_of(CATALOGUE + seen_long_ago + new, BuildOptions(history=3))
    by_length = {example["history"][-1]["title"][0]: example["is_discovery"] for example in examples}
    assert by_length == {"m": False, "n": True}


def test_a_new_episode_of_a_known_series_is_no_discovery(examples_of):
    watched = [("u", f"e{place}", place) for place in range(8)]
    ids = sorted({item for _, item, _ in CATALOGUE + watched})
    items = {"item_id": ids, "title": ids, "series": ["Show" if item.startswith("e") else None for item in ids]}
    (example,) = examples_of(CATALOGUE + watched, BuildOptions(), items=items)
    assert example["is_discovery"] is False


def test_the_target_stands_at_its_index_and_ids_are_opaque(examples_of, crowd):
    examples = examples_of(crowd, BuildOptions(num_candidates=4))
    assert len(examples) > 20
    for example in examples:
        candidates = [candidate["item_id"] for candidate in example["candidates"]]
        assert candidates[example["target_index"]] == example["target"]
        assert all(item.startswith("i") and item[1:].isdigit() for item in candidates)
        assert not example["user"].startswith("u")
    assert {example["target_index"] for example in examples} == {0, 1, 2, 3}


def test_items_without_a_title_show_their_id(examples_of, crowd):
    ids = sorted({item for _, item, _ in crowd})
    items = {"item_id": ids[:5], "title": [f"Film {item}" for item in ids[:5]]}
    examples = examples_of(crowd, BuildOptions(num_candidates=4), items=items)
    titles = {record["title"] for example in examples for record in example["history"]}
    assert {title for title in titles if title.startswith("Film")}
    assert {title for title in titles if title in ids[5:]}
