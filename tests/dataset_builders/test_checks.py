import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from logs2lang.dataset_builders.checks import count_rules


@pytest.fixture
def write_dataset(tmp_path):
    """Writes examples, each (target, its candidates), and how many users chose which item in training."""

    def write(examples, chosen):
        rows = [
            {"example_id": f"e{place:02}", "target": target, "candidates": [{"item_id": item} for item in shown]}
            for place, (target, shown) in enumerate(examples)
        ]
        users = [
            {"item_id": item, "user": f"u{user}", "event": "play"}
            for item, times in chosen.items()
            for user in range(times)
        ]
        trailers = [{"item_id": "new", "user": "u0", "event": "trailer"}]  # no choice, so no count
        for name, content in {
            "examples/test-00000.parquet": rows,
            "interactions/train.parquet": users + trailers,
        }.items():
            path = tmp_path / name
            path.parent.mkdir()
            pq.write_table(pa.Table.from_pylist(content), path)
        return tmp_path

    return write


def test_count_rules_share_what_they_cannot_decide(write_dataset, connection):
    examples = [
        ("often", ["often", "seldom", "new"]),  # most counted; the only uncounted one is another
        ("seldom", ["often", "seldom", "equal"]),  # one of two that are least counted; none is uncounted: a guess
        ("new", ["often", "seldom", "new"]),  # least counted, and the only uncounted one
    ]
    rules = count_rules(write_dataset(examples, {"often": 3, "seldom": 1, "equal": 1}), connection)
    assert rules["examples"] == 3
    assert rules["most_counted"] == pytest.approx((1 + 0 + 0) / 3)
    assert rules["least_counted"] == pytest.approx((0 + 1 / 2 + 1) / 3)
    assert rules["only_uncounted"] == pytest.approx((0 + 1 / 3 + 1) / 3)
    assert rules["beats_popularity"] == []  # three examples show nothing


def test_targets_that_are_told_apart_by_their_counts_are_named(write_dataset, connection):
    examples = [("new", ["often", "seldom", "new"])] * 20 + [("often", ["often", "seldom", "new"])]
    rules = count_rules(write_dataset(examples, {"often": 3, "seldom": 1}), connection)
    assert rules["only_uncounted"] == pytest.approx(20 / 21)
    assert rules["beats_popularity"] == ["least_counted", "only_uncounted"]
