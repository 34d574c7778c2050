"""Files and folders that are whole or absent: written under a temporary name beside their place, then renamed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to; what was written takes the place of `path` once the block ends without an error.

    Args:
        path (`Path`): Where the file belongs. Its folder is made if it is missing.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole_file(Path(folder) / "a.txt") as partial:
        ...         size = partial.write_text("all of it")
        ...     [file.name for file in Path(folder).iterdir()]
        ['a.txt']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to write into, which takes the place of `folder` once the block ends without an error.

    Example:
        >>> with tempfile.TemporaryDirectory() as parent, whole_folder(Path(parent) / "adapter") as partial:
        ...     _ = (partial / "run.json").write_text("{}")
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as partial:
        new = Path(partial) / folder.name
        new.mkdir()
        yield new
        if folder.exists():
            os.replace(folder, Path(partial) / "replaced")
        os.replace(new, folder)
    shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str) -> Path:
    """Write a text as a whole file and return its path."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path
