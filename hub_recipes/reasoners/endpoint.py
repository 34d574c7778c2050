"""A reasoner behind a server that speaks OpenAI's protocol: vLLM, TGI, `transformers serve`, a closed model."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from huggingface_hub import AsyncInferenceClient
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)
from transformers.utils import logging

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import Message, sanitize, to_reasoner_prompt
from logs2lang.dataset_builders.schema import ITEM_ID

from ..models.token_usage import TokenUsage
from . import ranking
from .answer import is_unfinished_thought, parse_answer, thinks
from .answer_cache import AnswerCache, open_answers, question_key
from .chat_server import (
    INFERENCE_PROVIDERS_URL,
    ChatAnswer,
    EndpointError,
    PassingTrouble,
    Refusal,
    chat,
    check_url,
    read_api_key,
)
from .dialect import Dialect
from .label_probabilities import label_probabilities
from .questions import Candidates, drop_oldest
from .ranking import Ranking
from .reasoner import Progress
from .spending import CapReached, Spending, SpendingCapError

MAX_CONCURRENCY = 100
"""Connections that the HTTP client keeps at once; more calls would wait for one while their time-out runs."""

_CUT = 0.25  # share of a context that goes each time the server finds it too long
_MAX_QUOTED_CHARS = 120
_FIRST_ANSWERS = 20  # so many without one pick are no accident
_LOOK_AGAIN_S = 0.02  # how often a call that waits for money looks whether others turned out cheaper

Answered = TypeVar("Answered")

logger = logging.get_logger(__name__)


@dataclass
class _Memory:
    """What a reasoner has learned about its server."""

    dialect: Dialect
    has_picked: bool = False
    has_read_ledger: bool = False
    invalid: dict[str, str] = field(default_factory=dict)
    """The answers by question before the first that picks a candidate."""


@dataclass(frozen=True)
class EndpointReasoner:
    """Ranks candidates with a model that a server runs.

    Picklable, and holds neither a client nor a key: a client is opened per call of `rank`, and the key is read from
    the environment then. Answers are kept on disk, so whatever stops a run, the next pays only for what is missing.

    Args:
        model (`str`): As the server names it.
        base_url (`str`, *optional*): Such as `"http://localhost:8000/v1"`; Inference Providers by default.
        answer (`str`, *optional*, defaults to `"label"`): `"label"`: the softmax over the labels A to J among the most
            probable first tokens, where the server lists those; the parsed answer where it does not. `"generate"`: the
            parsed answer. An answer without a pick is invalid, and thoughts are never read.
        concurrency (`int`, *optional*, defaults to 8): Most calls under way at once, at most 100.
        timeout_s (`float`, *optional*, defaults to 60.0): Seconds until the whole of an answer must be here.
        max_attempts (`int`, *optional*, defaults to 6): Tries per question. What is tried again: too many requests
            (429, after what `Retry-After` asks for), errors of the server (5xx), no answer in time, no connection.
        backoff_s (`float`, *optional*, defaults to 1.0): The n-th wait is random, at most `backoff_s * 2 ** (n - 1)`.
        max_wait_s (`float`, *optional*, defaults to 300.0): A server that asks to wait longer ends the run.
        max_calls (`int`, *optional*): Most requests of all processes and starts that share `spending_folder`,
            repetitions included.
        max_cost (`float`, *optional*): Most US dollars, likewise; needs both prices.
        price_per_million_input_tokens (`float`, *optional*): US dollars.
        price_per_million_output_tokens (`float`, *optional*): US dollars.
        max_answer_tokens (`int`, *optional*, defaults to 24): Room for a sentence around a title. A model that thinks
            aloud needs hundreds.
        extra_body (`dict`, *optional*): Further fields of each request, such as
            `{"chat_template_kwargs": {"enable_thinking": False}}` for Qwen3 on vLLM. No keys: it is kept in pickles.
        cache_folder (`Path`, *optional*): Of the answers; in the user's cache directory by default.
        spending_folder (`Path`, *optional*): Of the ledger `spending.json` that the caps hold for, such as the folder
            of a run; that of the answers by default, which counts everything that was ever asked from there.
        api_key_variable (`str`, *optional*, defaults to `"LOGS2LANG_API_KEY"`): The environment variable of the key.
            Where it is not set, hosts of Hugging Face get the Hugging Face token, and no others do.
        spending ([`Spending`]): What was asked and what that cost, for a log; made here.
        usage ([`TokenUsage`]): The tokens of the answers that this process got, where the server counts them.

    Raises:
        InputError: A choice is out of its range.

    Example:
        >>> reasoner = EndpointReasoner("Qwen/Qwen3-8B", "http://localhost:8000/v1", max_calls=1_000)
        >>> reasoner.rank(["likes heist films"], [[heat, fargo]])[0].pick  # doctest: +SKIP
        >>> reasoner.spending.counts()
        {'calls': 0, 'retries': 0, 'cache_hits': 0, 'spent': 0.0}
    """

    model: str
    base_url: str | None = None
    answer: Literal["label", "generate"] = field(default="label", kw_only=True)
    concurrency: int = field(default=8, kw_only=True)
    timeout_s: float = field(default=60.0, kw_only=True)
    max_attempts: int = field(default=6, kw_only=True)
    backoff_s: float = field(default=1.0, kw_only=True)
    max_wait_s: float = field(default=300.0, kw_only=True)
    max_calls: int | None = field(default=None, kw_only=True)
    max_cost: float | None = field(default=None, kw_only=True)
    price_per_million_input_tokens: float | None = field(default=None, kw_only=True)
    price_per_million_output_tokens: float | None = field(default=None, kw_only=True)
    max_answer_tokens: int = field(default=24, kw_only=True)
    extra_body: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    cache_folder: Path | str | None = field(default=None, kw_only=True)
    spending_folder: Path | str | None = field(default=None, kw_only=True)
    api_key_variable: str = field(default="LOGS2LANG_API_KEY", kw_only=True)
    spending: Spending = field(init=False, repr=False, compare=False)
    usage: TokenUsage = field(default_factory=TokenUsage, init=False, repr=False, compare=False)
    _memory: _Memory = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_url(self.url)
        self._check_choices()
        prices = self.price_per_million_input_tokens or 0.0, self.price_per_million_output_tokens or 0.0
        folder = self.spending_folder or self.cache_folder
        spending = Spending(self.max_calls, self.max_cost, *prices, folder=None if folder is None else Path(folder))
        object.__setattr__(self, "spending", spending)
        dialect = Dialect() if self.answer == "label" else Dialect(top_log_probs=0)
        object.__setattr__(self, "_memory", _Memory(dialect))

    def _check_choices(self) -> None:
        if self.answer not in ("label", "generate"):
            raise InputError(
                f"An endpoint supports the answer modes 'label' and 'generate'; {self.answer!r} needs a local model."
            )
        if not 1 <= self.concurrency <= MAX_CONCURRENCY:
            raise InputError(f"concurrency is {self.concurrency}; expected 1 to {MAX_CONCURRENCY}.")
        if self.timeout_s <= 0 or self.max_attempts < 1 or self.max_answer_tokens < 1:
            raise InputError("timeout_s, max_attempts and max_answer_tokens must be above 0.")
        prices = self.price_per_million_input_tokens, self.price_per_million_output_tokens
        if self.max_cost is not None and None in prices:
            raise InputError(
                "max_cost needs the server's prices per million input and output tokens to compute the cost."
            )
        if any(value is not None and value < 0 for value in (*prices, self.max_calls, self.max_cost)):
            raise InputError("Caps and prices must not be below 0.")

    @property
    def url(self) -> str:
        """The server's, without a slash at the end."""
        return (self.base_url or INFERENCE_PROVIDERS_URL).rstrip("/")

    def entry(self) -> dict[str, Any]:
        """The reasoner as `results.json` names it; what the server's model was trained on is not known."""
        identity = [self.url, self.model, self.answer, self._settings()]
        return {
            "id": self.model,
            "base_model": None,
            "trained": None,
            "server": self.url,
            "answer": self.answer,
            "fingerprint": hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest(),
        }

    def _settings(self) -> dict[str, Any]:
        return {
            "answer": self.answer,
            "max_answer_tokens": self.max_answer_tokens,
            "extra_body": dict(self.extra_body),
        }

    def rank(
        self, contexts: Sequence[str], candidates: Sequence[Candidates], progress: Progress | None = None
    ) -> list[Ranking | None]:
        """Rank the candidates of each user; see [`Reasoner`].

        A context that the server finds too long loses its oldest lines, and a warning says how many did. Probabilities
        are empty where the server lists none.

        Raises:
            SpendingCapError: A cap is reached. Answers that came before are kept.
            EndpointError: The server is not there, refuses the key, the model or the request, or keeps failing; or
            none of its first 20 answers is valid.
        """
        return _run(self.rank_async(contexts, candidates, progress))

    async def rank_async(
        self, contexts: Sequence[str], candidates: Sequence[Candidates], progress: Progress | None = None
    ) -> list[Ranking | None]:
        """`rank` for callers that run an event loop, such as asynchronous rewards of TRL."""
        questions = [_Question(context, shown) for context, shown in zip(contexts, candidates, strict=True)]
        keys = [question_key(self.url, self.model, question.messages(), self._settings()) for question in questions]
        with open_answers(self.cache_folder) as cache:
            work = _Work(self, cache, keys, progress)
            await work.run(dict(zip(keys, questions, strict=True)))
        return [to_ranking(work.answers[key], shown) for key, shown in zip(keys, candidates, strict=True)]


