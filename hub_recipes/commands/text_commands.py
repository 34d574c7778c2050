"""`logs2lang evaluate` and `logs2lang verbalize`: what texts are worth, and the texts themselves."""

import json
import shlex
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from logs2lang.dataset_builders.input_error import InputError

text_app = typer.Typer()

DEFAULT_ROWS = "template,profile,successors,baselines"

DatasetArgument = Annotated[
    str, typer.Argument(metavar="DATASET", help="A built folder, or a dataset repository of the Hub.")
]
SplitOption = Annotated[Literal["train", "validation", "test"], typer.Option(help="Split of the examples.")]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help="Number of examples, chosen by the seed; all by default.")
]
HistoryOption = Annotated[
    int | None, typer.Option(min=1, help="Keep only this many of the newest records; all by default.")
]
DiscoveriesOption = Annotated[
    bool, typer.Option("--discoveries", help="Only examples whose target the user never touched before.")
]
ModelOption = Annotated[
    str | None,
    typer.Option(help="A base model or an adapter, by Hub id or folder; by default SmolLM2-135M-Instruct, untrained."),
]
AdapterOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=ID_OR_FOLDER",
        help="The adapter for action or rewrite, such as rewrite=model_cards/x, or the folder of a student; may be "
        "given once for each.",
    ),
]


