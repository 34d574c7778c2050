"""Files of public logs that their owners keep on the Hub, each at a pinned commit."""

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HTTPError, LocalEntryNotFoundError

from .input_error import InputError

_TIMEOUT_S = 5


@dataclass(frozen=True)
class HubFile:
    """One file of one dataset repository.

    Args:
        repo (`str`): Name of the repository, such as `"yandex/yambda"`.
        revision (`str`): A commit, so that the file never changes.
        path (`str`): Where the file lies in the repository.
    """

    repo: str
    revision: str
    path: str


def file_from_hub(wanted: HubFile) -> Path:
    """The path of a file on the Hub; it is downloaded on first use.

    Args:
        wanted ([`HubFile`]): Which file.

    Returns:
        `Path`: The file in the Hub's cache.

    Raises:
        InputError: The Hub cannot be reached, or does not have the file.
    """
    try:
        found = hf_hub_download(
            wanted.repo, wanted.path, repo_type="dataset", revision=wanted.revision, etag_timeout=_TIMEOUT_S
        )
    except (HfHubHTTPError, HTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"{wanted.path} of the dataset {wanted.repo} cannot be fetched from the Hub ({reason[0]}). Check the "
            "network, or download the files yourself and give their folder with --folder."
        ) from error
    return Path(found)
