"""A reasoner on this machine: a language model reads a text about a user and ranks the candidates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import numpy as np
from scipy.special import softmax
from transformers.utils import logging

from dataset_builders.prompts import Message, neutralise, neutralise_lines, to_reasoner_prompt
from dataset_builders.schema import CANDIDATE_LABELS, ITEM_ID, TITLE
from hub_recipes.language_models import DEFAULT_BASE_MODEL, LanguageModel, load_language_model
from hub_recipes.reasoners.answer import parse_answer
from hub_recipes.reasoners.ranking import Ranking

Answer = Literal["label", "title", "generate"]
Candidates = Sequence[Mapping[str, Any]]

MAX_ANSWER_TOKENS = 24
"""Room for a sentence around a title, where an answer is generated."""

_PRIORS_PER_PASS = 64  # titles that share one prompt; attention over them grows with the square

logger = logging.get_logger(__name__)


@dataclass(frozen=True)
class LocalReasoner:
    """Ranks candidates with a language model of this process.

    Args:
        language_model ([`LanguageModel`]): Reads and answers.
        answer (`str`, *optional*, defaults to `"label"`): `"label"`: one forward pass, softmax over the labels A to J.
            `"title"`: one forward pass over the context with the titles as branches, softmax over their
            log-probabilities. `"generate"`: write an answer and parse it; an answer without a pick is invalid.
        subtract_prior (`bool`, *optional*, defaults to `True`): For `"title"`: subtract the log-probability that the
            title has without any context, so that a short or famous title gains nothing from being one.

    Example:
        >>> reasoner = LocalReasoner.from_pretrained()  # doctest: +SKIP
        >>> reasoner.rank(["likes heist films"], [[heat, fargo]])[0].pick  # doctest: +SKIP
    """

    language_model: LanguageModel
    answer: Answer = "label"
    subtract_prior: bool = True

    @classmethod
    def from_pretrained(
        cls, name: str = DEFAULT_BASE_MODEL, *, answer: Answer = "label", **loading: Any
    ) -> "LocalReasoner":
        """Load a base model or an adapter; see [`load_language_model`] for `name` and the rest."""
        return cls(load_language_model(name, **loading), answer)

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
            candidates (`list[list[Item]]`): Per context, at most ten items with `item_id`, `title`, `year`, `tags`.
            progress (`Callable[[int], None]`, *optional*): Called with the number of finished contexts.

        Returns:
            `list[Ranking | None]`: Per context; `None` where the answer is invalid.
        """
        ways = {"label": self._by_label, "title": self._by_title, "generate": self._by_text}
        return ways[self.answer](contexts, candidates, progress)

    def _by_label(self, contexts: Any, candidates: Any, progress: Any) -> list[Ranking | None]:
        prompts = self._prompts(contexts, candidates, to_reasoner_prompt, room=1)
        log_probs = self.language_model.next_token_log_probs(prompts, self._label_ids(), progress)
        return [_to_ranking(shown, scores[: len(shown)]) for shown, scores in zip(candidates, log_probs, strict=True)]

    def _label_ids(self) -> list[int]:
        ids = [self.language_model.text_ids(label) for label in CANDIDATE_LABELS]
        if any(len(tokens) != 1 for tokens in ids):
            raise ValueError("This tokenizer splits the labels A to J; use answer='title' or answer='generate'.")
        return [token for (token,) in ids]

    def _by_title(self, contexts: Any, candidates: Any, progress: Any) -> list[Ranking | None]:
        branches = [[self._title_ids(item) for item in shown] for shown in candidates]
        longest = max((sum(map(len, of_row)) for of_row in branches), default=0)
        prompts = self._prompts(contexts, candidates, to_title_prompt, room=longest)
        scores = self.language_model.branch_log_probs(prompts, branches, progress)
        if self.subtract_prior:
            scores = [score - prior for score, prior in zip(scores, self._priors(branches), strict=True)]
        return [_to_ranking(shown, score) for shown, score in zip(candidates, scores, strict=True)]

    def _title_ids(self, item: Mapping[str, Any]) -> list[int]:
        # The end counts: without it "Alien" would be at least as probable as "Aliens" and as "Alien Resurrection".
        end = self.language_model.tokenizer.eos_token_id
        return [*self.language_model.text_ids(self.language_model.harmless(neutralise(item[TITLE]))), end]

    def _priors(self, branches: Sequence[Sequence[Sequence[int]]]) -> list[np.ndarray]:
        """The log-probability of each title where nothing is known about the user, each title scored once."""
        titles = sorted({tuple(title) for of_row in branches for title in of_row})
        parts = [titles[start : start + _PRIORS_PER_PASS] for start in range(0, len(titles), _PRIORS_PER_PASS)]
        prompt = self.language_model.prompt_ids(to_title_prompt("", []))
        scores = self.language_model.branch_log_probs([prompt] * len(parts), parts)
        prior = dict(zip(titles, np.concatenate(scores), strict=True)) if titles else {}
        return [np.array([prior[tuple(title)] for title in of_row]) for of_row in branches]

    def _by_text(self, contexts: Any, candidates: Any, progress: Any) -> list[Ranking | None]:
        prompts = self._prompts(contexts, candidates, to_reasoner_prompt, room=MAX_ANSWER_TOKENS)
        texts = self.language_model.generate(prompts, MAX_ANSWER_TOKENS, progress)
        picks = [parse_answer(text, shown) for text, shown in zip(texts, candidates, strict=True)]
        return [
            None if pick is None else Ranking([shown[pick][ITEM_ID]])
            for pick, shown in zip(picks, candidates, strict=True)
        ]

    def _prompts(
        self,
        contexts: Sequence[str],
        candidates: Sequence[Candidates],
        to_prompt: Callable[[str, Candidates], list[Message]],
        room: int,
    ) -> list[list[int]]:
        """Token ids of each prompt, leaving `room` for what follows; contexts are cut from their old end to fit."""
        limit = self.language_model.max_prompt_tokens - room
        prompts, cut = [], 0
        for context, shown in zip(contexts, candidates, strict=True):
            ids = self.language_model.prompt_ids(to_prompt(context, shown))
            cut += len(ids) > limit
            while len(ids) > limit and context:
                context = drop_oldest(context, (len(ids) - limit) / len(ids))
                ids = self.language_model.prompt_ids(to_prompt(context, shown))
            prompts.append(ids)
        if cut:
            logger.warning(
                f"{cut} of {len(contexts)} contexts were longer than {limit} tokens; their oldest lines are cut."
            )
        return prompts


