"""Repositories as the Hub keeps them: content-addressed files, commits, branches, tags and pull requests."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from huggingface_hub.utils.sha import git_hash

LFS_SUFFIXES = (".parquet", ".safetensors", ".arrow", ".png")
GITATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES).encode()
"""The Hub puts such a file into every new repository."""

_PIECE = 1 << 20


@dataclass(frozen=True)
class StoredFile:
    """A file of one commit: where its bytes lie, and how git and LFS name them."""

    sha256: str
    size: int
    is_lfs: bool
    blob_id: str

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_lfs else self.blob_id

    def tree_entry(self, path: str) -> dict:
        """The file as `tree` and `paths-info` list it."""
        entry = {"type": "file", "path": path, "size": self.size, "oid": self.blob_id}
        lfs = {"oid": self.sha256, "size": self.size, "pointerSize": len(_pointer(self.sha256, self.size))}
        return {**entry, **({"lfs": lfs} if self.is_lfs else {})}


Files = Mapping[str, StoredFile]


class ContentStore:
    """Files on disk, named by the SHA-256 of what they hold."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        return self.folder / sha256

    def holds(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def receive(self, stream: BinaryIO, size: int, sha256: str) -> bool:
        """Take `size` bytes in pieces; kept only if all came and they hash to `sha256`."""
        partial = self.folder / f".{sha256}.{os.urandom(4).hex()}"
        digest, left = hashlib.sha256(), size
        with partial.open("wb") as file:
            while left and (piece := stream.read(min(_PIECE, left))):
                file.write(piece)
                digest.update(piece)
                left -= len(piece)
        if left or digest.hexdigest() != sha256:
            partial.unlink()
            return False
        os.replace(partial, self.path(sha256))
        return True

    def put(self, content: bytes) -> StoredFile:
        """Keep a file that is a git blob."""
        sha256 = hashlib.sha256(content).hexdigest()
        self.path(sha256).write_bytes(content)
        return StoredFile(sha256, len(content), is_lfs=False, blob_id=git_hash(content))

    def lfs_file(self, sha256: str) -> StoredFile:
        """A file that was received before, as LFS names it."""
        size = self.path(sha256).stat().st_size
        return StoredFile(sha256, size, is_lfs=True, blob_id=git_hash(_pointer(sha256, size)))


def _pointer(sha256: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


@dataclass
class StoredRepo:
    """One repository."""

    kind: str
    """`"model"`, `"dataset"` or `"space"`."""
    id: str
    private: bool
    store: ContentStore
    sdk: str | None = None
    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pull_requests: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.branches["main"] = self.add_commit({".gitattributes": self.store.put(GITATTRIBUTES)}, "initial commit")

    def add_commit(self, files: Files, summary: str) -> str:
        listing = {path: file.etag for path, file in sorted(files.items())}
        said = json.dumps([self.kind, self.id, len(self.commits), summary, listing])
        commit = hashlib.sha1(said.encode()).hexdigest()
        self.commits[commit] = dict(files)
        return commit

    def resolve(self, revision: str) -> str | None:
        """The commit that a branch, tag, pull request or commit id names."""
        pull_request = revision.removeprefix("refs/pr/")
        if pull_request != revision:
            return self.pull_requests.get(int(pull_request))
        named = {**self.branches, **self.tags, **{commit: commit for commit in self.commits}}
        return named.get(revision)

    def refs(self) -> dict:
        """The answer of `refs`."""
        return {
            "branches": [_ref(name, f"refs/heads/{name}", commit) for name, commit in self.branches.items()],
            "tags": [_ref(name, f"refs/tags/{name}", commit) for name, commit in self.tags.items()],
            "pullRequests": [
                _ref(f"refs/pr/{number}", f"refs/pr/{number}", commit) for number, commit in self.pull_requests.items()
            ],
            "converts": [],
        }

    def info(self, commit: str) -> dict:
        """The answer of `GET /api/{kind}s/{id}`."""
        files = self.commits[commit]
        return {
            "_id": hashlib.sha1(self.id.encode()).hexdigest()[:24],
            "id": self.id,
            "author": self.id.split("/")[0],
            "sha": commit,
            "private": self.private,
            "disabled": False,
            "gated": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "lastModified": "2026-01-01T00:00:00.000Z",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "siblings": [{"rfilename": path} for path in sorted(files)],
            **({"sdk": self.sdk} if self.sdk else {}),
        }

    def tree(self, commit: str, folder: str, recursive: bool) -> Iterator[dict]:
        """The entries below a folder, folders included."""
        below = f"{folder}/" if folder else ""
        folders = set()
        for path, file in sorted(self.commits[commit].items()):
            if not path.startswith(below):
                continue
            parts = path[len(below) :].split("/")
            depths = range(1, len(parts)) if recursive else range(1, min(2, len(parts)))
            folders.update(below + "/".join(parts[:depth]) for depth in depths)
            if recursive or len(parts) == 1:
                yield file.tree_entry(path)
        for path in sorted(folders):
            yield folder_entry(path)


def folder_entry(path: str) -> dict:
    """A folder as `tree` and `paths-info` list it."""
    return {"type": "directory", "path": path, "size": 0, "oid": git_hash(path.encode())}


def _ref(name: str, ref: str, commit: str) -> dict:
    return {"name": name, "ref": ref, "targetCommit": commit}
