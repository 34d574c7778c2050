"""The `logs2lang` command. Heavy libraries are imported inside the commands, so that `--help` answers at once."""

import errno
import json
import shlex
import socket
import sys
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dataset_builders.input_error import InputError
from hub_recipes.build_commands import build_app
from hub_recipes.release_commands import release_app
from hub_recipes.train_commands import train_app

DEFAULT_ROWS = "template,profile,zero_shot,baselines"
_DISK_TROUBLES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "it would be larger than this system allows",
    errno.EACCES: "permission is denied",
    errno.EROFS: "the file system is read-only",
}

app = typer.Typer(
    name="logs2lang",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    help="Turn interaction logs into language, and measure what that does to the recommendation.",
    epilog="Start: [bold]logs2lang build movielens-100k --output data/ml[/], then "
    "[bold]logs2lang evaluate data/ml --output results/ml[/].",
)
metric_app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="The metric, for `evaluate.load`.")
app.add_typer(build_app, name="build")
app.add_typer(train_app, name="train")
app.add_typer(metric_app, name="metric")
app.add_typer(release_app)

DatasetArgument = Annotated[
    str, typer.Argument(metavar="DATASET", help="A built folder, or a dataset repository of the Hub.")
]
SplitOption = Annotated[Literal["train", "validation", "test"], typer.Option(help="Which examples.")]
LimitOption = Annotated[int | None, typer.Option(min=1, help="How many examples, chosen by seed; all by default.")]
HistoryOption = Annotated[
    int | None, typer.Option(min=1, help="Keep only so many of the newest records; all by default.")
]
ModelOption = Annotated[
    str | None,
    typer.Option(help="A base model or an adapter, by Hub id or folder; by default SmolLM2-135M-Instruct, untrained."),
]

AdapterOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=ID_OR_FOLDER",
        help="The adapter that writes for action or rewrite, such as rewrite=model_cards/x; may come once for each.",
    ),
]


def main() -> None:
    """The console entry: what the user did wrong is one line and exit code 2, never a traceback."""
    try:
        app()
    except InputError as error:
        _stop(str(error))
    except OSError as error:
        if error.errno not in _DISK_TROUBLES:
            raise
        _stop(f"{error.filename or 'A file'} could not be written: {_DISK_TROUBLES[error.errno]}.")


