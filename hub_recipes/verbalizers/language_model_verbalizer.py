"""What verbalizers that write with a language model share: the window, the cache on disk, loading."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from transformers.utils import logging

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import Message
from logs2lang.dataset_builders.schema import ALL_USERS, FOLD, HISTORY, Item
from logs2lang.dataset_builders.successor_lists import SuccessorLists
from logs2lang.dataset_builders.whole_files import write_text

from ..models.language_models import Constraint, LanguageModel, load_language_model
from ..models.model_folders import VERBALIZER_CONFIG, model_folder
from ..models.weights import Weights
from .text_cache import cache_key, write_missing
from .verbalizer import History, Progress

logger = logging.get_logger(__name__)


class Writing(NamedTuple):
    """What a language model made of one history.

    Args:
        shown (`list[Record]`): The records that it was shown: the newest ones.
        completion (`str`): What it answered.
        text (`str`): For the reasoner to read.
        counts (`dict[str, int]`): What became of the records; see `LanguageModelVerbalizer.counts`.
    """

    shown: History
    completion: str
    text: str
    counts: Mapping[str, int]


class LanguageModelVerbalizer(ABC):
    """Asks a language model about each history (`prompt`) and makes a text of what it answers (`realize`).

    The two ends are pure functions and need no model, so training, evaluation and demo see the same prompts and the
    same texts. Decoding is greedy: a text depends on nothing but the history, the model and the settings. Completions
    are kept on disk.

    Args:
        items (`dict[str, Item]`): The catalogue.
        language_model ([`LanguageModel`], *optional*): Writes; only `verbalize` and `fit` need it.
        history_length (`int`, *optional*): How many of the newest records of a history are shown; all when `None`.
        successors ([`SuccessorLists`], *optional*): What users chose after each item, for verbalizers that name it.
    """

    name: ClassVar[str]
    choices: ClassVar[tuple[str, ...]] = ("history_length",)
    """What the constructor takes beside catalogue and model; each is an attribute of the same name."""
    keeps_completions: bool = True
    """Whether completions are kept on disk: not where texts have another place to be found and deleted, and not in a
    service, which is asked about living users."""

    def __init__(
        self,
        items: Mapping[str, Item],
        language_model: LanguageModel | None = None,
        *,
        history_length: int | None = None,
        successors: SuccessorLists | None = None,
    ):
        if history_length is not None and history_length < 1:
            raise InputError(f"history_length is {history_length}; expected at least 1, or nothing for all records.")
        self.items = items
        self.language_model = language_model
        self.history_length = history_length
        self.successors = successors

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str,
        items: Mapping[str, Item],
        *,
        revision: str | None = None,
        device: str | None = None,
        successors: SuccessorLists | None = None,
        weights: Weights | None = None,
        **choices: Any,
    ) -> "LanguageModelVerbalizer":
        """Load an adapter together with its base model, or a base model alone.

        Args:
            name_or_folder (`str`): Hub id or local folder; see [`load_language_model`], also for `revision` and
                `device`.
            items (`dict[str, Item]`): The catalogue.
            successors ([`SuccessorLists`], *optional*): As `BuiltDataset.successors` returns them.
            weights ([`Weights`], *optional*): What loads the weights; see [`load_language_model`].
            **choices (`Any`, *optional*): As the constructor takes them; what is left out is as in training, where
                the adapter says so.

        Raises:
            InputError: The files are not to be had, or the adapter was taught to be another verbalizer.
        """
        trained = cls.trained_choices(model_folder(name_or_folder, revision) / VERBALIZER_CONFIG)
        language_model = load_language_model(name_or_folder, revision=revision, device=device, weights=weights)
        return cls(items, language_model, successors=successors, **{**trained, **choices})

    @classmethod
    def trained_choices(cls, path: Path) -> dict[str, Any]:
        """The choices that an adapter was trained with; none where it does not say.

        Args:
            path (`Path`): Its `VERBALIZER_CONFIG`.

        Raises:
            InputError: The file is damaged, or the adapter was taught to be another verbalizer.
        """
        if not path.exists():
            return {}
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
            taught = config.pop("verbalizer")
            trained = {choice: None if config[choice] is None else int(config[choice]) for choice in config}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(
                f"{path} is damaged ({error!r}). Download the adapter again, or train it again."
            ) from error
        if taught != cls.name:
            raise InputError(f"The adapter in {path.parent} was trained as {taught!r}, not as {cls.name!r}.")
        if unknown := trained.keys() - set(cls.choices):
            raise InputError(f"{path} has {min(unknown)!r}, which this release does not know; update logs2lang.")
        return trained

    def save_config(self, folder: Path) -> None:
        """Write the settings beside an adapter, so that `from_pretrained` shows it what it was trained on."""
        config = {"verbalizer": self.name, **{choice: getattr(self, choice) for choice in self.choices}}
        write_text(folder / VERBALIZER_CONFIG, json.dumps(config, indent=2) + "\n")

    @abstractmethod
    def prompt(self, example: Mapping[str, Any]) -> list[Message]:
        """The conversational prompt of one example.

        Args:
            example (`dict`): At least `history`: its records, oldest first. `fold`, where it is there, says which
                users are left out of the counts of successors.
        """

    @abstractmethod
    def realize(self, completion: str, example: Mapping[str, Any]) -> str:
        """The text that a reasoner reads, from what the language model answered.

        Args:
            completion (`str`): Anything.
            example (`dict`): The one that `prompt` asked about.
        """

    @abstractmethod
    def warm_start(self, example: Mapping[str, Any]) -> str:
        """The completion that a warm start teaches, so that the first reward groups are not all noise."""

    @abstractmethod
    def max_completion_tokens(self, example: Mapping[str, Any]) -> int:
        """The room that a completion needs, the token that ends it included."""

    def sampled_tokens(self, example: Mapping[str, Any]) -> int:
        """How many tokens of a sampled completion are read: what comes after them decides nothing."""
        return self.max_completion_tokens(example)

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The decoding settings: with the prompt and the model they decide a completion."""

    def constraint(self, example: Mapping[str, Any]) -> Constraint | None:
        """What the model may write where this class lets it write; anything when `None`."""
        return None

    def counts(self, completion: str, example: Mapping[str, Any]) -> dict[str, int]:
        """What became of the records, where a completion says so; nothing by default."""
        return {}

    @property
    def fingerprint(self) -> str:
        model = self.name if self.language_model is None else self.language_model.fingerprint
        shown = [] if self.history_length is None else [f"newest-{self.history_length}"]
        return "-".join(map(str, [model, *self.settings.values(), *shown]))

    def verbalize(
        self, histories: Sequence[History], progress: Progress | None = None, folds: Sequence[int] | None = None
    ) -> list[str]:
        """Write each history as text; see [`Verbalizer`], and `write` for `folds`."""
        return [writing.text for writing in self.write(histories, progress, folds)]

    def write(
        self, histories: Sequence[History], progress: Progress | None = None, folds: Sequence[int] | None = None
    ) -> list[Writing]:
        """Write each history as text, and count what became of its records.

        Args:
            histories (`list[list[Record]]`): The records of each user, oldest first. Where they do not fit the model's
                window the oldest are left out, and a warning says of how many histories.
            progress (`Callable[[int], None]`, *optional*): See `Progress`.
            folds (`list[int]`, *optional*): Which users are left out of the counts of successors, per history; no one
                when `None`. Training examples need it, or a text could name its own target.
        """
        asked = [
            {HISTORY: history, FOLD: fold} for history, fold in zip(histories, folds_of(histories, folds), strict=True)
        ]
        fitted = [self.fit_prompt(example) for example in asked]
        examples = [example for example, _ in fitted]
        self._warn_of_cuts(histories, [example[HISTORY] for example in examples])
        prompts = [ids for _, ids in fitted]
        completions = write_missing(
            [cache_key(ids, self._model.fingerprint, self.settings) for ids in prompts],
            lambda places: self._complete([prompts[place] for place in places], [examples[place] for place in places]),
            progress,
            keep=self.keeps_completions,
        )
        return [
            Writing(example[HISTORY], completion, self.realize(completion, example), self.counts(completion, example))
            for completion, example in zip(completions, examples, strict=True)
        ]

    def fit(self, history: History, fold: int = ALL_USERS) -> History:
        """The newest records of a history, as many as fit the model's window together with their completion."""
        return self.fit_prompt({HISTORY: history, FOLD: fold})[0][HISTORY]

    def fit_prompt(self, asked: Mapping[str, Any]) -> tuple[dict[str, Any], list[int]]:
        """What the language model is asked about an example.

        Args:
            asked (`dict`): `history`, oldest record first, and `fold` where some users are left out of the counts.

        Returns:
            `tuple[dict, list[int]]`: The example with the records that are shown, and the token ids of the prompt that
            shows them.

        Raises:
            InputError: Not even one record fits the model's window.
        """
        shown = self._shown(asked[HISTORY])
        while True:
            example = {**asked, HISTORY: shown}
            ids = self._model.prompt_ids(self.prompt(example))
            limit = self._model.max_prompt_tokens - self.max_completion_tokens(example)
            if len(ids) <= limit:
                return example, ids
            if len(shown) <= 1:
                raise InputError(
                    f"The prompt for one record takes {len(ids)} tokens, but the context window of "
                    f"{self._model.model_id} leaves only {limit}. Choose a model with a longer context, or fewer new "
                    "tokens."
                )
            shown = shown[min(1 + len(shown) * (len(ids) - limit) // len(ids), len(shown) - 1) :]

    @property
    def _model(self) -> LanguageModel:
        if self.language_model is None:
            raise ValueError(f"{type(self).__name__} has no language model; load it with from_pretrained.")
        return self.language_model

    def _complete(self, prompts: Sequence[Sequence[int]], examples: Sequence[Mapping[str, Any]]) -> list[str]:
        """Let the model answer prompts, given as token ids, each about one example."""
        room = max(self.max_completion_tokens(example) for example in examples)
        constraints = [allow for example in examples if (allow := self.constraint(example)) is not None]
        return self._model.generate(prompts, room, constraints=constraints or None)

    def _shown(self, history: History) -> History:
        return history if self.history_length is None else history[-self.history_length :]

    def _warn_of_cuts(self, histories: Sequence[History], fitted: Sequence[History]) -> None:
        pairs = zip(histories, fitted, strict=True)
        lost = [len(self._shown(history)) - len(shown) for history, shown in pairs]
        cut = sum(records > 0 for records in lost)
        if cut:
            logger.warning(
                f"{cut} of {len(histories)} histories do not fit the {self._model.max_prompt_tokens} tokens that "
                f"{self._model.model_id} can read; their oldest records, {sum(lost)} in all, were left out."
            )


def folds_of(histories: Sequence[object], folds: Sequence[int] | None) -> Sequence[int]:
    """The fold of successors that the text of each history may read; counts of all users where nothing is said."""
    return [ALL_USERS] * len(histories) if folds is None else folds
