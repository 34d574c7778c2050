"""Examples to the two prompt configs: `verbalizer` for stage 1, `reasoner` for stage 2."""

from collections.abc import Mapping
from typing import Any

from dataset_builders.prompts import template_text, to_reasoner_prompt, to_verbalizer_prompt
from dataset_builders.schema import (
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

_CARRIED = (EXAMPLE_ID, CANDIDATES, TARGET, TARGET_INDEX, IS_DISCOVERY)
"""Columns that rewards and evaluation need beside the prompt."""


def to_verbalizer_row(example: Mapping[str, Any]) -> dict[str, Any]:
    """A prompt that asks to rewrite the example's log, and what the reward needs to judge the rewrite.

    Args:
        example (`dict`): A row of `examples`.

    Returns:
        `dict`: A row of `schema.VERBALIZER_FEATURES`; `template_text` is the length that rewrites are compared with.
    """
    log_text = template_text(example[HISTORY])
    carried = {column: example[column] for column in _CARRIED}
    return {**carried, PROMPT: to_verbalizer_prompt(log_text), TEMPLATE_TEXT: log_text}


def to_reasoner_row(example: Mapping[str, Any], items: Mapping[str, Item]) -> dict[str, Any]:
    """A prompt that asks for the next item after the template text, and the letter of the right answer.

    Args:
        example (`dict`): A row of `examples`.
        items (`dict[str, Item]`): The catalogue, for the candidates' years and tags.

    Returns:
        `dict`: A row of `schema.REASONER_FEATURES`.
    """
    shown = [items[candidate[ITEM_ID]] for candidate in example[CANDIDATES]]
    carried = {column: example[column] for column in _CARRIED}
    prompt = to_reasoner_prompt(template_text(example[HISTORY]), shown)
    return {**carried, PROMPT: prompt, ANSWER: CANDIDATE_LABELS[example[TARGET_INDEX]]}
