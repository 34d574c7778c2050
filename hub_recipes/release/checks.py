"""What is never published, whatever the plan says: secrets, raw user ids, paths of this machine, and pickles."""

import json
import re
import struct
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import CONFIG_FEATURES, USER, USER_ID

from ..verbalizers.student import Student
from .adapter import is_student
from .plan import AdapterRepo, DatasetRepo, Links, PlannedRepo, ReleaseFile

USER_HASH = "^[0-9a-f]{16}$"
"""How a built dataset writes a user; an id of a service looks different."""

PICKLE_SUFFIXES = frozenset(
    {".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".joblib", ".dill", ".npy", ".npz", ".h5", ".keras"}
)
_CODE_SUFFIXES = frozenset({".py", ".sh", ".css", ".js", ".html", ".jinja", ".properties"})
_TEXT_SUFFIXES = _CODE_SUFFIXES | {".md", ".json", ".txt", ".yaml", ".yml", ".toml", ".csv", ".svg"}
_BINARY_SUFFIXES = frozenset({".parquet", ".safetensors", ".png", ".jpg", ".gif", ".ico"})
_SECRET_NAMES = re.compile(
    r"(^|/)(\.env|\.netrc|\.git-credentials|\.pypirc|id_(rsa|ed25519|ecdsa)|token|credentials)(\.[^/]*)?$|\.(pem|key)$"
)
_SECRETS = {
    "a Hub token": re.compile(r"\b(hf|api_org)_[A-Za-z0-9]{20,}"),
    "a GitHub token": re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,})"),
    "an API key of a model provider": re.compile(r"\bsk-[A-Za-z0-9_-]{20,}"),
    "a cloud access key": re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{35}"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a password in a URL": re.compile(r"\b[a-z][a-z0-9+]*://[^/\s:@\"']+:[^/\s:@\"'{}]+@"),
}
_HOME_PATH = re.compile(r"(?<![\w.])(/(home|Users|root)/[\w.-]+|[A-Za-z]:\\+Users\\+\w+)")
_READ_ROWS = 50_000


def check_release(repos: Sequence[PlannedRepo], links: Links, token: str | None = None) -> None:
    """Look through every file that is about to be published.

    Args:
        repos (`list[PlannedRepo]`): What is planned.
        links ([`Links`]): Where to.
        token (`str`, *optional*): The token in use, which no file may hold.

    Raises:
        InputError: A file may not be published; the first one is named, with the reason and the remedy.
    """
    for repo in repos:
        if isinstance(repo, DatasetRepo):
            check_dataset(repo)
        if isinstance(repo, AdapterRepo):
            _check_adapter_folder(repo)
        for file in repo.files(links):
            check_file(file, f"{repo.folder}", token)


def check_file(file: ReleaseFile, folder: str, token: str | None = None) -> None:
    """Refuse a file that may contain something private.

    Args:
        file ([`ReleaseFile`]): About to be published.
        folder (`str`): Where it comes from, for the message.
        token (`str`, *optional*): The token in use.
    """
    place, suffix = f"{folder}/{file.path}", PurePosixPath(file.path).suffix.lower()
    if _SECRET_NAMES.search(file.path):
        raise InputError(f"{place} is named like a secret and is not published. Remove it from the folder.")
    if suffix in PICKLE_SUFFIXES or _is_pickle(file):
        raise InputError(
            f"{place} may be a pickle, which can run code when it is loaded, and is not published. Save it as "
            "safetensors or Parquet, or remove it from the folder."
        )
    if suffix not in _TEXT_SUFFIXES | _BINARY_SUFFIXES and not file.path.startswith(".git"):
        raise InputError(f"{place} has a file type that is not part of a release. Remove it from the folder.")
    for text in _texts(file, suffix):
        _check_text(text, place, token)
    if suffix == ".json":
        _refuse_absolute_paths(json.loads(file.read()), place)


def _is_pickle(file: ReleaseFile) -> bool:
    head = file.source[:9] if isinstance(file.source, bytes) else _head(file.source, 9)
    # Safetensors begin with the length of their header, whose bytes may be those that pickles begin with.
    if head[8:] == b"{" and int.from_bytes(head[:8], "little") < file.size:
        return False
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    if head[:4] != b"PK\x03\x04" or isinstance(file.source, bytes):
        return False
    with zipfile.ZipFile(file.source) as archive:  # torch.save writes a zip around a pickle
        return any(name.endswith(".pkl") for name in archive.namelist())


