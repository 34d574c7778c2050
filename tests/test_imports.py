"""The arrows of the house: space -> hub_recipes -> dataset_builders, and inside from an upper room to a lower one.

`hub_recipes` is the package `logs2lang` itself, so its rooms are `logs2lang.models` and the like. `model_cards`
imports nothing of ours. Two connections are no imports, for a reason: `evaluation/metric.py` loads the metric's
`scores.py` from the folder of its Space, because on the Hub that folder stands alone; the command line imports the
page by name when it is asked for, because the page stands above it.
"""

import ast
import subprocess
import sys
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = {"dataset_builders", "model_cards", "space"}
ALLOWED = {
    "dataset_builders": {"dataset_builders"},
    "hub_recipes": {"hub_recipes", "dataset_builders", "model_cards"},
    "model_cards": set(),
    "space/discovery_recall": set(),
    "space/playground": {"space", "hub_recipes", "dataset_builders"},
}
FLOORS = (
    ("hub_recipes/console",),
    ("hub_recipes/models",),
    ("hub_recipes/verbalizers", "hub_recipes/reasoners"),
    ("hub_recipes/baselines", "hub_recipes/stores"),
    ("hub_recipes/evaluation",),
    ("hub_recipes/serving", "hub_recipes/bulk"),
    ("hub_recipes/training/runs",),
    ("hub_recipes/training/objectives",),
    ("hub_recipes/training/grpo", "hub_recipes/training/distillation"),
    ("hub_recipes/release", "hub_recipes/train_reasoner.py", "hub_recipes/train_verbalizer.py"),
    ("hub_recipes/commands",),
)
"""From the ground up; neighbours on one floor import nothing of one another."""
STATIONS = (
    ("schema.py", "input_error.py", "whole_files.py"),
    ("build_options.py", "checksums.py", "engine_errors.py"),
    ("package_files.py", "web_files.py", "hub_files.py", "remote_files.py"),
    ("tables",),
    ("raw_log.py",),
    ("cells",),
    ("catalogue.py", "filters.py"),
    ("interactions.py",),
    ("events.py",),
    ("splits.py", "user_groups.py"),
    ("candidates.py", "successors.py", "successor_lists.py"),
    ("examples.py", "newest_histories.py", "prompting"),
    ("dataset_folder",),
    ("sources", "checks.py"),
    ("builder.py", "histories.py"),
    ("log_dataset.py", "spark"),
)
"""Of `dataset_builders`, from the ground up: the stations of a build stand in the order in which rows pass them."""
LOOSE = {"__init__.py", "__main__.py", "train_reasoner.py", "train_verbalizer.py"}
HEAVY = {"torch", "trl", "transformers", "peft"}


def package_of(path: Path) -> str:
    """The package that a file of ours is part of."""
    part, *folders = path.relative_to(ROOT).parent.parts
    return ".".join(["logs2lang", *([] if part == "hub_recipes" else [part]), *folders])


