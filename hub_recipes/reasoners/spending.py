"""What an endpoint was asked and what that cost, held below hard caps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import Message

from .answer_cache import answers_folder
from .spending_ledger import SpendingLedger

_TOKENS_AROUND_A_MESSAGE = 64  # what a chat template adds, generously
_LOCK = Lock()  # of the module, not of an object: a lock cannot be pickled, a reasoner must be


class SpendingCapError(InputError):
    """The cap on calls or on money is reached, and some rows are not answered.

    Answers that came before are kept in the cache, so the same work under a higher cap pays for the rest alone.
    """


class CapReached(Exception):  # noqa: N818 - ends a worker; what the caller sees is SpendingCapError
    """The next call would pass a cap."""


@dataclass
class Spending:
    """Counters of one reasoner in one process, and caps on what all runs of a folder spend together.

    Money is written into the folder's ledger before a call, at the most that the call can cost (a token is at least
    one byte), and settled with the server's own token counts after it. An attempt that got no answer may have been
    billed all the same, so it counts as that most; so does a call whose process was killed.

    Args:
        max_calls (`int`, *optional*): Most requests sent, attempts that failed included.
        max_cost (`float`, *optional*): Most money, in US dollars.
        input_price (`float`): US dollars per million tokens of prompts.
        output_price (`float`): US dollars per million tokens of answers.
        folder (`Path`, *optional*): Where the ledger lies; beside the answers by default.
        calls (`int`): Requests sent by this process, attempts that failed included.
        retries (`int`): How many of them repeated one that had failed.
        cache_hits (`int`): Rows that were answered without a request.
        spent (`float`): US dollars.
    """

    max_calls: int | None = None
    max_cost: float | None = None
    input_price: float = 0.0
    output_price: float = 0.0
    folder: Path | None = None
    calls: int = 0
    retries: int = 0
    cache_hits: int = 0
    spent: float = 0.0
    _in_flight: int = 0

    @property
    def ledger(self) -> SpendingLedger:
        """Where every process and every start of the folder counts."""
        return SpendingLedger(self.folder or answers_folder())

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """The price of one call, in US dollars.

        Example:
            >>> Spending(input_price=2.0, output_price=8.0).cost(input_tokens=1_000, output_tokens=125)
            0.003
        """
        return (input_tokens * self.input_price + output_tokens * self.output_price) / 1_000_000

    def most(self, messages: Sequence[Message], max_answer_tokens: int) -> float:
        """The most that a call with these messages can cost, in US dollars."""
        size = sum(len(message["content"].encode()) + _TOKENS_AROUND_A_MESSAGE for message in messages)
        return self.cost(size, max_answer_tokens)

    def reserve(self, most: float) -> bool:
        """Take the money for one call out of what is left.

        Args:
            most (`float`): US dollars; see `most`.

        Returns:
            `bool`: `False` when the call must wait for calls under way, which may turn out cheaper than reserved.

        Raises:
            CapReached: The call would exceed a cap, whichever process made the earlier calls.
            InputError: The ledger cannot be used.
        """
        with _LOCK, self.ledger.changed() as total:
            if self.max_calls is not None and total.calls >= self.max_calls:
                raise CapReached
            if self.max_cost is not None and total.us_dollars + most > self.max_cost:
                if not self._in_flight:
                    raise CapReached
                return False
            total.calls += 1
            total.us_dollars += most
            total.calls_without_price += not (self.input_price or self.output_price)
            self.calls += 1
            self._in_flight += 1
            return True

    def settle(self, most: float, cost: float) -> None:
        """End one call: give back what was reserved, and pay.

        Args:
            most (`float`): What was reserved, in US dollars.
            cost (`float`): What the call did cost, in US dollars.
        """
        with _LOCK:
            self.spent += cost
            self._in_flight -= 1
            if cost != most:
                with self.ledger.changed() as total:
                    total.us_dollars = max(0.0, total.us_dollars + cost - most)  # the file may be gone since

    def counts(self) -> dict[str, Any]:
        """The counters, for a log.

        Example:
            >>> Spending(calls=3, cache_hits=9).counts()
            {'calls': 3, 'retries': 0, 'cache_hits': 9, 'spent': 0.0}
        """
        return {"calls": self.calls, "retries": self.retries, "cache_hits": self.cache_hits, "spent": self.spent}

    def cap_text(self) -> str:
        """The caps in words.

        Example:
            >>> Spending(max_calls=10, max_cost=0.5).cap_text()
            'max_calls=10, max_cost=0.5 US dollars'
        """
        caps = {"max_calls": (self.max_calls, ""), "max_cost": (self.max_cost, " US dollars")}
        return ", ".join(f"{name}={cap:g}{unit}" for name, (cap, unit) in caps.items() if cap is not None)

    def __getstate__(self) -> dict[str, Any]:
        """Calls under way stay with the process that made them."""
        return {**self.__dict__, "_in_flight": 0}
