"""One user before a choice: what the log says, the candidates, and what was really chosen."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from logs2lang.dataset_builders.schema import ALL_USERS, Item, Record
from logs2lang.dataset_builders.successor_lists import SuccessorLists


def no_successors() -> SuccessorLists:
    """Those of a log from which nothing was counted."""
    return SuccessorLists(Path(), {ALL_USERS: {}})


@dataclass(frozen=True)
class Decision:
    """What the page is about at any moment; it lives in the memory of one session and nowhere else.

    Args:
        name (`str`): Whose log it is, as the page says it.
        history (`Sequence[Record]`): Oldest first.
        items (`dict[str, Item]`): The catalogue, as far as history and candidates need it.
        candidates (`Sequence[str]`): Item ids, in the order in which they are shown to the reasoner.
        target (`str`, *optional*): The item that was really chosen; `None` if unknown.
        notes (`Sequence[str]`): What readers of the outcome should know.
        successors ([`SuccessorLists`], *optional*): What other users chose after the items of the history.
    """

    name: str
    history: Sequence[Record]
    items: Mapping[str, Item]
    candidates: Sequence[str]
    target: str | None = None
    notes: Sequence[str] = ()
    successors: SuccessorLists = field(default_factory=no_successors)

    @property
    def candidate_items(self) -> list[Item]:
        """The candidates as reasoner prompts show them."""
        return [self.items[item_id] for item_id in self.candidates]

    def newest(self, length: int) -> "Decision":
        """The same decision with only the newest records.

        Example:
            >>> Decision("Ann", ["old", "new"], {}, []).newest(1).history
            ['new']
        """
        return replace(self, history=self.history[-length:])

    def reordered(self, seed: int) -> "Decision":
        """The same candidates in an order that the seed decides; seed 0 leaves them as they came.

        Example:
            >>> Decision("Ann", [], {}, ["a", "b", "c"]).reordered(1).candidates
            ['a', 'c', 'b']
        """
        if seed == 0:
            return self
        return replace(self, candidates=random.Random(seed).sample(list(self.candidates), len(self.candidates)))
