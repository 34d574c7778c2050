"""No text of a training example knows what its own user chose later; texts of validation and test may."""

import csv
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import sanitize
from logs2lang.dataset_builders.schema import FOLD, HISTORY, PROMPT, SPLITS, TARGET, TITLE
from logs2lang.dataset_builders.sources.movielens import read_movielens
from logs2lang.dataset_builders.sources.movietweetings import read_movietweetings
from logs2lang.dataset_builders.sources.streaming_simulation import SimulationConfig, read_streaming_simulation
from logs2lang.dataset_builders.sources.tabular import read_tabular
from logs2lang.verbalizers.action import ActionVerbalizer
from logs2lang.verbalizers.by_rule import to_rule_verbalizer
from logs2lang.verbalizers.rewrite import RewriteVerbalizer
from logs2lang.verbalizers.successors import SuccessorsVerbalizer

USERS, ITEMS_EACH = 12, 10


@pytest.fixture(scope="module")
def own_paths(tmp_path_factory) -> BuiltDataset:
    """A log in which no item was chosen by two users: a user's own next record is the only count there is."""
    folder = tmp_path_factory.mktemp("own-paths")
    with open(folder / "log.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user_id", "item_id", "timestamp"])
        # All begin on the same day, so that there are candidates for everybody.
        for user in range(USERS):
            rows.writerows(
                [f"u{user}", f"<|im_end|>{user}-{place}", f"2024-01-{place + 1:02}T{user:02}:00:00Z"]
                for place in range(ITEMS_EACH)
            )
    build_dataset(partial(read_tabular, interactions=str(folder / "log.csv")), folder / "built")
    return BuiltDataset.open(folder / "built")


def rule_texts(name: str, dataset: BuiltDataset, split: str) -> list[str]:
    examples = dataset.examples(split)
    return to_rule_verbalizer(name, dataset).verbalize(examples[HISTORY][:], folds=examples[FOLD][:])


def rewrite_prompts(dataset: BuiltDataset, split: str) -> list[str]:
    verbalizer = RewriteVerbalizer(dataset.items(), successors=dataset.successors())
    return [verbalizer.prompt(example)[0]["content"] for example in dataset.examples(split)]


def decided_next(dataset: BuiltDataset, split: str) -> list[str]:
    verbalizer = ActionVerbalizer(dataset.items(), decisions=4, successors=dataset.successors())
    return [verbalizer.realize("next " * 100, example) for example in dataset.examples(split)]


def stored_prompts(dataset: BuiltDataset, split: str) -> list[str]:
    return [prompt[0]["content"] for prompt in dataset.config("verbalizer", split)[PROMPT]]


WRITERS: dict[str, Callable[[BuiltDataset, str], list[str]]] = {
    "successors": partial(rule_texts, "successors"),
    "action:next": partial(rule_texts, "action:next"),
    "action": decided_next,
    "rewrite": rewrite_prompts,
    "config verbalizer": stored_prompts,
}


def share_that_names_the_target(texts: Sequence[str], dataset: BuiltDataset, split: str) -> float:
    items = dataset.items()
    targets = [sanitize(items[target][TITLE]) for target in dataset.examples(split)[TARGET]]
    named = [target in text for target, text in zip(targets, texts, strict=True)]
    return sum(named) / len(named)


@pytest.mark.parametrize("name", WRITERS)
def test_no_training_text_names_its_target_where_only_its_own_user_chose_it(name, own_paths):
    assert own_paths.examples("train").num_rows > USERS
    assert share_that_names_the_target(WRITERS[name](own_paths, "train"), own_paths, "train") == 0


def test_read_without_folds_the_same_training_texts_name_their_targets(own_paths):
    """So the test above can fail."""
    histories = own_paths.examples("train")[HISTORY][:]
    texts = to_rule_verbalizer("successors", own_paths).verbalize(histories)
    assert share_that_names_the_target(texts, own_paths, "train") == 1


@pytest.mark.parametrize("name", WRITERS)
def test_titles_with_chat_tokens_are_harmless_in_every_text(name, own_paths):
    assert not any("<|" in text for text in WRITERS[name](own_paths, "validation"))


def test_the_prompts_of_the_config_are_those_of_the_verbalizer(own_paths):
    for split in SPLITS:
        assert stored_prompts(own_paths, split) == rewrite_prompts(own_paths, split)


def target_share(dataset: BuiltDataset, split: str) -> tuple[float, float]:
    """How often the target is among the first 20 successors of the newest five records, and its standard error."""
    verbalizer, examples = SuccessorsVerbalizer(dataset.items(), dataset.successors()), dataset.examples(split)
    hits = [
        example[TARGET] in verbalizer.best(example[HISTORY], example[FOLD])
        for example in examples.select(range(0, len(examples), 1 + len(examples) // 4_000))
    ]
    share = sum(hits) / len(hits)
    return share, (share * (1 - share) / len(hits)) ** 0.5


LOGS = {
    "movielens-100k": read_movielens,
    "movietweetings-100k": read_movietweetings,
    "streaming-simulation": partial(read_streaming_simulation, config=SimulationConfig(events=60_000, accounts=600)),
}


@pytest.mark.slow
@pytest.mark.parametrize("log", LOGS)
def test_targets_stand_among_successors_as_often_in_training_as_in_validation(log, tmp_path):
    try:
        build_dataset(LOGS[log], tmp_path / log)
    except InputError as error:
        pytest.skip(f"{log} cannot be had here: {error}")
    dataset = BuiltDataset.open(tmp_path / log)
    (train, train_error), (validation, validation_error) = (target_share(dataset, split) for split in SPLITS[:2])
    print(f"{log}: train {train:.3f} ± {train_error:.3f}, validation {validation:.3f} ± {validation_error:.3f}")
    assert abs(train - validation) < 3 * (train_error**2 + validation_error**2) ** 0.5
