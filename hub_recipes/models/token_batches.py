"""Sequences of token ids in batches: alike lengths together, so that little of a forward pass is spent on padding."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from logs2lang.dataset_builders.input_error import InputError


def to_batches(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Group sequences by length, the longest first, so that memory runs out at once or never.

    Args:
        lengths (`list[int]`): Tokens of each sequence.
        max_tokens (`int`): Most tokens of a batch, padding included. A longer sequence makes a batch of its own.

    Returns:
        `Iterator[list[int]]`: Places in `lengths`, each in one batch.

    Example:
        >>> list(to_batches([3, 9, 4, 4], max_tokens=12))
        [[1], [2, 3, 0]]
    """
    batch: list[int] = []
    for place in np.argsort([-length for length in lengths], kind="stable").tolist():
        if batch and lengths[batch[0]] * (len(batch) + 1) > max_tokens:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def pad_left(sequences: Sequence[Sequence[int]], pad_id: int) -> dict[str, torch.Tensor]:
    """Stack sequences so that all of them end at the last position, where the next token is decided.

    Args:
        sequences (`list[list[int]]`): Token ids.
        pad_id (`int`): What fills the left side.

    Returns:
        `dict`: `input_ids`, `position_ids` and, where there is padding, `attention_mask`, each of shape
        `(sequences, longest)`. Without padding there is no mask, which lets attention take its fast causal path.

    Example:
        >>> pad_left([[5, 6], [7]], pad_id=0)["input_ids"].tolist()
        [[5, 6], [0, 7]]
    """
    longest = max(map(len, sequences))
    ids = torch.tensor([[pad_id] * (longest - len(row)) + list(row) for row in sequences])
    padding = torch.tensor([[longest - len(row)] for row in sequences])
    positions = torch.arange(longest)[None] - padding
    batch = {"input_ids": ids, "position_ids": positions.clamp(min=0)}
    return {**batch, "attention_mask": (positions >= 0).long()} if padding.any() else batch


def branch_batch(
    prefixes: Sequence[Sequence[int]],
    branches: Sequence[Sequence[Sequence[int]]],
    pad_id: int,
    dtype: torch.dtype,
    forks: Sequence[Sequence[int]] | None = None,
) -> dict[str, torch.Tensor]:
    """Several continuations of one prefix as one sequence, in which no branch sees another (tree attention).

    Args:
        prefixes (`list[list[int]]`): Token ids, one prefix per row.
        branches (`list[list[list[int]]]`): Token ids of the continuations of each prefix.
        pad_id (`int`): What fills the left side.
        dtype (`torch.dtype`): Of the model's activations; the mask is added to its attention scores.
        forks (`list[list[int]]`, *optional*): How many tokens of its prefix each branch follows; all of them when
            `None`.

    Returns:
        `dict`: `input_ids` and `position_ids` of shape `(rows, longest)`: prefix, then branch after branch, each
        branch counting its positions from where it leaves the prefix; `attention_mask` of shape
        `(rows, 1, longest, longest)`: 0 where a token may look, else the lowest number of `dtype`.

    Example:
        >>> batch = branch_batch([[5, 6]], [[[7], [8]]], pad_id=0, dtype=torch.float32)
        >>> batch["position_ids"].tolist()
        [[0, 1, 2, 2]]
        >>> (batch["attention_mask"][0, 0] == 0).int().tolist()
        [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1]]
    """
    forks = forks or [[len(prefix)] * len(of_row) for prefix, of_row in zip(prefixes, branches, strict=True)]
    rows = [_flat_row(*row) for row in zip(prefixes, branches, forks, strict=True)]
    longest = max(len(ids) for ids, *_ in rows)
    ids, positions, owners, reaches = (
        torch.tensor([[fill] * (longest - len(row[part])) + row[part] for row in rows])
        for part, fill in ((0, pad_id), (1, 0), (2, -1), (3, 0))
    )
    of_query, of_key = owners[:, :, None], owners[:, None, :]
    in_prefix = (of_key == 0) & (positions[:, None, :] < reaches[:, :, None])
    seen = (in_prefix | (of_key == of_query)) & torch.ones(longest, longest).tril().bool()
    mask = torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)
    return {"input_ids": ids, "position_ids": positions, "attention_mask": mask[:, None]}


def takes_trees(model: Any, longest: int) -> bool:
    """Whether a model reads a `branch_batch` rightly: every layer looks wherever the mask lets it, and nowhere else.

    Layers that carry a state from token to token (as in Mamba) would carry it from one branch into the next; layers
    that see a window would, in a tree, see beyond it; and flash attention takes no masks.

    Args:
        model (`PreTrainedModel` or `PeftModel`): In question.
        longest (`int`): Tokens of the longest row.
    """
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    return (
        model.config._attn_implementation in ("sdpa", "eager")
        and not getattr(model, "_is_stateful", False)
        and set(getattr(config, "layer_types", None) or ()) <= {"full_attention", "sliding_attention"}
        and (window is None or longest <= window)
    )


def refuse_trees(model: Any, longest: int) -> None:
    """Refuse a model that [`takes_trees`] says no of, before it gives numbers that look right.

    Raises:
        InputError: With what to do instead.
    """
    if not takes_trees(model, longest):
        config = model.config
        raise InputError(
            f"{config._name_or_path or config.model_type} cannot read ten answers after one prompt of up to "
            f"{longest} tokens (attention {config._attn_implementation}, sliding window "
            f"{getattr(config.get_text_config(), 'sliding_window', None)}): its scores would be wrong. Use answer "
            "mode label or generate, use a shorter history, or load the model with attn_implementation sdpa."
        )


def _flat_row(
    prefix: Sequence[int], branches: Sequence[Sequence[int]], forks: Sequence[int]
) -> tuple[list[int], list[int], list[int], list[int]]:
    """Of each token: its id, its position, its owner (0 for the prefix, 1 and up for the branches), and its reach: how
    many tokens of the prefix it may look at."""
    ids, positions = list(prefix), list(range(len(prefix)))
    owners, reaches = [0] * len(prefix), [len(prefix)] * len(prefix)
    for owner, (branch, fork) in enumerate(zip(branches, forks, strict=True), start=1):
        ids += branch
        positions += range(fork, fork + len(branch))
        owners += [owner] * len(branch)
        reaches += [fork] * len(branch)
    return ids, positions, owners, reaches
