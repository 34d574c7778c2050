"""A built dataset in an object store: written there once it is whole, and copied here to be read."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import cached_assets_path

from ..input_error import InputError
from ..remote_files import copy_files, progress_bar, store_of
from ..whole_files import whole_folder
from .export import REPORT_FILE

HUB = "hf://"
_PROBE = ".logs2lang"
"""A file that is written and deleted, to see that a store can be written to."""


@contextmanager
def uploaded_to(url: str) -> Iterator[Path]:
    """A folder of this machine, which is copied to a store once the block ends without an error.

    The build report is copied last: a folder of the store that has one is whole.

    Args:
        url (`str`): A new folder of a store, such as `"s3://datasets/own"`.

    Raises:
        InputError: Something is there already, the store cannot be used, or it is the Hub, where a dataset is
            published with its checks.
    """
    if url.startswith(HUB):
        raise InputError(
            f"{url} is on the Hub. Build into a folder, and publish that with `logs2lang publish`; or build there "
            "with --engine spark."
        )
    with store_of(url) as (store, place):
        if found := store.find(place):
            raise InputError(f"{url} holds {len(found)} files already. Choose a new place, or delete them first.")
        # Found out now, and not when the dataset is built.
        store.pipe_file(f"{place}/{_PROBE}", b"")
        store.rm_file(f"{place}/{_PROBE}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / PurePosixPath(place).name
        yield folder
        with store_of(url) as (store, place):
            _upload(store, folder, place)


def _upload(store: Any, folder: Path, place: str) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / REPORT_FILE)
    try:
        for part in (files, [folder / REPORT_FILE]):
            keys = [f"{place}/{path.relative_to(folder).as_posix()}" for path in part]
            store.put(list(map(str, part)), keys, callback=progress_bar(f"Copying to {place}"))
    except BaseException:
        with suppress(Exception):  # the store that failed may fail again
            store.rm(place, recursive=True)
        raise


def copied_dataset(url: str) -> Path:
    """A copy of a built dataset in the user's cache; of a build that is there already, nothing is copied.

    Args:
        url (`str`): A folder that `logs2lang build --output URL` wrote.

    Raises:
        InputError: There is no built dataset, or the store cannot be used.
    """
    with store_of(url) as (store, place):
        report = f"{place}/{REPORT_FILE}"
        if not store.isfile(report):
            raise InputError(f"{url} is no built dataset: it has no {REPORT_FILE}. Build one with `logs2lang build`.")
        build = hashlib.sha256(url.encode() + store.cat_file(report)).hexdigest()
        folder = Path(cached_assets_path("logs2lang", "stores", build)) / PurePosixPath(place).name
        if not folder.exists():
            with whole_folder(folder) as partial:
                copy_files(store, store.find(place), partial, f"Copying {url}", below=place)
    return folder
