"""What a file holds, as one number that changes with its content."""

from pathlib import Path

from huggingface_hub.utils.sha import sha_fileobj


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file as a hex digest, read in pieces.

    Example:
        >>> from tempfile import NamedTemporaryFile
        >>> with NamedTemporaryFile() as empty:
        ...     sha256_of(Path(empty.name))[:8]
        'e3b0c442'
    """
    with path.open("rb") as file:
        return sha_fileobj(file).hex()
