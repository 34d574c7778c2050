"""The weights of a base model and of the adapters on it: loaded apart, or several adapters on one base."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from types import SimpleNamespace
from typing import Any, Protocol

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig
from transformers.utils import GENERATION_CONFIG_NAME

from logs2lang.dataset_builders.input_error import InputError

from .model_folders import ADAPTER_WEIGHTS


class Weights(Protocol):
    """Loads what a [`LanguageModel`] computes with."""

    def base(self, folder: Path, device: str) -> Any:
        """A base model alone."""

    def adapted(self, base_folder: Path, folder: Path, device: str, name: str, base_id: str) -> Any:
        """A base model with an adapter.

        Args:
            base_folder (`Path`): Files of the base model.
            folder (`Path`): Files of the adapter.
            device (`str`): Where to.
            name (`str`): The adapter, in messages.
            base_id (`str`): The base model, in messages.

        Raises:
            InputError: The adapter belongs to another base model.
        """


class OwnWeights:
    """Loads each model with a base of its own."""

    def base(self, folder: Path, device: str) -> Any:
        dtype = torch.float32 if device == "cpu" else torch.bfloat16
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, trust_remote_code=False
            )
        except SafetensorError as error:
            raise _damaged(folder, error) from error
        return model.to(device).eval()

    def adapted(self, base_folder: Path, folder: Path, device: str, name: str, base_id: str) -> Any:
        return _put_on(self.base(base_folder, device), folder, "default", name, base_id)


class NoWeights:
    """Tells a [`LanguageModel`] the size of its window and how it writes; the weights are another program's."""

    def base(self, folder: Path, device: str) -> Any:
        said = (folder / GENERATION_CONFIG_NAME).is_file()
        writes = GenerationConfig.from_pretrained(folder) if said else GenerationConfig()
        return SimpleNamespace(config=AutoConfig.from_pretrained(folder), generation_config=writes, device=device)

    def adapted(self, base_folder: Path, folder: Path, device: str, name: str, base_id: str) -> Any:
        return self.base(base_folder, device)


class SharedWeights:
    """Loads each base model once; its adapters lie side by side on it, and one of them is at work at a time.

    What it returns is used like a model. Several threads may do so: each call waits for its turn.

    Example:
        >>> weights = SharedWeights()
        >>> verbalizer = load_language_model("runs/mt/verbalizer/adapter", weights=weights)  # doctest: +SKIP
        >>> reasoner = load_language_model("runs/mt/reasoner_action/adapter", weights=weights)  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._bases: dict[tuple[Path, str], _SharedBase] = {}

    def base(self, folder: Path, device: str) -> Any:
        return _Turn(self._shared(folder, device), None)

    def adapted(self, base_folder: Path, folder: Path, device: str, name: str, base_id: str) -> Any:
        shared = self._shared(base_folder, device)
        return _Turn(shared, shared.put(folder, name, base_id))

    @property
    def bases(self) -> int:
        """How many base models are in memory."""
        return len(self._bases)

    def _shared(self, folder: Path, device: str) -> "_SharedBase":
        key = folder.resolve(), device
        if key not in self._bases:
            self._bases[key] = _SharedBase(OwnWeights().base(folder, device))
        return self._bases[key]


class _SharedBase:
    """A base model and its adapters, by the folders they came from."""

    def __init__(self, model: Any):
        self.model = model
        self._adapters: dict[Path, str] = {}
        self._turn = RLock()

    def put(self, folder: Path, name: str, base_id: str) -> str:
        """Put an adapter on the base, once, and return the name it has there."""
        with self._turn:
            if folder.resolve() not in self._adapters:
                called = f"adapter_{len(self._adapters)}"
                self.model = _put_on(self.model, folder, called, name, base_id)
                self._adapters[folder.resolve()] = called
            return self._adapters[folder.resolve()]

    @contextmanager
    def at_work(self, adapter: str | None) -> Iterator[Any]:
        """The model with one adapter at work, or with none, until the block ends."""
        with self._turn:
            if not isinstance(self.model, PeftModel):
                yield self.model
            elif adapter is None:
                with self.model.disable_adapter():
                    yield self.model
            else:
                if self.model.active_adapter != adapter:
                    self.model.set_adapter(adapter, inference_mode=True)
                yield self.model


class _Turn:
    """A shared base as one of its adapters sees it: a model, as far as [`LanguageModel`] uses one."""

    def __init__(self, shared: _SharedBase, adapter: str | None):
        self._shared = shared
        self._adapter = adapter

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self._shared.at_work(self._adapter) as model:
            return model(*args, **kwargs)

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        with self._shared.at_work(self._adapter) as model:
            return model.generate(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shared.model, name)


def _put_on(base: Any, folder: Path, called: str, name: str, base_id: str) -> PeftModel:
    """Put a LoRA adapter on a base model, beside others; one that was trained on another base is refused."""
    try:
        if isinstance(base, PeftModel):
            model = base
            model.load_adapter(str(folder), called, use_safetensors=True)
        else:
            model = PeftModel.from_pretrained(base, folder, adapter_name=called, use_safetensors=True)
    except SafetensorError as error:
        raise _damaged(folder, error) from error
    except (RuntimeError, ValueError) as error:  # other shapes, or no such modules
        raise _misfit(name, base_id, str(error).strip().splitlines()[0]) from error
    with safe_open(folder / ADAPTER_WEIGHTS, "pt") as stored:
        unused = set(stored.keys()) ^ set(get_peft_model_state_dict(model, adapter_name=called))
    if unused:  # peft only warns, and would answer as the base model alone
        raise _misfit(name, base_id, f"{len(unused)} weights have no counterpart, such as {min(unused)}")
    return model.eval()


def _damaged(folder: Path, error: SafetensorError) -> InputError:
    return InputError(f"The weights in {folder} are damaged ({error}). Download, copy or train them again.")


def _misfit(name: str, base_id: str, reason: str) -> InputError:
    return InputError(
        f"The adapter {name} does not fit its base model {base_id} ({reason}). Train it again on that base."
    )
