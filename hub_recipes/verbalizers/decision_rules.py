"""Decisions made by a rule: what an action verbalizer that has learned nothing, or one thing, would write."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import ALL_USERS, Item
from logs2lang.dataset_builders.successor_lists import SuccessorLists

from .action import draw_decisions, strengths_of, strongest_first
from .decided_texts import DECISIONS, DROP, NEXT, WITH_NEXT, Decisions, execute
from .language_model_verbalizer import folds_of
from .verbalizer import History, Progress

RANDOM = "random"
NEWEST = "newest"
STRONGEST = "strongest"
RULES = (RANDOM, *WITH_NEXT[1:], f"{NEWEST}-3", f"{STRONGEST}-3")
"""The rules as a list of rows shows them; `newest-K` and `strongest-K` stand for any K."""
_FIRST = re.compile(rf"({NEWEST}|{STRONGEST})-([1-9]\d?)")


class RuleDecisions:
    """Decides by a rule what becomes of each record, and carries it out as the `action` verbalizer does.

    The gain from learning is the distance of a learned policy to the best of these rules. An oracle also has to be
    trained on random decisions before it judges a policy that tries everything. The shares of decisions differ between
    histories, so that the texts include histories with all records dropped, all kept and all in detail.

    Args:
        items (`dict[str, Item]`): The catalogue, for records in detail.
        rule (`str`, *optional*, defaults to `"random"`): `"random"`; one decision for every record (`"keep"`,
            `"detail"`, `"next"`); or `"newest-K"` or `"strongest-K"`: `next` for the K newest records, or for the K
            that point most strongly to what comes next (`strengths_of`), the rest dropped.
        successors ([`SuccessorLists`], *optional*): What other users chose after each item; `next` needs it.
        seed (`int`, *optional*, defaults to 0): Decides random decisions; the same histories in the same order get the
            same texts.
        as_lists (`bool`, *optional*, defaults to `False`): Whether the text names works in two lists; see [`execute`].

    Raises:
        InputError: There is no such rule, or it needs successors and there are none.

    Example:
        >>> RuleDecisions({}).verbalize([[]])
        ['(no records)']
    """

    def __init__(
        self,
        items: Mapping[str, Item],
        rule: str = RANDOM,
        successors: SuccessorLists | None = None,
        seed: int = 0,
        as_lists: bool = False,
    ):
        if not is_rule(rule):
            raise InputError(f"There is no decision rule {rule!r}; choose {', '.join(RULES)} (or another number).")
        if successors is None and needs_successors(rule):
            raise InputError(f"The rule {rule!r} names what other users chose next, but no successors were given.")
        self.items = items
        self.rule = rule
        self.successors = successors
        self.seed = seed
        self.as_lists = as_lists

    @property
    def fingerprint(self) -> str:
        drawn = f"-{self.seed}-of-{len(self._known)}" if self.rule == RANDOM else ""
        return f"decisions-{self.rule}{drawn}{'-lists' if self.as_lists else ''}"

    def with_seed(self, seed: int) -> "RuleDecisions | None":
        """The same rule with its decisions drawn by another seed; `None` where nothing is drawn."""
        if self.rule != RANDOM:
            return None
        same = seed == self.seed
        return self if same else RuleDecisions(self.items, self.rule, self.successors, seed, self.as_lists)

    def verbalize(
        self, histories: Sequence[History], progress: Progress | None = None, folds: Sequence[int] | None = None
    ) -> list[str]:
        """Write each history as text; see [`Verbalizer`], and `LanguageModelVerbalizer.write` for `folds`."""
        draws = np.random.default_rng(self.seed)
        texts = []
        for history, fold in zip(histories, folds_of(histories, folds), strict=True):
            decided = Decisions(self.decide(history, draws, fold), undecided=0)
            texts.append(execute(decided, history, self.items, self.successors, fold, self.as_lists))
        if progress is not None:
            progress(len(texts))
        return texts

    @property
    def _known(self) -> tuple[str, ...]:
        return DECISIONS if self.successors is None else WITH_NEXT

    def decide(self, history: History, draws: np.random.Generator, fold: int = ALL_USERS) -> tuple[str, ...]:
        """One decision per record, oldest first.

        Args:
            history (`list[Record]`): Oldest first.
            draws (`np.random.Generator`): Decides where the rule is chance.
            fold (`int`, *optional*, defaults to -1): Which users are left out of the counts of successors.
        """
        if self.rule == RANDOM:
            return draw_decisions(draws, len(history), self._known)
        if first := _FIRST.fullmatch(self.rule):
            named = self._order(first[1], history, fold)[: int(first[2])]
            return tuple(NEXT if place in named else DROP for place in range(len(history)))
        return (self.rule,) * len(history)

    def _order(self, by: str, history: History, fold: int) -> list[int]:
        """The places of the records, from the one that the rule names first."""
        if by == NEWEST or self.successors is None:
            return list(reversed(range(len(history))))
        return strongest_first(strengths_of(history, self.successors, fold))


def needs_successors(rule: str) -> bool:
    """Whether a rule names what other users chose next.

    Example:
        >>> needs_successors("newest-3"), needs_successors("next"), needs_successors("random")
        (True, True, False)
    """
    return rule == NEXT or _FIRST.fullmatch(rule) is not None


def is_rule(word: str) -> bool:
    """Whether a word names a rule.

    Example:
        >>> is_rule("newest-5"), is_rule("keep"), is_rule("drop"), is_rule("newest-0")
        (True, True, False, False)
    """
    return word in RULES or _FIRST.fullmatch(word) is not None