def to_title_prompt(context: str, candidates: Candidates) -> list[Message]:
    """The conversational prompt that asks for a title; the candidates are not shown, they are scored.

    Args:
        context (`str`): A verbalized history.
        candidates (`list[Item]`): Not used; every prompt is made from a context and its candidates.
    """
    text = (files("hub_recipes") / "reasoners" / "title.txt").read_text(encoding="utf-8").strip()
    return [{"role": "user", "content": text.format(context=neutralise_lines(context))}]


def drop_oldest(context: str, share: float) -> str:
    """Cut a share of a context from its beginning, where its oldest lines stand; at least one line.

    Args:
        context (`str`): Lines, oldest first. A single line is cut within.
        share (`float`): In (0, 1).

    Example:
        >>> drop_oldest("old\\nnewer\\nnewest", 0.1)
        'newer\\nnewest'
        >>> drop_oldest("0123456789", 0.25)
        '3456789'
    """
    lines = context.splitlines()
    if len(lines) <= 1:
        return context[max(1, int(np.ceil(len(context) * share))) :]
    return "\n".join(lines[max(1, int(np.ceil(len(lines) * share))) :])


def _to_ranking(candidates: Candidates, scores: np.ndarray) -> Ranking:
    order = np.argsort(-scores, kind="stable")
    probabilities = softmax(scores[order].astype(np.float64))
    return Ranking([candidates[place][ITEM_ID] for place in order], probabilities.tolist())