def _stop(message: str) -> None:
    print(f"Error: {message}", file=sys.stderr)
    raise SystemExit(2)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"logs2lang {version('logs2lang')}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def evaluate(
    dataset: DatasetArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for results.json, the table and the charts.")],
    rows: Annotated[
        str,
        typer.Option(
            help="Rows of the table: verbalizers and classical baselines; `baselines` stands for all of the latter."
        ),
    ] = DEFAULT_ROWS,
    split: SplitOption = "test",
    limit: LimitOption = None,
    verbalizer_adapter: AdapterOption = None,
    reasoner: ModelOption = None,
    answer: Annotated[
        Literal["label", "title", "generate"],
        typer.Option(help="How the reasoner answers: ten labels, ten titles (each one forward pass), or free text."),
    ] = "label",
    endpoint: Annotated[
        str | None,
        typer.Option(
            help="URL of an OpenAI-compatible server to ask in place of a local reasoner, such as "
            "http://localhost:8000/v1. Its key is read from LOGS2LANG_API_KEY."
        ),
    ] = None,
    endpoint_model: Annotated[
        str | None,
        typer.Option(help="The model as that server names it. Without --endpoint: Hugging Face Inference Providers."),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=100, help="Calls of the endpoint at once.")] = 8,
    max_calls: Annotated[int | None, typer.Option(min=0, help="Most calls of the endpoint.")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Most US dollars; needs --prices.")] = None,
    prices: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="INPUT OUTPUT", help="The endpoint's US dollars per million tokens."),
    ] = None,
    history_length: HistoryOption = None,
    seed: Annotated[int, typer.Option(help="Chooses the examples, breaks ties, drives the bootstrap.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew, whatever the folder holds.")] = False,
) -> None:
    """Score verbalizations and classical baselines on the same examples.

    Finished rows are kept: the same command again runs only what is missing or has changed.

    [bold]logs2lang evaluate data/ml --rows template,profile,markov-lift --limit 60 --output results/ml[/]
    """
    from datasets import disable_progress_bars

    from dataset_builders.built_dataset import BuiltDataset
    from hub_recipes.evaluation import evaluate_rows
    from hub_recipes.progress_bars import progress_bars
    from hub_recipes.table_rows import CEILING_ROW, needs_reasoner, to_row_names
    from hub_recipes.verbalizers.learned import load_adapters, to_adapters

    disable_progress_bars()  # of `datasets`; ours say which row is at work
    adapters = to_adapters(verbalizer_adapter or ())
    names = to_row_names([*rows.split(","), *adapters], adapters)
    settings = {"concurrency": concurrency, "max_calls": max_calls, "max_cost": max_cost}
    remote = _endpoint_reasoner(endpoint, endpoint_model, reasoner, answer, prices, settings)
    built = BuiltDataset.open(dataset)
    if rows == DEFAULT_ROWS and built.truth("tastes") is not None:
        names.append(CEILING_ROW)
    verbalizers = load_adapters(adapters, built.items())
    model = (remote or _load_reasoner(reasoner, answer)) if needs_reasoner(names) else None
    with progress_bars() as report:
        results = evaluate_rows(
            built,
            names,
            split=split,
            limit=limit,
            reasoner=model,
            verbalizers=verbalizers,
            history_length=history_length,
            seed=seed,
            output=output,
            overwrite=overwrite,
            command=shlex.join(["logs2lang", *sys.argv[1:]]),
            created=datetime.now(timezone.utc),
            progress=report,
        )
    _show(results.document(), output)
    if remote is not None:
        print("Endpoint: " + ", ".join(f"{name} {count:g}" for name, count in remote.spending.counts().items()))


def _endpoint_reasoner(
    url: str | None,
    model: str | None,
    local: str | None,
    answer: Any,
    prices: tuple[float, float] | None,
    settings: dict[str, Any],
) -> Any:
    if url is None and model is None:
        return None
    if model is None:
        raise InputError("--endpoint needs --endpoint-model: the model as the server names it.")
    if local is not None:
        raise InputError("--reasoner is a model of this machine, --endpoint-model one of a server; give one of them.")
    from hub_recipes.reasoners.endpoint import EndpointReasoner

    of_input, of_output = prices or (None, None)
    return EndpointReasoner(
        model,
        url,
        answer=answer,
        price_per_million_input_tokens=of_input,
        price_per_million_output_tokens=of_output,
        **settings,
    )


def _load_reasoner(name: str | None, answer: Literal["label", "title", "generate"]) -> Any:
    from hub_recipes.language_models import DEFAULT_BASE_MODEL
    from hub_recipes.reasoners.local import LocalReasoner

    return LocalReasoner.from_pretrained(name or DEFAULT_BASE_MODEL, answer=answer)


def _show(document: dict[str, Any], output: Path) -> None:
    """Print the table, and write it and the charts beside results.json."""
    from rich.console import Console

    from hub_recipes.charts import write_charts
    from hub_recipes.report import terminal_table, write_table

    files = [output / "results.json", write_table(document, output), *write_charts(document, output)]
    Console().print(terminal_table(document))
    print("Written: " + ", ".join(map(str, files)))


