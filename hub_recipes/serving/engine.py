"""The same service in front of a server such as vLLM, which holds both adapters: `--engine`."""

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from huggingface_hub import AsyncInferenceClient

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError

from ..models.language_models import load_language_model
from ..models.model_folders import ADAPTER_CONFIG, VERBALIZER_CONFIG
from ..models.weights import NoWeights
from ..reasoners.chat_server import EndpointError, PassingTrouble, Refusal, chat, check_url, read_api_key
from ..reasoners.endpoint import EndpointReasoner
from ..reasoners.questions import Candidates
from ..reasoners.ranking import Ranking
from ..reasoners.reasoner import Progress
from ..verbalizers.action import ActionVerbalizer, decision_token_ids
from ..verbalizers.language_model_verbalizer import LanguageModelVerbalizer
from ..verbalizers.rewrite import RewriteVerbalizer
from .loading import require_same_catalogue, verbalizer_folder

KEY_VARIABLE = "LOGS2LANG_API_KEY"
_CONCURRENCY = 32


class Engine:
    """A chat server that runs an adapter.

    Args:
        url (`str`): Such as `"http://localhost:8000/v1"`.
        model (`str`): The server's name for the adapter.
        timeout_s (`float`, *optional*, defaults to 30.0): Seconds for an answer.

    Raises:
        InputError: The URL cannot be one.
    """

    def __init__(self, url: str, model: str, timeout_s: float = 30.0):
        self.url = check_url(url)
        self.model = model
        self.timeout_s = timeout_s

    def ask_all(self, questions: Sequence[tuple[list[dict[str, str]], Mapping[str, Any]]]) -> list[str]:
        """Ask several questions at once.

        Args:
            questions (`list[tuple]`): Messages, and the further fields of each request.

        Raises:
            EndpointError: The server is not there, or does not take a request.
        """
        return asyncio.run(self._ask_all(questions))

    async def _ask_all(self, questions: Sequence[tuple[list[dict[str, str]], Mapping[str, Any]]]) -> list[str]:
        key = read_api_key(self.url, KEY_VARIABLE)
        async with AsyncInferenceClient(base_url=self.url, token=key, timeout=self.timeout_s) as client:
            return list(await asyncio.gather(*[self._ask(client, *question) for question in questions]))

    async def _ask(self, client: AsyncInferenceClient, messages: list[dict[str, str]], body: Mapping[str, Any]) -> str:
        request = {"temperature": 0.0, "extra_body": dict(body)}
        try:
            return (await chat(client, self.model, messages, self.timeout_s, request)).text
        except (PassingTrouble, Refusal) as trouble:
            raise EndpointError(
                f"The engine gives no text of {self.model!r} ({trouble}). Send the request again later."
            ) from None


class _OnEngine(LanguageModelVerbalizer):
    """Prompts and texts as here; what the language model writes comes from a server."""

    engine: Engine

    def _complete(self, prompts: Sequence[Sequence[int]], examples: Sequence[Mapping[str, Any]]) -> list[str]:
        return self.engine.ask_all([(self._messages(example), self._request(example)) for example in examples])

    def _messages(self, example: Mapping[str, Any]) -> list[dict[str, str]]:
        harmless = self._model.harmless
        return [{**message, "content": harmless(message["content"])} for message in self.prompt(example)]

    def _request(self, example: Mapping[str, Any]) -> dict[str, Any]:
        switches = dict(self._model.chat_template_kwargs)
        return {
            "max_tokens": self.sampled_tokens(example),
            **({"chat_template_kwargs": switches} if switches else {}),
        }


class ActionOnEngine(_OnEngine, ActionVerbalizer):
    """Asks the server for decisions: vLLM must be told with each request which tokens it may write."""

    def _request(self, example: Mapping[str, Any]) -> dict[str, Any]:
        allowed = decision_token_ids(self._model.tokenizer, self.known)
        # An answer that is empty is no answer: vLLM takes no request for 0 tokens.
        body = {**super()._request(example), "allowed_token_ids": allowed}
        return {**body, "max_tokens": max(1, body["max_tokens"])}


class RewriteOnEngine(_OnEngine, RewriteVerbalizer):
    """Asks the server for free text."""


_ON_ENGINE: dict[str, type[_OnEngine]] = {"action": ActionOnEngine, "rewrite": RewriteOnEngine}


def load_on_engine(name: str, dataset: BuiltDataset, engine: Engine) -> LanguageModelVerbalizer:
    """A verbalizer whose adapter a server runs. Its files are read here all the same, for prompts and settings.

    Args:
        name (`str`): Folder or Hub id of the adapter.
        dataset ([`BuiltDataset`]): Whose catalogue and successors it reads.
        engine ([`Engine`]): Runs it.

    Raises:
        InputError: It is no adapter, or was made for another catalogue.
    """
    folder, kind = verbalizer_folder(name)
    if not (folder / ADAPTER_CONFIG).is_file():
        raise InputError(f"{name} has no {ADAPTER_CONFIG}: only an adapter can run on an engine. Leave out --engine.")
    require_same_catalogue(folder, name, dataset)
    class_ = _ON_ENGINE[kind]
    choices = class_.trained_choices(folder / VERBALIZER_CONFIG)
    language_model = load_language_model(name, weights=NoWeights())
    verbalizer = class_(dataset.items(), language_model, successors=dataset.known_successors(), **choices)
    verbalizer.keeps_completions = False
    verbalizer.engine = engine
    return verbalizer


class ForgetfulReasoner:
    """A reasoner that a server runs, for a service: it gives up soon, and keeps nothing that it was asked.

    Args:
        engine ([`Engine`]): Runs it.
        answer (`str`, *optional*, defaults to `"label"`): See [`EndpointReasoner`].
    """

    def __init__(self, engine: Engine, answer: Literal["label", "generate"] | None = None):
        self._folder = tempfile.mkdtemp(prefix="logs2lang-serve-")
        atexit.register(self._forget)
        self._reasoner = EndpointReasoner(
            engine.model,
            engine.url,
            answer=answer or "label",
            concurrency=_CONCURRENCY,
            timeout_s=engine.timeout_s,
            max_attempts=2,
            max_wait_s=2.0,
            cache_folder=self._folder,
            api_key_variable=KEY_VARIABLE,
        )

    def rank(
        self, contexts: Sequence[str], candidates: Sequence[Candidates], progress: Progress | None = None
    ) -> list[Ranking | None]:
        """Rank the candidates of each user; see [`Reasoner`]."""
        try:
            return self._reasoner.rank(contexts, candidates, progress)
        finally:
            self._forget()

    def entry(self) -> dict[str, Any]:
        """The reasoner as `results.json` names it."""
        return self._reasoner.entry()

    def _forget(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
