"""A dataset that Spark builds for the Hub: executors upload its tables, and one commit makes all of it visible.

Not by the data source of pyspark_huggingface: it commits split by split, writes every file anew, and with PySpark 4.3
neither its 2.0.0 (times) nor its 2.1.0 (datasets at all) can write these tables.
"""

import pickle
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import CommitOperationAdd, HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError

from logs2lang.dataset_builders.dataset_folder.export import ITEMS_QUARANTINE_FILE, QUARANTINE_FILE
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.spark.session import spark_session

from .hub_errors import explained
from .plan import DatasetRepo, Links

_DATASET = re.compile(r"hf://datasets/([^/@]+)/([^/@]+)/?")
_HUB_OWN_FILES = {".gitattributes"}

Tell = Callable[[str], None]


@dataclass(frozen=True)
class ShardUpload:
    """Uploads files for a commit to come; for `DataFrame.mapInArrow`.

    Args:
        files (`tuple[tuple[str, str], ...]`): Paths that all executors see, and those in the repository.
        repo_id (`str`): The dataset repository.
        endpoint (`str`): Address of the Hub.
        token (`str`): Who uploads.
    """

    files: tuple[tuple[str, str], ...]
    repo_id: str
    endpoint: str
    token: str = field(repr=False)

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The operations of the commit, pickled, for the files whose places `batches` say in their only column.

        Raises:
            InputError: The Hub refuses a file, or cannot be reached.
        """
        api = HfApi(self.endpoint, token=self.token)
        for batch in batches:
            for place in batch.column(0).to_pylist():
                path, path_in_repo = self.files[place]
                operation = CommitOperationAdd(path_in_repo, path)
                with explained(self.repo_id, self.endpoint, self.token):
                    api.preupload_lfs_files(self.repo_id, [operation], repo_type="dataset")
                yield pa.record_batch({"operation": pa.array([pickle.dumps(operation)], pa.binary())})


@dataclass(frozen=True)
class HubFolder:
    """Where a dataset is built that is written to the Hub.

    Args:
        path (`Path`): The folder to build.
        kept (`list[Path]`): What was left in the current folder, once the block has ended.
    """

    path: Path
    kept: list[Path] = field(default_factory=list)


def repo_of(url: str) -> tuple[str, str]:
    """Namespace and name of a dataset repository.

    Args:
        url (`str`): Such as `"hf://datasets/me/own"`.

    Raises:
        InputError: It is no such address.

    Example:
        >>> repo_of("hf://datasets/me/own")
        ('me', 'own')
    """
    found = _DATASET.fullmatch(url)
    if found is None:
        raise InputError(f"{url!r} is not a dataset repository of the Hub. Write it as hf://datasets/NAMESPACE/NAME.")
    return found[1], found[2]


@contextmanager
def written_to_hub(url: str, master: str, tell: Tell) -> Iterator[HubFolder]:
    """A folder of this machine, whose dataset executors write to the Hub once the block ends without an error.

    A new repository is private. What was set aside is not uploaded, since it has the ids of the log: it is left in the
    current folder.

    Args:
        url (`str`): Such as `"hf://datasets/me/own"`; the repository is new or empty.
        master (`str`): Where Spark runs; all of its machines see the temporary folder (`TMPDIR`).
        tell (`Callable[[str], None]`): Called with the current activity.

    Raises:
        InputError: The repository holds files, or cannot be written to.
    """
    namespace, name = repo_of(url)
    repo_id, api = f"{namespace}/{name}", HfApi()
    with explained(repo_id, constants.ENDPOINT, get_token()):
        is_new = _require_empty(api, repo_id)
    try:
        with TemporaryDirectory() as scratch:
            place = HubFolder(Path(scratch) / name)
            yield place
            with explained(repo_id, constants.ENDPOINT, get_token()):
                _upload(api, DatasetRepo(name, place.path), namespace, master, tell)
            is_new = False  # it is whole now, whatever becomes of the rest
            place.kept.extend(_keep_quarantine(place.path))
    except BaseException:
        if is_new:
            with suppress(Exception):  # the Hub that failed may fail again
                api.delete_repo(repo_id, repo_type="dataset")
        raise


def _require_empty(api: HfApi, repo_id: str) -> bool:
    """Create the repository, and say whether it is new."""
    try:
        api.create_repo(repo_id, repo_type="dataset", private=True)
    except HfHubHTTPError as error:
        if error.response.status_code != 409:
            raise
        if found := set(api.list_repo_files(repo_id, repo_type="dataset")) - _HUB_OWN_FILES:
            raise InputError(
                f"{repo_id} holds {len(found)} files already. Choose a new name, or delete the repository first."
            ) from None
        return False
    return True


def _upload(api: HfApi, repo: DatasetRepo, namespace: str, master: str, tell: Tell) -> None:
    repo_id, token = f"{namespace}/{repo.name}", get_token() or ""
    files = repo.files(Links(namespace, constants.ENDPOINT))
    tables = [(str(file.source.absolute()), file.path) for file in files if isinstance(file.source, Path)]
    tell(f"Writing {len(files)} files to {repo_id}")
    with spark_session(master, Path.cwd()) as session:
        upload = ShardUpload(tuple(tables), repo_id, constants.ENDPOINT, token)
        places = session.range(0, len(tables), 1, len(tables))
        uploaded = places.mapInArrow(upload, "operation binary").collect()
    operations = [pickle.loads(row["operation"]) for row in uploaded]
    written = [CommitOperationAdd(file.path, file.source) for file in files if isinstance(file.source, bytes)]
    api.create_commit(repo_id, [*operations, *written], commit_message="Build with logs2lang", repo_type="dataset")


def _keep_quarantine(folder: Path) -> list[Path]:
    """Copy what was set aside to the current folder, under the name of the dataset."""
    kept = []
    for name in (QUARANTINE_FILE, ITEMS_QUARANTINE_FILE):
        source = folder / name
        if source.is_file() and pq.read_metadata(source).num_rows:
            kept.append(Path.cwd() / f"{folder.name}-{name}")
            shutil.copyfile(source, kept[-1])
    return kept
