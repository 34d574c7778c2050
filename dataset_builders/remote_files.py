"""Files in object stores and on the web, through fsspec: `s3://`, `gs://`, `hdfs://`, `https://` and so on."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

import fsspec
from fsspec.callbacks import Callback, TqdmCallback
from huggingface_hub.utils import tqdm

from .input_error import InputError

_MARK = "://"


def is_remote(path: str | Path) -> bool:
    """Whether a path is the URL of files elsewhere.

    Example:
        >>> is_remote("s3://logs/2024/*.parquet"), is_remote("logs/2024/*.parquet")
        (True, False)
    """
    return _MARK in str(path)


@contextmanager
def copied_here(url: str) -> Iterator[list[Path]]:
    """Copies of the files behind a URL, for as long as they are read.

    They lie below a folder of their own as they do in the store, so folders such as `day=2024-05-01` keep their
    meaning. What goes wrong while they are read is told with their URLs.

    Args:
        url (`str`): A file, or a glob such as `"s3://logs/day=*/*.parquet"`. Credentials and endpoints come from where
            the package of the store looks for them, such as the environment or `~/.aws`.

    Raises:
        InputError: There are no such files, their store cannot be used, or the package that knows it is missing.

    Example:
        >>> with fsspec.open("memory://logs/day=1/a.csv", "w") as file:
        ...     _ = file.write("user_id,item_id,timestamp")
        >>> with copied_here("memory://logs/day=*/*.csv") as files:
        ...     print([file.parent.name for file in files], files[0].read_text())
        ['day=1'] user_id,item_id,timestamp
    """
    with tempfile.TemporaryDirectory() as folder:
        with store_of(url) as (store, pattern):
            files = copy_files(store, _found(store, pattern, url), Path(folder), f"Copying {url}")
        try:
            yield files
        except InputError as error:
            raise InputError(str(error).replace(f"{folder}/", f"{url.partition(_MARK)[0]}{_MARK}")) from error


def remote_files(url: str) -> list[str]:
    """The URLs of the files behind a URL.

    Args:
        url (`str`): As [`copied_here`] takes it.

    Raises:
        InputError: As [`copied_here`] does.

    Example:
        >>> with fsspec.open("memory://lake/day=1/part.parquet", "w") as file:
        ...     _ = file.write("PAR1")
        >>> remote_files("memory://lake/*/*.parquet")
        ['memory:///lake/day=1/part.parquet']
    """
    with store_of(url) as (store, pattern):
        return [store.unstrip_protocol(key) for key in _found(store, pattern, url)]


def _found(store: Any, pattern: str, url: str) -> list[str]:
    names = [pattern] if store.isfile(pattern) else sorted(store.glob(pattern))
    keys = [name for name in names if store.isfile(name)]
    if not keys:
        raise InputError(f"There is no file {url}. Check the address; a glob must be quoted.")
    return keys


@contextmanager
def store_of(url: str) -> Iterator[tuple[Any, str]]:
    """The file system that a URL belongs to, and the path within it; what goes wrong with it is one sentence.

    Args:
        url (`str`): Such as `"s3://logs/own"`.

    Raises:
        InputError: There is no such kind of store, its package is missing, or it cannot be used.
    """
    try:
        yield fsspec.url_to_fs(url)
    except InputError:
        raise
    except ImportError as error:
        raise InputError(f"{url} needs another package. {error}.") from error
    except Exception as error:  # each store raises exceptions of its own, such as botocore's
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(
            f"{url} cannot be used ({reason}). Check the address and the credentials of the store, or give a path of "
            "this machine."
        ) from error


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """A file to read, here or in a store.

    Args:
        path (`str`): A path of this machine or a URL.

    Raises:
        InputError: The store cannot be used.
    """
    if not is_remote(path):
        with open(path, "rb") as file:
            yield file
        return
    with store_of(path) as (store, key), store.open(key, "rb") as file:
        yield file


def copy_files(store: Any, keys: Sequence[str], folder: Path, doing: str, below: str = "") -> list[Path]:
    """Copy files of a store into a folder.

    Args:
        store (`fsspec.AbstractFileSystem`): Where they are.
        keys (`list[str]`): Their paths there.
        folder (`Path`): Where to.
        doing (`str`): What the progress bar says.
        below (`str`, *optional*): The folder of the store that `folder` stands for; its root by default.

    Returns:
        `list[Path]`: The copies.

    Raises:
        InputError: A key leads out of its folder: whoever writes to a store must not choose places of this machine.
    """
    targets = [folder / _place(key).relative_to(_place(below)) for key in keys]
    for target in targets:
        target.parent.mkdir(parents=True, exist_ok=True)
    store.get(list(keys), list(map(str, targets)), callback=progress_bar(doing))
    return targets


def progress_bar(doing: str) -> Callback:
    """What fsspec tells how many files are copied, where progress bars are not switched off."""
    return TqdmCallback(tqdm_kwargs={"desc": doing, "unit": "file"}, tqdm_cls=tqdm)


def _place(key: str) -> PurePosixPath:
    """Where a file lies below the root of its store; what signs a link of the web is no part of it.

    Example:
        >>> str(_place("https://logs.example/2024/log.csv?Signature=a/b")), str(_place("/logs/what?.csv"))
        ('logs.example/2024/log.csv', 'logs/what?.csv')
    """
    address = urlsplit(key) if _MARK in key else None
    place = PurePosixPath(key.lstrip("/") if address is None else address.netloc + address.path)
    if place.is_absolute() or ".." in place.parts:
        raise InputError(f"{key} has a name that leads out of its folder. Rename it.")
    return place
