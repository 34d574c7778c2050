"""`logs2lang evaluate` and `logs2lang verbalize`: what texts are worth, and the texts themselves."""

import json
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from logs2lang.dataset_builders.input_error import InputError

from .measure_help import MEASURE_LINES

text_app = typer.Typer()

TABLES = ("main", "ranks", "discoveries", "behaviour", "costs", "groups", "seeds")

_RAY = "Ray"

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
VerbalizerOption = Annotated[
    str,
    typer.Option(
        help="Verbalizer: template, profile, successors, zero_shot, action, rewrite or student (these need an adapter "
        "or a folder), or a decision rule such as action:next or action:newest-3."
    ),
]
PrecisionOption = Annotated[
    Literal["highest", "high", "medium"],
    typer.Option(
        help="Precision of matrix products in float32. medium: left to oneDNN, which is faster and may round to "
        "bfloat16, on processors with instructions for it (AMX or AVX512-BF16); scores may change slightly."
    ),
]


@text_app.command(epilog="\n\n".join(("Measures, in results.json and results.md:", *MEASURE_LINES)))
def evaluate(
    dataset: DatasetArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for results.json, the table and the charts.")],
    rows: Annotated[
        str,
        typer.Option(
            help="Rows of the table: template, profile, successors, zero_shot, action, rewrite, student; decision "
            "rules (action:random, action:keep, action:detail, action:next, action:newest-3, action:strongest-3, or "
            "lists:next and so on for a text of two lists); classical recommenders, or `baselines` for all of them."
        ),
    ] = DEFAULT_ROWS,
    split: SplitOption = "test",
    limit: LimitOption = None,
    num_candidates: Annotated[
        Literal["built", "all"],
        typer.Option(
            help="built: the candidates of the examples. all: every item of the catalogue that was in the log at that "
            "time and that the user never touched; reasoners then answer by title or tags, in passes of 64 items."
        ),
    ] = "built",
    verbalizer_adapter: AdapterOption = None,
    texts: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE_OR_FOLDER",
            help="A further row, of texts that are there already: the file that `logs2lang verbalize` wrote, or the "
            "folder of its --engine ray. May be given several times.",
        ),
    ] = None,
    reasoner: ModelOption = None,
    answer: Annotated[
        Literal["label", "title", "tags", "generate", "embedding"] | None,
        typer.Option(
            help="Answer mode of the reasoner: ten labels, ten titles, the tags of ten items (each in one forward "
            "pass), free text, or embedding: the similarity of text and candidate by a model of "
            "sentence-transformers. By default the mode it was trained with, else title, or label on a server."
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
    k: Annotated[
        str | None,
        typer.Option(metavar="K,K", help="Cut-offs of recall, NDCG and MRR; 1,3,5,10 by default."),
    ] = None,
    reverse_candidates: Annotated[
        bool,
        typer.Option(
            "--reverse-candidates",
            help="Show the candidates in reversed order: what changes then depends on places and not on content.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed for choosing examples, breaking ties and the bootstrap.")] = 0,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="SEED,SEED",
            help="Also run what chance decides once per seed, and show the spread: the training of sasrec and "
            "sasrec-lift, the decisions of action:random and lists:random, and the order of the candidates where the "
            "reasoner answers by label or generate.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="ROW", help="Compare all other rows with this one: intervals, and p-values by Holm."),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            metavar="ROWS", help="Rows of the reliability plot; by default all whose picks have probabilities."
        ),
    ] = None,
    tables: Annotated[
        str,
        typer.Option(
            help="Tables to print, separated by commas: main, ranks, discoveries, behaviour, costs, groups, seeds. "
            "results.md and results.tex hold all of them."
        ),
    ] = "main",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start from scratch and replace earlier results in the folder.")
    ] = False,
    matmul_precision: PrecisionOption = "highest",
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

    [bold]logs2lang evaluate data/ml --rows template --texts bulk=texts/ml --output results/ml[/]
    """
    from dataclasses import replace

    from datasets import disable_progress_bars

    from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
    from logs2lang.dataset_builders.dataset_folder.output_paths import require_folder_place

    from ..console.exit_codes import UNFINISHED
    from ..console.progress import show_progress, show_status
    from ..evaluation.catalogue_evaluation import evaluate_catalogue
    from ..evaluation.evaluation import RowsLeftError, evaluate_rows
    from ..evaluation.table_rows import CEILING_ROW, needs_reasoner, to_row_names, to_text_places
    from ..models.accelerators import set_matmul_precision
    from ..verbalizers.learned import load_adapters, to_adapters
    from ..verbalizers.written_texts import text_files

    disable_progress_bars()  # of `datasets`; ours say which row is at work
    adapters = to_adapters(verbalizer_adapter or ())
    places = to_text_places(texts or ())
    names = to_row_names([*rows.split(","), *adapters, *places], [*adapters, *places])
    wanted = _wanted_tables(tables)
    calibrated = _wanted_calibration(calibration, names)
    cut_offs, several = _to_numbers(k, "--k"), _to_numbers(seeds, "--seeds") or []
    of_drawn = {"cut_offs": cut_offs, "seeds": several, "against": against}
    if num_candidates == "all" and any(of_drawn.values()):
        raise InputError("--k, --seeds and --against need drawn candidates. Leave them out, or --num-candidates all.")
    run, own = (evaluate_catalogue, {}) if num_candidates == "all" else (evaluate_rows, of_drawn)
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
        built = replace(built, reverse_candidates=reverse_candidates) if reverse_candidates else built
        if rows == DEFAULT_ROWS and built.truth("tastes") is not None:
            names.append(CEILING_ROW)
        for place in places.values():
            text_files(place, split)  # before models are loaded for nothing
        say("Loading the models")
        set_matmul_precision(matmul_precision)
        verbalizers = load_adapters(adapters, built.items(), built.known_successors())
        model = (remote or _load_reasoner(reasoner, answer, seed, told or None)) if needs_reasoner(names) else None
    try:
        with show_progress() as report:
            results = run(
                built,
                names,
                split=split,
                limit=limit,
                reasoner=model,
                verbalizers=verbalizers,
                texts=places,
                history_length=history_length,
                discoveries=discoveries,
                seed=seed,
                output=output,
                overwrite=overwrite,
                command=shlex.join(["logs2lang", *sys.argv[1:]]),
                created=datetime.now(timezone.utc),
                progress=report,
                minutes=minutes,
                **own,
            )
    except RowsLeftError as stop:
        print(f"{stop} The same command resumes there.", file=sys.stderr)
        raise typer.Exit(UNFINISHED) from None
    _show(results.document(), output, wanted, calibrated)
    if remote is not None:
        counts = ", ".join(f"{name} {count:g}" for name, count in remote.spending.counts().items())
        ledger = remote.spending.ledger
        print(f"Endpoint: {counts}. All runs of this folder: {ledger.read()} ({ledger.file}).")


def _refuse_to_replace(output: Path) -> None:
    """Refuse a folder with files of the names that an evaluation writes, which no evaluation wrote."""
    from ..evaluation.charts import CHART_FILES
    from ..evaluation.report import LATEX_FILE, RESULTS_TABLE_FILE
    from ..evaluation.results import PREDICTIONS_FILE, RESULTS_FILE, is_predictions

    if (output / RESULTS_FILE).exists():
        return  # read before anything is written, and refused where it is of another kind
    found = [name for name in (RESULTS_TABLE_FILE, LATEX_FILE, *CHART_FILES) if (output / name).exists()]
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
    if answer == "embedding":
        raise InputError("--answer embedding is computed on this machine; leave out --endpoint and --endpoint-model.")
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

    if answer == "embedding":
        from ..reasoners.embedding import EmbeddingReasoner

        if told:
            raise InputError("--answer embedding uses no chat template; leave out its arguments.")
        return EmbeddingReasoner.from_pretrained(name, seed=seed)
    from ..models.language_models import DEFAULT_BASE_MODEL
    from ..reasoners.local import LocalReasoner

    reasoner = LocalReasoner.from_pretrained(name or DEFAULT_BASE_MODEL, answer=answer, chat_template_kwargs=told)
    return replace(reasoner, seed=seed)


def _to_numbers(text: str | None, option: str) -> list[int] | None:
    """Whole numbers, separated by commas.

    Example:
        >>> _to_numbers("1, 10", "--k"), _to_numbers(None, "--k")
        ([1, 10], None)
    """
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    try:
        return list(dict.fromkeys(int(word) for word in words))
    except ValueError:
        raise InputError(
            f"{option} is {text!r}; give whole numbers, separated by commas, such as {option} 1,3,5."
        ) from None


def _wanted_tables(text: str) -> list[str]:
    from logs2lang.dataset_builders.input_error import did_you_mean

    names = list(filter(None, map(str.strip, text.split(","))))
    for name in names:
        if name not in TABLES:
            hint = did_you_mean(name, TABLES, f"Choose from {', '.join(TABLES)}.")
            raise InputError(f"--tables has {name!r}, which is no table. {hint}")
    return names


def _wanted_calibration(text: str | None, rows: Sequence[str]) -> list[str] | None:
    """The rows of the reliability plot; refuses at once those that are not there or never have probabilities."""
    from ..baselines import BASELINES
    from ..evaluation.calibration import no_probabilities
    from ..evaluation.table_rows import CEILING_ROW

    if text is None:
        return None
    names = list(filter(None, map(str.strip, text.split(","))))
    for name in names:
        if name in BASELINES or name == CEILING_ROW:
            raise no_probabilities(name)
        if name not in rows:
            raise InputError(f"--calibration names the row {name!r}, which is not in this table. Add it to --rows.")
    return names


def _show(document: dict[str, Any], output: Path, tables: list[str], calibrated: list[str] | None) -> None:
    """Print tables, and write all of them and the charts beside results.json."""
    from rich.console import Console

    from ..evaluation.charts import write_charts
    from ..evaluation.report import remarks, terminal_table, terminal_tables, write_latex, write_table
    from ..evaluation.results import COMPARISON, RESULTS_FILE
    from ..evaluation.table_columns import further_tables

    written = [write_table(document, output), write_latex(document, output)]
    files = [output / RESULTS_FILE, *written, *write_charts(document, output, calibrated)]
    further = further_tables(document)
    console = Console()
    if "main" in tables:
        console.print(terminal_table(document))
    for name in [*tables, COMPARISON]:
        if name in further:
            console.print(*terminal_tables(further[name], console.width), sep="\n")
        elif name in ("costs", "seeds", "groups"):
            print(f"Note: there is nothing to show in the table {name!r}: no row has these measures.")
    for remark in remarks(document):
        print(f"Note: {remark}")
    print("Written: " + ", ".join(map(str, files)))


def chosen_adapters(verbalizer: str, words: list[str] | None) -> dict[str, str]:
    """The adapters that go with the one verbalizer that is to write texts.

    Raises:
        InputError: It writes no text, lacks an adapter, or the adapter is one for another verbalizer.
    """
    from ..evaluation.table_rows import VERBALIZER_ROWS, to_row_names
    from ..verbalizers.by_rule import is_written_by_rule
    from ..verbalizers.learned import to_adapters

    adapters = to_adapters(words or ())
    if adapters.keys() - {verbalizer}:
        raise InputError(f"--verbalizer-adapter names {', '.join(adapters)}, but --verbalizer is {verbalizer}.")
    to_row_names([verbalizer], adapters)  # says at once where an adapter is missing
    if verbalizer not in VERBALIZER_ROWS and not is_written_by_rule(verbalizer):
        raise InputError(f"{verbalizer!r} does not write text; choose --verbalizer from {', '.join(VERBALIZER_ROWS)}.")
    return adapters


@text_app.command()
def verbalize(
    dataset: DatasetArgument,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Parquet file to write; with --engine ray a folder, for one file per shard."
        ),
    ],
    verbalizer: VerbalizerOption = "template",
    verbalizer_adapter: AdapterOption = None,
    split: SplitOption = "test",
    limit: LimitOption = None,
    model: ModelOption = None,
    history_length: HistoryOption = None,
    discoveries: DiscoveriesOption = False,
    seed: Annotated[int, typer.Option(help="Seed for choosing examples.")] = 0,
    matmul_precision: PrecisionOption = "highest",
    engine: Annotated[
        Literal["here", "ray"],
        typer.Option(
            help="here: this process. ray: actors of Ray Data (extra `ray`), for more texts than one process can "
            "write.",
            rich_help_panel=_RAY,
        ),
    ] = "here",
    address: Annotated[
        str | None,
        typer.Option(
            metavar="auto|HOST:PORT",
            help="The Ray cluster: auto for the one that this machine is part of, or HOST:PORT of its head. All its "
            "machines must see the folders of DATASET and --output, and have logs2lang. By default a Ray of this "
            "machine alone, for this run.",
            rich_help_panel=_RAY,
        ),
    ] = None,
    actors: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that write; by default one per CPU, or, for a language model, per GPU if there is any.",
            rich_help_panel=_RAY,
        ),
    ] = None,
    shard_rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Most texts of a shard; by default 10,000, or 512 for a language model. What is lost where an actor "
            "dies is the shard that it was writing.",
            rich_help_panel=_RAY,
        ),
    ] = None,
    vllm: Annotated[
        bool,
        typer.Option(
            "--vllm",
            help="Let vLLM run the language model of zero_shot, action or rewrite, one engine per GPU. The shards are "
            "those of a run without it, and each kind of run continues the other; a few texts may differ, as numbers "
            "are rounded elsewhere.",
            rich_help_panel=_RAY,
        ),
    ] = False,
) -> None:
    """Write the histories of a dataset as text: one row per example, with its length in tokens.

    With --engine ray, the texts of a split are written as shards, such as test-00000-of-00003.parquet, into a folder
    that `load_dataset` reads. The same command resumes: a shard that is there is not written again. The text of an
    example that fails is missing, and the column `error` says why. `logs2lang evaluate --texts` and `texts` of a
    reasoner's recipe read files and folders.

    [bold]logs2lang verbalize data/ml --verbalizer profile --limit 20 --output texts.parquet[/]

    [bold]logs2lang verbalize data/ml --verbalizer successors --split train --engine ray --output texts/ml[/]

    [bold]logs2lang verbalize data/ml --verbalizer zero_shot --engine ray --vllm --output texts/zero-shot[/]
    """
    if engine == "ray":
        _verbalize_on_ray(
            dataset,
            output,
            verbalizer,
            chosen_adapters(verbalizer, verbalizer_adapter),
            {"split": split, "history_length": history_length, "matmul_precision": matmul_precision},
            model,
            {"limit": limit, "discoveries": discoveries, "seed": seed, "shard_rows": shard_rows},
            {"address": address, "actors": actors, "vllm": vllm},
        )
        return
    for name, given in {"--address": address, "--actors": actors, "--shard-rows": shard_rows}.items():
        if given is not None:
            raise InputError(f"{name} {given} is for Ray; add --engine ray.")
    if vllm:
        raise InputError("--vllm is for Ray; add --engine ray.")
    from datasets import disable_progress_bars

    from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
    from logs2lang.dataset_builders.dataset_folder.chosen_examples import choose_examples
    from logs2lang.dataset_builders.dataset_folder.output_paths import require_file_place
    from logs2lang.dataset_builders.schema import EXAMPLE_ID, FOLD, HISTORY

    from ..console.progress import show_progress, show_status
    from ..evaluation.table_rows import to_verbalizer
    from ..models.accelerators import set_matmul_precision
    from ..models.language_models import DEFAULT_BASE_MODEL, load_language_model
    from ..verbalizers.learned import load_adapters
    from ..verbalizers.text_record import examples_record, writer_record
    from ..verbalizers.verbalization_file import require_no_other_table, to_verbalizations, write_parquet

    disable_progress_bars()  # of `datasets`
    adapters = chosen_adapters(verbalizer, verbalizer_adapter)
    require_file_place(output)
    if output.suffix != ".parquet":
        raise InputError(f"--output is {output}, but texts are written as Parquet. Use {output.stem}.parquet.")
    require_no_other_table(output)
    with show_status() as say:
        say("Reading the dataset")
        built = BuiltDataset.open(dataset)
        examples = choose_examples(built.examples(split), limit, seed, history_length, discoveries)
        say("Loading the models")
        set_matmul_precision(matmul_precision)
        model = model or DEFAULT_BASE_MODEL
        language_model = load_language_model(model)
        loaded = load_adapters(adapters, built.items(), built.known_successors())
    writer = loaded.get(verbalizer) or to_verbalizer(verbalizer, built, language_model)
    record = {
        **examples_record(built, split, limit, discoveries, seed),
        **writer_record(built, verbalizer, adapters.get(verbalizer), model, history_length),
    }
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
    write_parquet(frame, output, record)
    print(f"{len(frame)} texts, {frame['compression'].mean():.2f} of the template's tokens on average: {output}")


def _verbalize_on_ray(
    dataset: str,
    output: Path,
    verbalizer: str,
    adapters: dict[str, str],
    settings: dict[str, Any],
    model: str | None,
    choice: dict[str, Any],
    cluster: dict[str, Any],
) -> None:
    from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
    from logs2lang.dataset_builders.dataset_folder.output_paths import require_folder_place

    from ..bulk.bulk_texts import write_bulk_texts
    from ..bulk.shard_writer import Writing
    from ..console.progress import show_progress
    from ..models.language_models import DEFAULT_BASE_MODEL

    require_folder_place(output)
    built = BuiltDataset.open(dataset)
    writing = Writing(
        dataset=built.folder.absolute(),
        verbalizer=verbalizer,
        adapter=_as_seen_elsewhere(adapters.get(verbalizer)),
        model=_as_seen_elsewhere(model) or DEFAULT_BASE_MODEL,
        **settings,
    )
    with show_progress() as report:
        done = write_bulk_texts(
            built,
            output,
            writing,
            progress=lambda finished, total: report(verbalizer, "writing", finished, total),
            **choice,
            **cluster,
        )
    if done.compression is None:
        raise InputError(f"None of the {done.failed} texts could be written, such as: {done.error}.")
    average = f"{done.compression:.2f} of the template's tokens on average"
    print(f"{done.texts} texts, {average}: {output}, {done.shards} shards, {done.written} of them written now")
    if done.failed:
        print(f"{done.failed} rows have an error in place of a text, such as: {done.error}", file=sys.stderr)


def _as_seen_elsewhere(name: str | None) -> str | None:
    """A model as another process finds it, which runs in another folder."""
    return str(Path(name).absolute()) if name is not None and Path(name).is_dir() else name


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
