"""What the files of a Space import is among them, among its requirements, or is Gradio, which the Hub installs."""

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from importlib.util import resolve_name
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from logs2lang.release.plan import Links, SpaceRepo

SPACES = Path(__file__).parents[2] / "space"
INSTALLED_BY_THE_HUB = {"gradio"}


def space_files(name: str) -> dict[str, bytes]:
    """The Python files of a Space, and its requirements, as a release uploads them."""
    files = SpaceRepo(name, SPACES / name).files(Links("somebody", "https://hub.invalid"))
    return {file.path: file.read() for file in files if file.path.endswith((".py", "requirements.txt"))}


def imported(source: bytes, package: str) -> Iterator[str]:
    """Full names of what a file imports, those inside functions included; of `from a import b` also `a.b`."""
    tree = ast.parse(source)
    for block in [
        node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]:
        tree.body.remove(block)  # never run
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            level = "." * node.level if package else ""
            module = resolve_name(f"{level}{node.module or ''}", package)
            yield from (module, *(f"{module}.{alias.name}" for alias in node.names))


def of_the_space(module: str, files: dict[str, bytes]) -> Iterator[str]:
    """The files that run when a module is imported: itself, and the packages it lies in."""
    place = PurePosixPath(*module.split("."))
    candidates = [f"{place}.py", *(f"{folder}/__init__.py" for folder in (place, *place.parents))]
    return (path for path in candidates if path in files)


def foreign_roots(files: dict[str, bytes], entry: str) -> set[str]:
    """Top-level names of what is imported from outside, by the entry and by all that it reaches."""
    ours = {PurePosixPath(path).parts[0].removesuffix(".py") for path in files}
    reached, waiting, roots = set(), [entry], set()
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        names = set(imported(files[path], ".".join(PurePosixPath(path).parent.parts)))
        waiting += [found for name in names for found in of_the_space(name, files)]
        roots |= {name.split(".")[0] for name in names}
    return roots - ours - set(sys.stdlib_module_names)


def test_imports_are_followed_and_those_inside_functions_count():
    files = {"app.py": b"import os\ndef f():\n    from near.by import thing\n", "near/by.py": b"import far.away\n"}
    assert foreign_roots(files, "app.py") == {"far"}


@pytest.mark.parametrize(
    ("name", "entries"), [("playground", ["app.py"]), ("discovery_recall", ["app.py", "discovery_recall.py"])]
)
def test_every_import_is_among_the_requirements(name, entries):
    files = space_files(name)
    lines = files["requirements.txt"].decode().splitlines()
    installed = {canonicalize_name(Requirement(line).name) for line in lines} | INSTALLED_BY_THE_HUB
    distributions = packages_distributions()
    roots = set().union(*(foreign_roots(files, entry) for entry in entries))
    assert "gradio" in roots
    if sys.version_info < (3, 11):  # where it is not known of which distribution a package without top_level.txt is
        roots &= distributions.keys()
    missing = {root for root in roots if not {canonicalize_name(each) for each in distributions[root]} & installed}
    assert not missing
