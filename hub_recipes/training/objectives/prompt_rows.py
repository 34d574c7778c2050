"""Examples as rows that a trainer reads: conversational prompts, and beside them what the rewards need."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from datasets import Dataset
from datasets.fingerprint import generate_random_fingerprint
from transformers.utils import logging

from logs2lang.dataset_builders.prompting.prompts import Message, template_text, to_reasoner_prompt
from logs2lang.dataset_builders.schema import (
    ALL_USERS,
    CANDIDATES,
    EXAMPLE_ID,
    FOLD,
    HISTORY,
    ITEM_ID,
    PROMPT,
    TARGET,
    TEMPLATE_TEXT,
    Item,
)

from ...models.language_models import LanguageModel

COMPLETION = "completion"
CHAT_TEMPLATE_KWARGS = "chat_template_kwargs"
"""TRL passes what stands in this column to the chat template."""
SAMPLED_TOKENS = "sampled_tokens"
"""How many tokens of an answer are read, and learned from."""

logger = logging.get_logger(__name__)


def to_warm_start_rows(
    examples: Dataset, verbalizer: Any, language_model: LanguageModel, completions: Mapping[str, str] | None = None
) -> Dataset:
    """Prompts with the completion that a warm start teaches, or a teacher.

    Args:
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.
        verbalizer ([`LanguageModelVerbalizer`]): Asks, and says what to learn first.
        language_model ([`LanguageModel`]): Its tokenizer decides what text is harmless.
        completions (`dict[str, str]`, *optional*): By example id; the verbalizer's warm start by default.

    Returns:
        `datasets.Dataset`: `prompt` and `completion`, both conversational, and `chat_template_kwargs` if there are
        any.
    """
    switches = dict(language_model.chat_template_kwargs)
    beside = {CHAT_TEMPLATE_KWARGS: switches} if switches else {}

    def to_row(example: Mapping[str, Any]) -> dict[str, Any]:
        answer = verbalizer.warm_start(example) if completions is None else completions[example[EXAMPLE_ID]]
        said = [{"role": "assistant", "content": language_model.harmless(answer)}]
        return {PROMPT: harmless_prompt(verbalizer.prompt(example), language_model), COMPLETION: said, **beside}

    return _mapped(_fitted(examples, verbalizer), to_row, keep=())


def to_verbalizer_rows(examples: Dataset, verbalizer: Any, language_model: LanguageModel) -> Dataset:
    """Prompts that ask to write a log as text, with what `OracleReward` and `LengthReward` need.

    Returns:
        `datasets.Dataset`: `prompt` (conversational), `template_text` of the records that are shown, `sampled_tokens`,
        `history`, `fold`, `candidates`, `target` and `example_id`.
    """

    def to_row(example: Mapping[str, Any]) -> dict[str, Any]:
        prompt = harmless_prompt(verbalizer.prompt(example), language_model)
        tokens = verbalizer.sampled_tokens(example)
        return {PROMPT: prompt, TEMPLATE_TEXT: template_text(example[HISTORY]), SAMPLED_TOKENS: tokens}

    return _mapped(_fitted(examples, verbalizer), to_row, keep=(EXAMPLE_ID, FOLD, HISTORY, CANDIDATES, TARGET))


def to_reasoner_rows(
    examples: Dataset,
    texts: Sequence[str],
    items: Mapping[str, Item],
    language_model: LanguageModel,
    shuffles: int,
    seed: int,
) -> Dataset:
    """Prompts that ask for the next item: every example `shuffles` times, its candidates in another order each.

    A letter that always stood for the right title would be memorised, so an order repeats only by chance.

    Args:
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.
        texts (`list[str]`): One verbalization per example.
        items (`dict[str, Item]`): The catalogue, for years and tags of candidates.
        language_model ([`LanguageModel`]): Its tokenizer decides what text is harmless.
        shuffles (`int`): How often each example is shown; a trainer then goes over the rows once.
        seed (`int`): Decides the orders.

    Returns:
        `datasets.Dataset`: `prompt` (conversational), `candidates` (as shown), `target` and `example_id`; all examples
        once, then all of them again.
    """

    def rows() -> Iterator[dict[str, Any]]:
        for shuffle in range(shuffles):
            for example, text in zip(examples, texts, strict=True):
                example = cast(dict[str, Any], example)
                draw = random.Random(f"{seed}|{shuffle}|{example[EXAMPLE_ID]}")
                order = draw.sample(example[CANDIDATES], len(example[CANDIDATES]))
                prompt = to_reasoner_prompt(text, [items[candidate[ITEM_ID]] for candidate in order])
                yield {
                    PROMPT: harmless_prompt(prompt, language_model),
                    CANDIDATES: order,
                    TARGET: example[TARGET],
                    EXAMPLE_ID: example[EXAMPLE_ID],
                }

    return cast(Dataset, Dataset.from_list(list(rows())))


def harmless_prompt(messages: Sequence[Message], language_model: LanguageModel) -> list[Message]:
    """A prompt as `LanguageModel.prompt_ids` would read it, for trainers that apply the chat template themselves."""
    return [{**message, "content": language_model.harmless(message["content"])} for message in messages]


def _fitted(examples: Dataset, verbalizer: Any) -> Dataset:
    """The examples with histories cut from their old end to what the model can read; how many were cut is said."""
    fitted = [verbalizer.fit(row[HISTORY], row.get(FOLD, ALL_USERS)) for row in examples]
    cut = sum(len(short) < len(whole) for short, whole in zip(fitted, examples[HISTORY], strict=True))
    if cut:
        logger.warning(
            f"{cut} of {len(examples)} histories do not fit the model's context window; their oldest records were cut."
        )
    rows = [{**row, HISTORY: history} for row, history in zip(examples, fitted, strict=True)]
    return cast(Dataset, Dataset.from_list(rows, features=examples.features))


def _mapped(examples: Dataset, to_row: Any, keep: Sequence[str]) -> Dataset:
    drop = [column for column in examples.column_names if column not in keep]
    # A name of its own: `datasets` would make one by hashing the catalogue and all successors, which is slow.
    own_name = generate_random_fingerprint()
    return examples.map(
        to_row, remove_columns=drop, keep_in_memory=True, desc="Writing prompts", new_fingerprint=own_name
    )
