"""Whole histories in which every title is a target: the dense supervision of next-title language modelling.

A history is read as the `title` answer reads it: the prompt of `reasoners/title.txt` around its records, oldest first.
Each title among the records is a target where it stands, at the price of the record alone. Some of the records are
asked for as well: the prompt as it would have been at that moment, closed by the question, then the title and the end
of the answer. Those branches share all that was read before (tree attention), and what they train is to the token what
the reasoner is asked later. One more question has no context at all: its answer is any title of the history, so that
"nothing is known" comes to mean popularity, which is what `subtract_prior` takes off.

Only training examples come in: records before their targets, and the targets. Nothing of validation or test does.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from datasets import Dataset

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import has_clock, record_line, sanitize, title_place
from logs2lang.dataset_builders.schema import (
    EVENT,
    HISTORY,
    MAX_HISTORY,
    NOISE_EVENTS,
    TARGET,
    TIMESTAMP,
    TITLE,
    USER,
    Item,
)

from ...models.language_models import LanguageModel
from ...reasoners.questions import question, title_ids, to_title_prompt
from .candidate_shuffles import Key, PackedExample, require_fit
from .packed_sequences import Branch, PackedSequence

RecordFormat = Literal["titles", "template"]


@dataclass(frozen=True)
class TitleLine:
    """One record of a history.

    Args:
        text (`str`): Its line.
        title (`str`): As it stands in the line.
        place (`int`): Where in the line.
        is_target (`bool`): Whether the user chose it; what a trailer or an autoplay shows is read, and never a target.
    """

    text: str
    title: str
    place: int
    is_target: bool


class Histories:
    """One sequence per window of a user's history; no record is a target twice in an epoch.

    Args:
        language_model ([`LanguageModel`]): Whose tokens are read; with a fast tokenizer.
        examples (`datasets.Dataset`): Training rows of `EXAMPLE_FEATURES`.
        items (`dict[str, Item]`): The catalogue, for the titles of the targets.
        records (`str`): `"titles"`: each line is a title; records that the user did not choose are left out.
            `"template"`: each line is what the template verbalizer writes.
        history_length (`int` or `None`): Most records before a window's last target; all when `None`.
        questions (`int`): How many targets of a window are also asked for, the last one always.
        asks_without_context (`bool`): Whether one title of each window is asked for without a context.
        max_length (`int`): Most tokens of a sequence; a longer one loses its oldest records.
        seed (`int`): Decides what is asked for.

    Raises:
        InputError: The tokenizer does not tell where its tokens stand in a text.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        examples: Dataset,
        items: Mapping[str, Item],
        records: RecordFormat,
        history_length: int | None,
        questions: int,
        asks_without_context: bool,
        max_length: int,
        seed: int,
    ):
        if not language_model.tokenizer.is_fast:
            raise InputError(
                "method 'history_lm' needs the token offsets of each title, which the slow tokenizer of "
                f"{language_model.model_id} does not provide. Choose a base model with a fast tokenizer."
            )
        self.language_model = language_model
        places, lengths = to_windows(examples, history_length)
        self.examples = examples.select(places).select_columns([HISTORY, TARGET])
        self.lengths: Sequence[int] = lengths
        self.items = items
        self.records = records
        self.history_length = history_length
        self.questions = questions
        self.max_length = max_length
        self.asks_without_context = asks_without_context
        self.seed = seed

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, key: Key) -> PackedExample:
        epoch, index = key
        example = self.examples[index]
        history = example[HISTORY][-self.history_length :] if self.history_length else example[HISTORY]
        clock = has_clock(history)
        lines = [line for record in history if (line := self._to_line(record, clock)) is not None]
        asked, popular = self._draw(lines, random.Random(f"{self.seed}:{epoch}:{index}"))
        target, is_cut = self.items[example[TARGET]][TITLE], False
        sequence = self._read(lines, asked, target, popular)
        while sequence.num_tokens > self.max_length and lines:
            dropped = ceil(len(lines) * (sequence.num_tokens - self.max_length) / sequence.num_tokens)
            lines, asked = lines[dropped:], [place - dropped for place in asked if place >= dropped]
            sequence, is_cut = self._read(lines, asked, target, popular), True
        return PackedExample(require_fit(sequence, self.max_length), 0, is_cut)

    def _to_line(self, record: Mapping[str, Any], clock: bool) -> TitleLine | None:
        title = self.language_model.harmless(sanitize(record[TITLE]))
        is_choice = record[EVENT] not in NOISE_EVENTS
        if self.records == "titles":
            return TitleLine(title, title, 0, True) if is_choice and title else None
        # Neutralised as a line, as prompts do, so that the places found here are those in the prompt.
        text = sanitize(self.language_model.harmless(record_line(record, clock)), None)
        place = title_place(record, clock)
        is_target = is_choice and text[place:].startswith(title) and bool(title)
        return TitleLine(text, title, place, is_target)

    def _draw(self, lines: Sequence[TitleLine], chance: random.Random) -> tuple[list[int], str | None]:
        """Which records are asked for beside the last target, and which title is asked for without a context."""
        targets = [place for place, line in enumerate(lines) if line.is_target]
        asked = sorted(chance.sample(targets, min(self.questions - 1, len(targets))))
        popular = lines[chance.choice(targets)].title if targets and self.asks_without_context else None
        return asked, popular

    def _read(
        self, lines: Sequence[TitleLine], asked: Sequence[int], target: str, popular: str | None
    ) -> PackedSequence:
        """The token ids of a history with its questions."""
        prefix, counted = self._trunk(lines)
        questions = [(lines[:place], lines[place].title) for place in asked]
        questions += [([], popular)] if popular is not None else []
        last = Branch(title_ids(self.language_model, {TITLE: target}), len(prefix))
        return PackedSequence(prefix, [*(self._branch(prefix, *question) for question in questions), last], counted)

    def _trunk(self, lines: Sequence[TitleLine]) -> tuple[list[int], list[int]]:
        """The token ids of the prompt over all lines, and the places of those that belong to a title or end it."""
        messages = to_title_prompt(_context(lines), [])
        text = self.language_model.prompt_text(messages)
        tokens = self.language_model.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        start = text.index(messages[0]["content"]) + question("title").index("{context}")
        in_title = np.zeros(len(text) + 1, dtype=int)
        for line in lines:
            if line.is_target:  # one character more: whatever it is, it ends the title
                in_title[start + line.place : start + line.place + len(line.title) + 1] = 1
            start += len(line.text) + 1
        upto = np.concatenate([[0], np.cumsum(in_title)])
        spans = np.array(tokens["offset_mapping"])
        return tokens["input_ids"], np.flatnonzero(upto[spans[:, 1]] > upto[spans[:, 0]]).tolist()

    def _branch(self, prefix: Sequence[int], before: Sequence[TitleLine], title: str) -> Branch:
        """The prompt as it was when only some lines were there, from where it differs on, and the answer."""
        prompt = self.language_model.prompt_ids(to_title_prompt(_context(before), []))
        pairs = enumerate(zip(prefix, prompt, strict=False))
        fork = next((place for place, (old, new) in pairs if old != new), min(len(prefix), len(prompt)))
        answer = title_ids(self.language_model, {TITLE: title})
        return Branch([*prompt[fork:], *answer], fork, uncounted=len(prompt) - fork)


