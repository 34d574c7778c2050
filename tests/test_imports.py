"""The arrows of the house: space -> hub_recipes -> dataset_builders, and nothing the other way.

`model_cards` imports nothing of ours, and only `hub_recipes` fills its cards.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"dataset_builders", "hub_recipes", "model_cards", "space"}
ALLOWED = {
    "dataset_builders": {"dataset_builders"},
    "hub_recipes": {"hub_recipes", "dataset_builders", "model_cards"},
    "model_cards": set(),
    "space/discovery_recall": set(),
    "space/playground": {"space", "hub_recipes", "dataset_builders"},
}
HEAVY = {"torch", "trl", "transformers", "peft"}


def imported(path: Path) -> set[str]:
    """Top-level names of every import of a file, those inside functions included."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    absolute = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.split(".")[0] for name in plain | absolute}


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def test_imported_sees_imports_inside_functions(tmp_path):
    module = tmp_path / "module.py"
    module.write_text("import os.path\ndef f():\n    from hub_recipes.cli import main\n    from . import near\n")
    assert imported(module) == {"os", "hub_recipes"}


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_go_one_way(folder):
    wrong = {
        str(path.relative_to(ROOT)): sorted(imported(path) & OURS - ALLOWED[folder])
        for path in files(folder)
        if imported(path) & OURS - ALLOWED[folder]
    }
    assert not wrong


def test_dataset_builders_need_no_torch():
    wrong = [str(path.relative_to(ROOT)) for path in files("dataset_builders") if imported(path) & HEAVY]
    assert files("dataset_builders")
    assert not wrong
