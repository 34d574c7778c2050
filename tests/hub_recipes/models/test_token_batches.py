import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_models import MODELS
from transformers import AutoModelForCausalLM

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.models.token_batches import branch_batch, pad_left, refuse_trees, takes_trees, to_batches


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 120))
def test_every_sequence_is_in_one_batch_that_is_no_larger_than_asked(lengths, max_tokens):
    batches = list(to_batches(lengths, max_tokens))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[place] for place in batch) <= max_tokens
    longest = [lengths[batch[0]] for batch in batches]
    assert longest == sorted(longest, reverse=True)


def test_equal_lengths_need_no_mask():
    assert "attention_mask" not in pad_left([[1, 2], [3, 4]], pad_id=0)


def test_padding_is_masked_and_positions_count_from_the_first_token():
    batch = pad_left([[1, 2, 3], [4]], pad_id=9)
    assert batch["input_ids"].tolist() == [[1, 2, 3], [9, 9, 4]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 1]]
    assert batch["position_ids"].tolist() == [[0, 1, 2], [0, 0, 0]]


def test_a_branch_sees_its_prefix_and_itself_and_no_other_branch():
    batch = branch_batch([[1], [2, 3]], [[[4, 5], [6]], [[7]]], pad_id=0, dtype=torch.float32)
    assert batch["input_ids"].tolist() == [[1, 4, 5, 6], [0, 2, 3, 7]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 1], [0, 0, 1, 2]]
    seen = (batch["attention_mask"][:, 0] == 0).int().tolist()
    assert seen[0] == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 1]]
    assert seen[1][3] == [0, 1, 1, 1]


@pytest.mark.parametrize("kind", MODELS)
@torch.inference_mode()
def test_the_models_that_read_trees_rightly_are_known(kind):
    """A branch after its prefix and its sibling has the scores that it has after its prefix alone, or is refused."""
    to_config, is_right = MODELS[kind]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(to_config()).eval()
    prefix, sibling, branch = [1, 2, 3, 4, 5, 6, 7], [8, 9, 10], [11, 12, 13]
    tree = branch_batch([prefix], [[sibling, branch]], 0, torch.float32)
    assert takes_trees(model, tree["input_ids"].shape[1]) is is_right
    alone = model(input_ids=torch.tensor([prefix + branch])).logits[0, -3:]
    if is_right:
        assert torch.allclose(model(**tree).logits[0, -3:], alone, atol=1e-4)
        refuse_trees(model, tree["input_ids"].shape[1])
        return
    with pytest.raises(InputError, match="cannot read ten answers after one prompt of up to 13 tokens"):
        refuse_trees(model, tree["input_ids"].shape[1])
    try:
        wrong = model(**tree).logits[0, -3:]
    except (TypeError, RuntimeError, ValueError):
        return  # a tree is no input that it knows
    assert not torch.allclose(wrong, alone, atol=1e-2)
