"""The one exception that means: what the user gave us is wrong, and here is the remedy."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class InputError(ValueError):
    """Something the user gave cannot be used as it is.

    The message says what was expected, what came, where, and what to do. The command line prints it as one
    sentence and exits with code 2; library callers may catch it as a `ValueError`.
    """


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint for an unknown name.

    Args:
        name (`str`): The name that was given.
        known (`list[str]`): The known names.
        otherwise (`str`, *optional*, defaults to `""`): The hint if no known name is similar.

    Example:
        >>> did_you_mean("tempalte", ["template", "profile"])
        "Did you mean 'template'?"
        >>> did_you_mean("x", ["template", "profile"], "Choose template or profile.")
        'Choose template or profile.'
    """
    close = get_close_matches(name, list(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else otherwise


def did_you_mean_file(path: Path) -> str:
    """A hint for a path that does not exist."""
    names = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    close = get_close_matches(path.name, names, n=1)
    return f"Did you mean {path.parent / close[0]}?" if close else "Check the path."
