"""Examples to the two prompt configs: `verbalizer` for stage 1, `reasoner` for stage 2."""

from collections.abc import Mapping
from typing import Any

from ..schema import (
    ANSWER,
    CANDIDATE_LABELS,
    CANDIDATES,
    EXAMPLE_ID,
    HISTORY,
    IS_DISCOVERY,
    ITEM_ID,
    PROMPT,
    TARGET,
    TARGET_INDEX,
    TEMPLATE_TEXT,
    Item,
)
from ..successor_lists import SuccessorLists
from .described_records import described_text
from .prompts import template_text, to_reasoner_prompt, to_verbalizer_prompt

_CARRIED = (EXAMPLE_ID, CANDIDATES, TARGET, TARGET_INDEX, IS_DISCOVERY)
"""Columns that rewards and evaluation need beside the prompt."""


def prompt_configs(num_candidates: int) -> tuple[str, ...]:
    """The configs whose rows are prompts: with more candidates than labels there is none that asks for a label.

    Example:
        >>> prompt_configs(10), prompt_configs(100)
        (('verbalizer', 'reasoner'), ('verbalizer',))
    """
    return ("verbalizer", "reasoner") if num_candidates <= len(CANDIDATE_LABELS) else ("verbalizer",)


def to_prompt_rows(
    example: Mapping[str, Any], items: Mapping[str, Item], successors: SuccessorLists, fold: int
) -> tuple[dict[str, Any], ...]:
    """The prompts of one example: one that asks to rewrite its log, one that asks for the next item.

    Args:
        example (`dict`): A row of `examples`.
        items (`dict[str, Item]`): The catalogue, for years and tags.
        successors ([`SuccessorLists`]): What other users chose after each item.
        fold (`int`): Which users are left out of the counts of successors.

    Returns:
        `tuple[dict, ...]`: One row for each of `prompt_configs`: one of `schema.VERBALIZER_FEATURES`, whose
        `template_text` is the length that rewrites are compared with, and one of `schema.REASONER_FEATURES`, whose
        prompt reads the template text.
    """
    carried = {column: example[column] for column in _CARRIED}
    log_text = template_text(example[HISTORY])
    shown = [items[candidate[ITEM_ID]] for candidate in example[CANDIDATES]]
    described = described_text(example[HISTORY], items, successors, fold)
    verbalizer = {**carried, PROMPT: to_verbalizer_prompt(described, described=True), TEMPLATE_TEXT: log_text}
    if "reasoner" not in prompt_configs(len(shown)):
        return (verbalizer,)
    answer = CANDIDATE_LABELS[example[TARGET_INDEX]]
    return verbalizer, {**carried, PROMPT: to_reasoner_prompt(log_text, shown), ANSWER: answer}
