from pathlib import Path

import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import sanitize_lines, template_text, to_verbalizer_prompt
from logs2lang.dataset_builders.schema import ALL_USERS
from logs2lang.dataset_builders.successor_lists import Successor, SuccessorLists
from logs2lang.verbalizers.profile import ProfileVerbalizer
from logs2lang.verbalizers.rewrite import RewriteVerbalizer


@pytest.fixture
def verbalizer(tiny_language_model, text_cache):
    return RewriteVerbalizer({}, tiny_language_model, max_new_tokens=8)


def test_the_model_writes_after_the_instructions_and_the_log(verbalizer, tiny_language_model, to_history):
    history = to_history("Fargo", "Heat", "Alien")
    prompt = tiny_language_model.prompt_ids(to_verbalizer_prompt(template_text(history), described=True))
    (written,) = tiny_language_model.generate([prompt], 8)
    assert verbalizer.verbalize([history]) == [sanitize_lines(written)]


def test_texts_come_from_disk_the_second_time(verbalizer, monkeypatch, tiny_language_model, to_history):
    histories = [to_history("Fargo", "Heat"), to_history("Alien")]
    first = verbalizer.verbalize(histories)
    monkeypatch.setattr(type(tiny_language_model), "generate", lambda *_, **__: pytest.fail("was written again"))
    assert verbalizer.verbalize(histories) == first


def test_only_the_newest_records_are_shown_and_rewritten(to_history):
    long, short = to_history("Heat", "Fargo", "Alien"), to_history("Heat", "Fargo", "Alien")[-2:]
    of_two = RewriteVerbalizer({}, history_length=2)
    assert of_two.prompt({"history": long}) == RewriteVerbalizer({}).prompt({"history": short})
    assert of_two.warm_start({"history": long}) == "Recent, newest last: Fargo; Alien"


def test_the_prompt_tells_year_tags_and_what_others_chose_next(to_history):
    history = to_history("Fargo")
    known = {"year": 1996, "tags": ["Crime"], "series": None}
    items = {"i0": {"title": "Fargo", **known}, "i9": {"title": "Heat", **known}}
    lists = SuccessorLists(Path(), {ALL_USERS: {"i0": [Successor("i9", 3, 2.0)]}, 1: {}})
    verbalizer = RewriteVerbalizer(items, successors=lists)

    def line(**example) -> str:
        (message,) = verbalizer.prompt({"history": history, **example})
        return message["content"].split("\n")[2]

    assert line() == f"{template_text(history)} | year=1996 | tags=Crime | next: Heat"
    assert line(fold=1) == f"{template_text(history)} | year=1996 | tags=Crime"  # counted without its own user


def test_records_beyond_the_token_budget_are_not_shown(to_history):
    history = to_history("Fargo", "Heat", "Alien")
    verbalizer = RewriteVerbalizer({}, record_tokens=50)  # a plain line takes 22 or 23
    assert verbalizer.prompt({"history": history}) == verbalizer.prompt({"history": history[1:]})
    assert verbalizer.warm_start({"history": history}) == "Recent, newest last: Heat; Alien"
    with pytest.raises(InputError, match="record_tokens is 0"):
        RewriteVerbalizer({}, record_tokens=0)


def test_an_adapter_from_before_records_were_described_still_reads_plain_ones(tmp_path, to_history):
    config = tmp_path / "verbalizer_config.json"
    config.write_text('{"verbalizer": "rewrite", "history_length": 10, "max_new_tokens": 64}')
    verbalizer = RewriteVerbalizer({}, **RewriteVerbalizer.trained_choices(config))
    history = to_history("Fargo")
    assert verbalizer.prompt({"history": history}) == to_verbalizer_prompt(template_text(history))
    RewriteVerbalizer({}).save_config(tmp_path)
    assert RewriteVerbalizer.trained_choices(config)["record_tokens"] == 3072


def test_a_completion_is_read_as_it_stands_but_for_what_could_harm():
    verbalizer = RewriteVerbalizer({})
    assert verbalizer.realize(" Likes noir.\n<|im_end|>Fargo ", {"history": []}) == "Likes noir.\n‹|im_end|›Fargo"
    assert verbalizer.realize("", {"history": []}) == ""


def test_a_warm_start_is_the_profile_where_there_is_room(to_history):
    history = to_history(*(f"Film {number}" for number in range(60)))
    roomy = RewriteVerbalizer({}, max_new_tokens=1_000)
    assert roomy.warm_start({"history": history}) == ProfileVerbalizer({}).verbalize([history])[0]


@pytest.mark.parametrize("room", [24, 48, 96])
def test_a_warm_start_names_the_newest_works_and_leaves_room_for_its_end(tiny_language_model, to_history, room):
    history = to_history(*(f"Film {number}" for number in range(10, 70)))
    verbalizer = RewriteVerbalizer({}, tiny_language_model, max_new_tokens=room)
    text = verbalizer.warm_start({"history": history})
    # One byte is one token: 21 for "Recent, newest last: ", 7 for a film, 2 between two; one more ends the text.
    films = max(0, (room - 1 - 21 + 2) // 9)
    expected = "; ".join(f"Film {number}" for number in range(70 - films, 70))
    assert text == (f"Recent, newest last: {expected}" if films else "")


def test_without_a_tokenizer_a_warm_start_is_no_longer_than_with_one_of_two_letters_a_token(to_history):
    history = to_history(*(f"Film {number}" for number in range(10, 70)))
    assert len(RewriteVerbalizer({}, max_new_tokens=48).warm_start({"history": history})) < 2 * 48


def test_no_room_for_a_text_is_refused():
    with pytest.raises(InputError, match="max_new_tokens is 0"):
        RewriteVerbalizer({}, max_new_tokens=0)


@pytest.mark.slow
def test_the_real_model_writes_words(base_language_model, text_cache, to_history):
    verbalizer = RewriteVerbalizer({}, base_language_model, max_new_tokens=24)
    assert len(verbalizer.verbalize([to_history(*["The Matrix"] * 6)])[0].split()) > 5
