"""Where the files of a model or an adapter lie: here, in the cache of the Hub, on the Hub, or in a package."""

import hashlib
import json
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, HTTPError, LocalEntryNotFoundError

from logs2lang.dataset_builders.checksums import sha256_of
from logs2lang.dataset_builders.input_error import InputError

from .packaged_model import DEFAULT_BASE_MODEL, packaged_base_model

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
STUDENT_WEIGHTS = "student.safetensors"
"""What a student of an action verbalizer has in place of an adapter; see `verbalizers.student`."""
RUN_FILE = "run.json"
VERBALIZER_CONFIG = "verbalizer_config.json"
"""Lies beside the weights of an adapter: which verbalizer it was taught to be, and with which settings."""
CHAT_TEMPLATE_CONFIG = "chat_template_config.json"
GOLDEN_FILE = "golden_prompts.json"
"""Lies beside an adapter: what a server that runs it must answer; see `serving.golden_prompts`."""
_MODEL_CONFIG = "config.json"

# Weights as safetensors and nothing that runs: no pickle, no Python.
_WANTED = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
_SAID_OF_IT = (RUN_FILE, GOLDEN_FILE)  # of an adapter, and no part of it
_ETAG_TIMEOUT_S = 5.0


def model_folder(name: str, revision: str | None = None) -> Path:
    """The folder with the files of a base model or of an adapter.

    It is looked for as a local path, in the cache of the Hub, on the Hub, and last, for the default base model alone,
    in the package that carries it.

    Args:
        name (`str`): A local folder or `namespace/name` on the Hub.
        revision (`str`, *optional*): Branch, tag or commit of the Hub repo.

    Raises:
        InputError: It is nowhere to be had, or its weights are not safetensors.
    """
    folder = Path(name)
    if not folder.is_dir():
        folder = _from_cache(name, revision) or _from_hub(name, revision)
    if not is_complete(folder):
        raise InputError(
            f"{name} contains no model that can be loaded: expected {ADAPTER_CONFIG} with {ADAPTER_WEIGHTS}, "
            f"{STUDENT_WEIGHTS}, or {_MODEL_CONFIG} with *.safetensors. Weights in other formats can run code and are "
            "not loaded."
        )
    return folder


def public_name(name: str) -> str:
    """What a model is called in results: a Hub id as it is; a folder by the name in its `run.json`, never by its path.

    Args:
        name (`str`): Hub id or folder.

    Raises:
        InputError: The `run.json` in the folder is damaged.

    Example:
        >>> public_name("somebody/smollm2-verbalizer")
        'somebody/smollm2-verbalizer'
    """
    folder = Path(name)
    if not folder.is_dir():
        return name
    record = folder / RUN_FILE
    if not record.is_file():
        return folder.resolve().name
    try:
        return json.loads(record.read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{record} does not contain the name of the adapter ({error}). Train it again.") from error


def is_complete(folder: Path) -> bool:
    """Whether a folder holds an adapter, a student or a base model with all of its weights."""
    if (folder / STUDENT_WEIGHTS).is_file():
        return True
    if (folder / ADAPTER_CONFIG).is_file():
        return (folder / ADAPTER_WEIGHTS).is_file()
    return (folder / _MODEL_CONFIG).is_file() and all((folder / name).is_file() for name in _weight_files(folder))


def _weight_files(folder: Path) -> list[str]:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return ["model.safetensors"]
    return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))


def _from_cache(name: str, revision: str | None) -> Path | None:
    try:
        folder = Path(snapshot_download(name, revision=revision, local_files_only=True, allow_patterns=_WANTED))
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return folder if is_complete(folder) else None  # an interrupted download leaves a snapshot with holes


def _from_hub(name: str, revision: str | None) -> Path:
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_WANTED, etag_timeout=_ETAG_TIMEOUT_S))
    except (HTTPError, HFValidationError, OSError) as error:
        if name == DEFAULT_BASE_MODEL and revision is None:
            return packaged_base_model()
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{name} is neither a local folder nor a model that can be downloaded from the Hub ({reason}). Check the "
            f"name and the network, or leave it out to use {DEFAULT_BASE_MODEL}."
        ) from error


def content_hash(folder: Path) -> str:
    """What decides the answers of a model: its weights, configuration, tokenizer and chat template, as one hash.

    Args:
        folder (`Path`): As `model_folder` returns it. In the cache of the Hub its name is the commit, which
            says it all.
    """
    if folder.parent.name == "snapshots":
        return folder.name
    parts = sorted(part for pattern in _WANTED for part in folder.glob(pattern) if part.name not in _SAID_OF_IT)
    return hashlib.sha256("".join(f"{part.name} {sha256_of(part)}\n" for part in parts).encode()).hexdigest()
