"""What DuckDB says when a machine runs out of disk or memory, as an error that tells what to do."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from ..input_error import InputError

_FILE = re.compile(r'file \\?"(?P<path>[^"\\]+)')
_TROUBLES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
_SPILL_IS_FULL = "max_temp_directory_size"
_NO_SIZE = "memory"  # the only setting of a build whose text DuckDB parses


@contextmanager
def plain_limits(memory_limit: str) -> Iterator[None]:
    """Make a full disk an `OSError` and a full memory an `InputError`, whatever DuckDB calls them.

    Args:
        memory_limit (`str`): What DuckDB may hold in memory, for the message.

    Raises:
        OSError: A file could not be written; `errno` and `filename` say why and which.
        InputError: The memory limit is too small for the log, or no size.

    Example:
        >>> with plain_limits("1KB"):
        ...     raise duckdb.OutOfMemoryException("could not allocate block of size 256.0 KiB")
        Traceback (most recent call last):
            ...
        logs2lang.dataset_builders.input_error.InputError: The memory limit of 1KB is too small for this log. ...
    """
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        if _SPILL_IS_FULL in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "What does not fit in memory") from error
        raise InputError(
            f"The memory limit of {memory_limit} is too small for this log. Allow more with --memory-limit, or use "
            "fewer --threads."
        ) from error
    except duckdb.ParserException as error:
        if _NO_SIZE not in str(error).lower():
            raise
        raise InputError(f"The memory limit {memory_limit!r} is not a size; write it as 3GB or 500MB.") from error
    except duckdb.Error as error:  # of several kinds: writing a table, its log or a checkpoint may fail
        number = next((number for number in _TROUBLES if os.strerror(number) in str(error)), None)
        if number is None:
            raise
        named = _FILE.search(str(error))
        raise OSError(number, os.strerror(number), named["path"] if named else None) from error
