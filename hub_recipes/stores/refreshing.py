"""Keeping one text per user up to date: only users whose newest records changed are written anew."""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import monotonic, sleep

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.erasure import erase_user
from logs2lang.dataset_builders.dataset_folder.stored_histories import NewestHistories
from logs2lang.dataset_builders.events import user_hash
from logs2lang.dataset_builders.input_error import InputError

from ..verbalizers.verbalizer import Verbalizer
from .store import Lease, Store, StoredText, StoreError, TextKey

BY_RULE, BY_A_LANGUAGE_MODEL = 512, 32
"""Texts between two visits to the store: a kill loses no more than these."""
PATIENCE_S = 60.0
_LEASE_PATIENCE_S = 600.0
_NAME = re.compile(r"[0-9a-f]{16}")
_LOOK_AGAIN_S = 0.25
_LONGEST_WAIT_S = 5.0


@dataclass(frozen=True)
class Refreshed:
    """What a run found.

    Args:
        users (`int`): Users of the dataset; every one of them has a text that is up to date now.
        written (`int`): Whose texts this run wrote.
    """

    users: int
    written: int


@dataclass
class Refresher:
    """Writes the texts that are missing or out of date.

    Users fall into parts by their hash. A part is worked on under a lease, so that of two runs at once each writes
    other texts. A run ends when it has looked through every part, after whoever had it before.

    Args:
        histories ([`NewestHistories`]): Of the dataset.
        verbalizer ([`Verbalizer`]): Writes the texts.
        revision (`str`): What the texts depend on beside the records; see [`to_revision`].
        store ([`Store`]): Where they are kept.
        patience (`float`, *optional*, defaults to 60): Seconds that the store may be out of reach before a run fails.

    Example:
        >>> verbalizer = TemplateVerbalizer()  # doctest: +SKIP
        >>> Refresher(dataset.newest_histories(), verbalizer, to_revision("template", verbalizer), store).run()
        ...     # doctest: +SKIP
        Refreshed(users=943, written=943)
    """

    histories: NewestHistories
    verbalizer: Verbalizer
    revision: str
    store: Store
    patience: float = PATIENCE_S

    def run(self, progress: Callable[[int, int], None] | None = None) -> Refreshed:
        """Look through all users once.

        Args:
            progress (`Callable[[int, int], None]`, *optional*): Called with the number of users whose texts are known
                to be up to date, and of all.

        Raises:
            StoreError: The store is out of reach for too long. What was written stays; the next run goes on there.
        """
        hashes = self.histories.hashes()
        waiting = _to_parts(hashes)
        written = finished = 0
        failing_since: float | None = None
        while waiting:
            try:
                done, texts = self._write_some(waiting)
            except StoreError:
                failing_since = failing_since or monotonic()
                failing = monotonic() - failing_since
                if failing >= self.patience:
                    raise
                sleep(min(_LOOK_AGAIN_S + failing / 2, _LONGEST_WAIT_S))
                continue
            failing_since = None
            written += texts
            finished += sum(len(waiting.pop(part)) for part in done)
            if progress is not None:
                progress(finished, len(hashes))
            if not done and not texts:  # other processes work on all that is left
                sleep(_LOOK_AGAIN_S)
        return Refreshed(len(hashes), written)

    def _write_some(self, waiting: Mapping[int, Mapping[str, str]]) -> tuple[list[int], int]:
        """Go through parts until there is enough to write, and write that.

        Returns:
            `tuple[list[int], int]`: The parts in which nothing is left to do, and the number of texts written.
        """
        at_once = BY_RULE if getattr(self.verbalizer, "language_model", None) is None else BY_A_LANGUAGE_MODEL
        stale: list[str] = []
        leases: dict[int, Lease] = {}
        with ExitStack() as held:
            for part, hashes in waiting.items():
                lease = held.enter_context(self.store.lease(part))
                if lease is None:
                    continue
                leases[part] = lease
                stale += self._stale(hashes)
                if len(stale) >= at_once:
                    break
            # Leases are given back after each batch: whoever is to be deleted must not have to wait for a whole part.
            texts = self._write(stale[:at_once])
            if not all(lease.is_held() for lease in leases.values()):
                return [], 0  # others may have begun there, so it is looked through once more
            self.store.put(texts)
        unfinished = list(leases)[-1:] if len(stale) > at_once else []
        return [part for part in leases if part not in unfinished], len(texts)

    def _stale(self, hashes: Mapping[str, str]) -> list[str]:
        """The users of a part whose texts are missing or out of date."""
        keys = self.store.keys(list(hashes))
        return [user for user, hashed in hashes.items() if keys.get(user) != (hashed, self.revision)]

    def _write(self, users: Sequence[str]) -> list[StoredText]:
        # Read under the lease: whoever was erased since then is not there any more.
        read = self.histories.read(users)
        texts = self.verbalizer.verbalize([records for _, records in read.values()]) if read else []
        return [
            StoredText(user, TextKey(hashed, self.revision), _storable(text))
            for (user, (hashed, _)), text in zip(read.items(), texts, strict=True)
        ]


