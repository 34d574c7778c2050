"""The main learned verbalizer: a language model that writes the whole text freely."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from dataset_builders.prompts import Message, neutralise_lines, template_text, to_verbalizer_prompt
from dataset_builders.schema import HISTORY, Item
from hub_recipes.language_models import LanguageModel
from hub_recipes.verbalizers.language_model_verbalizer import LanguageModelVerbalizer
from hub_recipes.verbalizers.profile import ProfileVerbalizer
from hub_recipes.verbalizers.verbalizer import History


class RewriteVerbalizer(LanguageModelVerbalizer):
    """Rewrites each log by the instructions of `prompt_texts/verbalizer.txt`.

    With an adapter it is the row `rewrite`; with a base model that was never taught it is the row `zero_shot`. Its
    prompts are those of the dataset config `verbalizer`.

    Args:
        items (`dict[str, Item]`): The catalogue; the warm start takes tags and years from it.
        language_model ([`LanguageModel`], *optional*): Writes; see [`LanguageModelVerbalizer`].
        history_length (`int`, *optional*): How many of the newest records are shown; all when `None`.
        max_new_tokens (`int`, *optional*, defaults to 96): Most tokens of a text.

    Example:
        >>> verbalizer = RewriteVerbalizer.from_pretrained("model_cards/x", items)  # doctest: +SKIP
        >>> verbalizer.verbalize([history])  # doctest: +SKIP
    """

    name: ClassVar[str] = "rewrite"

    def __init__(
        self,
        items: Mapping[str, Item],
        language_model: LanguageModel | None = None,
        *,
        history_length: int | None = None,
        max_new_tokens: int = 96,
    ):
        super().__init__(items, language_model, history_length=history_length)
        self.max_new_tokens = max_new_tokens
        self._profile = ProfileVerbalizer(items)

    def prompt(self, example: Mapping[str, Any]) -> list[Message]:
        return to_verbalizer_prompt(template_text(self._shown(example[HISTORY])))

    def realize(self, completion: str, example: Mapping[str, Any]) -> str:
        """The text as the model wrote it, made harmless line by line: it may quote what stands in titles."""
        return neutralise_lines(completion.strip())

    def warm_start(self, example: Mapping[str, Any]) -> str:
        """The profile of the records that are shown."""
        return self._profile.verbalize([self._shown(example[HISTORY])])[0]

    def max_completion_tokens(self, example: Mapping[str, Any]) -> int:
        return self.max_new_tokens

    @property
    def settings(self) -> dict[str, Any]:
        return {"max_new_tokens": self.max_new_tokens}

    def _complete(self, prompts: Sequence[Sequence[int]], histories: Sequence[History]) -> list[str]:
        return self._model.generate(prompts, self.max_new_tokens)
