"""The page of results: sections that are rendered from files stand between two marks, and the rest is prose.

    <!-- decisions movietweetings-100k -->
    ...
    <!-- end of decisions -->

shows `movietweetings-100k/decisions.json`, a folder beside the page.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.whole_files import write_text

from ..evaluation.decision_counts import DECISIONS_FILE, SCHEMA_VERSION, USERS_FILE, decisions_section

PAGE_FILE = "README.md"
HEADING = "## What was learned"
_END = "<!-- end of decisions -->"
_SECTION = re.compile(rf"<!-- decisions (?P<name>[\w.-]+) -->\n.*?{re.escape(_END)}\n", re.DOTALL)


def has_page(folder: Path) -> bool:
    """Whether a folder of results has a page, and decisions to show on it."""
    return (folder / PAGE_FILE).is_file() and any(folder.glob(f"*/{DECISIONS_FILE}"))


def write_page(folder: Path) -> Path:
    """Render the sections of the page in a folder of results again; those of new files are added at its end."""
    return write_text(folder / PAGE_FILE, render_page(folder))


def render_page(folder: Path) -> str:
    """The page as its files have it.

    Args:
        folder (`Path`): With `README.md` and a folder per evaluation.

    Raises:
        InputError: A file of decisions is damaged or of another version, or a section has no file.
    """
    text = (folder / PAGE_FILE).read_text(encoding="utf-8")
    text = _SECTION.sub(lambda found: _section(folder, found["name"]), text)
    shown = {found["name"] for found in _SECTION.finditer(text)}
    new = [path.parent.name for path in sorted(folder.glob(f"*/{DECISIONS_FILE}")) if path.parent.name not in shown]
    if new and HEADING not in text:
        text = f"{text.rstrip()}\n\n{HEADING}\n"
    return text + "".join(f"\n{_section(folder, name)}" for name in new)


def page_troubles(folder: Path) -> Iterator[str]:
    """What no longer matches its files, a sentence each; none where there is no page."""
    page = folder / PAGE_FILE
    if has_page(folder) and page.read_text(encoding="utf-8") != render_page(folder):
        yield f"{page} does not match its sources; `logs2lang cards render {folder.parent}` rewrites it."


def _section(folder: Path, name: str) -> str:
    body = decisions_section(_read(folder / name / DECISIONS_FILE))
    more = f"\nTen users in full: [{name}/{USERS_FILE}]({name}/{USERS_FILE}).\n"
    body += more if (folder / name / USERS_FILE).is_file() else ""
    return f"<!-- decisions {name} -->\n{body}{_END}\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema_version {document['schema_version']!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} cannot be read as decisions ({error!r}). Write it with `logs2lang decisions`."
        ) from error
    return document
