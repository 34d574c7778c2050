"""What this machine has, what it lacks, and the command that fixes each problem."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from rich.markup import escape
from rich.table import Table

Status = Literal["ok", "note", "problem"]

DISTRIBUTION = "logs2lang"
MIN_MEMORY_GIB = 4
"""The base model in float32 takes 0.6 GiB and a build at most 3; below this the quickstart would swap."""
MIN_DISK_GIB = 2
NETWORK_TIMEOUT_S = 3.0
_GIB = 1 << 30
_MARKS = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "problem": "[bold red]problem[/]"}


@dataclass(frozen=True)
class Finding:
    """One thing the doctor looked at.

    Args:
        name (`str`): What was looked at, such as `"memory"`.
        status (`str`): `"ok"`; `"note"`, when something is missing that the main job can do without or fetches by
            itself; `"problem"`, when the main job cannot run.
        found (`str`): What is here, in a few words.
        remedy (`str`, *optional*): The command or step that fixes it.
    """

    name: str
    status: Status
    found: str
    remedy: str | None = None


def diagnose(*, timeout: float = NETWORK_TIMEOUT_S) -> list[Finding]:
    """Look at the machine, the libraries, the caches and the network.

    Nothing is downloaded or changed.

    Args:
        timeout (`float`, *optional*, defaults to 3.0): Seconds to wait for the Hub and for the package index, each.

    Returns:
        `list[Finding]`: In the order a reader wants them: machine, libraries, network, model, data, metric, caches.
    """
    machine = [_python(), _processor(), _memory(), _disk()]
    libraries = list(_libraries(metadata.requires(DISTRIBUTION) or []))
    if not can_run(libraries):  # what follows needs them
        return [*machine, *libraries]
    hub, index = _hub(timeout), _package_index(timeout)
    online = "ok" in (hub.status, index.status)
    data = [_base_model(online), _movielens(online), _metric()]
    return [*machine, _accelerator(), *libraries, _java(), hub, index, *data, *_caches()]


def can_run(findings: Sequence[Finding]) -> bool:
    """Whether the main job (build MovieLens-100K, evaluate) can run here.

    Example:
        >>> can_run([Finding("memory", "ok", "8 GiB"), Finding("hub", "note", "not reachable")])
        True
        >>> can_run([Finding("memory", "problem", "1 GiB", "Close other programs.")])
        False
    """
    return all(finding.status != "problem" for finding in findings)


def to_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings as `logs2lang doctor --json` prints them."""
    return {"can_run": can_run(findings), "findings": [asdict(finding) for finding in findings]}


def to_table(findings: Sequence[Finding]) -> Table:
    """The findings as `logs2lang doctor` prints them."""
    table = Table("", "What", "Found", "To do", title=_verdict(findings), title_justify="left")
    for finding in findings:
        table.add_row(_MARKS[finding.status], finding.name, escape(finding.found), escape(finding.remedy or ""))
    return table


def _verdict(findings: Sequence[Finding]) -> str:
    problems = sum(finding.status == "problem" for finding in findings)
    return f"{problems} problem(s) to fix first" if problems else "The main job can run here"


def _python() -> Finding:
    return Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _processor() -> Finding:
    return Finding("cpu", "ok", f"{_processor_name()}, {_cores()} cores usable")


def _processor_name() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cores() -> int:
    # What this process may use, which is what counts inside a container.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> Finding:
    import psutil  # comes with accelerate

    memory = psutil.virtual_memory()
    found = f"{memory.available / _GIB:.1f} GiB free of {memory.total / _GIB:.1f} GiB"
    if memory.available >= MIN_MEMORY_GIB * _GIB:
        return Finding("memory", "ok", found)
    remedy = f"Free some memory; the quickstart needs {MIN_MEMORY_GIB} GiB (builds take less with --memory-limit 1GB)."
    return Finding("memory", "note" if memory.total >= MIN_MEMORY_GIB * _GIB else "problem", found, remedy)


def _accelerator() -> Finding:
    import torch

    if not torch.accelerator.is_available():
        vectors = torch.backends.cpu.get_cpu_capability()
        return Finding("gpu", "note", f"none; the small default model runs on the CPU ({vectors})")
    kind = torch.accelerator.current_accelerator()
    names = [_accelerator_name(kind, index) for index in range(torch.accelerator.device_count())]
    return Finding("gpu", "ok", ", ".join(names))


def _accelerator_name(kind: Any, index: int) -> str:
    import torch

    if kind.type != "cuda":
        return str(kind.type)
    device = torch.cuda.get_device_properties(index)
    return f"{device.name} ({device.total_memory / _GIB:.0f} GiB)"


def _disk() -> Finding:
    from huggingface_hub import constants

    place = _existing_parent(Path(constants.HF_HOME))
    free = shutil.disk_usage(place).free
    found = f"{free / _GIB:.1f} GiB free at {place}"
    if free >= MIN_DISK_GIB * _GIB:
        return Finding("disk", "ok", found)
    return Finding("disk", "problem", found, f"Free {MIN_DISK_GIB} GiB, or point HF_HOME at a larger disk.")


