"""A learned verbalizer that decides record by record: drop it, keep it, or keep it with what the catalogue knows or
with what other users chose next."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice, takewhile
from typing import Any, ClassVar, cast

import numpy as np
from transformers import PreTrainedTokenizerBase

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.described_records import best_successors, items_of
from logs2lang.dataset_builders.prompting.prompts import Message, prompt_text, short_line, template_text
from logs2lang.dataset_builders.schema import ALL_USERS, FOLD, HISTORY, Item
from logs2lang.dataset_builders.successor_lists import Successor, SuccessorLists

from ..models.language_models import Constraint, LanguageModel
from ..models.model_folders import STUDENT_WEIGHTS, model_folder
from ..models.weights import Weights
from .decided_texts import DECISIONS, DROP, KEEP, NEXT, WITH_NEXT, Decisions, execute
from .language_model_verbalizer import LanguageModelVerbalizer, Writing, folds_of
from .verbalizer import History

UNDECIDED = "undecided"

MOST_STRENGTH = 9
"""The strongest that a record can point to what comes next: one digit, so that it is one token of a prompt."""

_EVEN_STRENGTH = 3
"""Where `next` is as likely as all other decisions together, in a warm start."""

_WORD = re.compile(r"[^\W\d_]+")


def parse_decisions(
    completion: str, num_records: int, known: Sequence[str] = DECISIONS, asked: Sequence[int] | None = None
) -> Decisions:
    """Read what the model decided.

    Words count, in their order; numbers and marks between them do not. The first word that is no decision ends the
    reading: from there on records are kept unchanged, and counted. Words beyond the last record are not read.

    Args:
        completion (`str`): What the model wrote.
        num_records (`int`): How many records it was asked about.
        known (`list[str]`, *optional*): The words that are decisions; without `next` by default.
        asked (`list[int]`, *optional*): The places of the records in the order in which the prompt lists them; from
            the oldest to the newest by default. See [`ActionVerbalizer.asked`].

    Example:
        >>> parse_decisions("drop keep detail", 3)
        Decisions(of_records=('drop', 'keep', 'detail'), undecided=0)
        >>> parse_decisions("1. drop\\n2. maybe\\n3. drop", 3)
        Decisions(of_records=('drop', 'keep', 'keep'), undecided=2)
        >>> parse_decisions("next drop", 3, WITH_NEXT, asked=[1, 0, 2])
        Decisions(of_records=('drop', 'next', 'keep'), undecided=1)
    """
    words = (word[0].lower() for word in _WORD.finditer(completion))
    made = list(takewhile(known.__contains__, islice(words, num_records)))
    of_records = [KEEP] * num_records
    for place, decision in zip(range(num_records) if asked is None else asked, made, strict=False):
        of_records[place] = decision
    return Decisions(tuple(of_records), num_records - len(made))


def to_completion(of_records: Sequence[str], asked: Sequence[int] | None = None) -> str:
    """The answer that [`parse_decisions`] reads as these decisions.

    Example:
        >>> to_completion(("drop", "next"), asked=[1, 0]), to_completion(("drop", "keep"))
        ('next drop', 'drop keep')
    """
    return " ".join(of_records if asked is None else [of_records[place] for place in asked])


def draw_decisions(draws: np.random.Generator, num_records: int, known: Sequence[str] = DECISIONS) -> tuple[str, ...]:
    """Random decisions: those of one history have shares of their own, drawn evenly from all that there can be.

    So all dropped, all kept and all in detail are as likely as any mixture.

    Args:
        draws (`np.random.Generator`): Decides.
        num_records (`int`): How many decisions to draw.
        known (`list[str]`, *optional*): What to draw from; without `next` by default.

    Example:
        >>> draw_decisions(np.random.default_rng(1), 6)
        ('detail', 'detail', 'detail', 'detail', 'detail', 'drop')
    """
    shares = draws.dirichlet(np.ones(len(known)))
    return tuple(map(str, draws.choice(known, size=num_records, p=shares)))


def draw_by_strength(draws: np.random.Generator, strengths: Sequence[int]) -> tuple[str, ...]:
    """Random decisions on records: the stronger one points to what comes next, the more likely is `next`.

    Its probability is `s**2 / (s**2 + 9)` for the strength s, so one in two at 3; the other decisions share the rest.

    Args:
        draws (`np.random.Generator`): Decides.
        strengths (`list[int]`): One per record, 0 to 9; see [`next_strength`].

    Example:
        >>> draw_by_strength(np.random.default_rng(1), [9, 0])
        ('next', 'detail')
    """
    named = (strength**2 / (strength**2 + _EVEN_STRENGTH**2) for strength in strengths)
    shares = ([*[(1 - share) / len(DECISIONS)] * len(DECISIONS), share] for share in named)
    return tuple(str(draws.choice(WITH_NEXT, p=of_record)) for of_record in shares)


def next_strength(found: Sequence[Successor]) -> int:
    """How strongly a record points to what comes next: the mean lift of its best successors, 0 to `MOST_STRENGTH`.

    Example:
        >>> next_strength([Successor("i1", 40, 4.2), Successor("i2", 9, 2.6)]), next_strength([])
        (3, 0)
    """
    return min(MOST_STRENGTH, round(sum(one.lift for one in found) / len(found))) if found else 0


def strengths_of(history: History, successors: SuccessorLists, fold: int = ALL_USERS) -> list[int]:
    """How strongly each record of a history points to what comes next; see [`next_strength`].

    Args:
        history (`list[Record]`): Oldest first.
        successors ([`SuccessorLists`]): What other users chose after each item.
        fold (`int`, *optional*, defaults to -1): Which users are left out of the counts of successors.
    """
    touched = items_of(history)
    return [next_strength(best_successors(record, touched, successors, fold)) for record in history]


def strongest_first(strengths: Sequence[int]) -> list[int]:
    """The places of records from the strongest to the weakest, and of equals the newest first.

    Args:
        strengths (`list[int]`): One per record, oldest first.

    Example:
        >>> strongest_first([2, 0, 2])
        [2, 0, 1]
    """
    return sorted(range(len(strengths)), key=lambda place: (-strengths[place], -place))


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
    def of(cls, tokenizer: PreTrainedTokenizerBase, known: Sequence[str] = DECISIONS) -> "DecisionGrammar":
        """The grammar of some decisions; without `next` by default."""
        spelled = (tokenizer(f" {word}", add_special_tokens=False)["input_ids"] for word in known)
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


def decision_token_ids(tokenizer: PreTrainedTokenizerBase, known: Sequence[str] = DECISIONS) -> list[int]:
    """The tokens that decisions are spelled with: what a policy may write while it is trained.

    The token that ends an answer is not among them: as where this module generates, the number of decisions is not the
    policy's to choose.
    """
    return sorted({token for ids in DecisionGrammar.of(tokenizer, known).spellings for token in ids})


class ActionVerbalizer(LanguageModelVerbalizer):
    """Asks a language model for one word per record (`prompt_texts/action.txt`) and carries the decisions out.

    Where this class generates, the model can write decisions only, exactly one per record. There can be a fourth
    decision, `next`; the prompt (`prompt_texts/action_next.txt`) then lists shorter lines, beginning with the record
    that points most strongly to what comes next. So a decision can depend on the strength by its place in the answer
    alone. A small model learns that where it does not learn to look up a number beside the record. The text keeps the
    order of time.

    Args:
        items (`dict[str, Item]`): The catalogue; records kept in detail get year, tags and series from it.
        language_model ([`LanguageModel`], *optional*): Decides; see [`LanguageModelVerbalizer`].
        history_length (`int`, *optional*): How many of the newest records are shown; all when `None`.
        decisions (`int`, *optional*, defaults to 3): How many decisions there are: drop, keep and detail, or four with
            `next`. An adapter says how many it was taught.
        as_lists (`bool`, *optional*, defaults to `False`): Whether the text names works in two lists; see [`execute`].
        successors ([`SuccessorLists`], *optional*): What other users chose after each item; `next` needs it.

    Raises:
        InputError: `next` is to be decided and there are no successors, or there is another number of decisions.

    Example:
        >>> verbalizer = ActionVerbalizer.from_pretrained("model_cards/x", items)  # doctest: +SKIP
        >>> verbalizer.verbalize([history])  # doctest: +SKIP
    """

    name: ClassVar[str] = "action"
    choices: ClassVar[tuple[str, ...]] = ("history_length", "decisions", "as_lists")

    def __init__(
        self,
        items: Mapping[str, Item],
        language_model: LanguageModel | None = None,
        *,
        history_length: int | None = None,
        decisions: int = len(DECISIONS),
        as_lists: bool = False,
        successors: SuccessorLists | None = None,
    ):
        super().__init__(items, language_model, history_length=history_length, successors=successors)
        if decisions not in (len(DECISIONS), len(WITH_NEXT)):
            raise InputError(f"decisions is {decisions}; expected 3 (drop, keep, detail) or 4 (and next).")
        if decisions == len(WITH_NEXT) and successors is None:
            raise InputError(
                "This action verbalizer decides `next`, but no successors were given. Pass "
                "successors=BuiltDataset.open(...).successors(), of a dataset that `logs2lang build` wrote with "
                "this version."
            )
        self.decisions = decisions
        self.as_lists = bool(as_lists)

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str,
        items: Mapping[str, Item],
        *,
        revision: str | None = None,
        device: str | None = None,
        successors: SuccessorLists | None = None,
        weights: Weights | None = None,
        **choices: Any,
    ) -> "LanguageModelVerbalizer":
        """Load an adapter with its base model, or a student that needs none.

        See [`LanguageModelVerbalizer.from_pretrained`]; what `logs2lang distill` wrote opens as a
        [`StudentVerbalizer`](verbalizers.student).
        """
        folder = model_folder(name_or_folder, revision)
        if not (folder / STUDENT_WEIGHTS).is_file():
            loaded: dict[str, Any] = {"revision": revision, "device": device, "weights": weights}
            return super().from_pretrained(name_or_folder, items, successors=successors, **loaded, **choices)
        from .student import StudentVerbalizer  # which is an action verbalizer itself

        return StudentVerbalizer.of_folder(folder, items, successors, **choices)

    @property
    def known(self) -> tuple[str, ...]:
        """The words that are decisions."""
        return WITH_NEXT[: self.decisions]

    def prompt(self, example: Mapping[str, Any]) -> list[Message]:
        shown = self._shown(example[HISTORY])
        if NEXT in self.known:
            strengths = self._strengths(example)
            lines = [
                f"{short_line(shown[place])} | {len(shown) - place} back | next {strengths[place]}"
                for place in self.asked(example)
            ]
        else:
            lines = template_text(shown).split("\n") if shown else []
        records = "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))
        prose = prompt_text("action_next" if NEXT in self.known else "action")
        return [{"role": "user", "content": prose.format(records=records, count=len(lines))}]

    def asked(self, example: Mapping[str, Any]) -> list[int]:
        """The places of the shown records in the order in which the prompt lists them.

        Args:
            example (`dict`): `history`, and `fold` where some users are left out of the counts of successors.

        Returns:
            `list[int]`: Places in the shown records, oldest first; where `next` is a decision, the record that points
            most strongly to what comes next first, and of equals the newest.
        """
        if NEXT in self.known:
            return strongest_first(self._strengths(example))
        return list(range(len(self._shown(example[HISTORY]))))

    def _strengths(self, example: Mapping[str, Any]) -> list[int]:
        shown = self._shown(example[HISTORY])
        return strengths_of(shown, cast(SuccessorLists, self.successors), example.get(FOLD, ALL_USERS))

    def decisions_of(self, completion: str, example: Mapping[str, Any]) -> Decisions:
        """What an answer decides on the shown records; see [`parse_decisions`].

        Args:
            completion (`str`): What the model wrote.
            example (`dict`): `history`, and `fold` where some users are left out of the counts of successors.
        """
        asked = self.asked(example)
        return parse_decisions(completion, len(asked), self.known, asked)

    def decided(self, writings: Sequence[Writing], folds: Sequence[int] | None = None) -> list[tuple[str, ...]]:
        """The decisions on the shown records behind texts that this verbalizer wrote.

        Args:
            writings (`list[Writing]`): What `write` returned.
            folds (`list[int]`, *optional*): What `write` was given.

        Returns:
            `list[tuple[str, ...]]`: One decision per shown record of each history, oldest first.
        """
        pairs = zip(writings, folds_of(writings, folds), strict=True)
        return [self.decisions_of(one.completion, {HISTORY: one.shown, FOLD: fold}).of_records for one, fold in pairs]

    def realize(self, completion: str, example: Mapping[str, Any]) -> str:
        """The records as decided; see `parse_decisions` and `execute`."""
        return self._executed(self.decisions_of(completion, example), example)

    def realize_begun(self, completion: str, example: Mapping[str, Any]) -> tuple[str, list[str]]:
        """The text of an answer that is still being written: of the records that are decided on so far.

        Returns:
            `tuple[str, list[str]]`: The text, and one decision per shown record, empty where there is none yet.
        """
        made = self.decisions_of(completion, example)
        waiting = self.asked(example)[len(made.of_records) - made.undecided :]
        decided = ["" if place in waiting else decision for place, decision in enumerate(made.of_records)]
        text = self._executed(Decisions(tuple(one or DROP for one in decided), 0), example)
        return text, decided

    def _executed(self, decisions: Decisions, example: Mapping[str, Any]) -> str:
        shown = self._shown(example[HISTORY])
        return execute(decisions, shown, self.items, self.successors, example.get(FOLD, ALL_USERS), self.as_lists)

    def warm_start(self, example: Mapping[str, Any]) -> str:
        """Random decisions, always the same for the same records: a policy that has learned them tries everything.

        Each record is decided by itself. With shares of decisions that differ by history, a policy learns to repeat
        the decision before, and GRPO then moves whole texts between extremes and learns nothing of single records.
        Where `next` is a decision it is the likelier the more strongly a record points there; see
        [`draw_by_strength`].
        """
        shown = self._shown(example[HISTORY])
        draws = np.random.default_rng(list(template_text(shown).encode()))
        if NEXT not in self.known:
            return "".join(f" {decision}" for decision in draws.choice(self.known, size=len(shown)))
        drawn = draw_by_strength(draws, self._strengths(example))
        return f" {to_completion(drawn, self.asked(example))}" if drawn else ""

    def max_completion_tokens(self, example: Mapping[str, Any]) -> int:
        """The tokens of all decisions, and one that ends them."""
        return self.sampled_tokens(example) + 1

    def sampled_tokens(self, example: Mapping[str, Any]) -> int:
        """One per record, or more where the model's vocabulary lacks the words; a policy never writes the end."""
        per_record = 1 if self.language_model is None else self._grammar.tokens_per_record
        return per_record * len(self._shown(example[HISTORY]))

    def constraint(self, example: Mapping[str, Any]) -> Constraint:
        """Decisions only, exactly one per record."""
        return partial(self._grammar.allowed, num_records=len(self._shown(example[HISTORY])))

    def counts(self, completion: str, example: Mapping[str, Any]) -> dict[str, int]:
        """How many records were decided each way, and how many got no decision and were kept."""
        decisions = self.decisions_of(completion, example)
        made = Counter(decisions.of_records)
        return {**{decision: made[decision] for decision in self.known}, UNDECIDED: decisions.undecided}

    @property
    def settings(self) -> dict[str, Any]:
        return {"decisions": " ".join(self.known), **({"text": "lists"} if self.as_lists else {})}

    @cached_property
    def _grammar(self) -> DecisionGrammar:
        return DecisionGrammar.of(self._model.tokenizer, self.known)
