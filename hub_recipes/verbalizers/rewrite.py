"""The main learned verbalizer: a language model that writes the whole text freely."""

from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.described_records import RECORD_TOKENS, described_text, newest_within
from logs2lang.dataset_builders.prompting.prompts import Message, sanitize_lines, template_text, to_verbalizer_prompt
from logs2lang.dataset_builders.schema import ALL_USERS, FOLD, HISTORY, Item
from logs2lang.dataset_builders.successor_lists import SuccessorLists

from ..models.language_models import LanguageModel
from .language_model_verbalizer import LanguageModelVerbalizer
from .profile import ProfileVerbalizer
from .verbalizer import History

_CHARS_PER_TOKEN = 2
"""Of a profile, counted low: on MovieTweetings, with SmolLM2's tokenizer, 95% of those cut to 96 tokens have more."""


class RewriteVerbalizer(LanguageModelVerbalizer):
    """Rewrites each log by the instructions of `prompt_texts/verbalizer_described.txt`.

    The prompt shows each record with its year and tags and with what other users chose next, so that the writer can
    bring in what the log does not say; see [`described_text`].

    With an adapter it is the row `rewrite`; with a base model that was never taught it is the row `zero_shot`. Its
    prompts are those of the dataset config `verbalizer`.

    Args:
        items (`dict[str, Item]`): The catalogue; the warm start takes tags and years from it.
        language_model ([`LanguageModel`], *optional*): Writes; see [`LanguageModelVerbalizer`].
        history_length (`int`, *optional*): How many of the newest records are shown; all when `None`.
        max_new_tokens (`int`, *optional*, defaults to 96): Most tokens of a text.
        record_tokens (`int`, *optional*, defaults to 3072): About how many tokens of a prompt the records may take.
            What others chose next is left out first, then years and tags, then the oldest records. `None` shows the
            records as the template writes them, by the instructions of `prompt_texts/verbalizer.txt`.
        successors ([`SuccessorLists`], *optional*): See [`LanguageModelVerbalizer`].

    Example:
        >>> verbalizer = RewriteVerbalizer.from_pretrained("model_cards/x", items)  # doctest: +SKIP
        >>> verbalizer.verbalize([history])  # doctest: +SKIP
    """

    name: ClassVar[str] = "rewrite"
    choices: ClassVar[tuple[str, ...]] = ("history_length", "max_new_tokens", "record_tokens")

    def __init__(
        self,
        items: Mapping[str, Item],
        language_model: LanguageModel | None = None,
        *,
        history_length: int | None = None,
        max_new_tokens: int = 96,
        record_tokens: int | None = RECORD_TOKENS,
        successors: SuccessorLists | None = None,
    ):
        if max_new_tokens < 1:
            raise InputError(f"max_new_tokens is {max_new_tokens}; expected at least 1.")
        if record_tokens is not None and record_tokens < 1:
            raise InputError(f"record_tokens is {record_tokens}; expected at least 1, or nothing for plain records.")
        super().__init__(items, language_model, history_length=history_length, successors=successors)
        self.max_new_tokens = max_new_tokens
        self.record_tokens = record_tokens
        self._profile = ProfileVerbalizer(items)

    def prompt(self, example: Mapping[str, Any]) -> list[Message]:
        shown = self._shown(example[HISTORY])
        if self.record_tokens is None:
            return to_verbalizer_prompt(template_text(shown))
        fold = example.get(FOLD, ALL_USERS)
        described = described_text(shown, self.items, self.successors, fold, self.record_tokens)
        return to_verbalizer_prompt(described, described=True)

    def realize(self, completion: str, example: Mapping[str, Any]) -> str:
        """The text as the model wrote it, made harmless line by line: it may quote what stands in titles."""
        return sanitize_lines(completion.strip())

    def warm_start(self, example: Mapping[str, Any]) -> str:
        """The profile of the records that are shown, with as many recent works as `max_new_tokens` has room for.

        Tokens are counted by the language model's tokenizer; without one they are estimated from above.
        """
        shown = self._shown(example[HISTORY])
        room = self.max_new_tokens - 1  # one for the token that ends the text
        # Every work makes the text longer, so the last number that fits is found by halving.
        works = bisect_right(
            range(1, self._profile.recent_works + 1),
            room,
            key=lambda works: self._count_tokens(self._profile.profile(shown, works)),
        )
        return self._profile.profile(shown, works)

    def _count_tokens(self, text: str) -> int:
        if self.language_model is None:
            return len(text) // _CHARS_PER_TOKEN
        return len(self.language_model.text_ids(text))

    def max_completion_tokens(self, example: Mapping[str, Any]) -> int:
        return self.max_new_tokens

    @property
    def settings(self) -> dict[str, Any]:
        return {"max_new_tokens": self.max_new_tokens, "record_tokens": self.record_tokens}

    @classmethod
    def trained_choices(cls, path: Path) -> dict[str, Any]:
        """As in [`LanguageModelVerbalizer`]; an adapter without `record_tokens` was taught plain records."""
        trained = super().trained_choices(path)
        return {"record_tokens": None, **trained} if trained else trained

    def _shown(self, history: History) -> History:
        newest = super()._shown(history)
        return newest if self.record_tokens is None else newest_within(newest, self.record_tokens)