def _existing_parent(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


def _libraries(requirements: Sequence[str]) -> Iterator[Finding]:
    """One finding per library of pyproject.toml: its version against the bounds there; those of extras are notes."""
    from packaging.requirements import Requirement

    for text in requirements:
        requirement = Requirement(text)
        extra = _extra_of(requirement)
        if extra != "dev":
            yield _library(requirement, extra)


def _extra_of(requirement: Any) -> str | None:
    extras = metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
        return None
    return next((extra for extra in extras if requirement.marker.evaluate({"extra": extra})), None)


def _library(requirement: Any, extra: str | None) -> Finding:
    what = f"'{DISTRIBUTION}[{extra}]'" if extra else f"'{requirement.name}{requirement.specifier}'"
    remedy = f"pip install {what}"
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        found = f"not installed (only for the extra {extra!r})" if extra else "not installed"
        return Finding(requirement.name, "note" if extra else "problem", found, remedy)
    if requirement.specifier.contains(version, prereleases=True):
        return Finding(requirement.name, "ok", version)
    return Finding(requirement.name, "note" if extra else "problem", f"{version}, not {requirement.specifier}", remedy)


def _java() -> Finding:
    """What Spark runs on; only builds with `--engine spark` need it."""
    from logs2lang.dataset_builders.spark.java import MIN_JAVA, REMEDY, java_version

    version = java_version()
    if version is None:
        return Finding("java", "note", "none (only for builds on Spark)", REMEDY)
    if version < MIN_JAVA:
        return Finding("java", "note", f"{version}, not >={MIN_JAVA} (only for builds on Spark)", REMEDY)
    return Finding("java", "ok", str(version))


def _hub(timeout: float) -> Finding:
    from huggingface_hub import HfApi, constants

    # HTTPError is that of the client library, which is another one from release to release.
    from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled

    from ..models.language_models import DEFAULT_BASE_MODEL

    try:
        HfApi().model_info(DEFAULT_BASE_MODEL, timeout=timeout)
    except OfflineModeIsEnabled:
        return Finding("hub", "note", "switched off by HF_HUB_OFFLINE", "unset HF_HUB_OFFLINE")
    except (HTTPError, OSError) as error:
        found = f"{constants.ENDPOINT} does not answer ({type(error).__name__})"
        return Finding("hub", "note", found, "Check the network or HF_ENDPOINT; packages and caches work without it.")
    return Finding("hub", "ok", f"{constants.ENDPOINT} answers")


def _package_index(timeout: float) -> Finding:
    """Ask pip, with its own settings: the index that pip uses is the one that matters."""
    from logs2lang.dataset_builders.sources.movielens import RECBOLE_100K

    name = RECBOLE_100K[0].requirement.partition("==")[0]
    patience = ["--retries", "0", "--timeout", str(timeout)]
    command = [sys.executable, "-m", "pip", "index", "versions", *patience, name]
    try:
        answered = subprocess.run(command, capture_output=True, check=False, timeout=4 * timeout).returncode == 0
    except subprocess.TimeoutExpired:
        answered = False
    if answered:
        return Finding("package index", "ok", "answers pip")
    return Finding("package index", "note", "does not answer pip", "Check the network and `pip config list`.")


def _base_model(online: bool) -> Finding:
    """The default base model, in the order in which it is looked for: Hub cache, Hub, package."""
    from huggingface_hub import try_to_load_from_cache

    from ..models.language_models import DEFAULT_BASE_MODEL
    from ..models.packaged_model import PACKAGED_MODEL

    if isinstance(try_to_load_from_cache(DEFAULT_BASE_MODEL, "config.json"), str):
        return Finding("base model", "ok", f"{DEFAULT_BASE_MODEL} in the Hub cache")
    if PACKAGED_MODEL.cached.exists():
        return Finding("base model", "ok", f"{DEFAULT_BASE_MODEL} from the package {PACKAGED_MODEL.requirement}")
    return _fetchable(
        "base model", online, "logs2lang evaluate DATASET --rows template --limit 1 --output results/try"
    )


def _metric() -> Finding:
    from evaluate.config import HF_MODULES_CACHE

    installed = Path(HF_MODULES_CACHE) / "evaluate_modules" / "metrics" / "evaluate-metric--discovery_recall"
    if installed.exists():
        return Finding("metric", "ok", "evaluate.load('discovery_recall') finds it")
    return Finding("metric", "note", "not where evaluate.load looks", "logs2lang metric install")


def _movielens(online: bool) -> Finding:
    from logs2lang.dataset_builders.sources.movielens import GROUPLENS_100K, RECBOLE_100K

    packaged = all(file.cached.exists() for file in RECBOLE_100K)
    if packaged or GROUPLENS_100K.cached.exists():
        return Finding("movielens-100k", "ok", "in the cache")
    return _fetchable("movielens-100k", online, "logs2lang build movielens-100k --output data/movielens-100k")


def _fetchable(name: str, online: bool, command: str) -> Finding:
    """Something that is not here, but comes by itself on first use where there is a network."""
    if online:
        return Finding(name, "note", "not in the cache; downloaded on first use", command)
    remedy = (
        f"Connect this machine to the network once and run `{command}`, or copy the Hugging Face cache from "
        "another machine."
    )
    return Finding(name, "problem", "not in the cache, and no source to download it from is reachable", remedy)


def _caches() -> Iterator[Finding]:
    import datasets.config
    from huggingface_hub import constants

    places = {
        "cache of the Hub": constants.HF_HUB_CACHE,
        "cache of assets": constants.HF_ASSETS_CACHE,
        "cache of datasets": datasets.config.HF_DATASETS_CACHE,
    }
    for name, place in places.items():
        yield Finding(name, "ok", f"{_size(Path(place)) / _GIB:.2f} GiB at {place}")


def _size(folder: Path) -> int:
    # lstat: the Hub cache links each file from its snapshots, and the bytes are there once.
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
