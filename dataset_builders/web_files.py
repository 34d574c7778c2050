"""Files of public logs that their owners serve: downloaded once, checked, kept in the user's cache."""

from dataclasses import dataclass
from pathlib import Path

import pooch
from huggingface_hub import cached_assets_path

from .input_error import InputError

_TIMEOUT_S = 5

pooch.get_logger().setLevel("WARNING")  # a download that works is not spoken of


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
        """Where the file is in the user's cache once it was downloaded."""
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
    place = {"fname": wanted.cached.name, "path": wanted.cached.parent}
    downloader = pooch.HTTPDownloader(timeout=_TIMEOUT_S)
    try:
        return Path(pooch.retrieve(wanted.url, f"sha256:{wanted.sha256}", downloader=downloader, **place))
    except OSError as error:  # what requests raises is one, too
        raise InputError(
            f"{wanted.url} cannot be reached ({error}). Check the network, or give a local folder."
        ) from error
    except ValueError as error:
        raise InputError(
            f"{wanted.url} has a different checksum than expected; a proxy may have answered instead. Check the "
            "network, or give a local folder."
        ) from error
