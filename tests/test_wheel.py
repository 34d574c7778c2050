"""The wheel in an environment of its own, in a folder whose names would shadow careless imports."""

import json
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import tomllib

ROOT = Path(__file__).parents[1]
FOLDERS = ("dataset_builders", "hub_recipes", "model_cards", "space")
LOG = "user_id,item_id,timestamp\n" + "".join(
    f"u{user},i{(7 * user + place) % 40},2024-03-{place + 1:02d}T20:00:00Z\n"
    for user in range(30)
    for place in range(8)
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy: what an earlier build left in a checkout would come along."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", folder, source], check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Callable[..., subprocess.CompletedProcess]:
    """Runs the interpreter of a new environment: the wheel is installed, its dependencies are those of this one."""
    folder = tmp_path_factory.mktemp("env")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", packages]
    subprocess.run([*install, wheel], check=True)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    here = tmp_path_factory.mktemp("work")
    for name in FOLDERS:
        (here / name).mkdir()
        (here / name / "__init__.py").write_text("raise RuntimeError('somebody else's')\n")
    (here / "log.csv").write_text(LOG)

    def run(*words: object) -> subprocess.CompletedProcess:
        environment = {"PATH": "", "HOME": str(here)}
        command = [folder / "bin" / "python", *map(str, words)]
        return subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True)

    return run


def test_it_installs_one_package(wheel):
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert names == {"logs2lang", next(name for name in names if name.endswith(".dist-info"))}


def test_it_carries_every_file_but_the_weights_of_adapters(wheel):
    files = [
        path.relative_to(ROOT).as_posix()
        for name in FOLDERS
        for path in (ROOT / name).rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".safetensors")
    ]
    expected = {f"logs2lang/{name.removeprefix('hub_recipes/')}" for name in files}
    assert expected <= set(zipfile.ZipFile(wheel).namelist())


def test_every_package_is_declared():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = [path.parent.relative_to(ROOT).parts for name in FOLDERS for path in (ROOT / name).rglob("__init__.py")]
    found = {".".join(("logs2lang", *(parts[1:] if parts[0] == "hub_recipes" else parts))) for parts in folders}
    assert set(declared) == found


def test_the_public_face_is_importable(python):
    code = """
import json, logs2lang
values = {name: getattr(logs2lang, name).__module__ for name in logs2lang.__all__}
print(json.dumps([logs2lang.__version__, logs2lang.__file__, sorted(set(values.values()))]))
"""
    outcome = python("-c", code)
    assert outcome.returncode == 0, outcome.stderr
    version, file, modules = json.loads(outcome.stdout)
    assert version == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert str(ROOT) not in file
    assert all(module.startswith("logs2lang.") for module in modules)


def test_a_wrong_name_is_an_attribute_error(python):
    outcome = python("-c", "import logs2lang; logs2lang.TemplateVerbaliser")
    assert "has no attribute 'TemplateVerbaliser'" in outcome.stderr


def test_a_log_becomes_a_dataset_and_texts(python):
    built = python("-m", "logs2lang", "build", "tabular", "--interactions", "log.csv", "--output", "data/own")
    assert built.returncode == 0, built.stderr
    code = """
import logs2lang
dataset = logs2lang.BuiltDataset.open("data/own")
verbalizer = logs2lang.SuccessorsVerbalizer(dataset.items(), dataset.successors())
texts = verbalizer.verbalize(dataset.examples("test")["history"][:2])
results = logs2lang.evaluate_rows(dataset, ["popularity", "markov-lift"])
print(len(texts), "went on to" in texts[0], [row["row"] for row in results.rows])
"""
    outcome = python("-c", code)
    assert outcome.stdout.strip() == "2 True ['popularity', 'markov-lift']", outcome.stderr


def test_cards_are_not_written_into_the_installation(python):
    outcome = python("-m", "logs2lang", "cards", "adopt", "x", "--results", "y", "--dataset", "z")
    assert outcome.returncode == 2
    assert "Give --output FOLDER." in outcome.stderr
