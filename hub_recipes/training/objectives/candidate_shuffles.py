"""Examples as training shows them: the candidates in another order every time, the context cut to fit.

An epoch travels with an index, as one key. So what is shown depends on nothing but the seed, the epoch and the index:
a resumed run sees what the killed run would have seen, in whatever process a batch is made.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from datasets import Dataset
from torch.utils.data import Sampler

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import CANDIDATES, ITEM_ID, TARGET, Item

from ...models.language_models import LanguageModel
from ...reasoners.questions import ScoredAnswer, answer_ids, fit_prompt, to_prompt_of
from ..runs.training_examples import judgeable
from .packed_sequences import Branch, PackedSequence

_TEXT = "text"

Key = tuple[int, int]
"""Epoch and index."""

BATCHES_SORTED_AT_ONCE = 50
"""More would save little padding, and leave less to chance."""


@dataclass(frozen=True)
class PackedExample:
    """What is shown of one example.

    Args:
        sequence ([`PackedSequence`]): Token ids.
        gold (`int`): The branch of the target.
        is_cut (`bool`): Whether old lines were left out.
    """

    sequence: PackedSequence
    gold: int
    is_cut: bool


class TrainingTexts(Protocol):
    """What a trainer draws from."""

    lengths: Sequence[int]
    """About how long each of them is, in any unit."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Key) -> PackedExample: ...


class Questions:
    """One question per example: which of the candidates comes next?

    Args:
        language_model ([`LanguageModel`]): Whose tokens are read.
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`, whose targets are among their candidates.
        texts (`list[str]`): The verbalized history of each.
        items (`dict[str, Item]`): The catalogue.
        answer (`str`): `"label"`, `"title"` or `"tags"`.
        max_length (`int`): Most tokens of a prompt with its answers.
        seed (`int`): Decides the orders of the candidates.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        examples: Dataset,
        texts: Sequence[str],
        items: Mapping[str, Item],
        answer: ScoredAnswer,
        max_length: int,
        seed: int,
    ):
        self.language_model = language_model
        self.decisions = examples.select_columns([CANDIDATES, TARGET])
        self.texts = texts
        self.items = items
        self.answer = answer
        self.max_length = max_length
        self.seed = seed
        self.lengths: Sequence[int] = [len(text) for text in texts]

    def __len__(self) -> int:
        return len(self.decisions)

    def __getitem__(self, key: Key) -> PackedExample:
        epoch, index = key
        decision = self.decisions[index]
        shown = [self.items[candidate[ITEM_ID]] for candidate in decision[CANDIDATES]]
        random.Random(f"{self.seed}:{epoch}:{index}").shuffle(shown)
        gold = [item[ITEM_ID] for item in shown].index(decision[TARGET])
        answers = answer_ids(self.language_model, self.answer, shown)
        limit = self.max_length - sum(len(ids) - 1 for ids in answers)
        prompt, is_cut = fit_prompt(self.language_model, self.texts[index], shown, to_prompt_of(self.answer), limit)
        sequence = PackedSequence(prompt, [Branch(ids, len(prompt)) for ids in answers])
        return PackedExample(require_fit(sequence, self.max_length), gold, is_cut)


def require_fit(sequence: PackedSequence, max_length: int) -> PackedSequence:
    """The sequence, if it is short enough now that nothing more can be cut.

    Raises:
        InputError: It is longer than `max_length`.
    """
    if sequence.num_tokens > max_length:
        raise InputError(
            f"Even without any context, a prompt and its answers take {sequence.num_tokens} tokens, but max_length "
            f"is {max_length}. Raise max_length."
        )
    return sequence


def judgeable_with_texts(examples: Dataset, texts: Sequence[str]) -> tuple[Dataset, list[str]]:
    """The examples whose target is among their candidates, with their texts; a warning tells how many are not.

    Args:
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.
        texts (`list[str]`): One per example.

    Raises:
        InputError: There are not as many texts as examples, or no example is left.
    """
    if len(texts) != len(examples):
        raise InputError(f"There are {len(texts)} texts for {len(examples)} examples. Verbalize this split again.")
    kept = judgeable(examples.add_column(_TEXT, list(texts)))
    return kept.remove_columns(_TEXT), kept[_TEXT][:]


class ShuffledByLength(Sampler):
    """Keys of one epoch, shuffled, but so that texts of like length come together and little is padding.

    Args:
        lengths (`list[int]`): About how long each text is.
        batch_size (`int`): Texts of one optimizer step.
        seed (`int`): Decides the order, with the epoch.

    Example:
        >>> order = ShuffledByLength([5, 1, 4, 2, 7], batch_size=2, seed=0)
        >>> order.epoch = 3
        >>> sorted(order)
        [(3, 0), (3, 1), (3, 2), (3, 3), (3, 4)]
        >>> list(order) == list(order)
        True
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int):
        self.lengths = np.array(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[Key]:
        chance = np.random.default_rng([self.seed, self.epoch])
        shuffled = chance.permutation(len(self))
        # At least four pools, or in a small set the same texts would share a batch in every epoch.
        pool = self.batch_size * max(1, min(BATCHES_SORTED_AT_ONCE, len(self) // (4 * self.batch_size)))
        pools = [shuffled[start : start + pool] for start in range(0, len(self), pool)]
        by_length = np.concatenate([part[np.argsort(self.lengths[part], kind="stable")] for part in pools])
        batches = np.split(by_length, range(self.batch_size, len(self), self.batch_size))
        # The last one may be smaller than the others, and stays where it is.
        order = [*chance.permutation(len(batches) - 1), len(batches) - 1]
        return iter([(self.epoch, int(index)) for batch in order for index in batches[batch]])
