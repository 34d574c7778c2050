"""The language models of this process: the base model once, and the few adapters that were asked for last."""

import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import HFValidationError, HTTPError

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.models.language_models import DEFAULT_BASE_MODEL, LanguageModel, load_language_model
from logs2lang.models.model_folders import ADAPTER_CONFIG

from .released_adapters import MODEL_CARDS, released_folder

MAX_ADAPTERS = 3
"""Adapters kept in memory, each with a base of its own: one to decide, one to rewrite, one to choose."""

MAX_ADAPTER_BYTES = 300_000_000
_TIMEOUT_S = 5.0


class LoadedModels:
    """Loads each model once and keeps it.

    Args:
        base_model (`str`, *optional*, defaults to `"HuggingFaceTB/SmolLM2-135M-Instruct"`): The only base model that
            runs here; adapters must be made for it.
        folders (`bool`, *optional*, defaults to `True`): Whether adapters may be given as folders of this machine. Not
            on a public Space.
        released (`Path`, *optional*): Folders of released adapters, which go by their names, there too.
        load (`Callable[[str], LanguageModel]`, *optional*): What loads a model.
    """

    def __init__(
        self,
        base_model: str = DEFAULT_BASE_MODEL,
        *,
        folders: bool = True,
        released: Path = MODEL_CARDS,
        load: Callable[[str], LanguageModel] = load_language_model,
    ):
        self.base_model = base_model
        self.folders = folders
        self.released = released
        self._load = load
        self._base: LanguageModel | None = None
        self._adapters: OrderedDict[str, LanguageModel] = OrderedDict()
        self._lock = Lock()

    def base(self) -> LanguageModel:
        """The released base model."""
        with self._lock:
            if self._base is None:
                self._base = self._load(self.base_model)
            return self._base

    def get(self, name: str) -> LanguageModel:
        """The base model with an adapter, or without one for an empty name.

        Args:
            name (`str`): Of a released adapter, a folder, or `namespace/name` on the Hub.

        Raises:
            InputError: There is no such adapter, it is none, it belongs to another base, or it is too large.
        """
        name = name.strip()
        if name in ("", self.base_model):
            return self.base()
        with self._lock:
            if name not in self._adapters:
                found = released_folder(name, self.released)
                self._check(name, found)
                self._adapters[name] = self._load(name if found is None else str(found))
            self._adapters.move_to_end(name)
            while len(self._adapters) > MAX_ADAPTERS:
                self._adapters.popitem(last=False)
            return self._adapters[name]

    def _check(self, name: str, found: Path | None) -> None:
        """Refuse what is not a small adapter for the base of this page, before anything large is fetched."""
        folder = found or Path(name)
        if folder.is_dir() and found is None and not self.folders:
            raise InputError("Folders cannot be read here; give the id of an adapter on the Hub, as namespace/name.")
        config = _config_in(folder) if folder.is_dir() else self._config_on_hub(name)
        base = config.get("base_model_name_or_path")
        if base != self.base_model:
            raise InputError(
                f"The adapter {name} is for {base or 'an unnamed base model'}, but this page runs {self.base_model}. "
                "Choose an adapter for this base model, or leave the field empty."
            )

    def _config_on_hub(self, name: str) -> dict:
        try:
            info = HfApi().model_info(name, files_metadata=True, timeout=_TIMEOUT_S)
            sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
            if ADAPTER_CONFIG not in sizes:
                raise InputError(
                    f"{name} on the Hub is not an adapter: it has no {ADAPTER_CONFIG}. Choose another "
                    "one, or leave the field empty."
                )
            weights = sum(size for file, size in sizes.items() if file.endswith(".safetensors"))
            if weights > MAX_ADAPTER_BYTES:
                raise InputError(
                    f"{name} has {weights / 1e6:,.0f} MB of weights; the limit here is "
                    f"{MAX_ADAPTER_BYTES / 1e6:,.0f} MB. Run `logs2lang demo` on a machine with enough memory."
                )
            config = hf_hub_download(name, ADAPTER_CONFIG, etag_timeout=_TIMEOUT_S)
            return json.loads(Path(config).read_text(encoding="utf-8"))
        except (HTTPError, HFValidationError, OSError) as error:
            where = "neither a local folder nor an adapter" if self.folders else "not an adapter"
            raise InputError(
                f"{name} is {where} that can be downloaded from the Hub. Check the spelling (namespace/name) and the "
                "network, or leave the field empty."
            ) from error


def _config_in(folder: Path) -> dict:
    if not (folder / ADAPTER_CONFIG).is_file():
        raise InputError(
            f"{folder} is not an adapter: it has no {ADAPTER_CONFIG}. Choose another, or leave the field empty."
        )
    return json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
