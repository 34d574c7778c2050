"""A training run's adapter becomes a released one: the folder that is its Hub repository, and the results it names."""

import shutil
from pathlib import Path

from dataset_builders.input_error import InputError
from hub_recipes.charts import CHART_FILE, GAP_CHART_FILE
from hub_recipes.release.adapter import KNOWN_FILES, RESULTS_FOLDER
from hub_recipes.release.cards import write_cards
from hub_recipes.results import RESULTS_FILE, read_document
from hub_recipes.training.adapters import replaced_folder
from hub_recipes.training.run_record import RUN_FILE, read_run, write_json


def adopt_adapter(adapter: Path, results: Path, row: str, dataset: Path, model_cards: Path) -> Path:
    """Put an adapter among the released ones, with the row of results that is its own, and write its card.

    Args:
        adapter (`Path`): The folder that training wrote, with `run.json`.
        results (`Path`): The folder that `logs2lang evaluate` wrote. Its name is kept; what is copied of it is
            `results.json` and the charts, never the predictions.
        row (`str`): The row of the adapter: of a reasoner, the texts it was trained on.
        dataset (`Path`): The built dataset it was trained on.
        model_cards (`Path`): Where released adapters lie.

    Returns:
        `Path`: `model_cards/<name in run.json>`.

    Raises:
        InputError: The folder holds no trained adapter, the results have no such row, or belong to another dataset.
    """
    run = read_run(adapter)
    document = read_document(results / RESULTS_FILE)
    rows = [entry["row"] for entry in document["rows"]]
    if row not in rows:
        raise InputError(f"{results / RESULTS_FILE} has no row {row!r}, only {', '.join(rows)}.")
    place = Path(RESULTS_FOLDER, results.resolve().name)
    with replaced_folder(model_cards / place) as partial:
        for name in (RESULTS_FILE, CHART_FILE, GAP_CHART_FILE):
            if (results / name).is_file():
                shutil.copyfile(results / name, partial / name)
    folder = model_cards / run["name"]
    with replaced_folder(folder) as partial:
        for name in sorted(KNOWN_FILES):
            if (adapter / name).is_file():
                shutil.copyfile(adapter / name, partial / name)
        write_json({**run, "results": {"path": (place / RESULTS_FILE).as_posix(), "row": row}}, partial / RUN_FILE)
    write_cards(folder, dataset)
    return folder
