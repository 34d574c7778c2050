import json
import shutil
from pathlib import Path

import pytest
from small_release import ADAPTER, DATASET, results_document, run_record, write_json

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.evaluation.results import PREDICTIONS_FILE
from logs2lang.release.adoption import adopt_adapter
from logs2lang.release.cards import stale_cards


@pytest.fixture
def trained(released_adapters, simulation_folder, tmp_path) -> Path:
    """A run that is done: an adapter beside its results, as `train all` leaves them."""
    run = tmp_path / "runs" / "mt"
    shutil.copytree(released_adapters / ADAPTER, run / "verbalizer" / "adapter")
    (run / "verbalizer" / "adapter" / "README.md").unlink()
    write_json(run / "verbalizer" / "adapter" / "run.json", {**run_record(simulation_folder), "results": None})
    (run / "results_rewrite").mkdir()
    write_json(run / "results_rewrite" / "results.json", results_document(simulation_folder))
    (run / "results_rewrite" / PREDICTIONS_FILE).touch()
    return run


def test_what_training_wrote_becomes_a_released_adapter(trained, simulation_folder, tmp_path):
    released = tmp_path / "released"
    for _ in range(2):  # again over itself, as after a longer training
        folder = adopt_adapter(
            trained / "verbalizer" / "adapter", trained / "results_rewrite", "rewrite", simulation_folder, released
        )
    assert folder == released / ADAPTER
    assert stale_cards(released) == []
    assert "**rewrite** (this adapter) | 0.300" in (folder / "README.md").read_text()
    assert (
        json.loads((folder / "run.json").read_text())["results"]["path"] == f"results/{DATASET}-rewrite/results.json"
    )
    assert not list(released.rglob(PREDICTIONS_FILE))


def test_an_earlier_adapter_of_the_same_name_is_moved_and_not_deleted(trained, simulation_folder, tmp_path):
    adapter, results, released = trained / "verbalizer" / "adapter", trained / "results_rewrite", tmp_path / "released"
    adopt_adapter(adapter, results, None, simulation_folder, released)
    first = (released / ADAPTER / "adapter_model.safetensors").read_bytes()
    adopt_adapter(adapter, results, "rewrite", simulation_folder, released)
    assert not (released / "earlier").exists()
    (adapter / "adapter_model.safetensors").write_bytes(first + b" trained longer")
    adopt_adapter(adapter, results, "rewrite", simulation_folder, released)
    (earlier,) = (released / "earlier").iterdir()
    assert (earlier / "adapter_model.safetensors").read_bytes() == first
    assert (released / ADAPTER / "adapter_model.safetensors").read_bytes() != first
    assert stale_cards(released) == []


@pytest.mark.parametrize("of_another", ["dataset", "results", "build"])
def test_what_belongs_to_another_dataset_is_refused_before_anything_is_written(
    trained, simulation_folder, tmp_path, of_another
):
    adapter, results, dataset = trained / "verbalizer" / "adapter", trained / "results_rewrite", simulation_folder
    if of_another == "dataset":
        dataset = tmp_path / "other"
        dataset.mkdir()
        write_json(dataset / "build_report.json", {"name": "other"})
    else:
        document = results_document(simulation_folder)
        other = {"name": "other"} if of_another == "results" else {"content_sha256": {"examples": "others"}}
        write_json(results / "results.json", {**document, "dataset": {**document["dataset"], **other}})
    with pytest.raises(InputError, match="was trained on"):
        adopt_adapter(adapter, results, "rewrite", dataset, tmp_path / "released")
    assert not (tmp_path / "released").exists()


def test_a_row_that_is_not_there_is_named(trained, simulation_folder, tmp_path):
    adapter, results = trained / "verbalizer" / "adapter", trained / "results_rewrite"
    with pytest.raises(InputError, match="no row 'action', only template, rewrite, random, markov-lift"):
        adopt_adapter(adapter, results, "action", simulation_folder, tmp_path / "released")
    assert not (tmp_path / "released").exists()
