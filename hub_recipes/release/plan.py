"""What a release consists of: which repositories, in which order, and which files each of them gets."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

from huggingface_hub import RepoCard
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from huggingface_hub.utils.sha import git_hash

from logs2lang.dataset_builders.checksums import sha256_of
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.export import (
    CARD_FILE,
    REPORT_FILE,
    TRUTH_FOLDER,
    render_card,
    shards_of,
)
from logs2lang.dataset_builders.input_error import InputError, did_you_mean
from logs2lang.dataset_builders.schema import CONFIGS, SPLITS
from logs2lang.model_cards.render import Home

from ..evaluation.metric import METRIC, metric_folder
from .adapter import ReleasedAdapter, find_adapters, known_files

RepoType = Literal["dataset", "model", "space"]

MODEL_CARDS = Path(str(files("logs2lang.model_cards"))).resolve()
DEMO = "playground"
"""Folder of the demo."""
DEMO_REPO = f"logs2lang-{DEMO}"
"""Its name on the Hub, where anybody may have a `playground`. The metric has none of its own choice: evaluate finds it
under the name of its module."""
SPACE_FILES = "space_files.json"
UNKNOWN_REVISION = "f" * 40
"""Stands for a commit that is not made yet, so that a card can be measured before."""

_REPO_PAGES = {"dataset": "datasets/", "model": "", "space": "spaces/"}


@dataclass(frozen=True)
class ReleaseFile:
    """A file of a repository.

    Args:
        path (`str`): Its path in the repository.
        source (`Path` or `bytes`): The file here, or its content.
    """

    path: str
    source: Path | bytes

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """As LFS names it."""
        if isinstance(self.source, Path):
            return sha256_of(self.source)
        return hashlib.sha256(self.source).hexdigest()

    @cached_property
    def blob_id(self) -> str:
        """As git names it; for small files alone, since it is read whole."""
        return git_hash(self.read())

    def read(self) -> bytes:
        """The content; for small files alone."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()


MARKER = ReleaseFile(".logs2lang.json", b'{"published_by": "logs2lang"}\n')
"""A file in every repository that `publish` created. A repository without it is left alone."""


@dataclass(frozen=True)
class Links:
    """Where on the Hub the parts of a release lie.

    Args:
        namespace (`str`): User or organisation.
        endpoint (`str`): Address of the Hub.
        revisions (`dict[str, str]`): Commit of each dataset by name, as far as it is known.
    """

    namespace: str
    endpoint: str
    revisions: Mapping[str, str] = field(default_factory=dict)

    def revision(self, name: str) -> str:
        """The commit of a dataset, or `UNKNOWN_REVISION`."""
        return self.revisions.get(name, UNKNOWN_REVISION)

    def with_revision(self, name: str, revision: str) -> "Links":
        """A copy that knows one more commit."""
        return replace(self, revisions={**self.revisions, name: revision})


@dataclass(frozen=True)
class PlannedRepo(ABC):
    """A repository of the release.

    Args:
        name (`str`): Its name on the Hub, without the namespace.
        folder (`Path`): What it is made of.
    """

    name: str
    folder: Path

    group: ClassVar[str]
    """What `--only` calls all of its kind."""
    repo_type: ClassVar[RepoType]

    def files(self, links: Links) -> list[ReleaseFile]:
        """Its files, sorted by path, with cards that point to `links`, and the marker that makes it ours."""
        return sorted([*self._content(links), MARKER], key=lambda file: file.path)

    @abstractmethod
    def _content(self, links: Links) -> list[ReleaseFile]:
        """The files that are the repository's own."""

    def stays_here(self) -> list[str]:
        """Files of the folder that are never published."""
        return []

    @property
    def needed_dataset(self) -> str | None:
        """Name of the dataset that has to be on the Hub before it."""
        return None

    @property
    def space_sdk(self) -> str | None:
        """What runs it, for a Space."""
        return None

    def page(self, links: Links) -> str:
        """Its address."""
        return f"{links.endpoint}/{_REPO_PAGES[self.repo_type]}{links.namespace}/{self.name}"


