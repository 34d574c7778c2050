"""LoRA adapters: put on a base model to be trained, and written as a folder that a repository of the Hub can hold."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import set_seed

from logs2lang.dataset_builders.input_error import InputError

from ...models.language_models import DEFAULT_BASE_MODEL, LanguageModel, load_language_model


@dataclass
class AdapterArguments:
    """Which model learns, and how large its adapter is."""

    base_model: str = field(
        default=DEFAULT_BASE_MODEL, metadata={"help": "Base model by Hub id or folder; it must have a chat template."}
    )
    base_model_id: str | None = field(
        default=None,
        metadata={
            "help": ("Hub id of the base model, if base_model is a folder: adapters refer to ids, never to folders.")
        },
    )
    adapter: str | None = field(
        default=None, metadata={"help": "Adapter to continue from, by Hub id or folder; a new one by default."}
    )
    lora_r: int = field(default=16, metadata={"help": "Rank of a new adapter."})
    lora_alpha: int = field(default=32, metadata={"help": "Scale of a new adapter, as alpha / r."})
    lora_dropout: float = field(default=0.0, metadata={"help": "Dropout within a new adapter."})
    lora_target_modules: str = field(
        default="all-linear", metadata={"help": "Modules of a new adapter, separated by commas."}
    )
    adapter_dtype: Literal["float32", "bfloat16"] | None = field(
        default=None,
        metadata={
            "help": "Type of the weights in the adapter's file; by default that of the base model in training. "
            "bfloat16 halves the file."
        },
    )


_FORBIDDEN = -1e4
"""A logit that no sampler ever picks, and finite: an entropy multiplies it with a probability of zero."""


def restrict_vocabulary(model: torch.nn.Module, token_ids: Sequence[int]) -> None:
    """Restrict a model to some tokens, both in sampling and in every log-probability.

    Tokens that only sampling leaves out still have their share of the softmax that a trainer differentiates. At a high
    temperature this is nearly all of it, and a step then changes everything except the choice of allowed tokens.

    Args:
        model (`torch.nn.Module`): A causal language model; its output layer gets a bias that no file holds.
        token_ids (`list[int]`): What may be written.
    """
    head = cast(Any, model).get_output_embeddings()
    bias = torch.full((head.weight.shape[0],), _FORBIDDEN, dtype=head.weight.dtype, device=head.weight.device)
    bias[list(token_ids)] = 0.0
    own = head._parameters.pop("bias", None)
    head.register_buffer("bias", bias if own is None else bias + own.detach(), persistent=False)


def trainable_model(
    arguments: AdapterArguments,
    seed: int,
    device: str | None = None,
    chat_template_kwargs: Mapping[str, Any] | None = None,
) -> LanguageModel:
    """A base model with an adapter that can be trained: a new one, or one to continue from.

    Args:
        arguments ([`AdapterArguments`]): See there.
        seed (`int`): Decides the weights that a new adapter starts with.
        device (`str`, *optional*): Where to; the accelerator if there is one, else the CPU.
        chat_template_kwargs (`dict`, *optional*): Arguments for the chat template; by default those of the adapter
            that training continues from.

    Returns:
        [`LanguageModel`]: Its `model` is a `PeftModel` in training mode, `model_id` a Hub id.

    Raises:
        InputError: The base model is a folder and `base_model_id` is missing, or the adapter belongs to another base.
    """
    base_id = to_base_id(arguments)
    if arguments.adapter is None:
        base = load_language_model(arguments.base_model, device=device, chat_template_kwargs=chat_template_kwargs)
        set_seed(seed)
        model = get_peft_model(base.model, _lora_config(arguments))
    else:
        base = load_language_model(arguments.adapter, device=device, chat_template_kwargs=chat_template_kwargs)
        if base.model_id != base_id:
            raise InputError(
                f"The adapter {arguments.adapter} belongs to {base.model_id}, but base_model is {base_id}. Use that "
                "base model, or omit adapter to start a new one."
            )
        model = base.model
        model.set_adapter("default")  # loaded to answer; its weights may learn from here on
    model.train()
    return replace(base, model=model, model_id=base_id)


def to_base_id(arguments: AdapterArguments) -> str:
    """The Hub id that an adapter names as its base.

    Raises:
        InputError: The base model is a folder, and nothing says what it is on the Hub.
    """
    if arguments.base_model_id is not None:
        return arguments.base_model_id
    # `runs/base` reads like a Hub id, but where such a folder is, transformers loads the folder.
    if arguments.base_model.startswith((".", "~", os.sep)) or Path(arguments.base_model).is_dir():
        raise InputError(
            f"base_model is the folder {arguments.base_model}, but an adapter must refer to its base model by Hub "
            "id. Give base_model_id too, such as HuggingFaceTB/SmolLM2-135M-Instruct."
        )
    return arguments.base_model


def _lora_config(arguments: AdapterArguments) -> LoraConfig:
    modules = arguments.lora_target_modules
    return LoraConfig(
        r=arguments.lora_r,
        lora_alpha=arguments.lora_alpha,
        lora_dropout=arguments.lora_dropout,
        target_modules=modules if modules == "all-linear" else [name.strip() for name in modules.split(",")],
        task_type="CAUSAL_LM",
    )


def save_adapter(model: PeftModel, folder: Path, base_id: str, dtype: torch.dtype) -> None:
    """Write the adapter that was trained: `adapter_config.json` and `adapter_model.safetensors`, nothing else.

    Args:
        model (`PeftModel`): Its adapter `"default"` is written; a frozen reference beside it is not.
        folder (`Path`): Where to.
        base_id (`str`): The base model by Hub id, which is what the adapter names; never a folder.
        dtype (`torch.dtype`): Of the weights in the file.
    """
    model.peft_config["default"].base_model_name_or_path = base_id
    # No embeddings were trained; to find that out by itself peft would ask the Hub.
    model.save_pretrained(str(folder), selected_adapters=["default"], save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty form; ours is rendered from what was measured
    _cast(folder / "adapter_model.safetensors", dtype)


def _cast(path: Path, dtype: torch.dtype) -> None:
    from safetensors.torch import load_file, save_file

    save_file({name: weight.to(dtype) for name, weight in load_file(path).items()}, path, metadata={"format": "pt"})
