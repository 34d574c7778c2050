"""The page of results: sections that are rendered from files stand between two marks, and the rest is prose.

    <!-- from movietweetings-100k/decisions.json -->
    ...
    <!-- end of movietweetings-100k/decisions.json -->

shows that file, in a folder beside the page. So do the files `chain_<name>.json`, each the `chain.json` of a chain.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.whole_files import write_text

from ..evaluation import decision_counts
from ..evaluation.decision_counts import DECISIONS_FILE, USERS_FILE, decisions_section
from ..training.runs import chain_results
from ..training.runs.chain_results import chain_section

PAGE_FILE = "README.md"
_SECTION = re.compile(r"<!-- from (?P<source>[\w./-]+) -->\n.*?<!-- end of (?P=source) -->\n", re.DOTALL)


@dataclass(frozen=True)
class _Kind:
    """One kind of section.

    Args:
        heading (`str`): What new ones stand under.
        pattern (`str`): Of the files, below the folder of the page.
        schema_version (`int`): Of the files.
        body (`Callable[[dict], str]`): Renders a file.
        command (`str`): Writes a file.
    """

    heading: str
    pattern: str
    schema_version: int
    body: Callable[[Mapping[str, Any]], str]
    command: str


_KINDS = (
    _Kind(
        "## What was learned",
        f"*/{DECISIONS_FILE}",
        decision_counts.SCHEMA_VERSION,
        decisions_section,
        "logs2lang decisions",
    ),
    _Kind("## Ablations", "*/chain_*.json", chain_results.SCHEMA_VERSION, chain_section, "logs2lang train all"),
)


def has_page(folder: Path) -> bool:
    """Whether a folder of results has a page, and files to show on it."""
    return (folder / PAGE_FILE).is_file() and any(path for kind in _KINDS for path in folder.glob(kind.pattern))


def write_page(folder: Path) -> Path:
    """Render the sections of the page in a folder of results again; those of new files are added at its end."""
    return write_text(folder / PAGE_FILE, render_page(folder))


def render_page(folder: Path) -> str:
    """The page as its files have it.

    Args:
        folder (`Path`): With `README.md` and a folder per evaluation.

    Raises:
        InputError: A file is damaged or of another version, or a section has no file.
    """
    text = (folder / PAGE_FILE).read_text(encoding="utf-8")
    shown = {found["source"] for found in _SECTION.finditer(text)}
    text = _SECTION.sub(lambda found: _section(folder, found["source"]), text)
    for kind in _KINDS:
        sources = [path.relative_to(folder).as_posix() for path in sorted(folder.glob(kind.pattern))]
        new = [source for source in sources if source not in shown]
        if new and kind.heading not in text:
            text = f"{text.rstrip()}\n\n{kind.heading}\n"
        text += "".join(f"\n{_section(folder, source)}" for source in new)
    return text


def page_troubles(folder: Path) -> Iterator[str]:
    """What no longer matches its files, a sentence each; none where there is no page."""
    page = folder / PAGE_FILE
    if has_page(folder) and page.read_text(encoding="utf-8") != render_page(folder):
        yield f"{page} does not match its sources; `logs2lang cards render {folder.parent}` rewrites it."


def _section(folder: Path, source: str) -> str:
    path = folder / source
    kind = next((kind for kind in _KINDS if path.match(kind.pattern)), None)
    if kind is None:
        known = " and ".join(kind.pattern for kind in _KINDS)
        raise InputError(f"{folder / PAGE_FILE} has a section from {source}, but only {known} can be shown.")
    body = kind.body(_read(path, kind))
    users = path.with_name(USERS_FILE)
    if path.name == DECISIONS_FILE and users.is_file():
        link = users.relative_to(folder).as_posix()
        body += f"\nTen users in full: [{link}]({link}).\n"
    return f"<!-- from {source} -->\n{body}<!-- end of {source} -->\n"


def _read(path: Path, kind: _Kind) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema_version"] != kind.schema_version:
            raise ValueError(f"schema_version {document['schema_version']!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be shown ({error!r}). Write it with `{kind.command}`.") from error
    return document
