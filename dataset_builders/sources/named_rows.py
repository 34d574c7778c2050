"""What a reader of tables hands over: rows, and what the files call their columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..tables.parquet_scan import ParquetScan
from .delimited import ReadRows


@dataclass(frozen=True)
class NamedRows(ReadRows):
    """What was read of files whose columns have names.

    Args:
        columns (`dict[str, str]`): Name of a column in the files -> its name in `rows`, which is only a number: a
            header may say `ID` and `id`, `source_file`, or what SQL takes for no name. Columns without a name and
            doubled ones are left out.
        doubled (`tuple[str, ...]`): Names that several columns of a file have.
        folder_columns (`tuple[str, ...]`): Those of `columns` that only folders such as `day=2024-05-01` know.
        like_values (`tuple[str, ...]`): Those of `columns` that look like the values of a row, where a file may have
            no header.
        spaced (`tuple[str, ...]`): Those of `columns` whose values are words with spaces between, as RecBole's
            header says of them (`genre:token_seq`).
        objects (`tuple[str, ...]`): Those of `columns` that hold objects, whose parts are columns such as `user.id`.
        notes (`tuple[str, ...]`): What had to be assumed, a sentence each.
        shown (`str`): The file or glob as the user wrote it.
        scan ([`ParquetScan`] or `None`): What `rows` is a view of, where nothing was stored.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    doubled: tuple[str, ...] = ()
    folder_columns: tuple[str, ...] = ()
    like_values: tuple[str, ...] = ()
    spaced: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    shown: str = ""
    scan: ParquetScan | None = None
