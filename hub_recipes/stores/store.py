"""What every store of texts offers."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from logs2lang.dataset_builders.input_error import InputError

S = TypeVar("S", bound="Store")


class TextKey(NamedTuple):
    """What a text was written from and by: it is up to date where both are still the same.

    Args:
        history (`str`): Hash of the records that the text is about.
        revision (`str`): Fingerprint of the verbalizer that wrote it.
    """

    history: str
    revision: str


@dataclass(frozen=True)
class StoredText:
    """The text of one user.

    Args:
        user (`str`): The salted hash that a built dataset calls the user by.
        key ([`TextKey`]): What the text was written from and by.
        text (`str`): For a reasoner to read.
    """

    user: str
    key: TextKey
    text: str


class StoreError(InputError):
    """A store cannot be reached at the moment, or refuses. The same call may succeed later: a store opens its
    connections anew."""


class Lease(Protocol):
    """The right to work on a part of the users, which one process has at a time."""

    def is_held(self) -> bool:
        """Whether it is still ours: it ends where the process is cut off from the store for too long."""


class Store(Protocol):
    """Keeps one text per user. Threads may share one; processes open one each. As a context it is closed at the end.

    Every method raises [`StoreError`] where the store cannot be reached.
    """

    def get(self, users: Sequence[str]) -> dict[str, StoredText]:
        """The texts of some users; users without one are left out.

        Args:
            users (`list[str]`): As a built dataset calls them.
        """

    def keys(self, users: Sequence[str]) -> dict[str, TextKey]:
        """What the texts of some users were written from and by, without the texts."""

    def put(self, texts: Sequence[StoredText]) -> None:
        """Keep texts, in place of earlier ones of the same users: all of them, or none where it fails."""

    def delete(self, user: str) -> bool:
        """Forget a user; whether there was a text."""

    def __iter__(self) -> Iterator[StoredText]:
        """All texts, in no particular order."""

    def lease(self, part: int) -> AbstractContextManager[Lease | None]:
        """Take a part of the users for this process until the block ends; `None` where another process has it.

        A process that dies gives back what it held: at once on one machine and in PostgreSQL, within half a minute in
        Redis.

        Args:
            part (`int`): Any number that all processes understand alike.
        """

    def close(self) -> None:
        """Give back connections."""

    def __enter__(self: S) -> S:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def without_password(url: str) -> str:
    """A URL as messages may show it.

    Example:
        >>> login = "ann:secret"
        >>> without_password(f"postgresql://{login}@db/texts?sslmode=require")
        'postgresql://ann@db/texts'
    """
    scheme, _, rest = url.partition("://")
    login, sign, place = rest.rpartition("@")
    user = login.partition(":")[0]
    return f"{scheme}://{user}{sign if user else ''}{place.partition('?')[0]}"
