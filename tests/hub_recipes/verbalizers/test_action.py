import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from logs2lang.dataset_builders.prompting.prompts import prompt_text, record_line
from logs2lang.models.packaged_model import packaged_base_model
from logs2lang.verbalizers.action import (
    ActionVerbalizer,
    DecisionGrammar,
    decision_token_ids,
    parse_decisions,
)
from logs2lang.verbalizers.decided_texts import DECISIONS, NOTHING_KEPT, Decisions, execute

ITEMS = {
    "i0": {"item_id": "i0", "title": "Fargo", "year": 1996, "tags": ["Crime", "Drama"], "series": None},
    "i1": {"item_id": "i1", "title": "The Wire: Episode 1", "year": None, "tags": [], "series": "The Wire"},
    "i2": {"item_id": "i2", "title": "Unknown", "year": None, "tags": None, "series": None},
}


@pytest.mark.parametrize(
    ("completion", "made", "undecided"),
    [
        ("drop keep detail", ("drop", "keep", "detail"), 0),
        ("Drop, KEEP; detail.", ("drop", "keep", "detail"), 0),
        ("1. drop\n2. keep\n3. drop", ("drop", "keep", "drop"), 0),
        ("drop\tdrop\ndrop drop drop", ("drop", "drop", "drop"), 0),  # what is beyond the last record is not read
        ("drop", ("drop", "keep", "keep"), 2),
        ("drop maybe drop", ("drop", "keep", "keep"), 2),
        ("I would drop the first", ("keep", "keep", "keep"), 3),
        ("dropkeepdrop", ("keep", "keep", "keep"), 3),
        ("drop_keep_drop", ("drop", "keep", "drop"), 0),
        ("", ("keep", "keep", "keep"), 3),
        ("١ 2 !?", ("keep", "keep", "keep"), 3),
    ],
)
def test_what_is_malformed_or_missing_keeps_the_rest_and_is_counted(completion, made, undecided):
    assert parse_decisions(completion, 3) == Decisions(made, undecided)


@given(st.one_of(st.text(), st.lists(st.sampled_from([*DECISIONS, "DROP", "x", "\n", "7."])).map(" ".join)))
def test_any_completion_decides_on_every_record(completion):
    for num_records in (0, 1, 5):
        decisions = parse_decisions(completion, num_records)
        assert len(decisions.of_records) == num_records
        assert set(decisions.of_records) <= set(DECISIONS)
        assert set(decisions.of_records[num_records - decisions.undecided :]) <= {"keep"}


def test_kept_records_stand_as_the_template_has_them_and_detail_adds_what_the_catalogue_knows(to_history):
    history = to_history("Fargo", "The Wire: Episode 1", "Unknown", "Not in the catalogue", "Heat")
    text = execute(Decisions(("detail", "detail", "detail", "detail", "drop"), 0), history, ITEMS)
    lines = [record_line(record) for record in history]
    assert text.split("\n") == [
        f"{lines[0]} | year=1996 | tags=Crime, Drama",
        f"{lines[1]} | series=The Wire",
        lines[2],
        lines[3],
    ]


def test_dropping_everything_leaves_a_text_that_says_so(to_history):
    verbalizer = ActionVerbalizer(ITEMS)
    assert verbalizer.realize("drop drop", {"history": to_history("Fargo", "Heat")}) == NOTHING_KEPT
    assert verbalizer.realize("", {"history": []}) == NOTHING_KEPT
    assert NOTHING_KEPT.strip()


def test_a_warm_start_decides_each_record_at_random_and_always_alike(to_history):
    verbalizer = ActionVerbalizer(ITEMS)
    examples = [{"history": to_history("Fargo", "Heat", f"Film {number}")} for number in range(300)]
    texts = [verbalizer.warm_start(example) for example in examples]
    assert texts == [ActionVerbalizer(ITEMS).warm_start(example) for example in examples]
    decided = [parse_decisions(text, 3) for text in texts]
    assert not any(decisions.undecided for decisions in decided)
    counts = Counter(decision for decisions in decided for decision in decisions.of_records)
    assert all(counts[decision] / 900 == pytest.approx(1 / 3, abs=0.08) for decision in DECISIONS)
    # A ninth of three independent decisions are of one kind. With shares drawn by history it would be three in ten,
    # and a policy would learn to repeat the decision before.
    of_one_kind = sum(len(set(decisions.of_records)) == 1 for decisions in decided)
    assert of_one_kind / 300 == pytest.approx(1 / 9, abs=0.06)


def test_records_are_numbered_and_only_the_newest_are_asked_about(to_history):
    history = to_history("Fargo", "Heat", "Alien")
    (message,) = ActionVerbalizer(ITEMS, history_length=2).prompt({"history": history})
    numbered = [line for line in message["content"].splitlines() if re.match(r"\d+\. ", line)]
    assert numbered == [f"1. {record_line(history[1])}", f"2. {record_line(history[2])}"]
    assert " 2 words " in message["content"]
    verbalizer = ActionVerbalizer(ITEMS, history_length=2)
    assert verbalizer.realize("drop keep", {"history": history}) == record_line(history[2])


