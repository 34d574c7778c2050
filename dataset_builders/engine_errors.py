"""What Spark and Ray say when something fails: their own messages to a file, ours as a sentence."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OUR_ERROR = re.compile(r"InputError: (.+)")


@contextmanager
def errors_to(log: Path) -> Iterator[None]:
    """Send what programs that are started here write to standard error to a file; they write a lot."""
    sys.stderr.flush()
    own = os.dup(2)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(own, 2)
        os.close(own)


def our_words(trace: str) -> str | None:
    """What one of our own functions said in another process; `None` if the error is not ours.

    Args:
        trace (`str`): The stack trace as the engine hands it over.

    Example:
        >>> our_words("Job aborted.\\n  ...input_error.InputError: a.csv cannot be read. Check it.\\n  at java...")
        'a.csv cannot be read. Check it.'
    """
    found = _OUR_ERROR.search(trace)
    return found[1].strip() if found else None
