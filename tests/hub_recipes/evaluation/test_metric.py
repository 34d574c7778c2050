import os
import re
import subprocess
import sys
from pathlib import Path

import evaluate
import pytest
from evaluate.loading import get_imports

from logs2lang.evaluation import metric
from logs2lang.evaluation.metric import METRIC_FILES, install_metric, load_metric, metric_folder

LOAD_BY_NAME = """
import doctest, sys
import evaluate

discovery_recall = evaluate.load("discovery_recall")
print(sys.modules[type(discovery_recall).__module__].__file__)
doctest.run_docstring_examples(discovery_recall.inputs_description, {})
"""


def run_python(code: str, home: Path) -> subprocess.Popen:
    """Start Python from another folder, with caches of its own and no Hub to reach."""
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1", "HF_UPDATE_DOWNLOAD_COUNTS": "0"}
    environment = {**os.environ, "HF_HOME": str(home), **nowhere}
    for name in ("HF_MODULES_CACHE", "HF_METRICS_CACHE", "HF_EVALUATE_CACHE"):
        environment.pop(name, None)
    home.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=home,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty module cache of evaluate."""
    monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", tmp_path / "modules")
    return tmp_path / "modules"


def test_the_metric_of_this_installation_loads_once_and_in_silence(capfd):
    load_metric.cache_clear()
    assert load_metric() is load_metric()
    assert load_metric().compute(predictions=["a"], references=["a"], is_discovery=[True])["recall@1"] == 1.0
    assert capfd.readouterr() == ("", "")


def test_the_bare_name_loads_offline_from_any_folder_after_installation(modules):
    installed = install_metric()
    load = run_python(LOAD_BY_NAME, home=modules.parent)
    loaded, complaints = load.communicate(timeout=120)
    assert load.returncode == 0, complaints
    assert loaded.strip() == str(installed / "discovery_recall.py")  # and the example of its description ran


def test_processes_that_load_and_install_at_once_do_not_disturb_each_other(tmp_path):
    code = (
        "from logs2lang.evaluation.metric import install_metric, load_metric; install_metric(); "
        "print(load_metric().compute(predictions=['a'], references=['a'], is_discovery=[True], k=1)['n'])"
    )
    processes = [run_python(code, tmp_path / "home") for _ in range(2)]
    assert [process.communicate(timeout=120) for process in processes] == [("1\n", "")] * 2


def test_the_installed_folder_is_named_by_its_content(modules):
    folder = install_metric()
    assert folder.parent == modules / "evaluate_modules" / "metrics" / "evaluate-metric--discovery_recall"
    assert re.fullmatch("[0-9a-f]{64}", folder.name)
    assert {path.name for path in folder.iterdir()} == {*METRIC_FILES, "__init__.py"}
    assert [path.name for path in folder.parent.iterdir() if len(path.name) == 64] == [folder.name]


def test_installing_again_changes_nothing(modules):
    folder = install_metric()
    before = {path: path.stat().st_ino for path in modules.rglob("*")}
    assert install_metric() == folder
    assert {path: path.stat().st_ino for path in modules.rglob("*")} == before


def test_installing_again_mends_what_was_damaged(modules):
    folder = install_metric()
    (folder / "scores.py").write_text("broken")
    (folder / "item_ids.py").unlink()
    assert install_metric() == folder
    for name in METRIC_FILES:
        assert (folder / name).read_bytes() == (metric_folder() / name).read_bytes()
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".partial")] == []


def test_what_is_installed_last_is_the_newest(modules):
    folder = install_metric()
    other = folder.with_name("0" * 64)
    other.mkdir()
    (other / "discovery_recall.py").write_text("")
    os.utime(folder / "discovery_recall.py", (1, 1))
    install_metric()
    times = {path.parent.name: path.stat().st_mtime for path in folder.parent.glob("*/discovery_recall.py")}
    assert max(times, key=times.__getitem__) == folder.name


def test_an_installation_that_dies_half_way_leaves_nothing_to_load(modules, monkeypatch):
    copies = iter([metric.shutil.copyfile])

    def copy_one_file_then_fail(source: Path, target: Path) -> None:
        next(copies)(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(metric.shutil, "copyfile", copy_one_file_then_fail)
        with pytest.raises(StopIteration):
            install_metric()
    metrics = modules / "evaluate_modules" / "metrics" / "evaluate-metric--discovery_recall"
    assert [path.name for path in metrics.iterdir()] == ["__init__.py"]
    assert install_metric().is_dir()


def test_all_that_the_metric_imports_is_installed():
    ours = {
        f"{name}.py" for kind, name, *_ in get_imports(str(metric_folder() / METRIC_FILES[0])) if kind == "internal"
    }
    assert {METRIC_FILES[0], *ours} == set(METRIC_FILES)