def modules_of(path: Path, package: str | None = None) -> set[str]:
    """Every module that a file imports, by its whole name, those inside functions included."""
    package = package or package_of(path)
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    pairs = [
        (resolve_name("." * node.level + (node.module or ""), package), alias.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    return plain | {f"{module}.{name}" for module, name in pairs}


def place_of(module: str) -> str:
    """Where a module of ours lies, as a path from the root; empty for others and for the public face."""
    first, *rest = module.split(".")
    if first != "logs2lang" or not rest:
        return ""
    return "/".join(rest if rest[0] in PARTS else ["hub_recipes", *rest])


def folder_of(module: str) -> str:
    return place_of(module).split("/")[0]


def files(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if path != ROOT / "hub_recipes" / "__init__.py")


def floor_of(place: str, floors: tuple[tuple[str, ...], ...]) -> tuple[int, str] | None:
    """The number of a floor, and which of its rooms a path lies in."""
    for number, rooms in enumerate(floors):
        for room in rooms:
            name = room.removesuffix(".py")
            if place.removesuffix(".py") == name or place.startswith(f"{name}/"):
                return number, room
    return None


def upward(floors: tuple[tuple[str, ...], ...], path: str, modules: set[str]) -> list[str]:
    """What a file imports from its own height or from above, other than from its own room."""
    own = floor_of(path, floors)
    assert own is not None, f"{path} stands on no floor"
    found = {module: floor_of(place_of(module), floors) for module in sorted(modules)}
    return [module for module, theirs in found.items() if theirs and theirs != own and theirs[0] >= own[0]]


def test_modules_of_sees_imports_inside_functions(tmp_path):
    module = tmp_path / "module.py"
    inside = ("from logs2lang.commands import cli", "from . import near", "from ..models import far")
    module.write_text("\n    ".join(("import os.path\ndef f():", *inside)))
    found = {"os.path", "logs2lang.commands.cli", "logs2lang.release.near", "logs2lang.models.far"}
    assert modules_of(module, "logs2lang.release") == found


def test_an_arrow_upward_is_found():
    down, up = "logs2lang.models.model_folders.to_base", "logs2lang.commands.cli.main"
    assert upward(FLOORS, "hub_recipes/evaluation/report.py", {down, up}) == [up]
    assert upward(FLOORS, "hub_recipes/reasoners/local.py", {"logs2lang.verbalizers.action"}) != []


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_go_one_way(folder):
    found = {
        str(path.relative_to(ROOT)): {
            folder_of(name) for name in modules_of(path) if not place_of(name).startswith(f"{folder}/")
        }
        for path in files(folder)
    }
    assert found
    assert not {path: folders for path, folders in found.items() if folders - ALLOWED[folder] - {""}}


@pytest.mark.parametrize("path", [str(path.relative_to(ROOT)) for path in files("hub_recipes")])
def test_rooms_import_from_below(path):
    if Path(path).name not in {"__init__.py", "__main__.py"}:
        assert upward(FLOORS, path, modules_of(ROOT / path)) == []


@pytest.mark.parametrize("path", [str(path.relative_to(ROOT)) for path in files("dataset_builders")])
def test_stations_import_from_below(path):
    floors = tuple(tuple(f"dataset_builders/{name}" for name in names) for names in STATIONS)
    if path != "dataset_builders/__init__.py":
        assert upward(floors, path, modules_of(ROOT / path)) == []


def test_only_the_scripts_stand_loose():
    assert {path.name for path in (ROOT / "hub_recipes").glob("*.py")} == LOOSE


def test_dataset_builders_need_no_torch():
    found = {str(path.relative_to(ROOT)): modules_of(path) for path in files("dataset_builders")}
    assert found
    assert not [path for path, names in found.items() if {name.split(".")[0] for name in names} & HEAVY]


def test_the_package_imports_nothing_heavy():
    code = "import sys, logs2lang; print(sorted({'torch', 'datasets', 'pandas', 'numpy', 'typer'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_the_main_job_needs_no_training_library():
    """`make quickstart` installs neither TRL nor the page: what its commands can reach imports none of them."""
    ours = {str(path.relative_to(ROOT).with_suffix("")): path for path in files("hub_recipes")}
    waiting = [
        ours[f"hub_recipes/commands/{name}"] for name in ("cli", "build_commands", "grid_commands", "text_commands")
    ]
    reached, foreign = set(), set()
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        for module in modules_of(path):
            place = place_of(module)
            found = [ours[name] for name in (place, place.rpartition("/")[0]) if name in ours]
            commands = ("train", "distill", "release", "serve")
            apart = {"doctor", *(f"{command}_commands" for command in commands)} | {
                "app",
                "train_verbalizer",
                "train_reasoner",
            }
            waiting += [other for other in found if other.stem not in apart]
            foreign.add(module.split(".")[0])
    assert ours["hub_recipes/evaluation/evaluation"] in reached
    assert not foreign & {"trl", "gradio", "fastapi", "uvicorn", "prometheus_client"}
