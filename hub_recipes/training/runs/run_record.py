"""`run.json`: what a training run was and what came of it. Cards and plots are made from it, and from nothing else."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from logs2lang.dataset_builders.checksums import sha256_of
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.export import REPORT_FILE
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.whole_files import write_text

from ...models.accelerators import accelerator
from ...models.model_folders import ADAPTER_WEIGHTS, RUN_FILE, content_hash, model_folder, public_name

SCHEMA_VERSION = 1
"""Raised whenever a reader of an earlier `run.json` would misread a later one."""

LIBRARIES = ("logs2lang", "torch", "transformers", "trl", "peft", "accelerate", "datasets")
# What is shown is no choice of a run either: transformers sets `disable_tqdm` by how much its log says.
_LOCAL = ("output_dir", "logging_dir", "run_name", "hub_token", "push_to_hub_token", "disable_tqdm")
_FROM_BUILD_REPORT = ("name", "dataset_version", "options")


def dataset_entry(dataset: BuiltDataset) -> dict[str, Any]:
    """Which dataset a run was trained on, as `run.json` names it."""
    report = {key: dataset.report.get(key) for key in _FROM_BUILD_REPORT}
    return {**report, "report_sha256": sha256_of(dataset.folder / REPORT_FILE)}


def content_entry(dataset: BuiltDataset) -> dict[str, Any]:
    """What of a dataset decides what is learned from it: its name, which adapters bear, and what it holds."""
    content = dataset.report.get("content_sha256") or sha256_of(dataset.folder / REPORT_FILE)
    return {"name": dataset.name, "content": content}


def adapter_hash(folder: Path) -> str:
    """One hash of what an adapter answers: its files, and how its `run.json` says that it is asked.

    Two trainings may end with the same weights and be asked in two ways, such as at another temperature.
    """
    run = read_run(folder)
    return digest([content_hash(folder), *(run.get(part) for part in ("role", "answer", "verbalizer", "config"))])


def parent_entry(name: str | None) -> dict[str, Any] | None:
    """A model that a run builds on, an adapter as a rule: its name and the hash of its weights; `None` for none."""
    if name is None:
        return None
    folder = model_folder(name)
    weights = folder / ADAPTER_WEIGHTS
    return {"name": public_name(name), "sha256": sha256_of(weights) if weights.is_file() else content_hash(folder)}


def inputs_entry(arguments: Any) -> dict[str, Any]:
    """What lies behind the names that a run was given: its dataset, adapters and texts by their content.

    Args:
        arguments ([`RunArguments`]): Of the role that is trained.
    """
    models = {"base_model": arguments.base_model, "adapter": arguments.adapter}
    models["teacher"] = getattr(arguments, "teacher", None)
    if getattr(arguments, "oracle_url", None) is None:
        models["oracle"] = getattr(arguments, "oracle", None)
    models |= dict(word.strip().split("=", 1) for word in arguments.verbalizer.split(",") if "=" in word)
    texts = getattr(arguments, "texts", None)
    files = sorted(Path(texts).glob("*.parquet")) if texts else []
    return {
        "dataset": content_entry(BuiltDataset.open(arguments.dataset)),
        **{role: content_hash(model_folder(name)) for role, name in models.items() if name is not None},
        **({"texts": {file.name: sha256_of(file) for file in files}} if texts else {}),
    }


def machine_entry() -> dict[str, Any]:
    """What the run was computed on, without naming the machine."""
    here = accelerator()
    on_gpu = here is not None and here.type == "cuda"
    return {
        "device": "cpu" if here is None else here.type,
        "cores": os.cpu_count(),
        "processes": PartialState().num_processes,
        "accelerator": torch.cuda.get_device_name() if on_gpu else None,
    }


def versions_entry() -> dict[str, str]:
    """Versions of Python and of the libraries that decide what a run yields."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}}


def config_entry(*arguments: Any) -> dict[str, Any]:
    """The choices of a run: our arguments and those of the trainer that differ from their defaults, without secrets.

    Example:
        >>> from transformers import TrainingArguments
        >>> config = config_entry(TrainingArguments("somewhere", learning_rate=0.1))
        >>> config["learning_rate"], "output_dir" in config, "adam_beta1" in config
        (0.1, False, False)
    """
    chosen = {
        part.name: getattr(argument, part.name)
        for argument in arguments
        for part in fields(argument)
        if part.init and (_is_ours(argument) or getattr(argument, part.name) != part.default)
    }
    return {name: _plain(value) for name, value in sorted(chosen.items()) if name not in _LOCAL and _is_plain(value)}


def _is_ours(arguments: Any) -> bool:
    return type(arguments).__module__.startswith("logs2lang.")


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool | list | dict | type(None))


def _plain(value: Any) -> Any:
    if isinstance(value, str) and os.path.isabs(value):
        return Path(value).name  # a path says where a machine keeps things, and is of no use elsewhere
    return str(value.value) if hasattr(value, "value") else value


def history_entry(log_history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the trainer logged, step by step; the closing summary is left out, numbers that are none become `None`."""
    rows = [row for row in log_history if "train_runtime" not in row]
    return [{name: _finite(value) for name, value in row.items()} for row in rows]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value


def write_run(record: Mapping[str, Any], folder: Path) -> Path:
    """Write `run.json` under a temporary name first.

    Args:
        record (`dict`): Everything but `schema_version` and `finished`.
        folder (`Path`): An adapter's folder.
    """
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return write_json({"schema_version": SCHEMA_VERSION, **record, "finished": now}, folder / RUN_FILE)


def write_json(content: Mapping[str, Any], path: Path) -> Path:
    """Write JSON as a whole file and return its path."""
    return write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_run(folder: Path) -> dict[str, Any]:
    """Read what `write_run` wrote.

    Raises:
        InputError: There is none, or it is damaged or of another version.
    """
    path = folder / RUN_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read ({error}). Train the adapter again, or give another folder."
        ) from error
    schema = document.get("schema_version") if isinstance(document, dict) else None
    if schema != SCHEMA_VERSION:
        raise InputError(f"{path} has schema_version {schema!r}; this release reads {SCHEMA_VERSION}.")
    return document


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def digest(content: Any) -> str:
    """One hash of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