def test_the_prompt_uses_each_placeholder_and_explains_each_decision():
    prose = prompt_text("action")
    assert re.findall(r"\{(\w+)\}", prose) == ["records", "count"]
    assert [line.split(",")[0] for line in prose.splitlines()[-3:]] == list(DECISIONS)


def test_counts_say_what_became_of_each_record(to_history):
    example = {"history": to_history(*"abcdef")}
    counts = ActionVerbalizer(ITEMS).counts("drop detail drop keep", example)
    assert counts == {"drop": 2, "keep": 3, "detail": 1, "undecided": 2}  # the two undecided are among those kept


def walk(grammar: DecisionGrammar, num_records: int, rng: random.Random) -> list[int]:
    """An answer of allowed tokens, up to the one that ends it."""
    written = [rng.choice(grammar.allowed([], num_records))]
    while written[-1] != grammar.end:
        written.append(rng.choice(grammar.allowed(written, num_records)))
    return written


@given(seed=st.integers(), num_records=st.integers(0, 12))
def test_every_allowed_way_ends_in_one_decision_per_record(tiny_language_model, seed, num_records):
    tokenizer = tiny_language_model.tokenizer
    grammar = DecisionGrammar.of(tokenizer)
    written = walk(grammar, num_records, random.Random(seed))
    text = tokenizer.decode(written, skip_special_tokens=True)
    assert parse_decisions(text, num_records).undecided == 0
    assert len(text.split()) == num_records
    assert set(written) <= {*decision_token_ids(tokenizer), grammar.end}


def test_an_answer_that_has_ended_stays_ended(tiny_language_model):
    grammar = DecisionGrammar.of(tiny_language_model.tokenizer)
    written = walk(grammar, 2, random.Random(0))
    assert grammar.allowed([*written, grammar.end], 2) == [grammar.end]


def test_histories_of_all_lengths_get_one_decision_per_record_in_one_batch(
    tiny_language_model, text_cache, to_history
):
    histories = [to_history(*"abcdefgh"[:length]) for length in (3, 8, 1, 0, 5)]
    verbalizer = ActionVerbalizer(ITEMS, tiny_language_model)
    writings = verbalizer.write(histories)
    assert [len(writing.completion.split()) for writing in writings] == [3, 8, 1, 0, 5]
    assert all(writing.counts["undecided"] == 0 for writing in writings)
    alone = [verbalizer.constraint({"history": history}) for history in histories]
    prompts = [tiny_language_model.prompt_ids(verbalizer.prompt({"history": history})) for history in histories]
    for prompt, allow, writing in zip(prompts, alone, writings, strict=True):
        assert tiny_language_model.generate([prompt], 60, constraints=[allow]) == [writing.completion]


def test_texts_are_the_decisions_carried_out(tiny_language_model, text_cache, to_history):
    history = to_history("Fargo", "The Wire: Episode 1")
    verbalizer = ActionVerbalizer(ITEMS, tiny_language_model)
    (writing,) = verbalizer.write([history])
    assert verbalizer.verbalize([history]) == [writing.text]
    assert writing.text == execute(parse_decisions(writing.completion, 2), history, ITEMS)


def test_a_completion_fits_the_room_it_asks_for(tiny_language_model, to_history):
    example = {"history": to_history("Fargo", "Heat")}
    # A byte tokenizer: " detail" takes seven tokens; two records and the end.
    assert ActionVerbalizer(ITEMS, tiny_language_model).max_completion_tokens(example) == 2 * 7 + 1
    assert ActionVerbalizer(ITEMS).max_completion_tokens(example) == 2 * 1 + 1


@pytest.mark.slow
def test_a_hundred_records_cost_a_hundred_tokens_of_the_default_model():
    tokenizer = AutoTokenizer.from_pretrained(packaged_base_model())
    grammar = DecisionGrammar.of(tokenizer)
    assert grammar.tokens_per_record == 1
    answer = "".join(f" {word}" for word in random.Random(0).choices(DECISIONS, k=100))
    ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
    assert len(ids) == 100
    assert grammar.allowed(ids, 100) == [tokenizer.eos_token_id]
    assert set(ids) == set(decision_token_ids(tokenizer))


@pytest.mark.slow
def test_the_real_model_decides_on_each_record(base_language_model, text_cache, to_history):
    histories = [to_history("Fargo", "Heat", "Alien"), to_history("The Matrix")]
    verbalizer = ActionVerbalizer(ITEMS, base_language_model)
    assert [sum(writing.counts[name] for name in DECISIONS) for writing in verbalizer.write(histories)] == [3, 1]
