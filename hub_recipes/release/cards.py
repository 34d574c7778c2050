"""Cards beside their sources: write them, and say which of them no longer match."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from logs2lang.dataset_builders.checksums import sha256_of
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.export import REPORT_FILE, render_card, write_card
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.whole_files import whole_file, write_text

from ..training.runs.curves import CURVES_FILE, are_curves_current, curves_figure, draw_curves
from ..training.runs.run_record import RUN_FILE
from .adapter import (
    CARD_FILE,
    RESULTS_FOLDER,
    ReleasedAdapter,
    find_adapters,
    is_student,
    known_files,
)
from .results_page import has_page, page_troubles, write_page


def write_cards(folder: Path, dataset: Path | None = None) -> list[Path]:
    """Write the card and the picture of an adapter, the card of a student or a built dataset, or all those below.

    Args:
        folder (`Path`): An adapter, a built dataset, or a folder that holds several of them.
        dataset (`Path`, *optional*): The built dataset that an adapter was trained on; its build report, which the
            card is filled from, is then kept beside the results.

    Returns:
        `list[Path]`: The files that were written.
    """
    written = [write_page(folder / RESULTS_FOLDER)] if has_page(folder / RESULTS_FOLDER) else []
    for place in find_cards(folder):
        if (place / RUN_FILE).is_file():
            adapter = ReleasedAdapter.open(place)
            if dataset is not None:
                written.append(_keep_report(adapter, dataset))
            if not is_student(place):
                _refuse_empty_curves(adapter)
                written.append(draw_curves(place))
            written.append(write_text(place / CARD_FILE, adapter.card()))
        else:
            write_card(place, BuiltDataset.open(place).report)
            written.append(place / CARD_FILE)
    return written


def stale_cards(folder: Path) -> list[str]:
    """What no longer matches its sources, one sentence each.

    Args:
        folder (`Path`): As `write_cards` takes it.
    """
    of_cards = [trouble for place in find_cards(folder) for trouble in _troubles(place)]
    return [*of_cards, *page_troubles(folder / RESULTS_FOLDER)]


def find_cards(folder: Path) -> list[Path]:
    """The adapters and built datasets at or right below a folder.

    Raises:
        InputError: There is none, and no page of results either.
    """
    if (folder / RUN_FILE).is_file() or (folder / REPORT_FILE).is_file():
        return [folder]
    found = [*find_adapters(folder), *(path.parent for path in sorted(folder.glob(f"*/{REPORT_FILE}")))]
    if not found and not has_page(folder / RESULTS_FOLDER):
        raise InputError(
            f"{folder} contains no released adapter (a folder with {RUN_FILE}) and no built dataset (a folder with "
            f"{REPORT_FILE})."
        )
    return found


def _troubles(place: Path) -> Iterator[str]:
    if (place / RUN_FILE).is_file():
        adapter = ReleasedAdapter.open(place)
        expected = adapter.card()
        if not is_student(place) and not are_curves_current(place):
            yield (
                f"{place / CURVES_FILE} does not show the history in {RUN_FILE}; run `logs2lang cards render {place}`."
            )
        for path in sorted(place.iterdir()):
            if path.name not in known_files(place):
                yield f"{path} is not part of a released adapter; move it elsewhere."
    else:
        expected = render_card(place, BuiltDataset.open(place).report)
    card = place / CARD_FILE
    if not card.is_file() or card.read_text(encoding="utf-8") != expected:
        yield f"{card} does not match its sources; `logs2lang cards render {place}` rewrites it."


def _refuse_empty_curves(adapter: ReleasedAdapter) -> None:
    if not curves_figure(adapter.run.get("history") or []).axes:
        raise InputError(
            f"The history in {adapter.folder / RUN_FILE} has no reward, length or loss, so there is no curve to "
            "draw. Train with logging enabled."
        )


def require_its_dataset(name: str, wanted: str, dataset: Path) -> Path:
    """The build report of a dataset, if an adapter was trained on that dataset.

    Args:
        name (`str`): Of the adapter.
        wanted (`str`): SHA-256 of the build report, as `run.json` says.
        dataset (`Path`): A built dataset.

    Raises:
        InputError: The folder holds no built dataset, or another one.
    """
    source = dataset / REPORT_FILE
    if not source.is_file():
        raise InputError(f"{dataset} is not a built dataset: it has no {REPORT_FILE}.")
    if sha256_of(source) != wanted:
        raise InputError(
            f"{name} was trained on a dataset whose build report has the SHA-256 {wanted[:12]}, but that of "
            f"{dataset} has {sha256_of(source)[:12]}. Give the dataset it was trained on, or train again on this one."
        )
    return source


def _keep_report(adapter: ReleasedAdapter, dataset: Path) -> Path:
    """Put the build report of a dataset beside the results, if the adapter was trained on that dataset."""
    source = require_its_dataset(adapter.name, adapter.fact("dataset", "report_sha256"), dataset)
    target = adapter.folder.parent / RESULTS_FOLDER / dataset.resolve().name / REPORT_FILE
    with whole_file(target) as partial:
        shutil.copyfile(source, partial)
    return target
