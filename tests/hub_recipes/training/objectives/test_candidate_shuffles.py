import logging

import numpy as np
import pytest
from toy_taste import ITEMS, to_examples

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.training.objectives.candidate_shuffles import Questions, ShuffledByLength, judgeable_with_texts


def questions(model, answer="label", max_length=2_048, seed=0, texts=None) -> Questions:
    examples, their_texts = to_examples(6, seed=1)
    return Questions(model, examples, texts or their_texts, ITEMS, answer, max_length, seed)


def prompt_of(model, packed) -> str:
    return model.tokenizer.decode(packed.sequence.prefix)


def test_candidates_come_in_another_order_each_time_and_in_the_same_for_the_same_key(tiny_language_model):
    shown = questions(tiny_language_model)
    orders = {prompt_of(tiny_language_model, shown[epoch, 0]) for epoch in range(20)}
    assert len(orders) > 10  # of 24
    assert shown[3, 0] == questions(tiny_language_model)[3, 0]
    assert [shown[epoch, 0] for epoch in range(4)] != [
        questions(tiny_language_model, seed=5)[epoch, 0] for epoch in range(4)
    ]


@pytest.mark.parametrize("answer", ["label", "title"])
def test_the_gold_answer_is_that_of_the_target(tiny_language_model, answer):
    shown = questions(tiny_language_model, answer)
    for index, target in enumerate(shown.decisions["target"]):
        packed = shown[7, index]
        gold = tiny_language_model.tokenizer.decode(packed.sequence.branches[packed.gold].ids)
        title = ITEMS[target]["title"]
        expected = f"\n{gold}. {title}\n" in prompt_of(tiny_language_model, packed)
        assert expected if answer == "label" else gold == f"{title}<|im_end|>"


@pytest.mark.parametrize("answer", ["label", "title"])
def test_a_long_context_is_cut_from_its_old_end_and_marked(tiny_language_model, answer):
    texts = ["\n".join(f"record {number}" for number in range(50)), *["short"] * 5]
    shown = questions(tiny_language_model, answer, max_length=300, texts=texts)
    long, short = shown[0, 0], shown[0, 1]
    assert (long.is_cut, short.is_cut) == (True, False)
    assert long.sequence.num_tokens <= 300
    assert "record 49" in prompt_of(tiny_language_model, long)
    assert "record 0\n" not in prompt_of(tiny_language_model, long)


def test_a_question_that_cannot_fit_says_so(tiny_language_model):
    with pytest.raises(InputError, match="Raise max_length"):
        questions(tiny_language_model, max_length=20)[0, 0]


def test_examples_without_their_target_are_skipped_and_counted(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("logs2lang.training.objectives.prompt_rows"), "propagate", True)
    examples, texts = to_examples(3, seed=1)
    targets = examples["target"][:]
    broken = examples.remove_columns("target").add_column("target", ["absent", *targets[1:]])
    kept, their_texts = judgeable_with_texts(broken, texts)
    assert (kept["target"][:], their_texts) == (targets[1:], texts[1:])
    assert "1 of 3 examples lack their target" in caplog.text
    with pytest.raises(InputError, match="nothing can be learned"):
        judgeable_with_texts(broken.select([0]), texts[:1])


def test_texts_of_another_split_are_refused():
    with pytest.raises(InputError, match="2 texts for 3 examples"):
        judgeable_with_texts(to_examples(3, seed=1)[0], ["a", "b"])


def test_every_index_comes_once_per_epoch_in_another_order():
    order = ShuffledByLength(range(10), batch_size=4, seed=0)
    first = [index for _, index in order]
    order.epoch = 1
    second = [index for _, index in order]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_texts_of_like_length_come_together():
    lengths = np.random.default_rng(0).integers(1, 1_000, 800)
    order = [index for _, index in ShuffledByLength(lengths, batch_size=8, seed=0)]
    padded = lengths[order].reshape(-1, 8).max(1).sum() * 8
    assert padded < 1.1 * lengths.sum()
    assert list(lengths[order]) != sorted(lengths)
