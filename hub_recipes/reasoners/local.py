"""A reasoner on this machine: a language model reads a text about a user and ranks the candidates."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from scipy.special import softmax
from transformers.utils import logging

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import to_reasoner_prompt
from logs2lang.dataset_builders.schema import ITEM_ID, TAGS

from ..models.language_models import DEFAULT_BASE_MODEL, LanguageModel, load_language_model
from ..models.model_folders import RUN_FILE, model_folder
from ..models.token_usage import TokenUsage
from .answer import parse_answer
from .questions import (
    Candidates,
    ScoredAnswer,
    ToPrompt,
    answer_ids,
    fit_prompt,
    label_ids,
    to_prompt_of,
)
from .ranking import Ranking, to_ranking

Answer = Literal["label", "title", "tags", "generate"]

MAX_ANSWER_TOKENS = 24
"""Room for a sentence around a title, where an answer is generated."""

BRANCHES_PER_PASS = 64
"""Branches that share one prompt, which is repeated for the next ones; attention over them grows with the square."""

logger = logging.get_logger(__name__)


@dataclass(frozen=True)
class LocalReasoner:
    """Ranks candidates with a language model of this process.

    Args:
        language_model ([`LanguageModel`]): Reads and answers.
        answer (`str`, *optional*, defaults to `"title"`): `"label"`: one forward pass, softmax over the labels A to J;
            a small model that was not trained for it picks the same label for everybody.
            `"title"`: one forward pass over the context with the titles as branches, softmax over their
            log-probabilities. `"tags"`: the same with the tags of each item in place of its title, for catalogues
            whose titles say little; items with equal tags are equal. `"generate"`: write an answer and parse it; an
            answer without a pick is invalid.
        subtract_prior (`bool`, *optional*, defaults to `True`): For `"title"` and `"tags"`: subtract the
            log-probability that the branch has without any context, so that a short or famous title gains nothing
            from being one.
        temperature (`float`, *optional*, defaults to 1.0): For `"title"` and `"tags"`: divides the scores before the
            softmax. The ranking does not depend on it; an oracle's log-likelihoods do. Sums over many tokens lie many
            nats apart, so a model trained with a temperature is sure of far too much without it.
        seed (`int`, *optional*, defaults to 0): Puts candidates in order that the answer cannot tell apart, such as
            two of one title.

    Example:
        >>> reasoner = LocalReasoner.from_pretrained()  # doctest: +SKIP
        >>> reasoner.rank(["likes heist films"], [[heat, fargo]])[0].pick  # doctest: +SKIP
    """

    language_model: LanguageModel
    answer: Answer = "title"
    subtract_prior: bool = True
    temperature: float = 1.0
    seed: int = 0

    @classmethod
    def from_pretrained(
        cls, name: str = DEFAULT_BASE_MODEL, *, answer: Answer | None = None, **loading: Any
    ) -> "LocalReasoner":
        """Load a base model or an adapter.

        Args:
            name (`str`, *optional*): Hub id or folder; see [`load_language_model`], also for `loading`.
            answer (`str`, *optional*): How it answers; as it was trained by default, and a base model by `"title"`.

        Raises:
            InputError: The files are not to be had, or the record of the training is damaged.
        """
        language_model = load_language_model(name, **loading)
        return cls.as_trained(language_model, model_folder(name, loading.get("revision")), answer)

    @classmethod
    def as_trained(cls, language_model: LanguageModel, folder: Path, answer: Answer | None = None) -> "LocalReasoner":
        """A reasoner that asks a model that is already loaded as its training did.

        Args:
            language_model ([`LanguageModel`]): With or without an adapter.
            folder (`Path`): Where its files lie; `run.json` among them tells how it was trained.
            answer (`str`, *optional*): Another answer mode, for which nothing else is taken from the training.
        """
        trained = trained_choices(folder)
        if answer is None or answer == trained.get("answer"):
            return cls(language_model, **trained)
        return cls(language_model, answer)

    def rank(
        self,
        contexts: Sequence[str],
        candidates: Sequence[Candidates],
        progress: Callable[[int], None] | None = None,
    ) -> list[Ranking | None]:
        """Rank the candidates of each user.

        Args:
            contexts (`list[str]`): Verbalized histories. One that does not fit the model's window loses its oldest
                lines, and a warning says how many did.
            candidates (`list[list[Item]]`): Per context, items with `item_id`, `title`, `year`, `tags`; at most ten
                where the answer is a label or generated.
            progress (`Callable[[int], None]`, *optional*): Called with the number of finished contexts.

        Returns:
            `list[Ranking | None]`: Per context; `None` where the answer is invalid.

        Raises:
            InputError: There are more candidates than labels.
        """
        ways = {
            "label": self._by_label,
            "title": self._by_branches,
            "tags": self._by_branches,
            "generate": self._by_text,
        }
        return ways[self.answer](contexts, candidates, progress)

    @property
    def usage(self) -> TokenUsage:
        """What its model read and wrote so far."""
        return self.language_model.usage

    def entry(self) -> dict[str, Any]:
        """The reasoner as `results.json` names it; see [`Reasoner`]."""
        entry = {**self.language_model.entry(), "answer": self.answer, "seed": self.seed}
        if self.answer not in ("title", "tags"):
            return entry
        return {**entry, "subtract_prior": self.subtract_prior, "temperature": self.temperature}

    def _by_label(self, contexts: Any, candidates: Any, progress: Any) -> list[Ranking | None]:
        prompts = self._prompts(contexts, candidates, to_reasoner_prompt, room=1)
        log_probs = self.language_model.next_token_log_probs(prompts, label_ids(self.language_model), progress)
        return self._rankings(candidates, [row[: len(of)] for row, of in zip(log_probs, candidates, strict=True)])

    def _by_branches(self, contexts: Any, candidates: Any, progress: Any) -> list[Ranking | None]:
        return self._rankings(candidates, self.branch_scores(contexts, candidates, progress))

    def branch_scores(
        self,
        contexts: Sequence[str],
        candidates: Sequence[Candidates],
        progress: Callable[[int], None] | None = None,
    ) -> list[np.ndarray]:
        """How well each candidate continues its context, for `"title"` and `"tags"`; any number of candidates.

        Args:
            contexts (`list[str]`): As in `rank`.
            candidates (`list[list[Item]]`): As in `rank`. Where contexts share one list, it is spelled once.
            progress (`Callable[[int], None]`, *optional*): As in `rank`.

        Returns:
            `list[np.ndarray]`: Per context one score per candidate, of which `rank` takes the softmax.
        """
        answer = cast(ScoredAnswer, self.answer)
        if answer == "tags" and candidates and not any(item[TAGS] for shown in candidates for item in shown):
            logger.warning(
                "None of these candidates has tags, so they all score the same. Use answer mode title or label."
            )
        lists = {id(shown): shown for shown in candidates}
        spelled = {key: answer_ids(self.language_model, answer, shown) for key, shown in lists.items()}
        branches = [spelled[id(shown)] for shown in candidates]
        longest = max((sum(map(len, part)) for of_row in spelled.values() for part in _parts(of_row)), default=0)
        prompts = self._prompts(contexts, candidates, to_prompt_of(answer), room=longest)
        scores = self._branch_log_probs(prompts, branches, progress)
        if self.subtract_prior:
            priors = self._priors(branches, to_prompt_of(answer))
            scores = [score - prior for score, prior in zip(scores, priors, strict=True)]
        equal = [_of_equal_branches(*of_row) for of_row in zip(scores, branches, strict=True)]
        return [score / self.temperature for score in equal]

    def _branch_log_probs(
        self,
        prompts: Sequence[Sequence[int]],
        branches: Sequence[Sequence[Sequence[int]]],
        progress: Callable[[int], None] | None,
    ) -> list[np.ndarray]:
        """The log-probability of each branch, in passes of so many."""
        parts = [(row, part) for row, of_row in enumerate(branches) for part in _parts(of_row)]
        scores = self.language_model.branch_log_probs(
            [prompts[row] for row, _ in parts],
            [part for _, part in parts],
            progress and (lambda done: progress(done * len(prompts) // len(parts))),
        )
        of_rows: list[list[np.ndarray]] = [[] for _ in prompts]
        for (row, _), of_part in zip(parts, scores, strict=True):
            of_rows[row].append(of_part)
        return [np.concatenate(of_row) for of_row in of_rows]

    def _rankings(self, candidates: Sequence[Candidates], scores: Sequence[np.ndarray]) -> list[Ranking | None]:
        return [
            to_ranking([item[ITEM_ID] for item in shown], of_row, softmax(of_row.astype(np.float64)), self.seed)
            for shown, of_row in zip(candidates, scores, strict=True)
        ]

    def _priors(self, branches: Sequence[Sequence[Sequence[int]]], to_prompt: ToPrompt) -> list[np.ndarray]:
        """The log-probability of each branch where nothing is known about the user, each one scored once."""
        lists = {id(of_row): of_row for of_row in branches}
        known = sorted({tuple(branch) for of_row in lists.values() for branch in of_row})
        parts = _parts(known)
        prompt = self.language_model.prompt_ids(to_prompt("", []))
        scores = self.language_model.branch_log_probs([prompt] * len(parts), parts)
        prior = dict(zip(known, np.concatenate(scores), strict=True)) if known else {}
        of_lists = {key: np.array([prior[tuple(branch)] for branch in of_row]) for key, of_row in lists.items()}
        return [of_lists[id(of_row)] for of_row in branches]

    def _by_text(self, contexts: Any, candidates: Any, progress: Any) -> list[Ranking | None]:
        prompts = self._prompts(contexts, candidates, to_reasoner_prompt, room=MAX_ANSWER_TOKENS)
        texts = self.language_model.generate(prompts, MAX_ANSWER_TOKENS, progress)
        picks = [parse_answer(text, shown) for text, shown in zip(texts, candidates, strict=True)]
        return [
            None if pick is None else Ranking([shown[pick][ITEM_ID]])
            for pick, shown in zip(picks, candidates, strict=True)
        ]

    def _prompts(
        self, contexts: Sequence[str], candidates: Sequence[Candidates], to_prompt: ToPrompt, room: int
    ) -> list[list[int]]:
        """Token ids of each prompt, leaving `room` for what follows; contexts are cut from their old end to fit."""
        limit = self.language_model.max_prompt_tokens - room
        fitted = [
            fit_prompt(self.language_model, context, shown, to_prompt, limit)
            for context, shown in zip(contexts, candidates, strict=True)
        ]
        if cut := sum(is_cut for _, is_cut in fitted):
            logger.warning(
                f"{cut} of {len(contexts)} contexts were longer than {limit} tokens; their oldest lines were cut."
            )
        return [ids for ids, _ in fitted]


def _parts(branches: Sequence[Any]) -> list[Sequence[Any]]:
    """The branches of one prompt, as many at a time as are read in one pass."""
    return [branches[start : start + BRANCHES_PER_PASS] for start in range(0, len(branches), BRANCHES_PER_PASS)]


def trained_choices(folder: Path) -> dict[str, Any]:
    """How a reasoner was trained to answer, as [`LocalReasoner`] takes it; empty where its files do not say.

    Args:
        folder (`Path`): With the adapter's `run.json`.

    Raises:
        InputError: The file is damaged.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        return {}
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        if run["role"] != "reasoner":
            return {}
        if run["answer"] == "generate":  # its temperature is that of the rollouts
            return {"answer": "generate"}
        if run["answer"] not in get_args(ScoredAnswer):
            raise ValueError(f"answer {run['answer']!r}")
        config = run["config"]
        temperature = float(config["temperature"])
        if not 0 < temperature < inf:
            raise ValueError(f"temperature {temperature}")
        return {
            "answer": run["answer"],
            "subtract_prior": bool(config["subtract_prior"]),
            "temperature": temperature,
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} does not contain the answer mode of the adapter ({error!r}). Train it again."
        ) from error


def _of_equal_branches(scores: np.ndarray, branches: Sequence[Sequence[int]]) -> np.ndarray:
    """Scores in which equal branches are equal: a batch computes each by itself, and in half precision that shows."""
    first: dict[tuple[int, ...], Any] = {}
    return np.array([first.setdefault(tuple(of), score) for of, score in zip(branches, scores, strict=True)])