@dataclass(frozen=True)
class DatasetRepo(PlannedRepo):
    """A built dataset: its card, its build report and its Parquet files; nothing else of the folder."""

    group: ClassVar[str] = "datasets"
    repo_type: ClassVar[RepoType] = "dataset"

    @cached_property
    def dataset(self) -> BuiltDataset:
        return BuiltDataset.open(self.folder)

    @property
    def is_redistributable(self) -> bool:
        """Whether the licence of the log lets its rows be published."""
        return bool(self.dataset.report["license"]["redistributable"])

    def _content(self, links: Links) -> list[ReleaseFile]:
        card = render_card(self.folder, self.dataset.report, f"{links.namespace}/{self.name}")
        stored = [self.folder / REPORT_FILE, *self.parquet_files()]
        listed = [ReleaseFile(path.relative_to(self.folder).as_posix(), path) for path in stored]
        return [ReleaseFile(CARD_FILE, card.encode()), *listed]

    def parquet_files(self) -> list[Path]:
        """The tables, and what a simulator knows beside them."""
        shards = [shard for config in CONFIGS for split in SPLITS for shard in shards_of(self.folder, config, split)]
        return [*shards, *sorted((self.folder / TRUTH_FOLDER).glob("*.parquet"))]

    def stays_here(self) -> list[str]:
        published = {self.folder / CARD_FILE, self.folder / REPORT_FILE, *self.parquet_files()}
        return [str(path.relative_to(self.folder)) for path in _files_below(self.folder) if path not in published]


@dataclass(frozen=True)
class AdapterRepo(PlannedRepo):
    """A released adapter: its folder, with the card filled for the Hub."""

    group: ClassVar[str] = "adapters"
    repo_type: ClassVar[RepoType] = "model"

    @cached_property
    def adapter(self) -> ReleasedAdapter:
        return ReleasedAdapter.open(self.folder)

    @property
    def needed_dataset(self) -> str | None:
        return self.adapter.dataset_name if self.adapter.is_dataset_public else None

    def _content(self, links: Links) -> list[ReleaseFile]:
        card = ReleaseFile(CARD_FILE, self.adapter.card(self._home(links)).encode())
        others = [path for path in _files_below(self.folder) if path != self.folder / CARD_FILE]
        listed = [ReleaseFile(path.relative_to(self.folder).as_posix(), path) for path in others]
        return [card, *listed]

    def _home(self, links: Links) -> Home:
        here = {"adapter": f"{links.namespace}/{self.name}", "metric": f"{links.namespace}/{METRIC}"}
        name = self.needed_dataset
        if name is None:
            return Home(dataset=f"data/{self.adapter.dataset_name}", **here)
        repo, revision = f"{links.namespace}/{name}", links.revision(name)
        url = f"{links.endpoint}/datasets/{repo}/tree/{revision}"
        return Home(dataset=repo, dataset_revision=revision, dataset_url=url, **here)

    def unknown_files(self) -> list[str]:
        """Files that no released adapter has."""
        known = known_files(self.folder)
        return [str(path.relative_to(self.folder)) for path in _files_below(self.folder) if path.name not in known]


@dataclass(frozen=True)
class SpaceRepo(PlannedRepo):
    """The metric or the demo: its folder as it is, or what its `space_files.json` lists.

    A Space that needs more than its folder, such as our packages, says in that file which file or folder of the
    checkout becomes which of the Space.
    """

    repo_type: ClassVar[RepoType] = "space"

    @property
    def group(self) -> str:  # type: ignore[override]
        return "metric" if self.name == METRIC else "demo"

    @property
    def space_sdk(self) -> str:
        return RepoCard.load(self.folder / CARD_FILE).data.to_dict()["sdk"]

    def _content(self, links: Links) -> list[ReleaseFile]:
        listing = self.folder / SPACE_FILES
        if not listing.is_file():
            return list(_placed(self.folder, ""))
        checkout = self.folder.parents[1]
        parts = json.loads(listing.read_text(encoding="utf-8"))
        return [file for target, source in parts.items() for file in _placed(checkout / source, target)]


