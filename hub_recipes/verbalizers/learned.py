"""The verbalizers that can be taught, by the name they go by in recipes, commands and tables."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import Item
from logs2lang.dataset_builders.successor_lists import SuccessorLists

from ..models.model_folders import VERBALIZER_CONFIG
from ..models.weights import Weights
from .action import ActionVerbalizer
from .language_model_verbalizer import LanguageModelVerbalizer
from .rewrite import RewriteVerbalizer

LEARNED_VERBALIZERS: dict[str, type[LanguageModelVerbalizer]] = {
    "action": ActionVerbalizer,
    "rewrite": RewriteVerbalizer,
}


STUDENT = "student"
"""The row of a student, so that it can stand in one table with its teacher; see [`StudentVerbalizer`]."""

LOADED_VERBALIZERS: dict[str, type[LanguageModelVerbalizer]] = {**LEARNED_VERBALIZERS, STUDENT: ActionVerbalizer}
"""The verbalizers that an adapter or a student is given for, by the name of their row."""


def taught_as(folder: Path) -> str:
    """Which verbalizer an adapter was taught to be: a name out of `LEARNED_VERBALIZERS`.

    Args:
        folder (`Path`): As [`model_folder`] returns it.

    Raises:
        InputError: It does not say, or the file that should is damaged.
    """
    path = folder / VERBALIZER_CONFIG
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["verbalizer"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{folder} does not say which verbalizer it is: {VERBALIZER_CONFIG} is missing or damaged. Give an "
            "adapter that `logs2lang train verbalizer` wrote."
        ) from error
    if name not in LEARNED_VERBALIZERS:
        raise InputError(f"{path} names the verbalizer {name!r}; known are {', '.join(LEARNED_VERBALIZERS)}.")
    return name


def to_adapters(words: Iterable[str]) -> dict[str, str]:
    """The adapters that were given, by verbalizer.

    Args:
        words (`list[str]`): `NAME=ID_OR_FOLDER`, with a name out of `LOADED_VERBALIZERS`.

    Raises:
        InputError: A word has another form, or a name is unknown or comes twice.

    Example:
        >>> to_adapters(["rewrite=org/adapter"])
        {'rewrite': 'org/adapter'}
    """
    adapters: dict[str, str] = {}
    for word in words:
        name, equals, adapter = word.partition("=")
        if not equals or not adapter or name not in LOADED_VERBALIZERS:
            expected = " or ".join(f"{known}=ID_OR_FOLDER" for known in LOADED_VERBALIZERS)
            raise InputError(f"{word!r} names no verbalizer adapter; expected {expected}.")
        if name in adapters:
            raise InputError(f"There are two adapters for {name!r}: {adapters[name]} and {adapter}. Give only one.")
        adapters[name] = adapter
    return adapters


def load_adapters(
    adapters: Mapping[str, str],
    items: Mapping[str, Item],
    successors: SuccessorLists | None = None,
    weights: Weights | None = None,
) -> dict[str, LanguageModelVerbalizer]:
    """Load the verbalizers of `to_adapters`, each adapter with its base model."""
    return {
        name: LOADED_VERBALIZERS[name].from_pretrained(adapter, items, successors=successors, weights=weights)
        for name, adapter in adapters.items()
    }
