"""Files of public logs that their owners serve: downloaded once, checked, kept in the user's cache."""

import http.client
import os
import shutil
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import cached_assets_path

from logs2lang.dataset_builders.checksums import sha256_of
from logs2lang.dataset_builders.input_error import InputError

_TIMEOUT_S = 5


@dataclass(frozen=True)
class WebFile:
    """One file that never changes.

    Args:
        url (`str`): Where it is served.
        sha256 (`str`): Hex digest of its content.
    """

    url: str
    sha256: str

    @property
    def cached(self) -> Path:
        """Where the file lies in the user's cache once it was fetched."""
        return cached_assets_path("logs2lang", namespace="web", subfolder=self.sha256) / self.url.rpartition("/")[2]


def file_from_web(wanted: WebFile) -> Path:
    """The path of a file that the web serves; it is downloaded on first use.

    Args:
        wanted ([`WebFile`]): Which file.

    Returns:
        `Path`: The file in the user's Hugging Face assets cache, verified by its SHA-256.

    Raises:
        InputError: The server does not answer within 5 seconds, or what came is not the expected file.
    """
    if wanted.cached.exists() and sha256_of(wanted.cached) == wanted.sha256:
        return wanted.cached
    with tempfile.TemporaryDirectory(dir=wanted.cached.parent) as folder:
        fetched = Path(folder) / "fetched"
        _download(wanted.url, fetched)
        if sha256_of(fetched) != wanted.sha256:
            raise InputError(
                f"{wanted.url} has another checksum than expected; a proxy may have answered in its place."
            )
        os.replace(fetched, wanted.cached)
    return wanted.cached


def _download(url: str, target: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, target.open("wb") as sink:
            shutil.copyfileobj(answer, sink)
    except (OSError, http.client.HTTPException) as error:
        raise InputError(f"{url} cannot be reached ({error}). Check the network, or give a local folder.") from error