GROUPS = ("datasets", "adapters", "metric", "demo")
"""The order of a release: each card links to what was pushed before it."""


@dataclass(frozen=True)
class ReleasePlan:
    """What `logs2lang publish` is about to push.

    Args:
        links ([`Links`]): Where to.
        tag (`str`): Name of the release on every repository.
        repos (`tuple[PlannedRepo, ...]`): In the order of their publication.
        refused (`dict[str, str]`): Datasets that are left out because their log's licence says so, with its notice.
    """

    links: Links
    tag: str
    repos: tuple[PlannedRepo, ...]
    refused: Mapping[str, str] = field(default_factory=dict)

    def repo_id(self, repo: PlannedRepo) -> str:
        """Namespace and name."""
        return f"{self.links.namespace}/{repo.name}"

    def needed_datasets(self) -> dict[str, str]:
        """Datasets that the plan does not push and that cards of it link to, with the adapter that needs each."""
        pushed = {repo.name for repo in self.repos if repo.repo_type == "dataset"}
        needed = {repo.needed_dataset: repo.name for repo in self.repos if repo.needed_dataset}
        return {dataset: adapter for dataset, adapter in needed.items() if dataset not in pushed}


def check_place(namespace: str, data: Path, adapters: Path) -> None:
    """Refuse a namespace that cannot exist, and a folder that was named and is missing.

    Raises:
        InputError: It says which and what to do.
    """
    try:
        validate_repo_id(f"{namespace}/{METRIC}")
    except HFValidationError as error:
        raise InputError(
            f"--namespace is {namespace!r}, which is not a valid user or organisation name: "
            f"{str(error).splitlines()[0]} Give the name of your account, as printed by `hf auth whoami`."
        ) from error
    for option, folder, default in (("--data", data, Path("data")), ("--adapters", adapters, Path("model_cards"))):
        if folder != default and not folder.is_dir():
            raise InputError(
                f"{option} is {folder}, but there is no such folder. Give a folder that contains one folder for each."
            )


def writable_cards(option: str) -> Path:
    """Where released adapters are in a checkout.

    Args:
        option (`str`): What names another folder, for the error.

    Raises:
        InputError: This is an installation: what is written there belongs to the package.
    """
    if not (MODEL_CARDS.parent / "pyproject.toml").is_file():
        raise InputError(
            f"logs2lang is installed as a package here, so there is no default folder for your cards. Give {option}."
        )
    return MODEL_CARDS


def is_checkout(folder: Path) -> bool:
    """Whether a folder is a checkout of this project, whose metric and demo belong to a release."""
    return (folder / "space").resolve() == metric_folder().parent.resolve()


