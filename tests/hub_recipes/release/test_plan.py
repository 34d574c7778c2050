import json
import shutil
from pathlib import Path

import pytest
from small_release import ADAPTER, DATASET, write_json

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.raw_log import OWN_LOG
from logs2lang.dataset_builders.sources import movielens, movietweetings
from logs2lang.release.plan import MARKER, UNKNOWN_REVISION, Links, SpaceRepo, plan_release

LINKS = Links("me", "http://hub")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def folders(simulation_folder, released_adapters, tmp_path) -> dict[str, Path]:
    data = Path(shutil.copytree(simulation_folder, tmp_path / "data" / DATASET)).parent
    return {"data": data, "adapters": released_adapters, "spaces": ROOT / "space"}


def forbid(folder: Path) -> None:
    """Give a dataset the licence of MovieLens."""
    report = json.loads((folder / "build_report.json").read_text())
    terms = {"name": "other", "redistributable": False, "notice": "Not to be redistributed."}
    write_json(folder / "build_report.json", {**report, "license": terms})


def test_datasets_come_first_and_the_spaces_last(folders):
    plan = plan_release(LINKS, "v1", **folders)
    assert [repo.name for repo in plan.repos][:3] == [DATASET, ADAPTER, "discovery_recall"]
    assert [repo.repo_type for repo in plan.repos][:3] == ["dataset", "model", "space"]


def test_a_card_is_measured_before_the_commit_it_links_to_is_known(folders):
    adapter = plan_release(LINKS, "v1", **folders).repos[1]
    sizes = [
        next(file.size for file in adapter.files(links) if file.path == "README.md")
        for links in (LINKS, LINKS.with_revision(DATASET, "a" * 40))
    ]
    assert sizes[0] == sizes[1]
    assert UNKNOWN_REVISION in next(file for file in adapter.files(LINKS) if file.path == "README.md").read().decode()


def test_rows_whose_licence_forbids_it_are_left_out_and_said(folders):
    forbid(folders["data"] / DATASET)
    plan = plan_release(LINKS, "v1", **folders)
    assert DATASET not in [repo.name for repo in plan.repos]
    assert plan.refused == {DATASET: "Not to be redistributed."}


def test_rows_whose_licence_forbids_it_cannot_be_asked_for(folders):
    forbid(folders["data"] / DATASET)
    with pytest.raises(InputError, match="may not be published: Not to be redistributed"):
        plan_release(LINKS, "v1", **folders, only=[DATASET])


def test_the_licences_of_the_logs_say_which_rows_may_be_published():
    assert not movielens.LICENSE.redistributable
    assert not OWN_LOG.redistributable
    assert movietweetings.LICENSE.redistributable


def test_an_unknown_name_has_a_suggestion(folders):
    with pytest.raises(InputError, match="Did you mean 'adapters'"):
        plan_release(LINKS, "v1", **folders, only=["adapter"])


def test_nothing_to_publish_is_one_sentence(tmp_path):
    empty = {"data": tmp_path / "none", "adapters": tmp_path, "spaces": tmp_path}
    with pytest.raises(InputError, match="There is nothing to publish"):
        plan_release(LINKS, "v1", **empty)


@pytest.mark.parametrize("name", ["my films", "films--2024"])
def test_a_folder_whose_name_the_hub_refuses_is_not_planned(folders, name):
    (folders["data"] / DATASET).rename(folders["data"] / name)
    with pytest.raises(InputError, match=f"would be published as '{name}'.*Rename the folder"):
        plan_release(LINKS, "v1", **folders)


def test_only_an_adapter_needs_its_dataset(folders):
    assert plan_release(LINKS, "v1", **folders, only=["adapters"]).needed_datasets() == {DATASET: ADAPTER}
    assert plan_release(LINKS, "v1", **folders).needed_datasets() == {}


def test_a_space_that_lists_its_files_gets_those(tmp_path):
    folder = tmp_path / "space" / "demo"
    for path in (
        "space/demo/app.py",
        "space/demo/README.md",
        "ours/module.py",
        "ours/__pycache__/module.pyc",
        "x.txt",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    assert [file.path for file in SpaceRepo("demo", folder).files(LINKS)] == [MARKER.path, "README.md", "app.py"]
    write_json(
        folder / "space_files.json", {"app.py": "space/demo/app.py", "ours": "ours", "space/demo": "space/demo"}
    )
    files = {file.path: file.read().decode() for file in SpaceRepo("demo", folder).files(LINKS)}
    assert set(files) == {
        MARKER.path, "app.py", "ours/module.py", "space/demo/README.md", "space/demo/app.py",
        "space/demo/space_files.json",
    }  # fmt: skip
    assert files["ours/module.py"] == "ours/module.py"
