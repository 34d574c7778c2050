"""Where a command is to write, judged before the work begins and not when it is done."""

from pathlib import Path

from ..input_error import InputError


def require_folder_place(path: Path) -> None:
    """Refuse a path that cannot become a folder.

    Raises:
        InputError: It is a file, or lies below one.
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file; give the path of a folder to write into.")
    blocking = next((folder for folder in path.parents if folder.exists() and not folder.is_dir()), None)
    if blocking is not None:
        raise InputError(f"{path} cannot be a folder, because {blocking} is a file. Choose another folder.")


def require_file_place(path: Path) -> None:
    """Refuse a path that cannot become a file.

    Raises:
        InputError: It is a folder, or lies below a file.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the path of a file to write, such as {path / 'texts.parquet'}.")
    require_folder_place(path.parent)