@text_app.command()
def evaluate(
    dataset: DatasetArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for results.json, the table and the charts.")],
    rows: Annotated[
        str,
        typer.Option(
            help="Rows of the table: template, profile, successors, zero_shot, action, rewrite, student; decision "
            "rules (action:random, action:keep, action:detail, action:next, action:newest-3); classical "
            "recommenders, or `baselines` for all of them."
        ),
    ] = DEFAULT_ROWS,
    split: SplitOption = "test",
    limit: LimitOption = None,
    verbalizer_adapter: AdapterOption = None,
    reasoner: ModelOption = None,
    answer: Annotated[
        Literal["label", "title", "tags", "generate"] | None,
        typer.Option(
            help="Answer mode of the reasoner: ten labels, ten titles, the tags of ten items (each in one forward "
            "pass), or free text. By default the mode it was trained with, else title, or label on a server."
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            help="URL of an OpenAI-compatible server to use instead of a local reasoner, such as "
            "http://localhost:8000/v1. Its key is read from LOGS2LANG_API_KEY."
        ),
    ] = None,
    endpoint_model: Annotated[
        str | None,
        typer.Option(help="The server's name for the model. Without --endpoint: Hugging Face Inference Providers."),
    ] = None,
    no_thinking: Annotated[
        bool,
        typer.Option(
            "--no-thinking",
            help="Have a model such as Qwen3 answer at once: short for "
            """--chat-template-kwargs '{"enable_thinking": false}'. A thought takes more tokens than an answer has.""",
        ),
    ] = False,
    chat_template_kwargs: Annotated[
        str | None,
        typer.Option(
            metavar="JSON",
            help="Arguments for the reasoner's chat template, such as '{\"thinking\": false}'; for an adapter, by "
            "default those it was trained with. Servers without chat templates may reject them.",
        ),
    ] = None,
    max_answer_tokens: Annotated[
        int,
        typer.Option(
            min=1, help="Maximum number of tokens of an endpoint's answer; a model that thinks needs hundreds."
        ),
    ] = 24,
    concurrency: Annotated[int, typer.Option(min=1, max=100, help="Number of concurrent calls to the endpoint.")] = 8,
    max_calls: Annotated[
        int | None, typer.Option(min=0, help="Maximum number of calls to the endpoint by all runs with this --output.")
    ] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="The same in US dollars; needs --prices.")] = None,
    prices: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="INPUT OUTPUT", help="The endpoint's prices in US dollars per million tokens."),
    ] = None,
    history_length: HistoryOption = None,
    discoveries: DiscoveriesOption = False,
    seed: Annotated[int, typer.Option(help="Seed for choosing examples, breaking ties and the bootstrap.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start from scratch and replace earlier results in the folder.")
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Start no further row after this many minutes, and stop with exit code 75; the same command "
            "resumes. At least one row is run."
        ),
    ] = None,
) -> None:
    """Score verbalizations and classical baselines on the same examples.

    Finished rows are kept: running the same command again computes only what is missing or has changed.

    [bold]logs2lang evaluate data/ml --rows template,profile,markov-lift --limit 60 --output results/ml[/]
    """
    from datasets import disable_progress_bars

    from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
    from logs2lang.dataset_builders.dataset_folder.output_paths import require_folder_place

    from ..console.exit_codes import UNFINISHED
    from ..console.progress import show_progress, show_status
    from ..evaluation.evaluation import RowsLeftError, evaluate_rows
    from ..evaluation.table_rows import CEILING_ROW, needs_reasoner, to_row_names
    from ..verbalizers.learned import load_adapters, to_adapters

    disable_progress_bars()  # of `datasets`; ours say which row is at work
    adapters = to_adapters(verbalizer_adapter or ())
    names = to_row_names([*rows.split(","), *adapters], adapters)
    told = _template_switches(chat_template_kwargs, no_thinking)
    settings = {
        "concurrency": concurrency,
        "max_calls": max_calls,
        "max_cost": max_cost,
        "spending_folder": output,
        "max_answer_tokens": max_answer_tokens,
        "extra_body": {"chat_template_kwargs": told} if told else {},
    }
    remote = _endpoint_reasoner(endpoint, endpoint_model, reasoner, answer, prices, settings)
    require_folder_place(output)
    if not overwrite:
        _refuse_to_replace(output)
    with show_status() as say:
        say("Reading the dataset")
        built = BuiltDataset.open(dataset)
        if rows == DEFAULT_ROWS and built.truth("tastes") is not None:
            names.append(CEILING_ROW)
        say("Loading the models")
        verbalizers = load_adapters(adapters, built.items(), built.known_successors())
        model = (remote or _load_reasoner(reasoner, answer, seed, told or None)) if needs_reasoner(names) else None
    try:
        with show_progress() as report:
            results = evaluate_rows(
                built,
                names,
                split=split,
                limit=limit,
                reasoner=model,
                verbalizers=verbalizers,
                history_length=history_length,
                discoveries=discoveries,
                seed=seed,
                output=output,
                overwrite=overwrite,
                command=shlex.join(["logs2lang", *sys.argv[1:]]),
                created=datetime.now(timezone.utc),
                progress=report,
                minutes=minutes,
            )
    except RowsLeftError as stop:
        print(f"{stop} The same command resumes there.", file=sys.stderr)
        raise typer.Exit(UNFINISHED) from None
    _show(results.document(), output)
    if remote is not None:
        counts = ", ".join(f"{name} {count:g}" for name, count in remote.spending.counts().items())
        ledger = remote.spending.ledger
        print(f"Endpoint: {counts}. All runs of this folder: {ledger.read()} ({ledger.file}).")


def _refuse_to_replace(output: Path) -> None:
    """Refuse a folder with files of the names that an evaluation writes, which no evaluation wrote."""
    from ..evaluation.charts import CHART_FILE, GAP_CHART_FILE
    from ..evaluation.report import RESULTS_TABLE_FILE
    from ..evaluation.results import PREDICTIONS_FILE, RESULTS_FILE, is_predictions

    if (output / RESULTS_FILE).exists():
        return  # read before anything is written, and refused where it is of another kind
    found = [name for name in (RESULTS_TABLE_FILE, CHART_FILE, GAP_CHART_FILE) if (output / name).exists()]
    if (output / PREDICTIONS_FILE).exists() and not is_predictions(output / PREDICTIONS_FILE):
        found.append(PREDICTIONS_FILE)
    if found:
        raise InputError(
            f"{output / found[0]} exists without a {RESULTS_FILE}, so it does not seem to come from an evaluation, "
            "and this one would replace it. Choose another --output, or pass --overwrite."
        )


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
        raise InputError("--endpoint needs --endpoint-model: give the server's name for the model.")
    if local is not None:
        raise InputError(
            "--reasoner is a local model and --endpoint-model a model on a server; give only one of them."
        )
    from ..reasoners.endpoint import EndpointReasoner

    of_input, of_output = prices or (None, None)
    return EndpointReasoner(
        model,
        url,
        answer=answer or "label",
        price_per_million_input_tokens=of_input,
        price_per_million_output_tokens=of_output,
        **settings,
    )


