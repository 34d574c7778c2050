"""What is a target in a history, what is asked, and that nothing of validation or test is either."""

import csv
from datetime import datetime, timedelta, timezone
from functools import partial

import pytest
from datasets import Dataset
from toy_taste import ITEMS

from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import template_text
from logs2lang.dataset_builders.schema import EXAMPLE_FEATURES
from logs2lang.dataset_builders.sources.tabular import read_tabular
from logs2lang.reasoners.questions import to_title_prompt
from logs2lang.training.objectives.history_targets import Histories, to_windows

START = datetime(2024, 1, 1, tzinfo=timezone.utc)


def record(item: str, day: int, event: str = "play") -> dict:
    fields = {"item_id": item, "title": ITEMS[item]["title"], "event": event, "timestamp": START + timedelta(days=day)}
    return {**fields, "duration_s": None, "value": None, "device": None}


def example(user: str, days: range, event: str = "play") -> dict:
    """A user who sees one film a day; the last of these days is the target's."""
    items = list(ITEMS)
    history = [record(items[day], day, event if day == days[1] else "play") for day in days[:-1]]
    return {
        "example_id": f"{user}{days}",
        "user": user,
        "timestamp": START + timedelta(days=days[-1]),
        "history": history,
        "candidates": [],
        "target": items[days[-1]],
        "target_index": 0,
        "is_discovery": True,
    }


def to_dataset(*rows: dict) -> Dataset:
    return Dataset.from_list(list(rows), features=EXAMPLE_FEATURES)


def histories(model, examples, **choices) -> Histories:
    settings = {"records": "titles", "history_length": None, "questions": 1, "asks_without_context": True}
    return Histories(model, examples, ITEMS, **{**settings, "max_length": 2_048, "seed": 0, **choices})


def counted_text(model, sequence) -> str:
    return model.tokenizer.decode([sequence.prefix[place] for place in sequence.counted])


TITLES = [ITEMS[item]["title"] for item in ITEMS]


def test_titles_and_what_ends_them_are_the_targets(tiny_language_model):
    sequence = histories(tiny_language_model, to_dataset(example("u", range(4))))[0, 0].sequence
    context = "\n".join(TITLES[:3])
    assert sequence.prefix == tiny_language_model.prompt_ids(to_title_prompt(context, []))
    assert counted_text(tiny_language_model, sequence) == context + "\n"


def test_of_template_lines_the_titles_are_targets_and_all_is_read(tiny_language_model):
    rows = to_dataset(example("u", range(4), event="trailer"))
    sequence = histories(tiny_language_model, rows, records="template")[0, 0].sequence
    context = template_text(rows[0]["history"])
    assert sequence.prefix == tiny_language_model.prompt_ids(to_title_prompt(context, []))
    assert counted_text(tiny_language_model, sequence) == f"{TITLES[0]}\n{TITLES[2]}\n"  # nobody chose the trailer


def test_what_nobody_chose_is_left_out_of_titles(tiny_language_model):
    sequence = histories(tiny_language_model, to_dataset(example("u", range(4), event="trailer")))[0, 0].sequence
    assert counted_text(tiny_language_model, sequence) == f"{TITLES[0]}\n{TITLES[2]}\n"


@pytest.mark.parametrize("records", ["titles", "template"])
def test_a_question_is_to_the_token_what_is_asked_later(tiny_language_model, records):
    rows = to_dataset(example("u", range(6)))
    shown = histories(tiny_language_model, rows, records=records, questions=3)
    end = tiny_language_model.tokenizer.eos_token_id
    for epoch in range(5):
        sequence = shown[epoch, 0].sequence
        asked = {}
        for branch in sequence.branches:
            ids = [*sequence.prefix[: branch.fork], *branch.ids]
            answer = len(branch.ids) - branch.uncounted
            asked[tiny_language_model.tokenizer.decode(ids[-answer:-1])] = ids[:-answer]
            assert ids[-1] == end
        *questions, last = asked.items()
        lines = [template_text([entry]) if records == "template" else entry["title"] for entry in rows[0]["history"]]
        assert last == (TITLES[5], tiny_language_model.prompt_ids(to_title_prompt("\n".join(lines), [])))
        assert len(sequence.branches) == 4  # two drawn, one without context, the last
        prompts = [tiny_language_model.prompt_ids(to_title_prompt("\n".join(lines[:place]), [])) for place in range(5)]
        for title, prompt in questions:
            assert prompt in (prompts[TITLES.index(title)], prompts[0])


