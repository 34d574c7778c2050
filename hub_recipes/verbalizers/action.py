"""A learned verbalizer that decides record by record: drop it, keep it, or keep it with what the catalogue knows."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice, takewhile
from typing import Any, ClassVar

import numpy as np
from transformers import PreTrainedTokenizerBase

from dataset_builders.prompts import Message, detail_text, prompt_text, template_text
from dataset_builders.schema import HISTORY, ITEM_ID, Item
from hub_recipes.language_models import Constraint
from hub_recipes.verbalizers.language_model_verbalizer import LanguageModelVerbalizer
from hub_recipes.verbalizers.verbalizer import History

DROP = "drop"
KEEP = "keep"
DETAIL = "detail"
DECISIONS = (DROP, KEEP, DETAIL)
"""With a space before it, each is one token of SmolLM2: a hundred records cost a hundred tokens."""

UNDECIDED = "undecided"

NOTHING_KEPT = "(no records)"
"""The text where every record was dropped: true, short, and it names nothing."""

_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Decisions:
    """What is to become of the records of a history.

    Args:
        of_records (`tuple[str, ...]`): One of `DECISIONS` per record, oldest first.
        undecided (`int`): How many records at the end got no decision; they are kept unchanged.
    """

    of_records: tuple[str, ...]
    undecided: int


def parse_decisions(completion: str, num_records: int) -> Decisions:
    """Read what the model decided.

    Words count, in their order; numbers and marks between them do not. The first word that is no decision ends the
    reading: from there on records are kept unchanged, and counted. Words beyond the last record are not read.

    Args:
        completion (`str`): What the model wrote.
        num_records (`int`): How many records it was asked about.

    Example:
        >>> parse_decisions("drop keep detail", 3)
        Decisions(of_records=('drop', 'keep', 'detail'), undecided=0)
        >>> parse_decisions("1. drop\\n2. maybe\\n3. drop", 3)
        Decisions(of_records=('drop', 'keep', 'keep'), undecided=2)
    """
    words = (word[0].lower() for word in _WORD.finditer(completion))
    made = tuple(takewhile(DECISIONS.__contains__, islice(words, num_records)))
    undecided = num_records - len(made)
    return Decisions((*made, *[KEEP] * undecided), undecided)


def draw_decisions(draws: np.random.Generator, num_records: int) -> tuple[str, ...]:
    """Decisions by lot: those of one history have shares of their own, drawn evenly from all that there can be.

    So all dropped, all kept and all in detail are as likely as any mixture.

    Args:
        draws (`np.random.Generator`): Decides.
        num_records (`int`): How many decisions to draw.

    Example:
        >>> draw_decisions(np.random.default_rng(1), 6)
        ('detail', 'detail', 'detail', 'detail', 'detail', 'drop')
    """
    shares = draws.dirichlet(np.ones(len(DECISIONS)))
    return tuple(map(str, draws.choice(DECISIONS, size=num_records, p=shares)))


def execute(decisions: Decisions, history: History, items: Mapping[str, Item]) -> str:
    """Apply decisions to the records they are about: what is kept stands as the template writes it, in its order.

    Args:
        decisions ([`Decisions`]): One per record.
        history (`list[Record]`): Oldest first.
        items (`dict[str, Item]`): The catalogue, for year, tags and series of records kept in detail.

    Returns:
        `str`: One line per kept record; `NOTHING_KEPT` where there is none.
    """
    lines = template_text(history).split("\n") if history else []
    kept = [
        line + detail_text(items.get(record[ITEM_ID])) if decision == DETAIL else line
        for decision, record, line in zip(decisions.of_records, history, lines, strict=True)
        if decision != DROP
    ]
    return "\n".join(kept) or NOTHING_KEPT


@dataclass(frozen=True)
class DecisionGrammar:
    """How a tokenizer spells an answer that holds one decision per record and nothing else.

    Args:
        spellings (`tuple[tuple[int, ...], ...]`): Token ids of each decision, with the space before it. The first one
            has its space too: so the same tokens decide on every record, and a sampler needs no more than their list.
        end (`int`): The token that ends the answer.
    """

    spellings: tuple[tuple[int, ...], ...]
    end: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> "DecisionGrammar":
        spelled = (tokenizer(f" {word}", add_special_tokens=False)["input_ids"] for word in DECISIONS)
        return cls(tuple(map(tuple, spelled)), tokenizer.eos_token_id)

    @property
    def tokens_per_record(self) -> int:
        """Most tokens of a decision; 1 where the vocabulary holds the words."""
        return max(map(len, self.spellings))

    def allowed(self, written: Sequence[int], num_records: int) -> list[int]:
        """The tokens that may come next.

        Args:
            written (`list[int]`): The tokens of the answer so far.
            num_records (`int`): How many decisions the answer must hold.
        """
        left = tuple(written)
        for _ in range(num_records):
            whole = next((ids for ids in self.spellings if left[: len(ids)] == ids), None)
            if whole is None:  # within a word, or before it
                return sorted({ids[len(left)] for ids in self.spellings if ids[: len(left)] == left})
            left = left[len(whole) :]
        return [self.end]


def decision_token_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that decisions are spelled with: what a policy may write while it is trained.

    The token that ends an answer is not among them: as where this module generates, the number of decisions is not the
    policy's to choose.
    """
    return sorted({token for ids in DecisionGrammar.of(tokenizer).spellings for token in ids})


