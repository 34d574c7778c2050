"""Taking one user out of a built dataset: examples, interactions, histories, prompts, quarantine.

What was counted over many users stays: the successors of items, how often an item was chosen, the catalogue.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock

from ..schema import EXAMPLE_ID, RAW, SPLITS, USER, USER_ID
from ..whole_files import whole_file
from .built_dataset import BuiltDataset
from .export import (
    QUARANTINE_FILE,
    ROW_GROUP_ROWS,
    content_hashes,
    count_examples,
    write_card,
    write_report,
)

_BATCH_ROWS = 1_000
KeptRows = Callable[[pa.RecordBatch], pa.Array]


def erase_user(dataset: BuiltDataset, user: str, user_id: str) -> int:
    """Take a user out of every file of a dataset, and bring its report and card up to date.

    Each file is whole before and after. Where this is interrupted, the same call does the rest.

    Args:
        dataset ([`BuiltDataset`]): Of this machine.
        user (`str`): As the dataset calls the user; see `events.user_hash`.
        user_id (`str`): As the log does: rows that were set aside still have it.

    Returns:
        `int`: How many rows were taken out.
    """
    folder = dataset.folder
    with FileLock(folder.with_name(f".{folder.name}.erasing.lock")):
        for left in folder.rglob(".*.parquet.partial"):  # of a process that was killed
            left.unlink()
        erased = sum(_erase(path, _kept_rows(path, user, user_id)) for path in sorted(folder.rglob("*.parquet")))
        if erased:
            _bring_up_to_date(dataset)
    return erased


def _kept_rows(path: Path, user: str, user_id: str) -> KeptRows | None:
    """What tells the rows of others in a file; `None` for files that tell nothing of single users."""
    if path.name == QUARANTINE_FILE:
        return lambda batch: pa.array([not _is_of(user_id, raw) for raw in batch[RAW].to_pylist()])
    names = pq.read_schema(path).names
    if USER in names:
        return lambda batch: pc.not_equal(batch[USER], user)
    if EXAMPLE_ID in names:
        return lambda batch: pc.invert(pc.starts_with(batch[EXAMPLE_ID], f"{user}-"))
    return None


def _erase(path: Path, kept_rows: KeptRows | None) -> int:
    """Write a file anew without some rows, and say how many; it stays untouched where there are none."""
    if kept_rows is None:
        return 0
    file = pq.ParquetFile(path)
    kept = [batch.filter(kept_rows(batch)) for batch in file.iter_batches(_BATCH_ROWS)]
    erased = file.metadata.num_rows - sum(map(len, kept))
    if erased:
        table = pa.Table.from_batches(kept, file.schema_arrow)
        with whole_file(path) as partial:
            pq.write_table(table, partial, compression="zstd", row_group_size=ROW_GROUP_ROWS)
    return erased


def _is_of(user_id: str, raw: str) -> bool:
    """Whether a row that was set aside is of a user: a row that could be taken apart says so itself, in any other one
    the id stands as a word.

    Example:
        >>> _is_of("7", '{"user_id": " 7 ", "item_id": "i1"}'), _is_of("7", '{"user_id": "8", "item_id": "7"}')
        (True, False)
        >>> _is_of("7", "7::i1::five"), _is_of("7", "17::i1::five")
        (True, False)
    """
    try:
        row = json.loads(raw)
    except ValueError:
        row = None
    if isinstance(row, dict) and USER_ID in row:
        said = str(row[USER_ID]).strip()
        return user_id in (said, said.removesuffix(".0"))
    return re.search(rf"(?<!\w){re.escape(user_id)}(?!\w)", raw) is not None


def _bring_up_to_date(dataset: BuiltDataset) -> None:
    """Have report and card say what the files hold now."""
    report = dict(dataset.report)
    report["splits"] = {split: count_examples(dataset.folder, split) for split in SPLITS}
    report["content_sha256"] = content_hashes(dataset.folder)
    report["erased_users"] = report.get("erased_users", 0) + 1
    write_report(dataset.folder, report)
    write_card(dataset.folder, report)
