"""What a service runs: a verbalizer by name or folder, and both adapters on one base model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError

from ..models.language_models import load_language_model
from ..models.model_folders import ADAPTER_CONFIG, RUN_FILE, VERBALIZER_CONFIG, model_folder
from ..models.weights import Weights
from ..reasoners.local import LocalReasoner
from ..verbalizers.by_rule import TEXT_RULES, is_written_by_rule, to_rule_verbalizer
from ..verbalizers.language_model_verbalizer import LanguageModelVerbalizer
from ..verbalizers.learned import LEARNED_VERBALIZERS, taught_as
from ..verbalizers.verbalizer import History


class Written(NamedTuple):
    """The text of one history.

    Args:
        text (`str`): For a reasoner to read.
        records (`int`): How many of the newest records it is about.
        counts (`dict[str, int]`): How many records were decided each way; empty where none are decided.
    """

    text: str
    records: int
    counts: dict[str, int]


def write_texts(verbalizer: Any, histories: Sequence[History]) -> list[Written]:
    """Let a verbalizer write, and count."""
    if not hasattr(verbalizer, "write"):
        texts = verbalizer.verbalize(histories)
        return [Written(text, len(history), {}) for text, history in zip(texts, histories, strict=True)]
    writings = verbalizer.write(histories)
    return [Written(writing.text, len(writing.shown), dict(writing.counts)) for writing in writings]


def load_verbalizer(name: str, dataset: BuiltDataset, weights: Weights) -> Any:
    """Load any verbalizer.

    Args:
        name (`str`): A rule such as `successors` or `action:newest-3`; or the folder or Hub id of an adapter, of a
            model that was trained whole, or of a student.
        dataset ([`BuiltDataset`]): Whose catalogue and successors it reads.
        weights ([`Weights`]): Loads the base model of an adapter.

    Raises:
        InputError: There is no such verbalizer, or it was made for another catalogue.
    """
    if is_written_by_rule(name):
        return to_rule_verbalizer(name, dataset)
    folder, kind = verbalizer_folder(name)
    require_same_catalogue(folder, name, dataset)
    class_ = LEARNED_VERBALIZERS[kind]
    successors = dataset.known_successors()
    if not (folder / ADAPTER_CONFIG).is_file():
        return class_.from_pretrained(name, dataset.items(), successors=successors)
    choices = class_.trained_choices(folder / VERBALIZER_CONFIG)
    language_model = load_language_model(name, weights=weights)
    verbalizer = class_(dataset.items(), language_model, successors=successors, **choices)
    verbalizer.keeps_completions = False
    return verbalizer


def verbalizer_folder(name: str) -> tuple[Path, str]:
    """Where a learned verbalizer lies, and of which kind it is.

    Raises:
        InputError: It is nowhere to be had, or no verbalizer.
    """
    try:
        folder = model_folder(name)
    except InputError as error:
        known = f"Rules are {', '.join(TEXT_RULES)} and action:newest-3 and the like."
        raise InputError(f"--verbalizer {name} is neither a rule nor a trained verbalizer: {error} {known}") from error
    return folder, taught_as(folder)


def require_same_catalogue(folder: Path, name: str, dataset: BuiltDataset) -> None:
    """Refuse what was trained on another log: the items in its prompts are not those of this catalogue.

    Raises:
        InputError: Its record names another dataset.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        return
    try:
        trained_on = json.loads(path.read_text(encoding="utf-8"))["dataset"]["name"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} does not say what {name} was trained on ({error!r}). Train it again.") from error
    if trained_on != dataset.name:
        raise InputError(
            f"{name} was trained on {trained_on}, but --items is the catalogue of {dataset.name}. Give the dataset "
            "that it was trained on, or an adapter of this one."
        )


def load_reasoner(name: str, answer: Any, dataset: BuiltDataset, weights: Weights) -> LocalReasoner:
    """Load a base model or an adapter as a reasoner; see [`load_verbalizer`] for the rest.

    Args:
        name (`str`): Hub id or folder.
        answer (`str`, *optional*): Its answer mode; as it was trained by default, and a base model by title.
        dataset ([`BuiltDataset`]): Whose items it ranks.
        weights ([`Weights`]): Loads the base model.
    """
    folder = model_folder(name)
    if (folder / ADAPTER_CONFIG).is_file():
        require_same_catalogue(folder, name, dataset)
    return LocalReasoner.as_trained(load_language_model(name, weights=weights), folder, answer)


def uses_a_language_model(verbalizer: Any) -> bool:
    """Whether a verbalizer computes with a language model of this process."""
    return isinstance(verbalizer, LanguageModelVerbalizer) and verbalizer.language_model is not None