class ActionVerbalizer(LanguageModelVerbalizer):
    """Asks a language model for one word per record (`prompt_texts/action.txt`) and carries the decisions out.

    Where this class generates, the model can write decisions only, exactly one per record.

    Args:
        items (`dict[str, Item]`): The catalogue; records kept in detail get year, tags and series from it.
        language_model ([`LanguageModel`], *optional*): Decides; see [`LanguageModelVerbalizer`].
        history_length (`int`, *optional*): How many of the newest records are shown; all when `None`.

    Example:
        >>> verbalizer = ActionVerbalizer.from_pretrained("model_cards/x", items)  # doctest: +SKIP
        >>> verbalizer.verbalize([history])  # doctest: +SKIP
    """

    name: ClassVar[str] = "action"

    def prompt(self, example: Mapping[str, Any]) -> list[Message]:
        shown = self._shown(example[HISTORY])
        lines = template_text(shown).split("\n") if shown else []
        records = "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))
        return [{"role": "user", "content": prompt_text("action").format(records=records, count=len(lines))}]

    def realize(self, completion: str, example: Mapping[str, Any]) -> str:
        """The records as decided; see `parse_decisions` and `execute`."""
        shown = self._shown(example[HISTORY])
        return execute(parse_decisions(completion, len(shown)), shown, self.items)

    def warm_start(self, example: Mapping[str, Any]) -> str:
        """Decisions by lot, always the same for the same records: a policy that has learned them tries everything."""
        shown = self._shown(example[HISTORY])
        draws = np.random.default_rng(list(template_text(shown).encode()))
        return "".join(f" {decision}" for decision in draw_decisions(draws, len(shown)))

    def max_completion_tokens(self, example: Mapping[str, Any]) -> int:
        """One token per record, or more where the model's vocabulary lacks the words, and one that ends them."""
        per_record = 1 if self.language_model is None else self._grammar.tokens_per_record
        return per_record * len(self._shown(example[HISTORY])) + 1

    def constraint(self, example: Mapping[str, Any]) -> Constraint:
        """Decisions only, exactly one per record."""
        return partial(self._grammar.allowed, num_records=len(self._shown(example[HISTORY])))

    def counts(self, completion: str, example: Mapping[str, Any]) -> dict[str, int]:
        """How many records were decided each way, and how many got no decision and were kept."""
        decisions = parse_decisions(completion, len(self._shown(example[HISTORY])))
        made = Counter(decisions.of_records)
        return {**{decision: made[decision] for decision in DECISIONS}, UNDECIDED: decisions.undecided}

    @property
    def settings(self) -> dict[str, Any]:
        return {"decisions": " ".join(DECISIONS)}

    @cached_property
    def _grammar(self) -> DecisionGrammar:
        return DecisionGrammar.of(self._model.tokenizer)