def _template_switches(chat_template_kwargs: str | None, no_thinking: bool) -> dict[str, Any]:
    """The arguments for the chat template of the reasoner."""
    try:
        told = json.loads(chat_template_kwargs or "{}")
    except json.JSONDecodeError:
        told = None
    if not isinstance(told, dict):
        raise InputError(
            f"--chat-template-kwargs is {chat_template_kwargs!r}, which is not a JSON object; "
            """give one such as '{"enable_thinking": false}', in single quotes."""
        )
    return told | ({"enable_thinking": False} if no_thinking else {})


def _load_reasoner(name: str | None, answer: Any, seed: int, told: dict[str, Any] | None) -> Any:
    from dataclasses import replace

    from ..models.language_models import DEFAULT_BASE_MODEL
    from ..reasoners.local import LocalReasoner

    reasoner = LocalReasoner.from_pretrained(name or DEFAULT_BASE_MODEL, answer=answer, chat_template_kwargs=told)
    return replace(reasoner, seed=seed)


def _show(document: dict[str, Any], output: Path) -> None:
    """Print the table, and write it and the charts beside results.json."""
    from rich.console import Console

    from ..evaluation.charts import write_charts
    from ..evaluation.report import remarks, terminal_table, write_table

    files = [output / "results.json", write_table(document, output), *write_charts(document, output)]
    Console().print(terminal_table(document))
    for remark in remarks(document):
        print(f"Note: {remark}")
    print("Written: " + ", ".join(map(str, files)))


