"""Contexts and candidates as token ids: what a reasoner reads, and the answers whose probabilities decide.

Inference and training ask here, so a model is trained on exactly what it will be asked.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from math import ceil
from typing import Any, Literal

from logs2lang.dataset_builders.prompting.prompts import (
    Message,
    sanitize,
    sanitize_lines,
    tags_text,
    to_reasoner_prompt,
    told_apart,
)
from logs2lang.dataset_builders.schema import CANDIDATE_LABELS, TITLE

from ..models.language_models import LanguageModel

Candidates = Sequence[Mapping[str, Any]]
ToPrompt = Callable[[str, Candidates], list[Message]]
ScoredAnswer = Literal["label", "title", "tags"]
"""Ways to answer by the probabilities of given answers."""


def to_prompt_of(answer: ScoredAnswer) -> ToPrompt:
    """What makes the prompt for an answer mode."""
    return {"label": to_reasoner_prompt, "title": to_title_prompt, "tags": to_tags_prompt}[answer]


def to_title_prompt(context: str, candidates: Candidates) -> list[Message]:
    """The conversational prompt that asks for a title; the candidates are not shown, they are scored.

    Args:
        context (`str`): A verbalized history.
        candidates (`list[Item]`): Not used; every prompt is made from a context and its candidates.
    """
    return [{"role": "user", "content": question("title").format(context=sanitize_lines(context))}]


def to_tags_prompt(context: str, candidates: Candidates) -> list[Message]:
    """The conversational prompt that asks for the tags of what comes next; see [`to_title_prompt`]."""
    return [{"role": "user", "content": question("tags").format(context=sanitize_lines(context))}]


@cache
def question(name: Literal["title", "tags"]) -> str:
    """The prose of the prompt that asks for a title or for tags, with its `{context}` still open."""
    return (files(__package__) / f"{name}.txt").read_text(encoding="utf-8").strip()


def label_ids(language_model: LanguageModel) -> list[int]:
    """The one token of each label, A to J."""
    ids = [language_model.text_ids(label) for label in CANDIDATE_LABELS]
    if any(len(tokens) != 1 for tokens in ids):
        raise ValueError("This tokenizer splits the labels A to J; use answer='title' or answer='generate'.")
    return [token for (token,) in ids]


def title_ids(language_model: LanguageModel, item: Mapping[str, Any]) -> list[int]:
    """The tokens of a title, and the end of the answer."""
    return _ended(language_model, sanitize(item[TITLE]))


def tags_ids(language_model: LanguageModel, item: Mapping[str, Any]) -> list[int]:
    """The tokens of an item's tags, and the end of the answer."""
    return _ended(language_model, tags_text(item))


def _ended(language_model: LanguageModel, text: str) -> list[int]:
    # The end counts: without it "Alien" would be at least as probable as "Aliens" and as "Alien Resurrection".
    return [*language_model.text_ids(language_model.harmless(text)), language_model.tokenizer.eos_token_id]


def answer_ids(language_model: LanguageModel, answer: ScoredAnswer, candidates: Candidates) -> list[list[int]]:
    """The tokens of the answer that picks each candidate."""
    if answer == "title":
        return [title_ids(language_model, {TITLE: title}) for title in told_apart(candidates)]
    if answer == "tags":
        return [tags_ids(language_model, item) for item in candidates]
    return [[label] for label in label_ids(language_model)[: len(candidates)]]


def fit_prompt(
    language_model: LanguageModel, context: str, candidates: Candidates, to_prompt: ToPrompt, limit: int
) -> tuple[list[int], bool]:
    """The token ids of a prompt; a context that is too long loses its oldest lines.

    Args:
        language_model ([`LanguageModel`]): Whose tokens these are.
        context (`str`): A verbalized history.
        candidates (`list[Item]`): What to choose from.
        to_prompt (`Callable`): Makes the conversation.
        limit (`int`): Most tokens.

    Returns:
        `tuple[list[int], bool]`: The ids, and whether the context was cut. More than `limit` only where the prompt is
        too long without any context.
    """
    ids = language_model.prompt_ids(to_prompt(context, candidates))
    is_cut = len(ids) > limit
    while len(ids) > limit and context:
        context = drop_oldest(context, (len(ids) - limit) / len(ids))
        ids = language_model.prompt_ids(to_prompt(context, candidates))
    return ids, is_cut


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
        return context[max(1, ceil(len(context) * share)) :]
    return "\n".join(lines[max(1, ceil(len(lines) * share)) :])
