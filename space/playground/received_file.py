"""A file that a browser or a program sent: taken into memory, and removed from where Gradio put it."""

from pathlib import Path

from gradio.utils import get_upload_folder

from logs2lang.dataset_builders.input_error import InputError

from .uploaded_log import MAX_BYTES, UploadedFile


def take(path: str | None) -> UploadedFile:
    """The file, which is gone from the disk afterwards.

    Args:
        path (`str`, *optional*): Where Gradio stored what was sent.

    Raises:
        InputError: Nothing came, or it is too large, empty, or of a kind that is not read.
    """
    if path is None:
        raise InputError("No file was received. Choose one, or pick an example.")
    stored = Path(path).resolve()
    if Path(get_upload_folder()).resolve() not in stored.parents:  # nothing else is ours to read, let alone to remove
        raise InputError("Only a file that was uploaded to this page can be read.")
    try:
        # One byte too many is enough to be refused, and no more need be held.
        with stored.open("rb") as file:
            return UploadedFile(stored.name, file.read(MAX_BYTES + 1))
    finally:
        stored.unlink(missing_ok=True)
