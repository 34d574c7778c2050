"""Questions are answered together, apart where one is at fault, and turned away where too many wait."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.serving.batches import Batches, Busy


def run(answer, ask, **choices):
    async def go():
        with ThreadPoolExecutor(1) as worker:
            async with Batches(answer, worker, **choices) as batches:
                return await ask(batches)

    return asyncio.run(go())


def test_what_comes_while_the_worker_is_busy_is_one_batch():
    sizes = []

    def answer(questions):
        sizes.append(len(questions))
        time.sleep(0.05)
        return [question * 10 for question in questions]

    async def ask(batches):
        first = asyncio.create_task(batches.ask(1))
        await asyncio.sleep(0.02)
        return await asyncio.gather(first, *(batches.ask(number) for number in range(2, 9)))

    assert run(answer, ask, most=4) == [10, 20, 30, 40, 50, 60, 70, 80]
    assert sizes == [1, 4, 3]


def test_the_one_that_cannot_be_answered_spoils_no_other():
    def answer(questions):
        if "bad" in questions:
            raise InputError("bad")
        return [question.upper() for question in questions]

    async def ask(batches):
        return await asyncio.gather(*map(batches.ask, ("a", "bad", "b")), return_exceptions=True)

    first, second, third = run(answer, ask)
    assert (first, third) == ("A", "B")
    assert isinstance(second, InputError)


def test_a_fault_of_the_worker_reaches_every_asker_and_the_next_is_answered():
    faults = [RuntimeError("out of memory")]

    def answer(questions):
        if faults:
            raise faults.pop()
        return questions

    async def ask(batches):
        failed = await asyncio.gather(batches.ask(1), batches.ask(2), return_exceptions=True)
        return failed, await batches.ask(3)

    failed, later = run(answer, ask)
    assert [str(error) for error in failed] == ["out of memory"] * 2
    assert later == 3


def test_whoever_comes_when_too_many_wait_is_told_when_to_come_again():
    def answer(questions):
        time.sleep(0.1)
        return questions

    async def ask(batches):
        waiting = [asyncio.create_task(batches.ask(number)) for number in range(3)]
        await asyncio.sleep(0.05)
        waiting += [asyncio.create_task(batches.ask(number)) for number in (3, 4, 5)]
        await asyncio.sleep(0)
        with pytest.raises(Busy) as busy:
            await batches.ask(6)
        return busy.value.retry_after_s, await asyncio.gather(*waiting)

    seconds, answers = run(answer, ask, waiting=3)
    assert seconds >= 1
    assert answers == [0, 1, 2, 3, 4, 5]


def test_nobody_works_for_a_client_that_went_away():
    seen = []

    def answer(questions):
        seen.extend(questions)
        time.sleep(0.05)
        return questions

    async def ask(batches):
        first = asyncio.create_task(batches.ask("first"))
        await asyncio.sleep(0.02)
        gone = asyncio.create_task(batches.ask("gone"))
        await asyncio.sleep(0)
        gone.cancel()
        return await asyncio.gather(first, batches.ask("last"))

    assert run(answer, ask) == ["first", "last"]
    assert seen == ["first", "last"]
