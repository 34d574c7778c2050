"""GRPO with shared prompts: a prompt is processed once for all its answers, in sampling and in training.

A prompt that contains a log is many times as long as a list of decisions, and the answers of a group share it. TRL
processes it again for each answer: eight times for sampling, and eight times forward and backward for training. Here a
group is one prompt with the answers as branches that do not see each other: the same probabilities, entropies and
gradients.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from ...models.token_batches import branch_batch, takes_trees

_ENTROPY = "compute_entropy"
"""The one thing more that can be asked of a tree; what else TRL asks for belongs to images and experts."""


class SharedPrompts:
    """A mixin; it stands before TRL's trainer: `class OurTrainer(SharedPrompts, GRPOTrainer)`."""

    accelerator: Any
    model: Any

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **others: Any,
    ) -> tuple[Tensor | None, ...]:
        """As TRL's, through which it reads all answers; the rows may be of any prompts in any order.

        Images, the balance of experts, and models that cannot read trees are left to TRL.
        """
        read = super()._get_per_token_logps_and_entropies  # type: ignore[misc]
        if any(value is not None and value is not False for name, value in others.items() if name != _ENTROPY):
            return read(model, input_ids, attention_mask, logits_to_keep, batch_size=batch_size, **others)
        size = batch_size or len(input_ids)  # pieces as TRL makes them: processes must call the model in step
        pieces = zip(input_ids.split(size), attention_mask.split(size), strict=True)
        columns = zip(*(self._read(model, *piece, logits_to_keep, others, read) for piece in pieces), strict=True)
        return tuple(None if column[0] is None else torch.cat(column) for column in columns)

    def _read(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        others: Mapping[str, Any],
        read: Callable[..., tuple[Tensor | None, ...]],
    ) -> tuple[Tensor | None, ...]:
        """One piece, as trees if that is less work."""
        plain = self.accelerator.unwrap_model(model)
        trees = to_trees(input_ids, attention_mask, logits_to_keep, plain.dtype)
        width = plain.config.get_text_config().hidden_size
        is_less = _work(trees.input_ids, width) < _work(input_ids, width)
        if not (is_less and takes_trees(plain, trees.input_ids.shape[1])):
            return read(model, input_ids, attention_mask, logits_to_keep, **others)
        with _inputs(model, position_ids=trees.position_ids, attention_mask=trees.attention_mask):
            columns = read(model, trees.input_ids, trees.is_token, trees.kept, **others)
        return tuple(None if column is None else trees.by_row(column) for column in columns)

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        with shared_prefill(self.accelerator.unwrap_model(self.model)):
            return super()._generate_single_turn(*args, **kwargs)  # type: ignore[misc]


@dataclass(frozen=True)
class Trees:
    """Rows of prompt and answer with each prompt once: a tree per prompt, with its answers as branches.

    Args:
        input_ids (`Tensor` of shape `(trees, longest)`): Padded on the left.
        position_ids (`Tensor` of that shape): Of each token as in the row it comes from.
        attention_mask (`Tensor` of shape `(trees, 1, longest, longest)`): 0 where a token may look.
        is_token (`Tensor` of shape `(trees, longest)`): 0 for padding.
        kept (`int`): How many places at the end hold the branches of any tree.
        places (`Tensor` of shape `(rows, width of the answers)`): Of each token of an answer, its place among those
            kept of all trees; -1 for padding.
    """

    input_ids: Tensor
    position_ids: Tensor
    attention_mask: Tensor
    is_token: Tensor
    kept: int
    places: Tensor

    def by_row(self, of_kept: Tensor) -> Tensor:
        """Numbers of the places kept, of shape `(trees, kept)`, as numbers of the answers' tokens; 0 for padding."""
        return of_kept.flatten()[self.places].masked_fill(self.places < 0, 0.0)


