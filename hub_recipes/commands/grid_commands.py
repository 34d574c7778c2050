"""`logs2lang grid SOURCE`: the same rows under every protocol, so that nobody has to ask what depends on it."""

import inspect
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from logs2lang.dataset_builders.input_error import InputError, did_you_mean

from .build_commands import SOURCES, build, to_options, with_source
from .text_commands import AdapterOption, HistoryOption, LimitOption, ModelOption

if TYPE_CHECKING:
    from .build_commands import Source

grid_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Evaluate the same rows under every protocol: splits, candidates, and how many of them.",
)

DEFAULT_ROWS = "baselines"
PROTOCOLS = ("leave_last_out", "temporal")
WAYS = ("popularity", "uniform")
MOST_CANDIDATES = 100
_OF_BUILD = (
    "history",
    "min_history",
    "ties",
    "k_core",
    "min_user_interactions",
    "min_item_interactions",
    "min_value",
    "since",
    "until",
    "seed",
    "salt",
    "threads",
    "memory_limit",
)
"""The options of `build` that a grid has too; the others are what it varies, or of no use to an evaluation."""


def grid(
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder for grid.json, grid.md, and the dataset and results of each cell."
        ),
    ],
    rows: Annotated[str, typer.Option(help="Rows of every cell, as for `logs2lang evaluate`.")] = DEFAULT_ROWS,
    protocols: Annotated[
        str, typer.Option(help="Splits: leave_last_out, temporal, or both separated by a comma.")
    ] = ",".join(PROTOCOLS),
    candidates: Annotated[
        str, typer.Option(help="How candidates are drawn: popularity, uniform, or both.")
    ] = ",".join(WAYS),
    num_candidates: Annotated[
        str, typer.Option(help="How many candidates, separated by commas: 2 to 100, and `all` of the catalogue.")
    ] = "10,100,all",
    limit: LimitOption = None,
    reasoner: ModelOption = None,
    verbalizer_adapter: AdapterOption = None,
    history_length: HistoryOption = None,
    *,
    source: "Source",
    **of_build: Any,
) -> None:
    """Build and evaluate every cell: the common part of all commands in this file."""
    from datasets import disable_progress_bars
    from rich.console import Console

    from logs2lang.dataset_builders.dataset_folder.output_paths import require_folder_place

    from ..console.progress import show_status
    from ..evaluation.protocol_grid import GRID_FILE, GRID_TABLE_FILE, terminal_grid, to_cells, write_grid
    from ..evaluation.table_rows import to_row_names
    from ..verbalizers.learned import to_adapters

    disable_progress_bars()
    cells = to_cells(
        to_words("--protocols", protocols, PROTOCOLS),
        to_words("--candidates", candidates, WAYS),
        to_numbers(num_candidates),
    )
    adapters = to_adapters(verbalizer_adapter or ())
    names = to_row_names([*rows.split(","), *adapters], adapters)
    building = {name: of_build.pop(name) for name in ("threads", "memory_limit")}
    options = to_options(cuts=None, train_targets=0, **of_build)  # nothing is trained on the examples of a cell
    require_folder_place(output)
    settings = {"limit": limit, "history_length": history_length, "seed": options.seed}
    with show_status() as say:
        model = _reasoner(reasoner, names, options.seed, say)
        evaluate = partial(_evaluate, names, adapters, model, settings, say)
        document = write_grid(source, output, cells, options, evaluate, tell=say, **building)
    Console().print(terminal_grid(document))
    for name, why in document["unavailable"].items():
        print(f"Note: {name} has no numbers: {why}")
    print(f"Written: {output / GRID_FILE}, {output / GRID_TABLE_FILE}, and the results of each cell beside them.")


def _reasoner(name: str | None, rows: Sequence[str], seed: int, say: Any) -> Any:
    """Who reads texts, in every cell; branches of titles allow any number of candidates."""
    from dataclasses import replace

    from ..evaluation.table_rows import needs_reasoner
    from ..models.language_models import DEFAULT_BASE_MODEL
    from ..reasoners.local import LocalReasoner

    if not needs_reasoner(rows):
        return None
    say("Loading the models")
    return replace(LocalReasoner.from_pretrained(name or DEFAULT_BASE_MODEL), seed=seed)


def _evaluate(
    names: Sequence[str],
    adapters: Mapping[str, str],
    reasoner: Any,
    settings: Mapping[str, Any],
    say: Any,
    run: Any,
    dataset: Any,
    output: Path,
    cell: str,
) -> Any:
    """One cell, with the progress of its rows."""
    from ..verbalizers.learned import load_adapters

    verbalizers = load_adapters(adapters, dataset.items(), dataset.known_successors())
    return run(
        dataset,
        names,
        reasoner=reasoner,
        verbalizers=verbalizers,
        output=output,
        command=shlex.join(["logs2lang", *sys.argv[1:]]),
        created=datetime.now(timezone.utc),
        progress=lambda row, stage, done, total: say(f"{cell}: {row}, {stage} {done:,} of {total:,}"),
        **settings,
    )


def to_words(flag: str, text: str, known: Sequence[str]) -> list[str]:
    """Read words separated by commas.

    Raises:
        InputError: A word is unknown, or there is none.

    Example:
        >>> to_words("--candidates", "uniform, popularity", WAYS)
        ['uniform', 'popularity']
    """
    words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for word in words:
        if word not in known:
            choices = f"Choose from {', '.join(known)}."
            raise InputError(f"{flag} contains {word!r}. {did_you_mean(word, known, choices)}")
    if not words:
        raise InputError(f"{flag} is empty; choose from {', '.join(known)}.")
    return words


def to_numbers(text: str) -> list[int | str]:
    """Read numbers of candidates.

    Raises:
        InputError: One is neither 2 to 100 nor `all`.

    Example:
        >>> to_numbers("10,100,all")
        [10, 100, 'all']
    """
    numbers: list[int | str] = []
    for word in (part.strip() for part in text.split(",")):
        if word == "all":
            numbers.append(word)
        elif word.isdecimal() and 2 <= int(word) <= MOST_CANDIDATES:
            numbers.append(int(word))
        else:
            raise InputError(f"--num-candidates contains {word!r}; expected 2 to {MOST_CANDIDATES}, or all.")
    return list(dict.fromkeys(numbers))


def _options() -> list[inspect.Parameter]:
    """The options of a grid: its own, and those of `build` that it passes on."""
    own = [one for one in inspect.signature(grid).parameters.values() if one.name not in ("source", "of_build")]
    of_build = inspect.signature(build).parameters
    return [*own, *(of_build[name] for name in _OF_BUILD)]


def _help(name: str, choose_source: Any) -> str:
    """What the source is, and the command of its grid."""
    said = (inspect.getdoc(choose_source) or "").split("\n\n")[0]
    needed = [f"--{one.name} ..." for one in inspect.signature(choose_source).parameters.values() if _is_needed(one)]
    command = " ".join(["logs2lang grid", name, *needed, f"--output grids/{name}"])
    return f"{said}\n\n[bold]{command}[/]"


def _is_needed(option: inspect.Parameter) -> bool:
    return option.default is inspect.Parameter.empty and bool(get_args(option.annotation))


for _name, _choose_source in SOURCES.items():
    if _name != "viewing-history":  # the log of one person has no examples
        grid_app.command(_name, help=_help(_name, _choose_source))(with_source(_choose_source, grid, _options()))
