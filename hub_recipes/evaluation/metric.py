"""The metric: where it lives, how to load it, and how to put it where the bare `evaluate.load` looks."""

import filecmp
import hashlib
import os
import shutil
import tempfile
from functools import cache
from importlib.resources import files
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import evaluate

METRIC = "discovery_recall"
METRIC_FILES = (f"{METRIC}.py", "item_ids.py", "scores.py")
"""The module and what it imports; the rest of the folder is the Space."""


def metric_folder() -> Path:
    """The folder of the metric, which is also its Space: beside this package, in a checkout as in an installation.

    Example:
        >>> sorted(path.name for path in metric_folder().glob("*s.py"))
        ['item_ids.py', 'scores.py']
    """
    return Path(str(files("logs2lang.space"))) / METRIC


@cache
def load_metric() -> evaluate.Metric:
    """The metric of this installation; needs no network.

    Returns:
        `evaluate.Metric`: One per process. Its `compute` takes `predictions`, `references` and `is_discovery` or
        `histories`; see the card in its folder.

    Example:
        >>> load_metric().compute(predictions=["a", "b"], references=["a", "a"], is_discovery=[True, True], k=1)["n"]
        2
    """
    return evaluate.load(str(metric_folder()))


@cache
def metric_scores() -> ModuleType:
    """The arithmetic of the metric, for code that must count hits as the metric does, above all rewards.

    Example:
        >>> metric_scores().target_rank(["b", "a"], "a")
        2
    """
    spec = spec_from_file_location("discovery_recall_scores", metric_folder() / "scores.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{metric_folder() / 'scores.py'} cannot be imported.")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def install_metric() -> Path:
    """Put the metric into evaluate's module cache, so that `evaluate.load("discovery_recall")` finds it offline too.

    Returns:
        `Path`: `<modules cache>/evaluate_modules/metrics/evaluate-metric--discovery_recall/<SHA-256 of the files>`.
        Complete or absent at any moment, whatever other installations do meanwhile; installing again repairs it.
    """
    folder = _installed_folder()
    if not _is_complete(folder):
        _place(folder)
    os.utime(folder / METRIC_FILES[0])  # evaluate.load takes the newest of all that were ever installed
    return folder


def _installed_folder() -> Path:
    digest = hashlib.sha256(b"".join((metric_folder() / name).read_bytes() for name in METRIC_FILES)).hexdigest()
    modules = Path(evaluate.config.HF_MODULES_CACHE) / evaluate.config.MODULE_NAME_FOR_DYNAMIC_MODULES
    return modules / "metrics" / f"evaluate-metric--{METRIC}" / digest


def _is_complete(folder: Path) -> bool:
    same, _, _ = filecmp.cmpfiles(metric_folder(), folder, METRIC_FILES, shallow=False)
    return len(same) == len(METRIC_FILES)


def _place(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    for package in (folder.parent, folder.parents[1], folder.parents[2]):
        (package / "__init__.py").touch()
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as partial:
        complete = Path(partial) / "complete"
        complete.mkdir()
        (complete / "__init__.py").touch()
        for name in METRIC_FILES:
            shutil.copyfile(metric_folder() / name, complete / name)
        _swap(complete, folder, aside=Path(partial) / "damaged")


def _swap(complete: Path, folder: Path, aside: Path) -> None:
    if folder.exists():
        os.rename(folder, aside)
    try:
        os.rename(complete, folder)
    except OSError:
        if not _is_complete(folder):  # else another process was a moment earlier, with the same files
            raise
