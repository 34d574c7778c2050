"""What a language model reads in training, and which of its tokens count: the same form for every objective.

A question with ten answers, a history in which every title is a target: each is a prefix with branches that do not
see each other. Only the positions that decide a counted token reach the head, which with 49,000 tokens is a third of
a small model.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...models.token_batches import branch_batch, pad_left, refuse_trees

MODEL_INPUTS = ("input_ids", "position_ids", "attention_mask")


@dataclass(frozen=True)
class Branch:
    """A continuation of a prefix.

    Args:
        ids (`list[int]`): Its tokens; not empty.
        fork (`int`): How many tokens of the prefix it follows; at least 1.
        uncounted (`int`, *optional*, defaults to 0): How many of its first tokens are only read.
    """

    ids: Sequence[int]
    fork: int
    uncounted: int = 0


@dataclass(frozen=True)
class PackedSequence:
    """One sequence of a batch.

    Args:
        prefix (`list[int]`): Token ids; not empty.
        branches (`list[Branch]`): Continuations; their last tokens are decided and never read.
        counted (`list[int]`, *optional*): Places of prefix tokens that count, from 1.
    """

    prefix: Sequence[int]
    branches: Sequence[Branch]
    counted: Sequence[int] = ()

    @property
    def num_tokens(self) -> int:
        """How many tokens are read."""
        return len(self.prefix) + sum(len(branch.ids) - 1 for branch in self.branches)


def to_packed_batch(sequences: Sequence[PackedSequence], pad_id: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """Stack sequences.

    Args:
        sequences (`list[PackedSequence]`): At least one.
        pad_id (`int`): What fills the left side.
        dtype (`torch.dtype`): Of the model's activations.

    Returns:
        `dict`: What the model reads (`input_ids`, `position_ids`, perhaps `attention_mask`). `read_at`, of shape
        `(sequences, longest)`: whether a position decides a counted token. `is_branch`, of shape `(sequences, most)`:
        whether a sequence has so many branches. And for each counted token: `decider`, its place among the positions
        that decide; `token`, its id; `branch`, its place in `is_branch`, flattened, or -1 for a token of a prefix.

    Example:
        >>> batch = to_packed_batch([PackedSequence([5, 6], [Branch([7], 2), Branch([8, 9], 2)])], 0, torch.float32)
        >>> batch["input_ids"].tolist(), batch["read_at"].int().tolist()
        ([[5, 6, 8]], [[0, 1, 1]])
        >>> batch["decider"].tolist(), batch["token"].tolist(), batch["branch"].tolist()
        ([0, 0, 1], [7, 8, 9], [0, 1, 1])
    """
    inputs = _to_inputs(sequences, pad_id, dtype)
    longest = inputs["input_ids"].shape[1]
    most = max(len(sequence.branches) for sequence in sequences)
    counted = torch.tensor(
        [
            (row * longest + longest - sequence.num_tokens + place, token, -1 if branch < 0 else row * most + branch)
            for row, sequence in enumerate(sequences)
            for place, token, branch in _counted_tokens(sequence)
        ]
    ).reshape(-1, 3)
    places, decider = counted[:, 0].unique(return_inverse=True)
    read_at = torch.zeros(len(sequences) * longest, dtype=torch.bool)
    read_at[places] = True
    return {
        **inputs,
        "read_at": read_at.view(-1, longest),
        "decider": decider,
        "token": counted[:, 1],
        "branch": counted[:, 2],
        "is_branch": torch.tensor(
            [[place < len(sequence.branches) for place in range(most)] for sequence in sequences]
        ),
    }


def _to_inputs(sequences: Sequence[PackedSequence], pad_id: int, dtype: torch.dtype) -> dict[str, Tensor]:
    prefixes = [sequence.prefix for sequence in sequences]
    read = [[branch.ids[:-1] for branch in sequence.branches] for sequence in sequences]
    if not any(ids for of_reading in read for ids in of_reading):
        return pad_left(prefixes, pad_id)  # no tree: attention may take its fast causal path
    forks = [[branch.fork for branch in sequence.branches] for sequence in sequences]
    return branch_batch(prefixes, read, pad_id, dtype, forks)


def _counted_tokens(sequence: PackedSequence) -> Iterator[tuple[int, int, int]]:
    """Of each counted token: the place of the token before it, its id, and its branch, -1 for the prefix."""
    for place in sequence.counted:
        yield place - 1, sequence.prefix[place], -1
    start = len(sequence.prefix)
    for number, branch in enumerate(sequence.branches):
        before = [branch.fork - 1, *range(start, start + len(branch.ids) - 1)]
        for place, token in list(zip(before, branch.ids, strict=True))[branch.uncounted :]:
            yield place, token, number
        start += len(branch.ids) - 1


def token_log_probs(model: Any, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """How probable each counted token is, over the whole vocabulary.

    Args:
        model (`PreTrainedModel`, `PeftModel` or a wrapper of one): Is called as it is, so that wrappers of distributed
            training see the pass.
        batch (`dict`): From [`to_packed_batch`].

    Returns:
        `tuple[Tensor, Tensor]`: Natural logarithms, and whether no token was more probable; of shape `(tokens,)`.

    Raises:
        InputError: The batch holds trees and the model cannot read them.
    """
    if batch.get("attention_mask", batch["input_ids"]).dim() == 4:
        refuse_trees(getattr(model, "module", model), batch["input_ids"].shape[1])
    inputs = {name: batch[name] for name in MODEL_INPUTS if name in batch}
    with _head_at(model, batch["read_at"]):
        logits = model(**inputs, use_cache=False).logits.float()
    chosen = logits[batch["decider"], batch["token"]]
    is_best = chosen.detach() >= logits.detach().amax(-1)[batch["decider"]]
    return chosen - logits.logsumexp(-1)[batch["decider"]], is_best


@contextmanager
def _head_at(model: Any, read_at: Tensor) -> Iterator[None]:
    """Let the head see the hidden states at some positions alone; its output then has the shape `(N, vocabulary)`."""
    head = getattr(model, "module", model).get_output_embeddings()
    # A hook, because transformers 5.17 takes `logits_to_keep` only where the positions of all rows are the same.
    handle = head.register_forward_pre_hook(lambda _, hidden: (hidden[0][read_at],))
    try:
        yield
    finally:
        handle.remove()


def branch_scores(log_probs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
    """The log-probability of each branch.

    Args:
        log_probs (`Tensor` of shape `(tokens,)`): From [`token_log_probs`].
        batch (`dict`): From [`to_packed_batch`]; no token of a prefix counts.

    Returns:
        `Tensor` of shape `(sequences, most branches)`: Minus infinity where a sequence has fewer branches.
    """
    is_branch = batch["is_branch"]
    sums = log_probs.new_zeros(is_branch.numel()).index_add(0, batch["branch"], log_probs)
    return sums.view(is_branch.shape).masked_fill(~is_branch, float("-inf"))
