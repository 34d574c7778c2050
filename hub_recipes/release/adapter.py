"""A released adapter: a folder that is its Hub repository, and the files that its card is filled from."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from logs2lang.dataset_builders.checksums import sha256_of
from logs2lang.dataset_builders.dataset_folder.export import REPORT_FILE
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.model_cards.render import CardError, Home, render_adapter_card

from ..evaluation.results import read_document
from ..models.model_folders import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    CHAT_TEMPLATE_CONFIG,
    GOLDEN_FILE,
    STUDENT_WEIGHTS,
    VERBALIZER_CONFIG,
)
from ..training.runs.curves import CURVES_FILE
from ..training.runs.run_record import RUN_FILE, read_run

CARD_FILE = "README.md"
RESULTS_FOLDER = "results"
LOCAL_METRIC = "discovery_recall"

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
ADAPTER_FILES = (CARD_FILE, RUN_FILE, CURVES_FILE, ADAPTER_CONFIG, ADAPTER_WEIGHTS)
"""What every released adapter holds."""
KNOWN_FILES = frozenset({*ADAPTER_FILES, *TOKENIZER_FILES, VERBALIZER_CONFIG, CHAT_TEMPLATE_CONFIG, GOLDEN_FILE})
"""What one may hold: a verbalizer's settings, switches of the chat template, what a server must answer, and tokenizer
files where they are not the base model's."""
STUDENT_FILES = frozenset({CARD_FILE, RUN_FILE, STUDENT_WEIGHTS, VERBALIZER_CONFIG})
"""What a released student holds, and all that it may hold."""


def is_student(folder: Path) -> bool:
    """Whether a folder holds a student of an action verbalizer in place of an adapter."""
    return (folder / STUDENT_WEIGHTS).is_file()


def known_files(folder: Path) -> frozenset[str]:
    """The files that a released adapter, or a released student, may hold."""
    return STUDENT_FILES if is_student(folder) else KNOWN_FILES


@dataclass(frozen=True)
class ReleasedAdapter:
    """One folder below `model_cards/`, opened.

    Args:
        folder (`Path`): The folder with its files; results and build reports are in `results/` next to it.
        run (`dict`): The content of its `run.json`; for an adapter also the base model that `adapter_config.json`
            names.
    """

    folder: Path
    run: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "ReleasedAdapter":
        """Open a folder that holds an adapter or a student, and the record of its training.

        Raises:
            InputError: There is no `run.json`, it is damaged or of another version, or it describes another adapter.
        """
        run = read_run(folder)
        if run.get("name") != folder.resolve().name:
            raise InputError(
                f"{folder / RUN_FILE} is the record of {run.get('name')!r}; rename the folder to that name, which is "
                "also the name of the Hub repository."
            )
        if is_student(folder):
            if "student" not in run:
                raise InputError(f"{folder / RUN_FILE} is not the record of a student. Distill it again.")
            return cls(folder, run)
        for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
            if not (folder / name).is_file():
                raise InputError(f"{folder} has no {name}. Copy the adapter that training wrote into it.")
        base = _read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
        if run.get("base_model", base) != base:
            raise InputError(
                f"{folder / ADAPTER_CONFIG} names the base model {base!r}, but {RUN_FILE} names "
                f"{run['base_model']!r}; both must have the same Hub id."
            )
        return cls(folder, {**run, "base_model": base})

    @property
    def name(self) -> str:
        """Name of the folder and of the Hub repository."""
        return self.folder.resolve().name

    @cached_property
    def report_path(self) -> Path:
        """The build report of the dataset it was trained on, kept beside the results."""
        wanted = self.fact("dataset", "report_sha256")
        paths = sorted((self.folder.parent / RESULTS_FOLDER).glob(f"*/{REPORT_FILE}"))
        found = next((path for path in paths if sha256_of(path) == wanted), None)
        if found is None:
            raise InputError(
                f"No {REPORT_FILE} below {self.folder.parent / RESULTS_FOLDER} belongs to the dataset that "
                f"{self.name} was trained on (SHA-256 {wanted[:12]}). Run `logs2lang cards render {self.folder} "
                "--dataset FOLDER` with the folder of that dataset."
            )
        return found

    @cached_property
    def report(self) -> dict[str, Any]:
        """The content of that build report."""
        return _read_json(self.report_path)

    @property
    def dataset_name(self) -> str:
        """Name of the dataset's folder, and of its Hub repository."""
        return self.report_path.parent.name

    @property
    def is_dataset_public(self) -> bool:
        """Whether the rows it was trained on may be published."""
        return bool(self.report["license"]["redistributable"])

    @cached_property
    def results(self) -> dict[str, Any] | None:
        """The `results.json` that has a row of this adapter."""
        place = self.run.get("results")
        if place is None:
            return None
        document = read_document(self.folder.parent / place["path"])
        if document["dataset"]["name"] != self.report["name"]:
            raise InputError(
                f"{place['path']} was measured on {document['dataset']['name']}, but {self.name} was trained on "
                f"{self.report['name']}. Name the right results in {self.folder / RUN_FILE}."
            )
        if config := differing_config(document["dataset"], self.report):
            raise InputError(
                f"{place['path']} was measured on a different build of {self.report['name']} than {self.name} was "
                f"trained on: their {config} differ. Evaluate on the build it was trained on."
            )
        return document

    def fact(self, *path: str) -> Any:
        """A value of `run.json` that the release cannot do without.

        Raises:
            InputError: It is not there.
        """
        value: Any = self.run
        for key in path:
            if not isinstance(value, dict) or value.get(key) is None:
                raise InputError(
                    f"{self.folder / RUN_FILE} lacks {'.'.join(path)!r}, which the card needs. Train again."
                )
            value = value[key]
        return value

    def card(self, home: Home | None = None) -> str:
        """Its card, filled.

        Args:
            home ([`Home`], *optional*): Where a reader finds things; this checkout by default.

        Raises:
            InputError: A fact or a number is missing in its sources.
        """
        home = home or Home(f"model_cards/{self.name}", f"data/{self.dataset_name}", LOCAL_METRIC)
        try:
            return render_adapter_card(self.run, self.report, self.results, home)
        except CardError as error:
            raise InputError(f"The card of {self.name} cannot be filled: {error}.") from error


def differing_config(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The first config whose content differs between two builds, by the hashes that both reports carry."""
    first, second = one.get("content_sha256") or {}, other.get("content_sha256") or {}
    return next((config for config in first if config in second and first[config] != second[config]), None)


def find_adapters(root: Path) -> Iterator[Path]:
    """The folders below `root` that hold the record of a training, by name."""
    for path in sorted(root.glob(f"*/{RUN_FILE}")):
        yield path.parent


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}).") from error
    if not isinstance(document, dict):
        raise InputError(f"{path} does not contain a JSON object.")
    return document
