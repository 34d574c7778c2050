"""A training run's adapter becomes a released one: the folder that is its Hub repository, and the results it names."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from logs2lang.dataset_builders.checksums import sha256_of
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.whole_files import move_aside, whole_folder

from ..evaluation.charts import CHART_FILES
from ..evaluation.results import RESULTS_FILE, read_document
from ..models.model_folders import ADAPTER_WEIGHTS, STUDENT_WEIGHTS
from ..training.runs.run_record import RUN_FILE, read_run, write_json
from ..verbalizers.learned import STUDENT
from .adapter import RESULTS_FOLDER, differing_config, is_student, known_files
from .cards import require_its_dataset, write_cards

EARLIER_FOLDER = "earlier"
"""Where an adapter is moved whose name a later one takes; no part of a release."""

_RESULTS = (RESULTS_FILE, *CHART_FILES)


def adopt_adapter(
    adapter: Path, results: Path, row: str | None, dataset: Path, model_cards: Path, name: str | None = None
) -> Path:
    """Put an adapter among the released ones, with the row of results that is its own, and write its card.

    An earlier adapter of the same name with other weights is moved to a dated folder in `earlier/`.

    Args:
        adapter (`Path`): The folder that training or `logs2lang distill` wrote, with `run.json`.
        results (`Path`): The folder that `logs2lang evaluate` wrote. What is copied of it is `results.json` and the
            charts, never the predictions.
        row (`str`, *optional*): The row of the adapter; by default `student` for a student, else `verbalizer` of its
            `run.json`, which names of a reasoner the texts it was trained on.
        dataset (`Path`): The built dataset it was trained on.
        model_cards (`Path`): Where released adapters lie.
        name (`str`, *optional*): Of the results there; the name of the dataset's folder and the row by default.

    Returns:
        `Path`: `model_cards/<name in run.json>`.

    Raises:
        InputError: The folder holds no trained adapter, the results have no such row, or one of them belongs to
            another dataset. Nothing is written then.
    """
    run, document = read_run(adapter), read_document(results / RESULTS_FILE)
    row = row or (STUDENT if is_student(adapter) else run["verbalizer"])
    require_its_dataset(run["name"], run["dataset"]["report_sha256"], dataset)
    if document["dataset"]["name"] != run["dataset"]["name"]:
        raise InputError(
            f"{results} was measured on {document['dataset']['name']}, but {run['name']} was trained on "
            f"{run['dataset']['name']}. Evaluate it on that dataset."
        )
    if config := differing_config(document["dataset"], BuiltDataset.open(dataset).report):
        raise InputError(
            f"{results} was measured on a different build of {dataset} than {run['name']} was trained on: their "
            f"{config} differ. Evaluate it on the build it was trained on."
        )
    rows = [entry["row"] for entry in document["rows"]]
    if row not in rows:
        raise InputError(f"{results / RESULTS_FILE} has no row {row!r}, only {', '.join(rows)}.")
    place = Path(RESULTS_FOLDER, name or f"{dataset.resolve().name}-{row}")
    with whole_folder(model_cards / place, _RESULTS) as partial:
        _copy(_RESULTS, results, partial)
    folder = model_cards / run["name"]
    if _weights(folder) not in (None, _weights(adapter)):  # what was trained is not deleted
        move_aside(folder, model_cards / EARLIER_FOLDER)
    known = known_files(adapter)
    with whole_folder(folder, known) as partial:
        _copy(known, adapter, partial)
        write_json({**run, "results": {"path": (place / RESULTS_FILE).as_posix(), "row": row}}, partial / RUN_FILE)
    write_cards(folder, dataset)
    return folder


def _weights(folder: Path) -> str | None:
    """The hash of an adapter's or a student's weights, `None` where there are none."""
    found = [folder / name for name in (ADAPTER_WEIGHTS, STUDENT_WEIGHTS) if (folder / name).is_file()]
    return sha256_of(found[0]) if found else None


def _copy(names: Iterable[str], source: Path, target: Path) -> None:
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
