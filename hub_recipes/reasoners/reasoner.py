"""What every reasoner can do, wherever its model runs."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .questions import Candidates
from .ranking import Ranking

Progress = Callable[[int], None]
"""Called with the number of finished contexts."""


class Reasoner(Protocol):
    """Reads a text about a user and ranks the candidates."""

    def rank(
        self, contexts: Sequence[str], candidates: Sequence[Candidates], progress: Progress | None = None
    ) -> list[Ranking | None]:
        """Rank the candidates of each user.

        Args:
            contexts (`list[str]`): Verbalized histories.
            candidates (`list[list[Item]]`): Per context, at most ten items with `item_id`, `title`, `year`, `tags`.
            progress (`Callable[[int], None]`, *optional*): See `Progress`.

        Returns:
            `list[Ranking | None]`: Per context; `None` where the answer is invalid.
        """

    def entry(self) -> dict[str, Any]:
        """The reasoner as `results.json` names it.

        Returns:
            `dict`: `id`, `base_model`, `trained`, `answer` and `fingerprint`; `None` for what cannot be known.
        """
