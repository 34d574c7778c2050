"""What every verbalizer offers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from logs2lang.dataset_builders.schema import Record

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


def write_and_count(
    verbalizer: Any,
    histories: Sequence[History],
    progress: Progress | None = None,
    folds: Sequence[int] | None = None,
) -> tuple[list[str], list[Mapping[str, int]]]:
    """Let a verbalizer write, and ask it what became of the records.

    Args:
        verbalizer ([`Verbalizer`]): Only one that decides record by record has anything to count.
        histories (`list[list[Record]]`): The records of each user, oldest first.
        progress (`Callable[[int], None]`, *optional*): See `Progress`.
        folds (`list[int]`, *optional*): The fold of successors that each text may read; counts of all users when
            `None`. Verbalizers that name no successors do not get them.

    Returns:
        `tuple[list[str], list[dict]]`: One text per history, and its counts by name; empty where nothing is counted.
    """
    read = {} if folds is None or getattr(verbalizer, "successors", None) is None else {"folds": folds}
    if not hasattr(verbalizer, "write"):
        return verbalizer.verbalize(histories, progress=progress, **read), [{}] * len(histories)
    writings = verbalizer.write(histories, progress=progress, **read)
    return [writing.text for writing in writings], [writing.counts for writing in writings]


def without_disk_cache(verbalizer: Any) -> Any:
    """The same verbalizer, which leaves nothing on disk: where users can be deleted, texts have one place only."""
    if hasattr(verbalizer, "keeps_completions"):
        verbalizer.keeps_completions = False
    return verbalizer