def to_trees(input_ids: Tensor, attention_mask: Tensor, logits_to_keep: int, dtype: torch.dtype) -> Trees:
    """Put the answers to one prompt together, whatever the order of the rows.

    A branch begins with the last token of its prompt, said again: so each token of an answer is decided by the one
    that stands before it, as in any row.

    Args:
        input_ids (`Tensor` of shape `(rows, tokens)`): Prompts, padded on the left, then answers, padded on the right.
        attention_mask (`Tensor` of that shape): 0 for padding.
        logits_to_keep (`int`): The width of the answers.
        dtype (`torch.dtype`): Of the model's activations.

    Example:
        >>> rows = torch.tensor([[5, 6, 7], [5, 6, 8]])
        >>> trees = to_trees(rows, torch.ones_like(rows), 1, torch.float32)
        >>> trees.input_ids.tolist(), trees.position_ids.tolist(), trees.kept
        ([[5, 6, 7, 6, 8]], [[0, 1, 2, 1, 2]], 4)
    """
    answers_from = input_ids.shape[1] - logits_to_keep
    prompts: dict[tuple[int, ...], list[int]] = {}
    answers = []
    for row, (ids, mask) in enumerate(zip(input_ids.cpu(), attention_mask.cpu().bool(), strict=True)):
        prompts.setdefault(tuple(ids[:answers_from][mask[:answers_from]].tolist()), []).append(row)
        answers.append(ids[answers_from:][mask[answers_from:]].tolist())
    branches = [[[prompt[-1], *answers[row]] for row in rows] for prompt, rows in prompts.items()]
    lengths = [sum(map(len, of_tree)) for of_tree in branches]
    kept = max(lengths)
    places = torch.full((len(answers), logits_to_keep), -1)
    for tree, (rows, of_tree, length) in enumerate(zip(prompts.values(), branches, lengths, strict=True)):
        start = (tree + 1) * kept - length
        for row, branch in zip(rows, of_tree, strict=True):
            places[row, : len(branch) - 1] = torch.arange(start + 1, start + len(branch))
            start += len(branch)
    batch = branch_batch([prompt[:-1] for prompt in prompts], branches, 0, dtype)
    longest = batch["input_ids"].shape[1]
    sizes = torch.tensor([len(prompt) - 1 + length for prompt, length in zip(prompts, lengths, strict=True)])
    batch["is_token"] = (torch.arange(longest) >= longest - sizes[:, None]).long()
    on_device = {name: tensor.to(input_ids.device) for name, tensor in {**batch, "places": places}.items()}
    return Trees(kept=kept, **on_device)


def _work(input_ids: Tensor, width: int) -> float:
    """How much a forward pass over sequences costs, in tokens: a layer of `width` `d` takes some `24 d^2` operations
    for each of `n` tokens, and `4 d n` more for its attention (Kaplan et al., arXiv 2001.08361, table 1)."""
    rows, length = input_ids.shape
    return rows * length * (1 + length / (6 * width))


@contextmanager
def _inputs(model: Any, **inputs: Tensor) -> Iterator[None]:
    """Let the model be called with other inputs than its caller says."""
    handle = model.register_forward_pre_hook(lambda _, args, kwargs: (args, {**kwargs, **inputs}), with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def shared_prefill(model: Any) -> Iterator[None]:
    """Let `model.generate` read a prompt once where equal ones follow each other, as those of a group do.

    Args:
        model (`PreTrainedModel` or `PeftModel`): Does so within the context, if it remembers what it has read as keys
            and values in a `DynamicCache`; otherwise it reads every row, as ever.
    """
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    repeats = [1]

    def ask_once(_: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        repeats[0] = _repeats(kwargs)
        rows = len(kwargs["input_ids"])
        return args, {
            name: value[:: repeats[0]]
            if isinstance(value, Tensor) and value.dim() > 1 and len(value) == rows
            else value
            for name, value in kwargs.items()  # of one dimension are places in the prompt, not rows
        }

    def answer_all(_: Any, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
        if repeats[0] > 1:
            _cache(kwargs).batch_repeat_interleave(repeats[0])
            output.logits = output.logits.repeat_interleave(repeats[0], dim=0)
        return output

    handles = [
        base.register_forward_pre_hook(ask_once, with_kwargs=True),
        base.register_forward_hook(answer_all, with_kwargs=True),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _repeats(inputs: dict[str, Any]) -> int:
    """How many equal rows each prompt has; 1 where their numbers differ, or where this is not the first pass."""
    cache = _cache(inputs)
    if cache is None or cache.get_seq_length() > 0:
        return 1
    # Without padding there is no mask.
    rows = torch.cat([inputs[name] for name in ("input_ids", "attention_mask") if inputs.get(name) is not None], dim=1)
    counts = rows.unique_consecutive(dim=0, return_counts=True)[1]
    return int(counts[0]) if (counts == counts[0]).all() else 1


def _cache(inputs: dict[str, Any]) -> Any:
    """What the model remembers, if all layers remember tokens; the state of one that does not cannot be repeated."""
    cache = next((value for value in inputs.values() if isinstance(value, DynamicCache)), None)
    return cache if cache is not None and all(isinstance(layer, DynamicLayer) for layer in cache.layers) else None
