from datetime import timedelta

import pytest

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.histories import to_histories
from logs2lang.dataset_builders.interactions import canonicalize
from logs2lang.dataset_builders.prompting.prompts import template_text


@pytest.fixture
def histories_of(make_source, connection):
    """The histories of a log, by user hash."""

    def build(rows, options=BuildOptions(), **others):  # noqa: B008 (frozen)
        log = canonicalize(make_source(rows, **others)(connection), connection)
        table = to_histories(log, options, connection).to_pyarrow()
        return {row["user"]: row["history"] for row in table.to_pylist()}

    return build


def titles(history):
    return [record["title"] for record in history]


def test_the_log_of_one_person_has_a_history(histories_of):
    (history,) = histories_of([("ada", f"m{hour}", hour) for hour in range(4)]).values()
    assert titles(history) == ["m0", "m1", "m2", "m3"]
    assert history[3]["timestamp"] - history[0]["timestamp"] == timedelta(hours=3)
    assert template_text(history).splitlines()[0].endswith("| m0")


def test_the_newest_records_are_kept_oldest_first(histories_of):
    rows = [("ada", f"m{hour}", hour) for hour in range(250)] + [("bo", "m7", 1)]
    histories = histories_of(rows, BuildOptions(history=100))
    assert sorted(map(len, histories.values())) == [1, 100]
    longest = max(histories.values(), key=len)
    assert titles(longest) == [f"m{hour}" for hour in range(150, 250)]


def test_events_of_noise_are_part_of_it_and_impressions_are_not(histories_of):
    rows = [("ada", "seen", 0), ("ada", "trailed", 1), ("ada", "shown", 2)]
    events = {rows[1]: "trailer", rows[2]: "impression"}
    (history,) = histories_of(rows, events=events).values()
    assert [(record["title"], record["event"]) for record in history] == [("seen", "play"), ("trailed", "trailer")]


def test_the_salt_hides_the_user(histories_of):
    (user,) = histories_of([("ada", "m1", 0)], BuildOptions(salt="pepper"))
    assert len(user) == 16
    assert "ada" not in user


def test_users_and_ids_are_those_of_the_built_dataset(histories_of, make_source, crowd, tmp_path):
    options = BuildOptions(num_candidates=4)
    build_dataset(make_source(crowd), tmp_path / "built", options)
    histories = histories_of(crowd, options)
    for example in BuiltDataset.open(tmp_path / "built").examples("test"):
        # A test target is the last event, so its history is all but the last record.
        assert example["history"] == histories[example["user"]][:-1]
        assert example["target"] == histories[example["user"]][-1]["item_id"]