def plan_release(
    links: Links,
    tag: str,
    *,
    data: Path,
    adapters: Path,
    spaces: Path | None = None,
    only: Sequence[str] = (),
    with_spaces: bool = True,
) -> ReleasePlan:
    """Find out what there is to publish.

    Args:
        links ([`Links`]): Where to.
        tag (`str`): Name of the release on every repository.
        data (`Path`): Folder with built datasets; it may be missing.
        adapters (`Path`): Folder with released adapters and their results.
        spaces (`Path`, *optional*): Folder with the metric and the demo; that of this installation by default.
        only (`list[str]`, *optional*): Names of repositories, or of groups (`GROUPS`); everything by default.
        with_spaces (`bool`, *optional*, defaults to `True`): Whether metric and demo are part of everything; named in
            `only` they always are.

    Raises:
        InputError: A name is unknown or impossible, the licence of a dataset that was asked for forbids to publish
            it, or there is nothing to publish.
    """
    datasets = [DatasetRepo(path.resolve().name, path) for path in _dataset_folders(data)]
    found: list[PlannedRepo] = [
        *datasets,
        *(AdapterRepo(path.name, path) for path in find_adapters(adapters)),
        *_spaces(spaces or metric_folder().parent),
    ]
    chosen = [repo for repo in _chosen(found, only) if only or with_spaces or repo.repo_type != "space"]
    refused = {repo.name: repo.dataset.report["license"]["notice"] for repo in datasets if not repo.is_redistributable}
    for name in refused:
        if name in only:
            raise InputError(f"The rows of {name} may not be published: {refused[name]} Publish adapters instead.")
    repos = tuple(repo for repo in chosen if repo.repo_type != "dataset" or repo.name not in refused)
    if not repos:
        raise InputError(
            f"There is nothing to publish: no dataset below {data} whose licence allows it, and no adapter below "
            f"{adapters}. To publish your own log, build it with a licence: `logs2lang build ... --license mit "
            "--redistributable`."
        )
    _refuse_impossible_names(repos, links.namespace)
    _refuse_equal_names(repos)
    return ReleasePlan(links, tag, repos, {repo.name: refused[repo.name] for repo in chosen if repo.name in refused})


def _dataset_folders(data: Path) -> list[Path]:
    return [path.parent for path in sorted(data.glob(f"*/{REPORT_FILE}"))]


def _spaces(folder: Path) -> Iterator[SpaceRepo]:
    for name, place in ((METRIC, METRIC), (DEMO_REPO, DEMO)):
        if (folder / place / CARD_FILE).is_file():
            yield SpaceRepo(name, folder / place)


def _chosen(repos: Sequence[PlannedRepo], only: Sequence[str]) -> list[PlannedRepo]:
    known = [*GROUPS, *(repo.name for repo in repos)]
    for name in only:
        if name not in known:
            hint = did_you_mean(name, known, f"Choose from {', '.join(known)}.")
            raise InputError(f"--only names {name!r}, which is not part of the release. {hint}")
    return [repo for repo in repos if not only or repo.name in only or repo.group in only]


def _refuse_impossible_names(repos: Sequence[PlannedRepo], namespace: str) -> None:
    for repo in repos:
        try:
            validate_repo_id(f"{namespace}/{repo.name}")
        except HFValidationError as error:
            raise InputError(
                f"{repo.folder} would be published as {repo.name!r}, which the Hub does not accept as a name: "
                f"{str(error).splitlines()[0]} Rename the folder."
            ) from error


def _refuse_equal_names(repos: Sequence[PlannedRepo]) -> None:
    seen: dict[tuple[str, str], Path] = {}
    for repo in repos:
        other = seen.setdefault((repo.repo_type, repo.name), repo.folder)
        if other != repo.folder:
            raise InputError(f"{other} and {repo.folder} would both be published as {repo.name}; rename one of them.")


def _files_below(folder: Path) -> list[Path]:
    """The files of a folder, without what Python, editors and file managers leave behind."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name not in (".DS_Store",)
    )


def _placed(source: Path, target: str) -> Iterator[ReleaseFile]:
    """A file, or the files of a folder, under another path."""
    if source.is_file():
        yield ReleaseFile(target, source)
    for path in _files_below(source):
        yield ReleaseFile((PurePosixPath(target) / path.relative_to(source).as_posix()).as_posix(), path)


def total_size(files: Sequence[ReleaseFile]) -> int:
    """The bytes of some files."""
    return sum(file.size for file in files)


def size_phrase(size: int) -> str:
    """Bytes as people read them.

    Example:
        >>> size_phrase(999), size_phrase(1_500_000), size_phrase(2_000_000_000)
        ('999 B', '1.5 MB', '2.0 GB')
    """
    value, units = float(size), ("B", "kB", "MB", "GB", "TB")
    for unit in units:
        if value < 1_000 or unit == units[-1]:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1_000
    raise AssertionError("unreachable")
