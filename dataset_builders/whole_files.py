"""Files and folders that are whole or absent: written under a temporary name beside their place, then renamed."""

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path


@contextmanager
def whole_file(path: Path, writer: str = "") -> Iterator[Path]:
    """A path to write to; what was written takes the place of `path` once the block ends without an error.

    Args:
        path (`Path`): Where the file belongs. Its folder is made if it is missing.
        writer (`str`, *optional*): A name of its own, where another process may be writing the same file.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole_file(Path(folder) / "a.txt") as partial:
        ...         size = partial.write_text("all of it")
        ...     [file.name for file in Path(folder).iterdir()]
        ['a.txt']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = f".{writer}" if writer else ""
    partial = path.with_name(f".{path.name}{mark}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path, ours: Collection[str] = ()) -> Iterator[Path]:
    """A folder to write into, which takes the place of `folder` once it is complete.

    Files of the earlier folder that the new one does not have stay: the user may have put them there.

    Args:
        folder (`Path`): What is replaced; it may be missing.
        ours (`Collection[str]`, *optional*): Names of files that are not kept so.

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
            earlier = Path(partial) / "replaced"
            shutil.copytree(folder, new, dirs_exist_ok=True, ignore=_left_out(folder, new, ours))
            os.replace(folder, earlier)
        os.replace(new, folder)
    shutil.rmtree(partial, ignore_errors=True)


def _left_out(earlier: Path, new: Path, ours: Collection[str]) -> Callable[[str, list[str]], set[str]]:
    """What of an earlier folder `shutil.copytree` leaves out: what the new one has, and files of ours."""

    def left_out(place: str, names: list[str]) -> set[str]:
        within = Path(place).relative_to(earlier)
        return {name for name in names if str(within / name) in ours or (new / within / name).is_file()}

    return left_out


def move_aside(folder: Path, parent: Path | None = None) -> Path:
    """Give what took long to make a dated name, so that something else may take its place.

    Args:
        folder (`Path`): What to move.
        parent (`Path`, *optional*): Where to; beside it by default.

    Returns:
        `Path`: Where it lies now.

    Example:
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     (Path(parent) / "adapter").mkdir()
        ...     move_aside(Path(parent) / "adapter").name.startswith("adapter.20")
        True
    """
    moment = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H-%M-%S")
    parent = folder.parent if parent is None else parent
    parent.mkdir(parents=True, exist_ok=True)
    aside = parent / f"{folder.name}.{moment}"
    number = 1
    while aside.exists():
        number += 1
        aside = parent / f"{folder.name}.{moment}-{number}"
    return folder.rename(aside)


def write_text(path: Path, text: str) -> Path:
    """Write a text as a whole file and return its path."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path