def test_one_title_is_asked_for_without_context_unless_priors_do_not_matter(tiny_language_model):
    rows = to_dataset(example("u", range(6)))
    nothing = tiny_language_model.prompt_ids(to_title_prompt("", []))
    branch = histories(tiny_language_model, rows)[0, 0].sequence.branches[0]
    sequence = histories(tiny_language_model, rows)[0, 0].sequence
    assert [*sequence.prefix[: branch.fork], *branch.ids[: branch.uncounted]] == nothing
    assert len(histories(tiny_language_model, rows, asks_without_context=False)[0, 0].sequence.branches) == 1


def test_a_long_history_loses_its_oldest_records(tiny_language_model):
    packed = histories(tiny_language_model, to_dataset(example("u", range(30))), max_length=220)[0, 0]
    assert packed.is_cut
    assert packed.sequence.num_tokens <= 220
    kept = counted_text(tiny_language_model, packed.sequence).split()
    assert kept == TITLES[29 - len(kept) : 29]
    assert kept
    with pytest.raises(InputError, match="Raise max_length"):
        histories(tiny_language_model, to_dataset(example("u", range(30))), max_length=20)[0, 0]


@pytest.mark.parametrize(
    ("history_length", "windows"),
    [
        # Days 0 to 11 with the targets 6, 9 and 11 of u, and 5 of v. All of a history: the last example reads all.
        (None, [("u", 11), ("v", 5)]),
        # Four records: 11 reads 7 to 10, 6 is older than those; 9 is not.
        (4, [("u", 11), ("u", 6), ("v", 5)]),
        # One record: 11 reads 10, 9 reads 8, 6 reads 5.
        (1, [("u", 11), ("u", 9), ("u", 6), ("v", 5)]),
    ],
)
def test_windows_cover_a_history_without_overlap(history_length, windows):
    rows = to_dataset(*(example("u", range(end)) for end in (7, 12, 10)), example("v", range(6)))
    places, read = to_windows(rows, history_length)
    chosen = [(rows[place]["user"], (rows[place]["timestamp"] - START).days) for place in places]
    assert sorted(chosen, key=lambda window: (window[0], -window[1])) == windows
    assert all(length <= (history_length or 100) for length in read)


def test_no_target_of_validation_or_test_is_read(tiny_language_model, tmp_path):
    with (tmp_path / "log.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "timestamp"])
        writer.writerows(["early bird", f"film-{film:02}", 1_500_000_000 + film] for film in range(60))
        for user in range(8):
            films = [(7 * user + 3 * place) % 60 for place in range(12)]  # nobody sees a film twice
            writer.writerows([f"u{user}", f"film-{film:02}", 1_600_000_000 + n] for n, film in enumerate(films))
    build_dataset(partial(read_tabular, interactions=str(tmp_path / "log.csv")), tmp_path / "built")
    built = BuiltDataset.open(tmp_path / "built")
    items = built.items()
    held_out = {
        (row["user"], items[row["target"]]["title"])
        for split in ("validation", "test")
        for row in built.examples(split)
    }
    shown = Histories(
        tiny_language_model, built.examples("train"), items, "template", None, 3, True, max_length=2_048, seed=0
    )
    users = [built.examples("train")[place]["user"] for place in to_windows(built.examples("train"), None)[0]]
    assert len(held_out) == 16
    for index, user in enumerate(users):
        sequence = shown[0, index].sequence
        ids = [*sequence.prefix, *(token for branch in sequence.branches for token in branch.ids)]
        text = tiny_language_model.tokenizer.decode(ids)
        assert "film-" in text
        assert not [title for of_user, title in held_out if of_user == user and title in text]
