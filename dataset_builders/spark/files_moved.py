"""Files that a task made on its own disk, put where they belong."""

import os
import shutil
from pathlib import Path
from uuid import uuid4


def move_files(made: Path, folder: Path) -> None:
    """Put the files of one folder into another, each whole or not at all.

    A task that Spark runs twice makes the same files twice; the later one takes the place of the earlier.

    Args:
        made (`Path`): Where the files were made.
        folder (`Path`): Where they belong, under the same names.
    """
    for path in sorted(made.rglob("*.parquet")):
        place = folder / path.relative_to(made)
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f".{place.name}.{uuid4().hex}.partial")
        try:
            shutil.copyfile(path, partial)
            os.replace(partial, place)
        finally:
            partial.unlink(missing_ok=True)
