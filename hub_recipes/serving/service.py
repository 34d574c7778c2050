"""From a history to a text and from a text to a ranking, for many clients at once."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from logs2lang.dataset_builders.schema import ITEM_ID, MAX_HISTORY, TITLE, Item

from ..reasoners.chat_server import EndpointError
from ..reasoners.ranking import Ranking
from ..reasoners.reasoner import Reasoner
from ..stores.store import Store, StoreError
from ..verbalizers.verbalizer import History
from .batches import Batches, Busy
from .bodies import LogRecord, to_records
from .guards import Refused
from .loading import Written, uses_a_language_model, write_texts
from .measured import Measures

STORE_RETRY_S = 5
STORE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Limits:
    """What one service takes on.

    Args:
        batch (`int`, *optional*, defaults to 32): Most requests that are answered together.
        waiting (`int`, *optional*, defaults to 256): Most requests that wait; more get 429.
        timeout_s (`float`, *optional*, defaults to 30.0): Seconds for an answer; what takes longer gets 504.
        max_body_bytes (`int`, *optional*, defaults to 1048576): Of a request.
        body_timeout_s (`float`, *optional*, defaults to 10.0): Seconds for a body to arrive.
    """

    batch: int = 32
    waiting: int = 256
    timeout_s: float = 30.0
    max_body_bytes: int = 2**20
    body_timeout_s: float = 10.0


class Question(NamedTuple):
    """What a reasoner is asked."""

    text: str
    candidates: Sequence[Item]


class Service:
    """Writes texts and ranks candidates; what many clients ask at once is computed together.

    Args:
        verbalizer ([`Verbalizer`]): Writes.
        reasoner ([`Reasoner`]): Ranks.
        items (`dict[str, Item]`): The catalogue.
        catalogue (`str`): Its name.
        store ([`Store`], *optional*): Of the texts that `logs2lang refresh` wrote.
        limits ([`Limits`], *optional*): What the service takes on.
        measures ([`Measures`], *optional*): What is counted.
    """

    def __init__(
        self,
        verbalizer: Any,
        reasoner: Reasoner,
        items: Mapping[str, Item],
        catalogue: str,
        store: Store | None = None,
        limits: Limits | None = None,
        measures: Measures | None = None,
    ):
        self.verbalizer = verbalizer
        self.reasoner = reasoner
        self.items = items
        self.catalogue = catalogue
        self.store = store
        self.limits = limits or Limits()
        self.measures = measures or Measures()
        self._stores = ThreadPoolExecutor(4, "store")
        self._texts: Batches[History, Written]
        self._rankings: Batches[Question, Ranking | None]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Service"]:
        """Take questions until the block ends."""
        # One thread for the language models: two passes at once would only share the same cores.
        with ThreadPoolExecutor(1, "models") as models, ThreadPoolExecutor(1, "texts") as texts:
            writer = models if uses_a_language_model(self.verbalizer) else texts
            self._texts = self._batches("verbalize", self._write, writer)
            self._rankings = self._batches("recommend", self._rank, models)
            self.measures.watch("verbalize", lambda: len(self._texts))
            self.measures.watch("recommend", lambda: len(self._rankings))
            async with self._texts, self._rankings:
                yield self
        self._stores.shutdown(wait=False, cancel_futures=True)

    def _batches(self, name: str, answer: Any, worker: Executor) -> Batches:
        def seen(size: int, seconds: float) -> None:
            self.measures.saw_batch(name, size, seconds)

        return Batches(answer, worker, self.limits.batch, self.limits.waiting, seen)

    def _write(self, histories: list[History]) -> list[Written]:
        return write_texts(self.verbalizer, histories)

    def _rank(self, questions: list[Question]) -> list[Ranking | None]:
        texts, candidates = zip(*questions, strict=True)
        return self.reasoner.rank(texts, candidates)

    async def verbalize(self, history: list[LogRecord]) -> Written:
        """The text of a history.

        Raises:
            Refused: An item is unknown and has no title, or there is no time for an answer.
        """
        records = to_records(history, self._titles(history))
        return await self._in_time(self._texts, records[-MAX_HISTORY:])

    async def stored_text(self, user: str) -> str:
        """The text that the store has of a user.

        Raises:
            Refused: There is none, it was written by another verbalizer, or the store cannot be reached.
        """
        field = "body.user"
        if self.store is None:
            raise Refused(404, "This service has no store of texts. Send a history instead of a user.", field)
        try:
            found = await self._from_store(lambda store: store.get([user]))
        except (StoreError, asyncio.TimeoutError):
            raise Refused(
                503,
                "The store of texts cannot be reached at the moment. Try again, or send a history instead of a user.",
                field,
                {"Retry-After": str(STORE_RETRY_S)},
            ) from None
        if user not in found:
            raise Refused(404, "The store has no text of this user. Send a history instead.", field)
        if found[user].key.revision != self.verbalizer.fingerprint:
            raise Refused(
                409,
                "The text of this user was written by another verbalizer than the one that this service runs. Run "
                "`logs2lang refresh` with this verbalizer, or send a history instead.",
                field,
            )
        return found[user].text

    async def store_is_there(self) -> bool:
        """Whether the store answers."""
        try:
            await self._from_store(lambda store: store.keys(["-"]))
        except (StoreError, asyncio.TimeoutError):
            return False
        return True

    async def _from_store(self, call: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.run_in_executor(self._stores, call, self.store), STORE_TIMEOUT_S)

    async def recommend(self, text: str, candidates: list[Item]) -> Ranking:
        """The candidates in the order of preference of the user that a text is about.

        Raises:
            Refused: The model gives no answer, or there is no time for one.
        """
        ranking = await self._in_time(self._rankings, Question(text, candidates))
        if ranking is None:
            raise Refused(502, "The model's answer picks none of the candidates. Use another answer mode or model.")
        return ranking

    def known(self, candidates: list[str]) -> list[Item]:
        """The items of some ids.

        Raises:
            Refused: An id is not in the catalogue, or comes twice.
        """
        for place, item_id in enumerate(candidates):
            field = f"body.candidates.{place}"
            if item_id in candidates[:place]:
                raise Refused(422, f"The candidate {_quoted(item_id)} comes twice. Send each once.", field)
            if item_id not in self.items:
                raise Refused(404, f"The catalogue {self.catalogue} has no item {_quoted(item_id)}.", field)
        return [self.items[item_id] for item_id in candidates]

    def _titles(self, history: list[LogRecord]) -> dict[int, str]:
        titles = {}
        for place, record in enumerate(history):
            item = self.items.get(record.item_id)
            if record.title is None and item is None:
                raise Refused(
                    404,
                    f"The catalogue {self.catalogue} has no item {_quoted(record.item_id)}, and the record has no "
                    "title. Send its title, or leave the record out.",
                    f"body.history.{place}.item_id",
                )
            titles[place] = record.title if record.title is not None else self.items[record.item_id][TITLE]
        return titles

    async def _in_time(self, batches: Batches, question: Any) -> Any:
        try:
            return await asyncio.wait_for(batches.ask(question), self.limits.timeout_s)
        except Busy as busy:
            raise Refused(
                429,
                f"{self.limits.waiting} requests wait already. Send this one again later.",
                None,
                {"Retry-After": str(busy.retry_after_s)},
            ) from None
        except asyncio.TimeoutError:
            raise Refused(
                504, f"There was no answer within {self.limits.timeout_s:g} s. Send the request again later."
            ) from None
        except EndpointError as error:
            raise Refused(503, str(error), None, {"Retry-After": str(STORE_RETRY_S)}) from None


def ranked(ranking: Ranking, candidates: list[Item]) -> list[dict[str, Any]]:
    """A ranking as clients see it; candidates that the model did not rank stand behind, in their order.

    Example:
        >>> heat, fargo = {"item_id": "i1", "title": "Heat"}, {"item_id": "i2", "title": "Fargo"}
        >>> ranked(Ranking(["i2"]), [heat, fargo])[0]
        {'item_id': 'i2', 'title': 'Fargo', 'probability': None}
    """
    probabilities = dict(zip(ranking.item_ids, ranking.probabilities, strict=False))
    titles = {item[ITEM_ID]: item[TITLE] for item in candidates}
    return [
        {"item_id": item_id, "title": titles[item_id], "probability": probabilities.get(item_id)}
        for item_id in dict.fromkeys([*ranking.item_ids, *titles])
    ]


def _quoted(text: str) -> str:
    return repr(text[:80])
