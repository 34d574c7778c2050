import torch
from hypothesis import given
from hypothesis import strategies as st

from hub_recipes.token_batches import branch_batch, pad_left, to_batches


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
