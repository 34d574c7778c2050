"""Questions of many clients, answered together: what a model computes in one pass costs little more than one of them.

While the worker is busy, questions gather; as soon as it is free it takes as many as a batch may hold.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from math import ceil
from typing import Generic, TypeVar

from logs2lang.dataset_builders.input_error import InputError

Question = TypeVar("Question")
Answer = TypeVar("Answer")

_MOST_WAIT_S = 60
_WEIGHT_OF_NEWEST = 0.2


class Busy(Exception):  # noqa: N818 - an answer to a client, not an error of the service
    """More questions wait than may wait.

    Args:
        retry_after_s (`int`): Seconds after which there should be room.
    """

    def __init__(self, retry_after_s: int):
        super().__init__(f"try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass
class Batches(Generic[Question, Answer]):
    """Gathers questions and has a worker answer them in batches.

    Args:
        answer (`Callable[[list[Question]], list[Answer]]`): Answers a batch, in its order.
        worker (`Executor`): The thread in which it does so.
        most (`int`, *optional*, defaults to 32): Questions of one batch.
        waiting (`int`, *optional*, defaults to 256): Questions that may wait for their turn; more are turned away.
        seen (`Callable[[int, float], None]`, *optional*): Called with the size and the seconds of each batch.

    Example:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> async def ask_two() -> list[int]:
        ...     with ThreadPoolExecutor(1) as worker:
        ...         async with Batches(lambda numbers: [number * 2 for number in numbers], worker) as batches:
        ...             return await asyncio.gather(batches.ask(1), batches.ask(2))
        >>> with ThreadPoolExecutor(1) as thread:  # a loop of its own, also where one is running
        ...     thread.submit(asyncio.run, ask_two()).result()
        [2, 4]
    """

    answer: Callable[[list[Question]], Sequence[Answer]]
    worker: Executor
    most: int = 32
    waiting: int = 256
    seen: Callable[[int, float], None] = lambda size, seconds: None
    _queue: "deque[tuple[Question, asyncio.Future[Answer]]]" = field(default_factory=deque, init=False, repr=False)
    _came: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)
    _seconds_each: float = field(default=0.0, init=False)
    _work: "asyncio.Task[None] | None" = field(default=None, init=False, repr=False)

    async def __aenter__(self) -> "Batches[Question, Answer]":
        self._work = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *reason: object) -> None:
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        for _, future in self._queue:
            future.cancel()

    def __len__(self) -> int:
        """How many questions wait."""
        return len(self._queue)

    async def ask(self, question: Question) -> Answer:
        """Answer a question together with others; a caller that gives up is not worked for.

        Raises:
            Busy: Too many wait already.
        """
        if len(self._queue) >= self.waiting:
            raise Busy(min(_MOST_WAIT_S, max(1, ceil(len(self._queue) * self._seconds_each))))
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append((question, future))
        self._came.set()
        return await future

    async def _run(self) -> None:
        while True:
            await self._came.wait()
            gathered = 0
            while gathered < len(self._queue) < self.most:  # whoever comes in this very moment is taken along
                gathered = len(self._queue)
                await asyncio.sleep(0)
            batch = self._next()
            if batch:
                await self._answer(batch)

    def _next(self) -> "list[tuple[Question, asyncio.Future[Answer]]]":
        batch: list[tuple[Question, asyncio.Future[Answer]]] = []
        while self._queue and len(batch) < self.most:
            question, future = self._queue.popleft()
            if not future.done():
                batch.append((question, future))
        if not self._queue:
            self._came.clear()
        return batch

    async def _answer(self, batch: "list[tuple[Question, asyncio.Future[Answer]]]") -> None:
        loop, started = asyncio.get_running_loop(), time.monotonic()
        try:
            questions = [question for question, _ in batch]
            answers = await loop.run_in_executor(self.worker, self.answer, questions)
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        except InputError as error:
            await self._answer_apart(batch, error)
        except Exception as error:  # each client hears of it; the service goes on
            _fail(batch, error)
        finally:
            seconds = time.monotonic() - started
            self.seen(len(batch), seconds)
            self._seconds_each += _WEIGHT_OF_NEWEST * (seconds / len(batch) - self._seconds_each)

    async def _answer_apart(self, batch: "list[tuple[Question, asyncio.Future[Answer]]]", error: InputError) -> None:
        """Answer one by one: the question that cannot be answered must not spoil those beside it."""
        if len(batch) == 1:
            _fail(batch, error)
            return
        for one in batch:
            await self._answer([one])


def _fail(batch: "list[tuple[Question, asyncio.Future[Answer]]]", error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
