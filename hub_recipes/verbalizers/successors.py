"""What other users chose next, by rules and without a language model: recent works, then their best successors."""

from collections.abc import Collection, Mapping, Sequence

from logs2lang.dataset_builders.prompting.described_records import items_of
from logs2lang.dataset_builders.prompting.prompts import sanitize
from logs2lang.dataset_builders.schema import ALL_USERS, EVENT, ITEM_ID, NOISE_EVENTS, TITLE, Item
from logs2lang.dataset_builders.successor_lists import SuccessorLists

from .language_model_verbalizer import folds_of
from .verbalizer import History, Progress

DECAY = 0.8
"""How much less a record counts than the one after it."""


class SuccessorsVerbalizer:
    """Names the newest works, and what users of the service most often chose after the newest of them.

    A small language model knows nothing of who watches what, but it copies: a candidate that stands in the text
    becomes more probable. Related: lists of co-occurring items in prompts of zero-shot rankers; codes of collaborative
    embeddings (BinLLM, arXiv 2406.03210); evidence that a policy decides to fetch (RRCM, arXiv 2605.07129).

    Formula: with `c` and `e` the count and the expected count of a successor after the record `age` steps from the
    newest, its score is `sum(DECAY**age * c) / (sum(DECAY**age * e) + 1)`.

    Args:
        items (`dict[str, Item]`): The catalogue.
        successors ([`SuccessorLists`]): As `BuiltDataset.successors` returns them.
        recent_works (`int`, *optional*, defaults to 10): How many of the newest works are named.
        newest (`int`, *optional*, defaults to 5): Of how many of the newest records the successors are summed.
        titles (`int`, *optional*, defaults to 20): How many successors are named, best first.

    Example:
        >>> verbalizer = SuccessorsVerbalizer(dataset.items(), dataset.successors())  # doctest: +SKIP
        >>> print(verbalizer.verbalize([history])[0])  # doctest: +SKIP
        Recent, newest last: Heat; Fargo
        Viewers of these went on to: The Big Lebowski; Casino
    """

    def __init__(
        self,
        items: Mapping[str, Item],
        successors: SuccessorLists,
        recent_works: int = 10,
        newest: int = 5,
        titles: int = 20,
    ):
        self.items = items
        self.successors = successors
        self.recent_works = recent_works
        self.newest = newest
        self.titles = titles

    @property
    def fingerprint(self) -> str:
        return f"successors-{self.recent_works}-{self.newest}-{self.titles}"

    def verbalize(
        self, histories: Sequence[History], progress: Progress | None = None, folds: Sequence[int] | None = None
    ) -> list[str]:
        """Write each history as text; see [`Verbalizer`], and `LanguageModelVerbalizer.write` for `folds`."""
        texts = [self._text(*of_one) for of_one in zip(histories, folds_of(histories, folds), strict=True)]
        if progress is not None:
            progress(len(texts))
        return texts

    def _text(self, history: History, fold: int) -> str:
        chosen = [record for record in history if record[EVENT] not in NOISE_EVENTS]
        # Reversed twice: a work stands where it was seen last, and the newest comes at the end.
        recent = list(dict.fromkeys(sanitize(record[TITLE]) for record in reversed(chosen)))[: self.recent_works]
        return two_lists(recent[::-1], [self.items[item_id] for item_id in self.best(history, fold)])

    def best(self, history: History, fold: int = ALL_USERS) -> list[str]:
        """The ids of the items that most often followed the newest records and are not in the history, best first.

        Args:
            history (`list[Record]`): Oldest first.
            fold (`int`, *optional*, defaults to -1): Which users are left out of the counts.
        """
        chosen = [record for record in history if record[EVENT] not in NOISE_EVENTS]
        return best_after(chosen[-self.newest :], items_of(history), self.successors, fold)[: self.titles]


def best_after(
    records: History, touched: Collection[str], successors: SuccessorLists, fold: int = ALL_USERS
) -> list[str]:
    """The ids of the items that most often followed some records, best first; see [`SuccessorsVerbalizer`].

    Args:
        records (`list[Record]`): Oldest first; each counts less than the one after it.
        touched (`set[str]`): The item ids of the whole history, which are left out.
        successors ([`SuccessorLists`]): As `BuiltDataset.successors` returns them.
        fold (`int`, *optional*, defaults to -1): Which users are left out of the counts.
    """
    counts: dict[str, float] = {}
    expected: dict[str, float] = {}
    for age, record in enumerate(reversed(records)):
        weight = DECAY**age
        for found in successors.after(record[ITEM_ID], fold):
            one = found.item_id
            counts[one] = counts.get(one, 0.0) + weight * found.chosen
            expected[one] = expected.get(one, 0.0) + weight * (found.chosen / found.lift - 1)
    scores = {one: count / (expected[one] + 1) for one, count in counts.items() if one not in touched}
    return sorted(scores, key=lambda one: (-scores[one], one))


def two_lists(recent: Sequence[str], following: Sequence[Item]) -> str:
    """The text that names recent works and what others chose after them; a list with nothing in it is left out.

    Example:
        >>> print(two_lists(["Heat", "Fargo (1996)"], [{"title": "Casino"}]))
        Recent, newest last: Heat; Fargo (1996)
        Viewers of these went on to: Casino
    """
    lists = (
        ("Recent, newest last", recent),
        ("Viewers of these went on to", [sanitize(item[TITLE]) for item in following]),
    )
    return "\n".join(f"{name}: {'; '.join(titles)}" for name, titles in lists if titles)
