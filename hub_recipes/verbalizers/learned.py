"""The verbalizers that can be taught, by the name they go by in recipes, commands and tables."""

from collections.abc import Iterable, Mapping

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import Item
from logs2lang.dataset_builders.successor_lists import SuccessorLists

from .action import ActionVerbalizer
from .language_model_verbalizer import LanguageModelVerbalizer
from .rewrite import RewriteVerbalizer

LEARNED_VERBALIZERS: dict[str, type[LanguageModelVerbalizer]] = {
    "action": ActionVerbalizer,
    "rewrite": RewriteVerbalizer,
}


def to_adapters(words: Iterable[str]) -> dict[str, str]:
    """The adapters that were given, by verbalizer.

    Args:
        words (`list[str]`): `NAME=ID_OR_FOLDER`, with a name out of `LEARNED_VERBALIZERS`.

    Raises:
        InputError: A word has another form, or a name is unknown or comes twice.

    Example:
        >>> to_adapters(["rewrite=org/adapter"])
        {'rewrite': 'org/adapter'}
    """
    adapters: dict[str, str] = {}
    for word in words:
        name, equals, adapter = word.partition("=")
        if not equals or not adapter or name not in LEARNED_VERBALIZERS:
            expected = " or ".join(f"{known}=ID_OR_FOLDER" for known in LEARNED_VERBALIZERS)
            raise InputError(f"{word!r} names no verbalizer adapter; expected {expected}.")
        if name in adapters:
            raise InputError(f"There are two adapters for {name!r}: {adapters[name]} and {adapter}. Give only one.")
        adapters[name] = adapter
    return adapters


def load_adapters(
    adapters: Mapping[str, str], items: Mapping[str, Item], successors: SuccessorLists | None = None
) -> dict[str, LanguageModelVerbalizer]:
    """Load the verbalizers of `to_adapters`, each with its base model."""
    return {
        name: LEARNED_VERBALIZERS[name].from_pretrained(adapter, items, successors=successors)
        for name, adapter in adapters.items()
    }
