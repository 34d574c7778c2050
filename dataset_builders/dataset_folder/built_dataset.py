"""A dataset that was built earlier, from a local folder or from the Hub: how every later stage reads its input."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from datasets import Dataset, load_dataset
from datasets.exceptions import DatasetGenerationError
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from ..input_error import InputError, did_you_mean
from ..remote_files import is_remote
from ..schema import (
    CANDIDATES,
    CONFIGS,
    DATASET_VERSION,
    FOLD,
    ITEM_ID,
    SPLITS,
    SUCCESSOR_FOLDS,
    TARGET_INDEX,
    USER,
    Item,
)
from ..successor_lists import SuccessorLists
from ..successors import fold_to_read
from .export import REPORT_FILE, TRUTH_FOLDER, filled_splits, shards_of
from .remote_folder import copied_dataset
from .stored_histories import NewestHistories

_SOURCES = {
    "movielens-100k": "movielens-100k",
    "movietweetings-100k": "movietweetings",
    "streaming-simulation": "streaming-simulation",
}
"""What `logs2lang build` calls the logs whose names are fixed."""


@dataclass(frozen=True)
class BuiltDataset:
    """A dataset folder, opened.

    Args:
        folder (`Path`): Where its files lie.
        report (`dict`): Its build report.
        reverse_candidates (`bool`, *optional*, defaults to `False`): Whether examples show their candidates in
            reversed order, to see what depends on it.

    Example:
        >>> dataset = BuiltDataset.open("data/movielens-100k")  # doctest: +SKIP
        >>> dataset.examples("test").num_rows  # doctest: +SKIP
        943
    """

    folder: Path
    report: dict[str, Any]
    reverse_candidates: bool = False

    @classmethod
    def open(cls, path_or_repo: str | Path, revision: str | None = None) -> "BuiltDataset":
        """Open a built folder, or copy one from the Hub or an object store and open that.

        Args:
            path_or_repo (`str` or `Path`): A folder that `logs2lang build` wrote, its URL in an object store, or
                `namespace/name` on the Hub.
            revision (`str`, *optional*): Branch, tag or commit of the Hub repo.

        Raises:
            InputError: There is no built dataset, or it was built by another version.
        """
        folder = copied_dataset(str(path_or_repo)) if is_remote(path_or_repo) else Path(path_or_repo)
        if not folder.exists():
            folder = _download(str(path_or_repo), revision)
        report = _read_report(folder)
        if report.get("dataset_version") != DATASET_VERSION:
            raise InputError(
                f"{path_or_repo} was built as dataset version {report.get('dataset_version')!r}, but this release "
                f"reads version {DATASET_VERSION}. Build it again with `logs2lang build`."
            )
        return cls(folder, report)

    @property
    def name(self) -> str:
        """Name of the log, such as `"movielens-100k"`."""
        return self.report["name"]

    def config(self, name: str, split: str) -> Dataset:
        """One split of one config.

        Args:
            name (`str`): `"examples"`, `"items"`, `"successors"`, `"interactions"`, `"verbalizer"` or `"reasoner"`.
            split (`str`): `"train"`, `"validation"` or `"test"`.
        """
        shards = shards_of(self.folder, _known(name, CONFIGS, "config"), _known(split, SPLITS, "split"))
        if not shards:
            raise InputError(
                f"{self.folder} has no {split!r} split of {name!r}. Build it again with `logs2lang build`."
            )
        files = [str(shard) for shard in shards]
        try:
            self._require_rows(name, split)
            return cast(Dataset, load_dataset("parquet", data_files=files, split="train"))
        except (pa.ArrowInvalid, DatasetGenerationError) as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise InputError(
                f"The {split!r} split of {name!r} in {self.folder} cannot be read: {reason} Build it again with "
                "`logs2lang build`."
            ) from error

    def _require_rows(self, name: str, split: str) -> None:
        filled = filled_splits(self.folder, name)
        if split not in filled:
            others = f"Choose {' or '.join(filled)}, or build" if filled else "Build"
            raise InputError(
                f"The {split!r} split of {name!r} in {self.folder} has no rows: no user had enough interactions, or "
                f"there were too few candidates for the targets. {others} with a smaller --min-history, fewer "
                "--num-candidates, or from a log of more people."
            )

    def examples(self, split: str) -> Dataset:
        """The examples of one split, in the order of the files, each with the fold of `successors` its text may read.

        Returns:
            `datasets.Dataset`: The columns of `EXAMPLE_FEATURES` and `fold` (int): the user's own for training
            examples, else -1.
        """
        examples = self.config("examples", split)
        if self.reverse_candidates:
            examples = examples.map(_reversed, features=examples.features, keep_in_memory=True)
        folds = [fold_to_read(user, split, self.successor_folds) for user in examples[USER]]
        return examples.add_column(FOLD, np.array(folds, np.int8))

    @property
    def successor_folds(self) -> int:
        """Into how many parts users fall; see `successors`."""
        return int(self.report["options"].get("successor_folds", SUCCESSOR_FOLDS))

    def known_successors(self) -> SuccessorLists | None:
        """What users chose soon after each item; `None` where the dataset was built before that was counted."""
        has_any = bool(shards_of(self.folder, "successors", "train"))
        return SuccessorLists(self.folder / "successors") if has_any else None

    def successors(self) -> SuccessorLists:
        """What users chose soon after each item.

        Raises:
            InputError: The dataset was built before that was counted.
        """
        successors = self.known_successors()
        if successors is None:
            raise InputError(
                f"{self.folder} has no successors, which texts need to name what other users chose next: it was "
                f"built by an earlier version. Build it again with the same options: `{self._rebuild_command}`."
            )
        return successors

    @property
    def _rebuild_command(self) -> str:
        source = _SOURCES.get(self.name, "tabular YOUR_LOG")
        return f"logs2lang build {source} --output {shlex.quote(str(self.folder))}"

    def items(self) -> dict[str, Item]:
        """The catalogue by item id."""
        return {row[ITEM_ID]: cast(Item, row) for row in self.config("items", "train").to_list()}

    def training_interactions(self) -> pd.DataFrame:
        """What a model may be fitted on: `user`, `item_id`, `timestamp`, ...; by user, then in time."""
        return cast(pd.DataFrame, self.config("interactions", "train").to_pandas())

    def newest_histories(self) -> NewestHistories:
        """The newest records of every user, up to the last one in the log."""
        return NewestHistories(self.folder)

    def truth(self, name: str) -> pd.DataFrame | None:
        """A table of what the simulator knows, or `None` for a log of the real world."""
        path = self.folder / TRUTH_FOLDER / f"{name}.parquet"
        return pd.read_parquet(path) if path.exists() else None


def _reversed(example: dict[str, Any]) -> dict[str, Any]:
    """What changes in an example whose candidates stand in reversed order."""
    shown = example[CANDIDATES]
    return {CANDIDATES: shown[::-1], TARGET_INDEX: len(shown) - 1 - example[TARGET_INDEX]}


def _download(repo: str, revision: str | None) -> Path:
    try:
        return Path(snapshot_download(repo, repo_type="dataset", revision=revision))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{repo} is neither a local folder nor a dataset that can be downloaded from the Hub ({reason}). Build "
            "one with `logs2lang build movielens-100k --output data/movielens-100k`, or from your own log."
        ) from error


def _read_report(folder: Path) -> dict[str, Any]:
    path = folder / REPORT_FILE
    if not path.is_file():
        raise InputError(
            f"{folder} is not a built dataset: it has no {REPORT_FILE}. Build one with `logs2lang build`."
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} cannot be read as JSON ({error}). Build the dataset again.") from error


def _known(name: str, known: tuple[str, ...], kind: str) -> str:
    if name in known:
        return name
    hint = did_you_mean(name, known, f"Choose one of {', '.join(known)}.")
    raise InputError(f"There is no {kind} {name!r}. {hint}")
