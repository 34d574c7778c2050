import pytest
import torch

from logs2lang.training.objectives.packed_sequences import (
    Branch,
    PackedSequence,
    branch_scores,
    to_packed_batch,
    token_log_probs,
)

PREFIXES = [[5, 6, 7, 8], [9, 10]]
ANSWERS = [[[11], [12, 13], [14, 15, 16]], [[12, 13], [11]]]


def batch_of(sequences, model):
    return to_packed_batch(sequences, model.pad_id, torch.float32)


@torch.no_grad()
def plain_log_prob(model, before: list[int], answer: list[int]) -> float:
    """Of an answer after what stands before it, in a pass of its own."""
    logits = model.model(torch.tensor([[*before, *answer]])).logits[0].log_softmax(-1)
    return sum(logits[len(before) - 1 + place, token].item() for place, token in enumerate(answer))


@torch.no_grad()
def test_answers_are_as_probable_as_in_inference(tiny_language_model):
    sequences = [
        PackedSequence(prefix, [Branch(ids, len(prefix)) for ids in answers])
        for prefix, answers in zip(PREFIXES, ANSWERS, strict=True)
    ]
    batch = batch_of(sequences, tiny_language_model)
    scores = branch_scores(token_log_probs(tiny_language_model.model, batch)[0], batch)
    for row, expected in zip(scores, tiny_language_model.branch_log_probs(PREFIXES, ANSWERS), strict=True):
        assert row[: len(expected)].tolist() == pytest.approx(expected.tolist(), abs=1e-4)
    assert scores[1, 2] == float("-inf")


@torch.no_grad()
def test_a_branch_sees_the_prefix_up_to_its_fork_and_nothing_else(tiny_language_model):
    branches = [Branch([20, 21, 22], fork=2, uncounted=1), Branch([23, 24], fork=4), Branch([25], fork=1)]
    batch = batch_of([PackedSequence(PREFIXES[0], branches)], tiny_language_model)
    scores = branch_scores(token_log_probs(tiny_language_model.model, batch)[0], batch)[0]
    assert scores.tolist() == pytest.approx(
        [
            plain_log_prob(tiny_language_model, [5, 6, 20], [21, 22]),
            plain_log_prob(tiny_language_model, [5, 6, 7, 8], [23, 24]),
            plain_log_prob(tiny_language_model, [5], [25]),
        ],
        abs=1e-4,
    )


@torch.no_grad()
def test_tokens_of_a_prefix_count_where_they_stand(tiny_language_model):
    batch = batch_of(
        [PackedSequence([9, 10], []), PackedSequence([5, 6, 7, 8], [], counted=[1, 3])], tiny_language_model
    )
    log_probs, _ = token_log_probs(tiny_language_model.model, batch)
    expected = [plain_log_prob(tiny_language_model, [5], [6]), plain_log_prob(tiny_language_model, [5, 6, 7], [8])]
    assert log_probs.tolist() == pytest.approx(expected, abs=1e-4)


def test_the_head_sees_only_what_decides_a_counted_token(tiny_language_model):
    seen = []
    head = tiny_language_model.model.get_output_embeddings()
    handle = head.register_forward_hook(lambda _, inputs, output: seen.append(tuple(output.shape)))
    labels = [PackedSequence([5] * 20, [Branch([label], 20) for label in range(10)]) for _ in range(3)]
    token_log_probs(tiny_language_model.model, batch_of(labels, tiny_language_model))
    handle.remove()
    assert seen == [(3, tiny_language_model.model.config.vocab_size)]  # 3 of 60 positions


def test_answers_of_one_token_need_no_tree(tiny_language_model):
    labels = [PackedSequence([5] * 20, [Branch([label], 20) for label in range(10)])]
    assert "attention_mask" not in batch_of(labels, tiny_language_model)
