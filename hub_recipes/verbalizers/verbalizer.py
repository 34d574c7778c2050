"""What every verbalizer offers."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from dataset_builders.schema import Record

History = Sequence[Record]
"""The records of one user, oldest first."""

Progress = Callable[[int], None]
"""Called with the number of finished histories."""


class Verbalizer(Protocol):
    """Writes histories as text for a reasoner to read."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the texts of the same histories might."""

    def verbalize(self, histories: Sequence[History], progress: Progress | None = None) -> list[str]:
        """Write each history as text.

        Args:
            histories (`list[list[Record]]`): The records of each user, oldest first.
            progress (`Callable[[int], None]`, *optional*): See `Progress`.

        Returns:
            `list[str]`: One text per history.
        """


class Writing(NamedTuple):
    """What a verbalizer made of one history.

    Args:
        text (`str`): For the reasoner to read.
        counts (`dict[str, int]`): What became of the records, where the verbalizer says so.
    """

    text: str
    counts: Mapping[str, int]
