from dataclasses import replace

import pytest
from datasets import load_dataset

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import ALL_USERS
from logs2lang.dataset_builders.successors import fold_of


@pytest.fixture
def build(make_source, tmp_path):
    """Builds rows of (user, item, hour) and opens the dataset; candidates are two, so that few items are enough."""

    def build(rows, events=None, **options):
        chosen = BuildOptions(**{"num_candidates": 2, "candidates": "uniform", **options})
        build_dataset(make_source(rows, events=events), tmp_path / "built", chosen)
        return BuiltDataset.open(tmp_path / "built")

    return build


def path(user, items, start=0):
    return [(user, item, start + place) for place, item in enumerate(items)]


OTHERS = path("other", ["x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"])
"""A user who touches nothing else, so that there are candidates."""


def source_ids(dataset):
    return {item_id: row["source_item_id"] for item_id, row in dataset.items().items()}


def successors(dataset, item, fold=ALL_USERS):
    """The successors of an item as {source id: how often}."""
    names = source_ids(dataset)
    (item_id,) = [item_id for item_id, name in names.items() if name == item]
    return {names[found.item_id]: found.chosen for found in dataset.successors().after(item_id, fold)}


def test_pairs_within_the_window_are_counted_from_training_alone(build):
    # a b c d e f are in training, v is the validation target and t the test target of both users.
    rows = [*path("ann", "abcdefvt"), *path("bob", "abcdefvt"), *OTHERS]
    dataset = build(rows, successor_window=2)
    assert successors(dataset, "a") == {"b": 2, "c": 2}
    assert successors(dataset, "d") == {"e": 2, "f": 2}
    assert successors(dataset, "e") == {"f": 2}
    assert successors(dataset, "f") == {}  # only held-out choices came after it
    assert successors(dataset, "v") == {}


def test_lift_is_the_count_over_what_popularity_expects_plus_one(build):
    dataset = build([*path("ann", "abcdefvt"), *path("bob", "abcdefvt"), *OTHERS], successor_window=1)
    ((best,),) = [dataset.successors().after(item) for item, name in source_ids(dataset).items() if name == "a"]
    # Of the 15 pairs (5 of each user; x0 to x5 are training too) 2 begin with a and 2 end with b: 2 * 2 / 15 expected.
    assert best.lift == pytest.approx(2 / (2 * 2 / 15 + 1))


def test_noise_and_repeats_are_no_successors(build):
    rows = [*path("ann", "anabcdefvt"), *OTHERS]
    dataset = build(rows, events={("ann", "n", 1): "trailer"}, successor_window=1)
    assert successors(dataset, "a") == {"b": 1}  # the trailer is left out, and a is no successor of a


def test_at_most_so_many_successors_best_lift_first(build):
    rows = [*path("ann", "abcdefvt"), *path("bob", "acbdefvt"), *path("eve", "acbdefvt"), *OTHERS]
    dataset = build(rows, successor_window=1, num_successors=1)
    assert successors(dataset, "a") == {"c": 2}


def test_a_fold_is_counted_from_everybody_but_its_own_users(build):
    users = [f"u{number}" for number in range(12)]
    dataset = build([row for user in users for row in path(user, "abcdefvt")] + OTHERS)
    titles = {
        example["user"]: [record["title"] for record in example["history"]] for example in dataset.examples("test")
    }
    folds = [fold_of(user, 5) for user, of_user in titles.items() if "a" in of_user]
    assert successors(dataset, "a")["b"] == 12
    assert {fold: successors(dataset, "a", fold)["b"] for fold in range(5)} == {
        fold: 12 - folds.count(fold) for fold in range(5)
    }


def test_training_examples_read_the_fold_of_their_user_and_others_read_all(build):
    dataset = build([*path("ann", "abcdefghvt"), *OTHERS], min_history=1)
    train = dataset.examples("train")
    assert [row["fold"] for row in train] == [fold_of(row["user"], 5) for row in train]
    assert set(dataset.examples("validation")["fold"]) | set(dataset.examples("test")["fold"]) == {ALL_USERS}


def test_the_count_of_a_users_own_later_choice_is_never_in_the_fold_it_reads(build):
    dataset = build([*path("ann", "abcdefghvt"), *OTHERS], min_history=1)
    lists, checked = dataset.successors(), 0
    for example in dataset.examples("train"):
        for record in example["history"]:
            named = {found.item_id for found in lists.after(record["item_id"], example["fold"])}
            assert example["target"] not in named  # nobody else ever chose it
            checked += example["target"] in {found.item_id for found in lists.after(record["item_id"])}
    assert checked  # and with everybody counted it would have been named


def test_load_dataset_finds_the_config(build):
    dataset = build([*path("ann", "abcdefvt"), *OTHERS], successor_folds=3)
    table = load_dataset(str(dataset.folder), "successors", split="train")
    assert set(table["fold"]) <= {-1, 0, 1, 2}
    assert "Successors" in (dataset.folder / "README.md").read_text()


def test_a_log_in_which_nothing_follows_anything_has_an_empty_config(build):
    rows = [(f"u{number}", f"i{number}", number) for number in range(4)] + OTHERS
    dataset = build(rows)
    assert successors(dataset, "i0") == {}
    assert dataset.successors().after("nobody knows this") == ()


def test_a_dataset_from_before_there_were_successors_says_what_to_do(build):
    dataset = build([*path("ann", "abcdefvt"), *OTHERS])
    for shard in (dataset.folder / "successors").iterdir():
        shard.unlink()
    command = rf"`logs2lang build tabular YOUR_LOG --output {dataset.folder}`"
    with pytest.raises(InputError, match=f"has no successors.* Build it again with the same options: {command}"):
        dataset.successors()
    with pytest.raises(
        InputError, match="Build it again with the same options: `logs2lang build movietweetings --output"
    ):
        replace(dataset, report={**dataset.report, "name": "movietweetings-100k"}).successors()


def test_a_damaged_file_says_which_and_what_to_do(build):
    dataset = build([*path("ann", "abcdefvt"), *OTHERS])
    for shard in (dataset.folder / "successors").iterdir():
        shard.write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"successors cannot be read \(.*\)\. Build the dataset again"):
        dataset.successors().after("any")


def test_the_only_user_of_some_items_has_successors_for_held_out_texts_alone(build):
    dataset = build([*path("ann", "abcdefghvt"), *path("bob", ["x0", "x1"])], successor_window=1, min_history=5)
    (ann,) = set(dataset.examples("train")["user"])
    assert successors(dataset, "a") == {"b": 1}
    assert successors(dataset, "a", fold_of(ann, 5)) == {}