@app.command()
def verbalize(
    dataset: DatasetArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Parquet file to write.")],
    verbalizer: Annotated[
        Literal["template", "profile", "zero_shot", "action", "rewrite"], typer.Option(help="Who writes.")
    ] = "template",
    verbalizer_adapter: AdapterOption = None,
    split: SplitOption = "test",
    limit: LimitOption = None,
    model: ModelOption = None,
    history_length: HistoryOption = None,
    seed: Annotated[int, typer.Option(help="Chooses the examples.")] = 0,
) -> None:
    """Write the histories of a dataset as text: one row per example, with its length in tokens.

    [bold]logs2lang verbalize data/ml --verbalizer profile --limit 20 --output texts.parquet[/]
    """
    from datasets import disable_progress_bars

    from dataset_builders.built_dataset import BuiltDataset
    from dataset_builders.schema import EXAMPLE_ID, HISTORY
    from hub_recipes.evaluation import choose_examples
    from hub_recipes.language_models import DEFAULT_BASE_MODEL, load_language_model
    from hub_recipes.progress_bars import progress_bars
    from hub_recipes.table_rows import to_row_names, to_verbalizer
    from hub_recipes.verbalization_file import to_verbalizations, write_parquet
    from hub_recipes.verbalizers.learned import load_adapters, to_adapters

    disable_progress_bars()  # of `datasets`
    adapters = to_adapters(verbalizer_adapter or ())
    if adapters.keys() - {verbalizer}:
        raise InputError(f"--verbalizer-adapter names {', '.join(adapters)}, but --verbalizer is {verbalizer}.")
    to_row_names([verbalizer], adapters)  # says at once where an adapter is missing
    built = BuiltDataset.open(dataset)
    examples = choose_examples(built.examples(split), limit, seed, history_length)
    language_model = load_language_model(model or DEFAULT_BASE_MODEL)
    items = built.items()
    writer = load_adapters(adapters, items).get(verbalizer) or to_verbalizer(verbalizer, items, language_model)
    with progress_bars() as report:
        frame = to_verbalizations(
            examples[EXAMPLE_ID][:],
            examples[HISTORY][:],
            writer,
            language_model.tokenizer,
            lambda done: report(verbalizer, "writing", done, len(examples)),
        )
    write_parquet(frame, output)
    print(f"{len(frame)} texts, {frame['compression'].mean():.2f} of the template's tokens on average: {output}")


@metric_app.command("install")
def install_metric() -> None:
    """Put the metric where `evaluate.load("discovery_recall")` finds it, offline too.

    [bold]logs2lang metric install[/]
    """
    from hub_recipes.metric import install_metric as install

    print(f"Installed at {install()}; evaluate.load('discovery_recall') now works from any folder.")
    print("It asks the Hub first; where no network is, HF_EVALUATE_OFFLINE=1 saves the wait.")


@app.command()
def demo(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where to listen; 0 for any free port.")] = 7860,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for every one of this machine.")
    ] = "127.0.0.1",
    share: Annotated[bool, typer.Option("--share/--no-share", help="Open a public link through Gradio.")] = False,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
    model: Annotated[str | None, typer.Option(help="Base model, by Hub id or folder; SmolLM2-135M-Instruct.")] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder with an evaluation per folder; the released ones by default.")
    ] = None,
    adapters: Annotated[
        Path | None, typer.Option(help="Folder with an adapter per folder; the released ones by default.")
    ] = None,
) -> None:
    """See a log become language, in the browser: five verbalizations side by side, and what each makes of the choice.

    [bold]logs2lang demo[/]
    """
    from importlib import import_module
    from importlib.util import find_spec

    if find_spec("gradio") is None:
        raise InputError("The demo needs gradio. Install it with `pip install 'logs2lang[space]'`.")
    for folder in (results, adapters):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{folder} is no folder. Give one that holds a folder per evaluation or adapter.")
    chosen = {"base_model": model, "results": results, "model_cards": adapters}
    # By name: the app stands above the command line, and imports go one way, from space to hub_recipes.
    import_module("space.playground.app").serve(
        **{name: value for name, value in chosen.items() if value is not None},
        server_name=host,
        server_port=port or _free_port(),
        share=share,
        inbrowser=browser,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait for the Hub and for the package index.")
    ] = 3.0,
) -> None:
    """Say what this machine has, what it lacks, and the command that mends it. Exit code 0 when the main job can run.

    [bold]logs2lang doctor --json[/]
    """
    from rich.console import Console

    from hub_recipes.doctor import can_run, diagnose, to_json, to_table

    findings = diagnose(timeout=timeout)
    if as_json:
        print(json.dumps(to_json(findings), indent=2, ensure_ascii=False))
    else:
        Console().print(to_table(findings))
    raise typer.Exit(0 if can_run(findings) else 1)
