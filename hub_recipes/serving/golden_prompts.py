"""Golden prompts of an adapter: what it must answer wherever it runs, and what a server says where something lacks.

The users in them are invented, so the file is published with the adapter.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import Message
from logs2lang.dataset_builders.schema import ALL_USERS, HISTORY
from logs2lang.dataset_builders.successor_lists import SuccessorLists
from logs2lang.dataset_builders.whole_files import write_text

from ..models.language_models import LanguageModel, load_language_model
from ..models.model_folders import (
    ADAPTER_CONFIG,
    GOLDEN_FILE,
    VERBALIZER_CONFIG,
    content_hash,
    model_folder,
    public_name,
)
from ..models.weights import SharedWeights
from ..reasoners.local import LocalReasoner
from ..reasoners.questions import to_prompt_of
from ..verbalizers.action import ActionVerbalizer, decision_token_ids
from ..verbalizers.learned import LEARNED_VERBALIZERS
from .loading import verbalizer_folder

GOLDEN_VERSION = 1

ADAPTER, NO_ADAPTER, NO_SWITCHES = "adapter", "no_adapter", "no_switches"
"""Under which conditions the log-probabilities of a prompt are kept: as it must be, and with one thing missing."""

LISTED = 40
"""Tokens that are kept per prompt and condition; servers list 20 at most."""

_UNKNOWN = "�"  # part of a character: several tokens are spelled so
_FILMS = (
    ("The Glass Harbour", 1994, ("Drama",)),
    ("Nine Winters", 2003, ("Crime", "Drama")),
    ("A Song for the Ferryman", 1987, ("Romance",)),
    ("Static", 2011, ("Science fiction", "Thriller")),
    ("The Paper Orchard", 1999, ("Family",)),
    ("Under a Copper Moon", 1978, ("Western",)),
    ("Tomorrow's Cartographer", 2016, ("Adventure",)),
    ("The Last Lighthouse", 1965, ("Mystery",)),
)
"""None of them exists."""
_HISTORIES = ((0, 1, 2), (3, 4, 3, 5, 6), (7, 1, 3, 0, 2, 6, 5))
_CONTEXTS = ("Likes crime films of the nineties.", "Recent, newest last: Static; Nine Winters", "")


@dataclass(frozen=True)
class GoldenPrompt:
    """One prompt, and how probable the tokens are that may follow it.

    Args:
        messages (`list[dict]`): `role` and `content`.
        expected (`dict[str, dict[str, float]]`): By condition and token: natural logarithms, the most probable first.
    """

    messages: list[Message]
    expected: dict[str, dict[str, float]]


@dataclass(frozen=True)
class GoldenPrompts:
    """What a server must say of an adapter.

    Args:
        adapter (`str`): Its name.
        fingerprint (`str`): Of the adapter's files; changes whenever its weights do.
        chat_template_kwargs (`dict`): What each request must pass to the chat template.
        allowed_token_ids (`list[int]`): The only tokens that it may write; empty where it may write any.
        unlikely (`tuple[int, str]`): A token that it would never write of its own, and its text.
        prompts (`list[GoldenPrompt]`): In order.
    """

    adapter: str
    fingerprint: str
    chat_template_kwargs: dict[str, Any]
    allowed_token_ids: list[int]
    unlikely: tuple[int, str]
    prompts: list[GoldenPrompt]


def write_golden_prompts(folder: Path) -> Path:
    """Ask an adapter the golden prompts and keep what it answers beside it.

    Args:
        folder (`Path`): Of the adapter. Its base model is loaded.

    Returns:
        `Path`: The file.

    Raises:
        InputError: It is no adapter, or answers as its base model does, so that nothing could tell them apart.
    """
    if not (folder / ADAPTER_CONFIG).is_file():
        raise InputError(f"{folder} has no {ADAPTER_CONFIG}. Give the folder of an adapter, as training wrote it.")
    weights = SharedWeights()
    model = load_language_model(str(folder), weights=weights)
    base = load_language_model(
        model.model_id, weights=weights, chat_template_kwargs=model.chat_template_kwargs, device=str(model.device)
    )
    conditions = {ADAPTER: model, NO_ADAPTER: replace(base, tokenizer=model.tokenizer)}
    if model.chat_template_kwargs:
        conditions[NO_SWITCHES] = replace(model, chat_template_kwargs={})
    conversations, allowed = _conversations(folder, model)
    prompts = [_golden(messages, conditions) for messages in conversations]
    if all(prompt.expected[NO_ADAPTER] == prompt.expected[ADAPTER] for prompt in prompts):
        raise InputError(
            f"{folder} answers as its base model alone does, so no server could be checked for it. Train it first."
        )
    document = {
        "golden_version": GOLDEN_VERSION,
        "adapter": public_name(str(folder)),
        "fingerprint": content_hash(folder),
        "chat_template_kwargs": dict(model.chat_template_kwargs),
        "allowed_token_ids": allowed,
        "unlikely": _unlikely(model, conversations[0]),
        "prompts": [prompt.__dict__ for prompt in prompts],
    }
    return write_text(folder / GOLDEN_FILE, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def read_golden_prompts(name: str) -> GoldenPrompts:
    """Read what `write_golden_prompts` wrote.

    Args:
        name (`str`): Folder or Hub id of the adapter.

    Raises:
        InputError: There are none, they are damaged, or the adapter has changed since.
    """
    folder = model_folder(name)
    path = folder / GOLDEN_FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["golden_version"] != GOLDEN_VERSION:
            raise ValueError(f"version {stored['golden_version']!r}")
        number, text = stored["unlikely"]
        golden = GoldenPrompts(
            adapter=str(stored["adapter"]),
            fingerprint=str(stored["fingerprint"]),
            chat_template_kwargs=dict(stored["chat_template_kwargs"]),
            allowed_token_ids=[int(token) for token in stored["allowed_token_ids"]],
            unlikely=(int(number), str(text)),
            prompts=[_read_prompt(prompt) for prompt in stored["prompts"]],
        )
    except FileNotFoundError:
        raise InputError(f"{name} has no {GOLDEN_FILE}. Write it with `logs2lang golden-prompts {folder}`.") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path} is damaged ({error!r}). Write it again with `logs2lang golden-prompts {folder}`."
        ) from error
    # In the cache of the Hub a folder's name is its commit, and the file was committed with the weights.
    if folder.parent.name != "snapshots" and golden.fingerprint != content_hash(folder):
        raise InputError(
            f"{name} has changed since {GOLDEN_FILE} was written. Write it again with `logs2lang golden-prompts "
            f"{folder}`."
        )
    return golden


def _read_prompt(stored: Mapping[str, Any]) -> GoldenPrompt:
    expected = {
        str(condition): {str(token): float(value) for token, value in of_tokens.items()}
        for condition, of_tokens in stored["expected"].items()
    }
    if not expected[ADAPTER]:
        raise ValueError("a prompt without log-probabilities")
    return GoldenPrompt([dict(message) for message in stored["messages"]], expected)


def _conversations(folder: Path, model: LanguageModel) -> tuple[list[list[Message]], list[int]]:
    """The conversations for the role of an adapter, and the only tokens that may follow them."""
    if not (folder / VERBALIZER_CONFIG).is_file():
        reasoner = LocalReasoner.as_trained(model, folder)
        to_prompt = to_prompt_of("label" if reasoner.answer == "generate" else reasoner.answer)
        return [to_prompt(context, list(_items().values())[:4]) for context in _CONTEXTS], []
    _, kind = verbalizer_folder(str(folder))
    class_ = LEARNED_VERBALIZERS[kind]
    choices = class_.trained_choices(folder / VERBALIZER_CONFIG)
    nobody = SuccessorLists(folder, {ALL_USERS: {}})
    verbalizer = class_(_items(), model, successors=nobody, **choices)
    allowed = decision_token_ids(model.tokenizer, verbalizer.known) if isinstance(verbalizer, ActionVerbalizer) else []
    examples = [{HISTORY: verbalizer.fit(_history(places))} for places in _HISTORIES]
    return [verbalizer.prompt(example) for example in examples], allowed


def _items() -> dict[str, Any]:
    return {
        f"f{place}": {
            "item_id": f"f{place}",
            "title": title,
            "year": year,
            "tags": list(tags),
            "series": None,
            "description": None,
        }
        for place, (title, year, tags) in enumerate(_FILMS)
    }


def _history(places: tuple[int, ...]) -> list[Any]:
    first = datetime(2024, 3, 1, 20, 15, tzinfo=timezone.utc)
    return [
        {
            "timestamp": first + timedelta(days=3 * day),
            "item_id": f"f{place}",
            "title": _FILMS[place][0],
            "event": "play",
            "duration_s": 5_400.0,
            "value": None,
            "device": None,
        }
        for day, place in enumerate(places)
    ]


def _golden(messages: list[Message], conditions: Mapping[str, LanguageModel]) -> GoldenPrompt:
    return GoldenPrompt(messages, {name: _listed(model, messages) for name, model in conditions.items()})


def _listed(model: LanguageModel, messages: list[Message]) -> dict[str, float]:
    """The most probable next tokens by their text, as a server lists them."""
    log_probs = _next(model, messages)
    listed: dict[str, float] = {}
    for token in np.argsort(-log_probs, kind="stable"):
        text = str(model.tokenizer.decode([int(token)]))
        if _UNKNOWN not in text and text not in listed:
            listed[text] = round(float(log_probs[token]), 4)
        if len(listed) == LISTED:
            break
    return listed


def _unlikely(model: LanguageModel, messages: list[Message]) -> tuple[int, str]:
    """The least probable token that is a plain word of letters."""
    log_probs = _next(model, messages)
    for token in np.argsort(log_probs, kind="stable"):
        text = str(model.tokenizer.decode([int(token)]))
        if text.isascii() and text.isalpha():
            return int(token), text
    raise InputError("The tokenizer has no token of letters only, so a server could not be checked.")


def _next(model: LanguageModel, messages: list[Message]) -> np.ndarray:
    tokens = range(model.model.config.get_text_config().vocab_size)
    return model.next_token_log_probs([model.prompt_ids(messages)], tokens)[0]