def _context(lines: Sequence[TitleLine]) -> str:
    return "\n".join(line.text for line in lines)


def to_windows(examples: Dataset, history_length: int | None) -> tuple[list[int], list[int]]:
    """The examples that cover most of each user's history, and nothing twice: the last one, then the last one whose
    target is older than all that the first one reads, and so on.

    Args:
        examples (`datasets.Dataset`): Training rows of `EXAMPLE_FEATURES`.
        history_length (`int` or `None`): How many of the newest records of a history are read; all when `None`.

    Returns:
        `tuple[list[int], list[int]]`: Places in `examples`, and how many records are read of each.
    """
    table = examples.select_columns([USER, TIMESTAMP, HISTORY]).with_format("arrow")[:]
    histories = table[HISTORY].combine_chunks()
    ends = histories.offsets.to_numpy()[1:]
    read = np.minimum(np.diff(histories.offsets), history_length or MAX_HISTORY)
    target_times = table[TIMESTAMP].cast(pa.int64()).to_numpy()
    record_times = histories.values.field(TIMESTAMP).cast(pa.int64()).to_numpy()
    # One more for a history that is empty, which begins where the last one ends.
    first_times = np.where(read > 0, np.append(record_times, 0)[ends - read], target_times)
    users = np.unique(table[USER].to_numpy(), return_inverse=True)[1]
    chosen: list[int] = []
    for place in np.lexsort((-read, -target_times, users)).tolist():
        is_new_user = not chosen or users[place] != users[chosen[-1]]
        if is_new_user or target_times[place] < first_times[chosen[-1]]:
            chosen.append(place)
    return chosen, read[chosen].tolist()
