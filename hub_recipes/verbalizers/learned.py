"""The verbalizers that can be taught, by the name they go by in recipes, commands and tables."""

from hub_recipes.verbalizers.action import ActionVerbalizer
from hub_recipes.verbalizers.language_model_verbalizer import LanguageModelVerbalizer
from hub_recipes.verbalizers.rewrite import RewriteVerbalizer

LEARNED_VERBALIZERS: dict[str, type[LanguageModelVerbalizer]] = {
    "rewrite": RewriteVerbalizer,
    "action": ActionVerbalizer,
}