@text_app.command()
def verbalize(
    dataset: DatasetArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Parquet file to write.")],
    verbalizer: Annotated[
        str,
        typer.Option(
            help="Verbalizer: template, profile, successors, zero_shot, action, rewrite or student (these need an "
            "adapter or a folder), or a decision rule such as action:next or action:newest-3."
        ),
    ] = "template",
    verbalizer_adapter: AdapterOption = None,
    split: SplitOption = "test",
    limit: LimitOption = None,
    model: ModelOption = None,
    history_length: HistoryOption = None,
    discoveries: DiscoveriesOption = False,
    seed: Annotated[int, typer.Option(help="Seed for choosing examples.")] = 0,
) -> None:
    """Write the histories of a dataset as text: one row per example, with its length in tokens.

    [bold]logs2lang verbalize data/ml --verbalizer profile --limit 20 --output texts.parquet[/]
    """
    from datasets import disable_progress_bars

    from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
    from logs2lang.dataset_builders.dataset_folder.chosen_examples import choose_examples
    from logs2lang.dataset_builders.dataset_folder.output_paths import require_file_place
    from logs2lang.dataset_builders.schema import EXAMPLE_ID, FOLD, HISTORY

    from ..console.progress import show_progress, show_status
    from ..evaluation.table_rows import VERBALIZER_ROWS, to_row_names, to_verbalizer
    from ..models.language_models import DEFAULT_BASE_MODEL, load_language_model
    from ..verbalizers.by_rule import is_written_by_rule
    from ..verbalizers.learned import load_adapters, to_adapters
    from ..verbalizers.verbalization_file import require_no_other_table, to_verbalizations, write_parquet

    disable_progress_bars()  # of `datasets`
    adapters = to_adapters(verbalizer_adapter or ())
    if adapters.keys() - {verbalizer}:
        raise InputError(f"--verbalizer-adapter names {', '.join(adapters)}, but --verbalizer is {verbalizer}.")
    to_row_names([verbalizer], adapters)  # says at once where an adapter is missing
    if verbalizer not in VERBALIZER_ROWS and not is_written_by_rule(verbalizer):
        raise InputError(f"{verbalizer!r} does not write text; choose --verbalizer from {', '.join(VERBALIZER_ROWS)}.")
    require_file_place(output)
    if output.suffix != ".parquet":
        raise InputError(f"--output is {output}, but texts are written as Parquet. Use {output.stem}.parquet.")
    require_no_other_table(output)
    with show_status() as say:
        say("Reading the dataset")
        built = BuiltDataset.open(dataset)
        examples = choose_examples(built.examples(split), limit, seed, history_length, discoveries)
        say("Loading the models")
        language_model = load_language_model(model or DEFAULT_BASE_MODEL)
        loaded = load_adapters(adapters, built.items(), built.known_successors())
    writer = loaded.get(verbalizer) or to_verbalizer(verbalizer, built, language_model)
    with show_progress() as report:
        report(verbalizer, "writing", 0, len(examples))
        frame = to_verbalizations(
            examples[EXAMPLE_ID][:],
            examples[HISTORY][:],
            writer,
            language_model.tokenizer,
            lambda done: report(verbalizer, "writing", done, len(examples)),
            examples[FOLD][:],
        )
    write_parquet(frame, output)
    print(f"{len(frame)} texts, {frame['compression'].mean():.2f} of the template's tokens on average: {output}")


@text_app.command()
def show(
    dataset: DatasetArgument,
    verbalizers: Annotated[
        str,
        typer.Option(help="Texts to show side by side, separated by commas; only those that need no language model."),
    ] = "template,successors",
    split: SplitOption = "test",
    number: Annotated[int, typer.Option(min=0, help="Index of the example in the split, from 0.")] = 0,
    history_length: HistoryOption = None,
) -> None:
    """Show one user's log as several texts, side by side.

    [bold]logs2lang show data/ml --verbalizers template,profile,successors --history-length 8[/]
    """
    from datasets import disable_progress_bars
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
    from logs2lang.dataset_builders.dataset_folder.chosen_examples import choose_examples
    from logs2lang.dataset_builders.schema import FOLD, HISTORY

    from ..verbalizers.by_rule import DECISION_RULES, TEXT_RULES, is_written_by_rule, to_rule_verbalizer
    from ..verbalizers.verbalizer import write_and_count

    disable_progress_bars()  # of `datasets`
    names = [name.strip() for name in verbalizers.split(",") if name.strip()]
    if unknown := [name for name in names if not is_written_by_rule(name)]:
        raise InputError(
            f"--verbalizers contains {unknown[0]!r}; choose from {', '.join((*TEXT_RULES, *DECISION_RULES))}. For "
            "texts of a language model see `logs2lang verbalize` and `logs2lang demo`."
        )
    built = BuiltDataset.open(dataset)
    examples = choose_examples(built.examples(split), None, 0, history_length)
    if number >= len(examples):
        raise InputError(
            f"--number is {number}, but the split {split!r} has {len(examples)} examples, counted from 0."
        )
    example = examples[number]
    table = Table(title=f"One user's log, {len(example[HISTORY])} records", show_lines=False)
    texts = []
    for name in names:
        written, _ = write_and_count(to_rule_verbalizer(name, built), [example[HISTORY]], folds=[example[FOLD]])
        table.add_column(f"{name}, {len(written[0])} characters", overflow="fold")
        texts.append(escape(written[0]))
    table.add_row(*texts)
    Console().print(table)