def to_revision(name: str, verbalizer: Verbalizer, edition: str = "") -> str:
    """What a text depends on beside the records.

    Args:
        name (`str`): What commands call the verbalizer.
        verbalizer ([`Verbalizer`]): For its fingerprint.
        edition (`str`, *optional*): Any word; another one has all texts written anew.

    Example:
        >>> from logs2lang.verbalizers.template import TemplateVerbalizer
        >>> to_revision("template", TemplateVerbalizer(), "2026-11")
        'template:template@2026-11'
    """
    return f"{name}:{verbalizer.fingerprint}" + (f"@{edition}" if edition else "")


def forget_user(dataset: BuiltDataset, store: Store, user_id: str, salt: str | None = None) -> tuple[int, bool]:
    """Take a user out of a dataset and out of a store, so that no run that is at work brings the text back.

    Args:
        dataset ([`BuiltDataset`]): Of this machine.
        store ([`Store`]): Where the user's text may be.
        user_id (`str`): As the log has it, or as the dataset does.
        salt (`str`, *optional*): Of the build.

    Returns:
        `tuple[int, bool]`: How many rows the dataset had, and whether the store had a text.

    Raises:
        InputError: The dataset was built with a salt, and none is given.
        StoreError: The store cannot be reached, or a run has the user's part for longer than ten minutes.
    """
    rows, had_text = 0, False
    for user in _names_in(dataset, user_id, salt):
        with _lease_of(user, store):
            rows += erase_user(dataset, user, user_id)
            had_text |= store.delete(user)
    return rows, had_text


def _names_in(dataset: BuiltDataset, user_id: str, salt: str | None) -> list[str]:
    """What a dataset may call a user."""
    is_name = _NAME.fullmatch(user_id) is not None
    options = dataset.report["options"]
    if options.get("salt") is None or salt is not None:
        return [user_hash(user_id, options["seed"], salt), *([user_id] if is_name else [])]
    if is_name:
        return [user_id]
    raise InputError(
        f"{dataset.folder} was built with a secret salt, without which the user {user_id!r} cannot be found. Give the "
        "same --salt, or set LOGS2LANG_SALT."
    )


@contextmanager
def _lease_of(user: str, store: Store) -> Iterator[None]:
    until = monotonic() + _LEASE_PATIENCE_S
    while monotonic() < until:
        with store.lease(_part_of(user)) as lease:
            if lease is not None:
                yield
                return
        sleep(_LOOK_AGAIN_S)
    raise StoreError("Another process has been writing texts of the same users for ten minutes. Try again later.")


def _to_parts(hashes: Mapping[str, str]) -> dict[int, dict[str, str]]:
    """Users by part. Neighbours come one after another, since their histories lie together; where a run begins is
    drawn, so that two of them get in each other's way less often."""
    parts: dict[int, dict[str, str]] = defaultdict(dict)
    for user, hashed in hashes.items():
        parts[_part_of(user)][user] = hashed
    numbers = sorted(parts)
    start = random.randrange(len(numbers)) if numbers else 0
    return {number: parts[number] for number in numbers[start:] + numbers[:start]}


def _part_of(user: str) -> int:
    """One of 256 parts.

    Example:
        >>> _part_of("0f7b9ec28a6be88b")
        15
    """
    return int(user[:2], 16)


def _storable(text: str) -> str:
    """A text as every store can keep it: PostgreSQL has no NUL, and half a surrogate pair is no UTF-8.

    Example:
        >>> _storable("a\\0b \\ud800")
        'ab ?'
    """
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
