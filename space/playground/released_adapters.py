"""The adapters in `model_cards/`, and the records of their training runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from logs2lang.models.model_folders import ADAPTER_WEIGHTS, RUN_FILE

MODEL_CARDS = Path(str(files("logs2lang.model_cards"))).resolve()
EXAMPLES_LOG = "movietweetings"
"""The log whose films the example users watch."""
_SIMULATED_LOG = "streaming-simulation"


@dataclass(frozen=True)
class ReleasedAdapter:
    """One adapter as its folder describes it.

    Args:
        folder (`Path`): Its adapter, card and `run.json`, as on the Hub.
        run (`dict`): The content of `run.json`.
    """

    folder: Path
    run: Mapping[str, Any]

    @property
    def role(self) -> str:
        """`"reasoner"`, or the name of the verbalizer it was trained for."""
        return self.run.get("verbalizer", "") if self.run.get("role") == "verbalizer" else self.run.get("role", "")

    @property
    def log(self) -> str:
        """The name of the log it was trained on; empty where its run does not say."""
        return (self.run.get("dataset") or {}).get("name", "")

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """What was logged while it was trained: `step`, `reward`, `loss`."""
        return self.run.get("history", ())


def released_adapters(folder: Path = MODEL_CARDS) -> list[ReleasedAdapter]:
    """Every adapter below a folder, full runs before smoke runs and then by name.

    An installed wheel holds cards and runs without weights, which are on the Hub; those are left out.
    """
    runs = [path for path in sorted(folder.glob(f"*/{RUN_FILE}")) if path.with_name(ADAPTER_WEIGHTS).is_file()]
    adapters = [ReleasedAdapter(path.parent, json.loads(path.read_text(encoding="utf-8"))) for path in runs]
    return sorted(adapters, key=lambda adapter: adapter.run.get("release") != "full")


def released_folder(name: str, folder: Path = MODEL_CARDS) -> Path | None:
    """Where a released adapter of that name lies; `None` where none does, and for anything with a slash in it."""
    return next((adapter.folder for adapter in released_adapters(folder) if adapter.folder.name == name), None)


def default_adapter(role: str, folder: Path = MODEL_CARDS) -> str:
    """The name of the adapter to start with, or an empty text where none is good enough.

    A smoke release can be chosen on the page, but does not speak for it; nor does an adapter that was trained on a
    simulated log, about real films. One of the log of the example users comes first.

    Args:
        role (`str`): `"action"`, `"rewrite"` or `"reasoner"`.
        folder (`Path`, *optional*): Where the adapters lie.
    """
    found = [
        adapter
        for adapter in released_adapters(folder)
        if adapter.role == role and adapter.run.get("release") == "full" and adapter.log != _SIMULATED_LOG
    ]
    found.sort(key=lambda adapter: not adapter.log.startswith(EXAMPLES_LOG))
    return found[0].folder.name if found else ""
