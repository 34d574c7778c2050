"""A language model that was told how to rewrite a log, and was never taught."""

from collections.abc import Sequence

from dataset_builders.prompts import template_text, to_verbalizer_prompt
from hub_recipes.language_models import LanguageModel
from hub_recipes.verbalizers.text_cache import cache_key, write_missing
from hub_recipes.verbalizers.verbalizer import History, Progress


class ZeroShotVerbalizer:
    """Asks a language model to rewrite each log by the instructions of `prompt_texts/verbalizer.txt`.

    Decoding is greedy, so a text depends on nothing but the history, the model and `max_new_tokens`. Texts are kept on
    disk.

    Args:
        language_model ([`LanguageModel`]): Writes.
        max_new_tokens (`int`, *optional*, defaults to 96): Most tokens of a text.

    Example:
        >>> verbalizer = ZeroShotVerbalizer(load_language_model())  # doctest: +SKIP
        >>> verbalizer.verbalize([history])  # doctest: +SKIP
    """

    def __init__(self, language_model: LanguageModel, max_new_tokens: int = 96):
        self.language_model = language_model
        self.max_new_tokens = max_new_tokens

    @property
    def fingerprint(self) -> str:
        return f"{self.language_model.fingerprint}-{self.max_new_tokens}"

    def verbalize(self, histories: Sequence[History], progress: Progress | None = None) -> list[str]:
        """Write each history as text; see [`Verbalizer`]."""
        prompts = [self._prompt(history) for history in histories]
        settings = {"max_new_tokens": self.max_new_tokens}
        keys = [cache_key(prompt, self.language_model.fingerprint, settings) for prompt in prompts]
        return write_missing(
            keys,
            lambda places: self.language_model.generate([prompts[place] for place in places], self.max_new_tokens),
            progress,
        )

    def _prompt(self, history: History) -> list[int]:
        """Token ids of the prompt; the oldest records are left out where the model's window is too small for all."""
        limit = self.language_model.max_prompt_tokens - self.max_new_tokens
        ids = self.language_model.prompt_ids(to_verbalizer_prompt(template_text(history)))
        while len(ids) > limit and len(history) > 1:
            history = history[1 + len(history) * (len(ids) - limit) // len(ids) :]
            ids = self.language_model.prompt_ids(to_verbalizer_prompt(template_text(history)))
        return ids