def _head(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def _texts(file: ReleaseFile, suffix: str) -> Iterator[str]:
    """What a file says in words: all of a text, and the metadata of tables and weights."""
    if suffix == ".parquet" and isinstance(file.source, Path):
        metadata = pq.read_schema(file.source).metadata or {}
        yield " ".join(value.decode("utf-8", "replace") for value in metadata.values())
    elif suffix == ".safetensors" and isinstance(file.source, Path):
        with file.source.open("rb") as stored:
            (length,) = struct.unpack("<Q", stored.read(8))
            yield stored.read(min(length, file.size)).decode("utf-8", "replace")
    elif suffix not in _BINARY_SUFFIXES:
        yield file.read().decode("utf-8", "replace")


def _check_text(text: str, place: str, token: str | None) -> None:
    if token and token in text:
        raise InputError(f"{place} contains the token that is in use. Remove it, and revoke the token.")
    for what, pattern in _SECRETS.items():
        if pattern.search(text):
            raise InputError(
                f"{place} contains what looks like {what}, and is not published. Remove it, and revoke it."
            )
    # A program may name somebody's home in an example; what was written by a run may not.
    home = re.compile(re.escape(f"{Path.home()}/") + r"[\w.-]+") if place.endswith(".py") else _HOME_PATH
    path = home.search(text)
    if path:
        raise InputError(f"{place} contains {path[0]}, a folder on this machine. Replace it with a relative path.")


def _refuse_absolute_paths(content: Any, place: str, key: str = "") -> None:
    """No value of a JSON file may be a path of this machine."""
    if isinstance(content, dict):
        for name, value in content.items():
            _refuse_absolute_paths(value, place, name)
    elif isinstance(content, list):
        for value in content:
            _refuse_absolute_paths(value, place, key)
    elif isinstance(content, str) and re.fullmatch(r"(/[\w.@-]+){2,}/?|[A-Za-z]:[\\/][^\n]+", content):
        raise InputError(
            f"{place} has {key!r} = {content!r}, a path on this machine. Replace it with a relative path."
        )


def check_dataset(repo: DatasetRepo) -> None:
    """Refuse rows that the licence forbids to publish, columns that are not of the schema, and raw user ids."""
    if not repo.is_redistributable:
        notice = repo.dataset.report["license"]["notice"]
        raise InputError(f"The rows of {repo.name} may not be published: {notice} Publish adapters instead.")
    for path in repo.parquet_files():
        file = pq.ParquetFile(path)
        features = CONFIG_FEATURES.get(path.parent.name)
        names = file.schema_arrow.names
        if features is not None and names != list(features):
            raise InputError(f"{path} has the columns {names}; expected {list(features)}. Build it again.")
        if USER_ID in names:
            raise InputError(f"{path} has the column {USER_ID!r} with raw ids, and is not published. Build it again.")
        if USER in names:
            _refuse_raw_users(file, path)


def _refuse_raw_users(file: pq.ParquetFile, path: Path) -> None:
    for batch in file.iter_batches(_READ_ROWS, columns=[USER]):
        users = batch.column(0).cast(pa.string())
        odd = users.filter(pc.invert(pc.match_substring_regex(users, USER_HASH)))
        if len(odd):
            raise InputError(
                f"{path} has {len(odd)} rows whose {USER!r} is not a hash of 16 hexadecimal digits; raw user ids are "
                "not published. Build the dataset again with `logs2lang build`."
            )


def _check_adapter_folder(repo: AdapterRepo) -> None:
    unknown = repo.unknown_files()
    if unknown:
        raise InputError(
            f"{repo.folder / unknown[0]} is not part of a released adapter, and is not published. A folder below "
            "model_cards contains the adapter, its card, its picture, run.json and tokenizer files that differ from "
            "the base model's; move everything else elsewhere."
        )
    if is_student(repo.folder):
        Student.load(repo.folder)  # anything could be called so
        return
    base = repo.adapter.run["base_model"]
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", base) or Path(base).exists():
        raise InputError(f"{repo.folder} names the base model {base!r}; expected its Hub id, such as owner/name.")
