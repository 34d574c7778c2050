"""How much is said on standard error, by us and by the libraries below us. Imports none of them."""

import logging
import os
import sys
import warnings
from typing import Literal

LogLevel = Literal["debug", "info", "warning", "error"]

OURS = "logs2lang"
LIBRARIES = ("transformers", "datasets", "huggingface_hub", "trl", "peft", "accelerate")
_OF_LIBRARIES = {"debug": "debug", "info": "warning", "warning": "error", "error": "error"}
"""What they call a warning is about their own next version as a rule: one step down from ours."""

_VERBOSITY = ("TRANSFORMERS_VERBOSITY", "DATASETS_VERBOSITY", "HF_HUB_VERBOSITY")
_NO_BARS = ("TQDM_DISABLE", "HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS")


def set_log_level(level: LogLevel = "warning") -> None:
    """Decide what is said, best before the libraries are imported: they read their environment once.

    What the environment says already is left as it is.

    Args:
        level (`str`, *optional*, defaults to `"warning"`): The least important of our messages that are shown; of the
            libraries' only what is one step more important. At `"error"` no progress is shown either.
    """
    theirs = _OF_LIBRARIES[level]
    logging.basicConfig(format="%(message)s")
    logging.getLogger(OURS).setLevel(level.upper())
    for name in _VERBOSITY:
        os.environ.setdefault(name, theirs)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(theirs.upper())
    if theirs == "error":
        warnings.simplefilter("ignore")
    if is_quiet() or not sys.stderr.isatty():
        _hide_bars()


def is_quiet() -> bool:
    """Whether nothing but errors is to be said, or another process says it."""
    is_first = os.environ.get("RANK", "0") == "0"
    return not (is_first and logging.getLogger(OURS).isEnabledFor(logging.WARNING))


def _hide_bars() -> None:
    """Hide the bars of libraries, which fill a file with every step they ever took."""
    for name in _NO_BARS:
        os.environ.setdefault(name, "1")
    if "datasets" in sys.modules:
        import datasets

        datasets.disable_progress_bars()
    if "transformers" in sys.modules:
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
