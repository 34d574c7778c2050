"""Every example in a docstring runs as it is printed."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def module_of(path: Path) -> str:
    """The name under which an installation imports a file of the checkout."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    inside = parts[1:] if parts[0] == "hub_recipes" else parts
    return ".".join(("logs2lang", *(part for part in inside if part != "__init__")))


MODULES = [
    module_of(path)
    for folder in ("dataset_builders", "hub_recipes")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run_as_printed(name):
    assert not doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS).failed


def test_there_are_examples():
    assert len(MODULES) > 80