@dataclass(frozen=True)
class _Question:
    context: str
    candidates: Candidates

    def messages(self) -> list[Message]:
        return to_reasoner_prompt(self.context, self.candidates)

    def shortened(self) -> "_Question":
        return replace(self, context=drop_oldest(self.context, _CUT))


class _Work:
    """The questions of one call of `rank`, asked by as many workers as may call at once."""

    def __init__(self, reasoner: EndpointReasoner, cache: AnswerCache, keys: Sequence[str], progress: Progress | None):
        self.reasoner, self.cache, self.progress = reasoner, cache, progress
        self.spending = reasoner.spending
        self.rows_by_key = Counter(keys)
        self.answers: dict[str, ChatAnswer] = {}
        self.finished = 0
        self.cut = 0
        self.told = False
        self.cap_reached = False
        backoff = wait_random_exponential(multiplier=reasoner.backoff_s, max=reasoner.max_wait_s)
        self.retrying = AsyncRetrying(
            retry=retry_if_exception_type(PassingTrouble),
            stop=stop_after_attempt(reasoner.max_attempts),
            wait=lambda state: max(backoff(state), _trouble(state).wait_s),
            before_sleep=self._before_retry,
            reraise=True,
        )

    async def run(self, questions: Mapping[str, _Question]) -> None:
        """Answer every question, from the cache or by the server."""
        for key, question in questions.items():
            if (answer := self.cache.get(key)) is not None:
                self._keep(key, question, answer)
        self.spending.cache_hits += self.finished
        missing = [(key, question) for key, question in questions.items() if key not in self.answers]
        if missing:
            await self._ask_all(missing)
        if self.cut:
            logger.warning(f"{self.cut} of {len(questions)} contexts were too long; their oldest lines were cut.")
        if self.cap_reached:
            ledger = self.spending.ledger
            raise SpendingCapError(
                f"The cap ({self.spending.cap_text()}) is reached: {ledger.file} counts {ledger.read()}. "
                f"{self._state()} Run the same command again with a higher cap, or delete that file to count from 0."
            )

    async def _ask_all(self, missing: Sequence[tuple[str, _Question]]) -> None:
        reasoner = self.reasoner
        queue = iter(missing)
        self._warn_of_free_calls()
        key = read_api_key(reasoner.url, reasoner.api_key_variable)
        async with AsyncInferenceClient(base_url=reasoner.url, token=key, timeout=reasoner.timeout_s) as client:
            size = min(reasoner.concurrency, len(missing))
            workers = [asyncio.create_task(self._work(client, queue)) for _ in range(size)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    def _warn_of_free_calls(self) -> None:
        memory, ledger = self.reasoner._memory, self.spending.ledger
        if self.spending.max_cost is None or memory.has_read_ledger:
            return
        memory.has_read_ledger = True
        if free := ledger.read().calls_without_price:
            logger.warning(
                f"{free} of the calls that {ledger.file} counts were made without prices, so their cost "
                "is counted as 0."
            )

    async def _work(self, client: AsyncInferenceClient, queue: Iterator[tuple[str, _Question]]) -> None:
        for key, question in queue:
            if self.cap_reached:
                return
            try:
                answer = await self._ask(client, question)
            except CapReached:
                self.cap_reached = True  # the others end the calls that are paid for, and take no more
                return
            except PassingTrouble as trouble:
                raise EndpointError(self._gave_up(trouble)) from None
            except EndpointError as error:
                raise EndpointError(f"{error} {self._state()}") from None
            self.cache.put(key, answer)
            if answer.input_tokens is not None:
                self.reasoner.usage.count(self.rows_by_key[key], answer.input_tokens, answer.output_tokens or 0)
            self._keep(key, question, answer)

    async def _ask(self, client: AsyncInferenceClient, question: _Question) -> ChatAnswer:
        """Put one question, more plainly each time the server refuses it; what it took is remembered."""
        dialect, cut = self.reasoner._memory.dialect, False
        while True:
            try:
                answer: ChatAnswer = await self.retrying.copy()(self._call, client, question.messages(), dialect)
                break
            except Refusal as refusal:
                plainer = None if refusal.is_too_long else dialect.without(str(refusal))
                if plainer is not None:
                    dialect = plainer
                elif refusal.is_too_long and question.context:
                    question, cut = question.shortened(), True
                else:
                    raise EndpointError(self._refused(refusal)) from None
        self.cut += cut
        if dialect.top_log_probs and answer.top_log_probs is None and answer.text:
            dialect = replace(dialect, top_log_probs=0)
        self._remember(dialect)
        return answer

    def _remember(self, dialect: Dialect) -> None:
        memory = self.reasoner._memory
        if memory.dialect.top_log_probs and not dialect.top_log_probs:
            logger.warning(
                f"{self.reasoner.url} returns no token probabilities; its answers are parsed as text, without "
                "probabilities."
            )
        memory.dialect = memory.dialect.common(dialect)

    async def _call(self, client: AsyncInferenceClient, messages: Sequence[Message], dialect: Dialect) -> ChatAnswer:
        """One request, paid for."""
        reasoner, spending = self.reasoner, self.spending
        most = spending.most(messages, reasoner.max_answer_tokens)
        while not spending.reserve(most):
            await asyncio.sleep(_LOOK_AGAIN_S)
        cost = most  # whatever ends the call unforeseen, the server may bill it
        try:
            request = dialect.request(reasoner.max_answer_tokens, reasoner.extra_body)
            answer = await chat(client, reasoner.model, messages, reasoner.timeout_s, request)
            if answer.input_tokens is not None and answer.output_tokens is not None:
                cost = spending.cost(answer.input_tokens, answer.output_tokens)
            return answer
        except (Refusal, EndpointError):
            cost = 0.0
            raise
        except PassingTrouble as trouble:
            cost = most if trouble.may_be_billed else 0.0
            if trouble.wait_s > reasoner.max_wait_s:
                raise EndpointError(
                    f"{client.model} asks to wait {trouble.wait_s:.0f} s ({trouble}). Run the same command again "
                    "after that."
                ) from None
            raise
        finally:
            spending.settle(most, cost)

    def _before_retry(self, state: RetryCallState) -> None:
        self.spending.retries += 1
        wait_s = state.next_action.sleep if state.next_action else 0.0
        say = logger.info if self.told else logger.warning  # once; hundreds of calls may wait for the same reason
        say(f"{self.reasoner.url}: {_trouble(state)}; trying again in {wait_s:.1f} s.")
        self.told = True

    def _keep(self, key: str, question: _Question, answer: ChatAnswer) -> None:
        self.answers[key] = answer
        self.finished += self.rows_by_key[key]
        self._expect_a_pick(key, question, answer)
        if self.progress is not None:
            self.progress(self.finished)

    def _expect_a_pick(self, key: str, question: _Question, answer: ChatAnswer) -> None:
        """Stop if the first answers are all invalid: in a table of results the texts would get the blame.

        They are asked again the next time, because the fix may be made at the server.
        """
        memory = self.reasoner._memory
        memory.has_picked = memory.has_picked or to_ranking(answer, question.candidates) is not None
        if memory.has_picked:
            memory.invalid.clear()
            return
        memory.invalid[key] = answer.text
        if len(memory.invalid) >= _FIRST_ANSWERS:
            self.cache.forget(memory.invalid)
            raise EndpointError(_why_invalid(list(memory.invalid.values()), self.reasoner))

    def _refused(self, refusal: Refusal) -> str:
        return (
            f"{self.reasoner.url} rejects a request for {self.reasoner.model!r} ({refusal.status}: {refusal}). Check "
            "the model's name and which parameters the server accepts."
        )

    def _gave_up(self, trouble: PassingTrouble) -> str:
        return (
            f"{self.reasoner.url} gave no answer in {self.reasoner.max_attempts} attempts; the last error: "
            f"{trouble}. Check that the server is running, that this is its URL, and that it serves "
            f"{self.reasoner.model!r}. {self._state()}"
        )

    def _state(self) -> str:
        rows = self.rows_by_key.total()
        return (
            f"{self.finished} of {rows} rows are answered; the cache keeps their answers, so they are not paid "
            "for again."
        )


def to_ranking(answer: ChatAnswer, candidates: Candidates) -> Ranking | None:
    """What an answer says about the candidates.

    Args:
        answer ([`ChatAnswer`]): Its probabilities count; its text where it has none.
        candidates (`list[Item]`): As they were shown, the first as A.

    Returns:
        `Ranking` or `None`: All candidates with probabilities, or the pick alone without any; `None` where the answer
        is invalid.

    Example:
        >>> to_ranking(ChatAnswer("B"), [{"item_id": "i1", "title": "Heat"}, {"item_id": "i2", "title": "Fargo"}])
        Ranking(item_ids=['i2'], probabilities=())
    """
    # Where a model thinks, the first token is of its thought; without any text it came to no answer.
    if answer.top_log_probs is not None and answer.text.strip() and not thinks(answer.text):
        probabilities = label_probabilities(answer.top_log_probs, len(candidates))
        if probabilities is not None:
            return ranking.to_ranking([item[ITEM_ID] for item in candidates], probabilities, probabilities, seed=0)
    pick = parse_answer(answer.text, candidates)
    return None if pick is None else Ranking([candidates[pick][ITEM_ID]])


def _why_invalid(texts: Sequence[str], reasoner: EndpointReasoner) -> str:
    """One sentence about answers that pick no candidate."""
    begin = f"None of the first {len(texts)} answers of {reasoner.model!r} picks a candidate:"
    thoughts = sum(not text.strip() or is_unfinished_thought(text) for text in texts)
    if thoughts > len(texts) / 2:
        return (
            f"{begin} {thoughts} are empty or an unfinished thought, as from a model that thinks before it answers. "
            "Turn that off with --no-thinking (oracle_thinking: false in training), or allow longer answers with "
            f"--max-answer-tokens (now {reasoner.max_answer_tokens})."
        )
    said = " ".join(sanitize(texts[0]).split())[:_MAX_QUOTED_CHARS]
    return f"{begin} the first is {said!r}. Use a model that follows instructions, or another --answer."


def _trouble(state: RetryCallState) -> PassingTrouble:
    trouble = state.outcome.exception() if state.outcome else None
    return trouble if isinstance(trouble, PassingTrouble) else PassingTrouble("unknown")


def _run(work: Coroutine[Any, Any, Answered]) -> Answered:
    """Run to the end, also where an event loop runs already, as in a notebook."""
    if not _loop_is_running():
        return asyncio.run(work)
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
