"""`logs2lang build SOURCE`: one command per source, and the options that all of them share.

The defaults are spelled here a second time, so that `--help` need not import the libraries behind a build; a test
holds them equal to `BuildOptions`.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial, wraps
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from logs2lang.dataset_builders.input_error import InputError

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend as DuckDB

    from logs2lang.dataset_builders.build_options import BuildOptions
    from logs2lang.dataset_builders.builder import OpenEngine
    from logs2lang.dataset_builders.raw_log import RawLog

    Source = Callable[[DuckDB], RawLog]

build_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Turn a log into a dataset that [bold]load_dataset[/] reads."
)

DayFirstOption = Annotated[
    bool | None,
    typer.Option(
        "--day-first/--month-first",
        help="How to read dates such as 03/04/2024; needed only if the log does not settle it.",
    ),
]
EncodingOption = Annotated[
    str | None,
    typer.Option(
        help="Encoding of the text if it is not UTF-8, such as utf-16, cp1250 (Central Europe) or cp1254 (Turkish)."
    ),
]
_MASTER = "local[*]"
_SPLIT, _RUN = "How the log becomes examples", "How the build runs"
_FILTERS = "Which interactions are used (all by default; the dataset card states the filters)"


def build(
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="Folder to write; it must be new, empty or an earlier build. Or a new folder of an object store, "
            "such as s3://datasets/own; with --engine spark also a new private dataset of the Hub, such as "
            "hf://datasets/me/own.",
        ),
    ],
    protocol: Annotated[
        Literal["leave_last_out", "temporal"],
        typer.Option(
            help="Which interactions are targets: the last ones of each user, or those after two cut times.",
            rich_help_panel=_SPLIT,
        ),
    ] = "leave_last_out",
    cuts: Annotated[
        str | None,
        typer.Option(
            metavar="TIME,TIME",
            help="End of training and of validation for `temporal`, as ISO times in UTC; by default the 80% and 90% "
            "quantiles.",
            rich_help_panel=_SPLIT,
        ),
    ] = None,
    candidates: Annotated[
        Literal["popularity", "uniform", "impressions"],
        typer.Option(help="How the candidates other than the target are drawn.", rich_help_panel=_SPLIT),
    ] = "popularity",
    num_candidates: Annotated[
        int,
        typer.Option(
            help="Candidates per example, including the target (2 to 100). Labels A to J allow 10; with more, "
            "reasoners answer by title or tags. To rank the whole catalogue, see `evaluate --num-candidates all`.",
            rich_help_panel=_SPLIT,
        ),
    ] = 10,
    history: Annotated[
        int, typer.Option(help="Maximum number of records in a history (1 to 100).", rich_help_panel=_SPLIT)
    ] = 100,
    min_history: Annotated[
        int | None,
        typer.Option(
            help="Minimum number of interactions of a user before a target; two more are needed to be included, "
            "three more for training. 5 by default, or fewer if the histories of a log are too short to fill "
            "all three splits.",
            rich_help_panel=_SPLIT,
        ),
    ] = None,
    train_targets: Annotated[
        int, typer.Option(help="Maximum number of training examples per user.", rich_help_panel=_SPLIT)
    ] = 4,
    successor_window: Annotated[
        int,
        typer.Option(help="Number of a user's next choices that count as following an item.", rich_help_panel=_SPLIT),
    ] = 10,
    successor_folds: Annotated[
        int,
        typer.Option(
            help="Number of folds of users; the text of a training example uses successors counted without its own "
            "fold.",
            rich_help_panel=_SPLIT,
        ),
    ] = 5,
    num_successors: Annotated[
        int, typer.Option(help="Maximum number of successors of an item.", rich_help_panel=_SPLIT)
    ] = 50,
    ties: Annotated[
        Literal["random", "file"],
        typer.Option(
            help="Order of a user's records with the same time: random by the seed, or as in the file, if that "
            "order is meaningful (a file sorted by item id gives targets away).",
            rich_help_panel=_SPLIT,
        ),
    ] = "random",
    k_core: Annotated[
        int | None,
        typer.Option(
            help="Keep the k-core: users who chose at least so many different items, and items that at least so many "
            "users chose, until both hold. Short for the next two options.",
            rich_help_panel=_FILTERS,
        ),
    ] = None,
    min_user_interactions: Annotated[
        int | None,
        typer.Option(help="Keep only users who chose at least so many different items.", rich_help_panel=_FILTERS),
    ] = None,
    min_item_interactions: Annotated[
        int | None,
        typer.Option(help="Keep only items that at least so many different users chose.", rich_help_panel=_FILTERS),
    ] = None,
    min_value: Annotated[
        float | None,
        typer.Option(help="Keep only choices rated at least so high; unrated ones go.", rich_help_panel=_FILTERS),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Keep what happened at or after this ISO time.", rich_help_panel=_FILTERS),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Keep what happened before this ISO time.", rich_help_panel=_FILTERS),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of all random choices; equal seeds give identical bytes.", rich_help_panel=_SPLIT)
    ] = 0,
    salt: Annotated[
        str | None,
        typer.Option(
            envvar="LOGS2LANG_SALT",
            help="Secret mixed into the user hashes. Set one before publishing a log of real people.",
            rich_help_panel=_SPLIT,
        ),
    ] = None,
    license: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Licence of your own log, as named on the Hub, such as mit or cc-by-4.0.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    redistributable: Annotated[
        bool,
        typer.Option(
            "--redistributable", help="The licence allows publishing the rows; needs --license.", rich_help_panel=_RUN
        ),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first row that would be set aside.", rich_help_panel=_RUN)
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Worker threads; all cores by default.", rich_help_panel=_RUN)
    ] = None,
    memory_limit: Annotated[
        str,
        typer.Option(
            help="Memory limit of DuckDB (with Spark, of DuckDB in each task); the rest is spilled to disk.",
            rich_help_panel=_RUN,
        ),
    ] = "3GB",
    engine: Annotated[
        Literal["duckdb", "spark"],
        typer.Option(
            help="DuckDB on this machine, or Spark for logs that outgrow it (extra `spark`, Java 17); the rows are "
            "the same.",
            rich_help_panel=_RUN,
        ),
    ] = "duckdb",
    master: Annotated[
        str | None,
        typer.Option(
            metavar="MASTER",
            help="Where Spark runs, with --engine spark: local[2] (two cores of this machine), spark://HOST:7077, "
            "yarn or k8s://HOST:PORT. All machines must see the folder of --output. By default local[*].",
            rich_help_panel=_RUN,
        ),
    ] = None,
    *,
    source: "Source",
) -> None:
    """Build a dataset from a source: the common part of all commands in this file."""
    from rich.console import Console

    from logs2lang.dataset_builders.builder import build_dataset
    from logs2lang.dataset_builders.raw_log import own_license

    from ..console.progress import show_status
    from ..evaluation.report import build_table

    options = to_options(
        protocol=protocol,
        candidates=candidates,
        num_candidates=num_candidates,
        history=history,
        min_history=min_history,
        train_targets=train_targets,
        successor_window=successor_window,
        successor_folds=successor_folds,
        num_successors=num_successors,
        cuts=cuts,
        ties=ties,
        k_core=k_core,
        min_user_interactions=min_user_interactions,
        min_item_interactions=min_item_interactions,
        min_value=min_value,
        since=since,
        until=until,
        seed=seed,
        salt=salt,
    )
    if redistributable and license is None:
        raise InputError("--redistributable needs --license: give the licence under which the rows may be shared.")
    own = None if license is None else own_license(license, redistributable)
    if master is not None and engine != "spark":
        raise InputError(f"--master {master} is for Spark; add --engine spark.")
    with show_status() as say, _place_of(output, engine, master, say) as place:
        report = build_dataset(
            source,
            place.path,
            options,
            strict=strict,
            threads=threads,
            memory_limit=memory_limit,
            license=own,
            progress=say,
            engine=None if engine == "duckdb" else _on_spark(master, memory_limit),
        )
    Console().print(build_table(report))
    for note in report["notes"]:
        print(f"Note: {note}")
    for path in place.kept:
        print(f"Note: rows that were set aside are not on the Hub; they are in {path.name}.")
    has_examples = any(split["examples"] for split in report["splits"].values())
    output = place.shown
    print(f"Written: {output}" + _reading(output) * has_examples)
    print(next_step(report, output))


@dataclass(frozen=True)
class _Place:
    """Where a dataset is built: what `build_dataset` writes to, and how the user reads it afterwards."""

    path: str | Path
    shown: str
    kept: Sequence[Path] = ()


@contextmanager
def _place_of(output: str, engine: str, master: str | None, say: Callable[[str], None]) -> Iterator[_Place]:
    """Where to build; a dataset for the Hub is uploaded by executors when the block ends."""
    from logs2lang.dataset_builders.dataset_folder.remote_folder import HUB

    if engine != "spark" or not output.startswith(HUB):
        yield _Place(output, output)
        return
    from ..release.hub_output import repo_of, written_to_hub

    with written_to_hub(output, master or _MASTER, say) as folder:
        yield _Place(folder.path, "/".join(repo_of(output)), folder.kept)


def _reading(output: str) -> str:
    """How a program reads a dataset that was just built."""
    from logs2lang.dataset_builders.remote_files import is_remote

    if is_remote(output):
        return f"; logs2lang.BuiltDataset.open({output!r}).examples('test') reads it."
    return f"; load_dataset({output!r}, 'examples') reads it."


def _on_spark(master: str | None, memory_limit: str) -> "OpenEngine":
    from logs2lang.dataset_builders.spark.spark_engine import on_spark

    return on_spark(master or _MASTER, memory_limit)


def next_step(report: Mapping[str, Any], output: str) -> str:
    """What to do with a dataset that was just built.

    Args:
        report (`dict`): The build report.
        output (`str`): Where the dataset lies.

    Example:
        >>> next_step({"splits": {"test": {"examples": 3}}}, "data/ml")
        'Next: logs2lang evaluate data/ml --output results/ml'
    """
    filled = [split for split in ("test", "validation", "train") if report["splits"].get(split, {}).get("examples")]
    if filled:
        chosen = "" if filled[0] == "test" else f"--split {filled[0]} "
        return f"Next: logs2lang evaluate {output} {chosen}--output results/{PurePosixPath(output).name}"
    skipped = report["counts"]["targets_without_candidates"]
    return (
        f"No examples could be built: {skipped} targets had too few candidates that their user never touched. "
        "Candidates are items that other users of the log chose, so the log of one person has none. Build from a "
        "log of several people, or verbalize this history alone with "
        "logs2lang.dataset_builders.histories.to_histories."
    )


def to_options(
    *,
    cuts: str | None,
    k_core: int | None,
    min_user_interactions: int | None,
    min_item_interactions: int | None,
    since: str | None,
    until: str | None,
    **choices: Any,
) -> "BuildOptions":
    """The choices of a build, as its flags spell them.

    Raises:
        InputError: A flag is not to be read, or out of its range.
    """
    from logs2lang.dataset_builders.build_options import BuildOptions

    return BuildOptions(
        cuts=to_cuts(cuts),
        **to_core(k_core, min_user_interactions, min_item_interactions),
        since=to_time("--since", since),
        until=to_time("--until", until),
        **choices,
    )


SOURCES: dict[str, Callable[..., "Source"]] = {}
"""What chooses each source, by the name of its command."""


def source_command(name: str, **defaults: Any) -> Callable[[Callable[..., "Source"]], Callable[..., None]]:
    """Make a function that chooses a source into a command that builds it, with the options of `build` added.

    Args:
        name (`str`): Name of the command.
        defaults (`Any`): Other defaults for options of `build`, where those of most logs do not fit this one.
    """

    def to_command(choose_source: Callable[..., "Source"]) -> Callable[..., None]:
        SOURCES[name] = choose_source
        shared = [
            option.replace(default=defaults.get(option.name, option.default))
            for option in inspect.signature(build).parameters.values()
        ]
        return build_app.command(name)(with_source(choose_source, build, shared))

    return to_command


def with_source(
    choose_source: Callable[..., "Source"], work: Callable[..., None], options: Sequence[inspect.Parameter]
) -> Callable[..., None]:
    """A command with the options that choose a source and those of the work on it.

    Args:
        choose_source (`Callable`): Returns the source.
        work (`Callable`): Takes `source` and `options`.
        options (`list[inspect.Parameter]`): With their types as Typer reads them; `source` among them is left out.
    """
    own = list(inspect.signature(choose_source).parameters.values())
    shared = [option for option in options if option.name != "source"]

    @wraps(choose_source)
    def command(**values: Any) -> None:
        choice = {option.name: values.pop(option.name) for option in own}
        work(**values, source=choose_source(**choice))

    parameters = [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in (*own, *shared)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {option.name: option.annotation for option in parameters}
    return command


def to_cuts(text: str | None) -> tuple[datetime, datetime] | None:
    """Read `--cuts`.

    Raises:
        InputError: The text is not two ISO times.

    Example:
        >>> [cut.isoformat() for cut in to_cuts("2015-01-01,2015-06-01T12:00Z")]
        ['2015-01-01T00:00:00+00:00', '2015-06-01T12:00:00+00:00']
    """
    if text is None:
        return None
    try:
        first, second = (datetime.fromisoformat(part.strip().replace("Z", "+00:00")) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--cuts is {text!r}; expected two ISO times, such as 2015-01-01,2015-06-01.") from error
    return _in_utc(first), _in_utc(second)


def to_time(flag: str, text: str | None) -> datetime | None:
    """Read one time, in UTC where it does not say.

    Raises:
        InputError: The text is no ISO time.

    Example:
        >>> to_time("--since", "2015-01-01").isoformat()
        '2015-01-01T00:00:00+00:00'
    """
    try:
        return None if text is None else _in_utc(datetime.fromisoformat(text.strip().replace("Z", "+00:00")))
    except ValueError as error:
        raise InputError(f"{flag} is {text!r}; expected an ISO time, such as 2015-01-01.") from error


def to_core(k_core: int | None, of_users: int | None, of_items: int | None) -> dict[str, Any]:
    """The least numbers of interactions that `--k-core` or the two options beside it ask for.

    Raises:
        InputError: Both ways were used, or a core of none was asked for.

    Example:
        >>> to_core(5, None, None)
        {'min_user_interactions': 5, 'min_item_interactions': 5}
    """
    if k_core is not None and (of_users, of_items) != (None, None):
        raise InputError(
            "--k-core is short for --min-user-interactions and --min-item-interactions; give it, or give those."
        )
    if k_core is not None and k_core < 1:
        raise InputError(f"--k-core is {k_core}; expected at least 1.")
    least = (of_users, of_items) if k_core is None else (k_core, k_core)
    return dict(zip(("min_user_interactions", "min_item_interactions"), least, strict=True))


def _in_utc(time: datetime) -> datetime:
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)


@source_command("movielens-100k")
def movielens_100k() -> "Source":
    """MovieLens-100K: 100,000 film ratings, downloaded automatically. For research; its rows may not be redistributed.

    [bold]logs2lang build movielens-100k --output data/ml[/]
    """
    from logs2lang.dataset_builders.sources.movielens import read_movielens

    return partial(read_movielens, variant="100k")


@source_command("movielens")
def movielens(
    folder: Annotated[Path, typer.Option(help="Folder with the unpacked files.")],
    variant: Annotated[
        Literal["100k", "1m", "latest-small", "20m", "25m", "32m"] | None,
        typer.Option(help="MovieLens version; by default detected from the files and the name of the folder."),
    ] = None,
) -> "Source":
    """A MovieLens download that you unpacked yourself.

    [bold]logs2lang build movielens --folder ml-1m --output data/ml-1m[/]
    """
    from logs2lang.dataset_builders.sources.movielens import read_movielens

    return partial(read_movielens, variant=variant, folder=folder)


@source_command("movietweetings")
def movietweetings(
    folder: Annotated[
        Path | None,
        typer.Option(help="Folder with ratings.dat and movies.dat; by default they are downloaded and verified."),
    ] = None,
) -> "Source":
    """MovieTweetings-100K: ratings tweeted by people as they watched. Times are real, and the rows may be published.

    [bold]logs2lang build movietweetings --output data/mt[/]
    """
    from logs2lang.dataset_builders.sources.movietweetings import read_movietweetings

    return partial(read_movietweetings, folder=folder)


@source_command("tabular")
def tabular(
    interactions: Annotated[
        str,
        typer.Option(
            help="CSV, TSV, .dat, JSON lines, RecBole or Parquet file (also .gz), or a quoted glob: one row per "
            "interaction. Also in an object store: 's3://logs/day=*/*.parquet'."
        ),
    ],
    items: Annotated[
        str | None,
        typer.Option(
            help="The same for the catalogue, or the log itself if it has titles. Without it, ids are used as titles."
        ),
    ] = None,
    column_map: Annotated[
        str | None,
        typer.Option(
            "--map",
            metavar="OURS=YOURS,...",
            help="Names of your interaction columns; common names are recognised. value=- leaves an optional column "
            "out; duration_s=COLUMN:ms specifies a unit (ms, s, min, h).",
        ),
    ] = None,
    item_map: Annotated[
        str | None, typer.Option("--map-items", metavar="OURS=YOURS,...", help="Names of your catalogue's columns.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="YAML file with `interactions`, `items`, `time_format`, `tag_separator`.")
    ] = None,
    time_format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FORMAT",
            help="Format of times: auto (the default), seconds, milliseconds, microseconds or nanoseconds since "
            "1970, iso, spreadsheet (days since 1899-12-30), or a format for Python's strptime, such as "
            "'%d.%m.%Y %H:%M'.",
        ),
    ] = None,
    tag_separator: Annotated[str | None, typer.Option(help="Separator of tags in one text; | by default.")] = None,
    day_first: DayFirstOption = None,
    encoding: EncodingOption = None,
    column_names: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="NAME,NAME",
            help="Column names of a log without a header line, in the order of the file; - leaves a column out: "
            "user_id,timestamp,-,item_id.",
        ),
    ] = None,
    item_column_names: Annotated[
        str | None,
        typer.Option("--columns-items", metavar="NAME,NAME", help="The same for a catalogue without a header line."),
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What separates the values of a line, such as :: or '\\t'; by default found among , ; | :: and tab.",
        ),
    ] = None,
    item_separator: Annotated[
        str | None, typer.Option("--separator-items", metavar="TEXT", help="The same for the catalogue.")
    ] = None,
    explode: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN,...",
            help="Column whose lists hold the interactions of a row, such as events; several columns if their lists "
            "run in parallel.",
        ),
    ] = None,
    order: Annotated[
        Literal["time", "file"],
        typer.Option(help="Use file for a log without times whose records are in chronological order."),
    ] = "time",
    name: Annotated[str, typer.Option(help="Name of the dataset.")] = "tabular",
) -> "Source":
    """Your own log. Columns: user_id, item_id, timestamp; optionally event, duration_s, value, device.

    A catalogue has item_id and any of title, year, tags, series, description.

    [bold]logs2lang build tabular --interactions log.csv --map user_id=uid,item_id=film --output data/own[/]
    """
    from logs2lang.dataset_builders.sources.tabular import TabularMapping, read_mapping, read_tabular

    written = read_mapping(mapping) if mapping is not None else TabularMapping()
    if time_format is not None:
        written = replace(written, time_format=time_format)
    return partial(
        read_tabular,
        interactions=interactions,
        items=items,
        columns={**written.interactions, **to_map("--map", column_map)},
        item_columns={**written.items, **to_map("--map-items", item_map)},
        time_format=written.time_format,
        tag_separator=tag_separator or written.tag_separator,
        day_first=day_first,
        encoding=encoding,
        header=to_header("--columns", column_names),
        items_header=to_header("--columns-items", item_column_names),
        separator=separator,
        items_separator=item_separator,
        explode=tuple(to_header("--explode", explode) or ()),
        order=order,
        name=name,
    )


def to_map(flag: str, text: str | None) -> dict[str, str]:
    """Read `OURS=YOURS,OURS=YOURS`.

    Raises:
        InputError: A part has no `=`, or one of its sides is empty.

    Example:
        >>> to_map("--map", "user_id=uid, item_id=Film Title")
        {'user_id': 'uid', 'item_id': 'Film Title'}
    """
    pairs = [part.partition("=") for part in text.split(",")] if text else []
    for ours, sign, theirs in pairs:
        if not (ours.strip() and sign and theirs.strip()):
            raise InputError(f"{flag} has {ours + sign + theirs!r}; expected OURS=YOURS, such as user_id=uid.")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def to_header(flag: str, text: str | None) -> list[str] | None:
    """Read `NAME,NAME`.

    Raises:
        InputError: A name is empty.

    Example:
        >>> to_header("--columns", "user_id, timestamp,-,item_id")
        ['user_id', 'timestamp', '-', 'item_id']
    """
    names = None if text is None else [name.strip() for name in text.split(",")]
    if names is not None and not all(names):
        raise InputError(f"{flag} has an empty name in {text!r}; write - for a column to leave out.")
    return names


@source_command("amazon-reviews-2023")
def amazon_reviews_2023(
    category: Annotated[str, typer.Option(help="Category of products, such as All_Beauty or Video_Games.")],
    reviews: Annotated[
        Literal["5core", "raw"],
        typer.Option(help="Reviews of users and products with five or more (CATEGORY.csv), or all (CATEGORY.jsonl)."),
    ] = "5core",
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder with that file and meta_CATEGORY.jsonl, also as .gz; by default they come from the Hub."
        ),
    ] = None,
) -> "Source":
    """Amazon Reviews 2023: one category of products. For research; its rows may not be redistributed.

    [bold]logs2lang build amazon-reviews-2023 --category Video_Games --output data/games[/]
    """
    from logs2lang.dataset_builders.sources.amazon_reviews import read_amazon_reviews

    return partial(read_amazon_reviews, category=category, reviews=reviews, folder=folder)


@source_command("mind", candidates="impressions")
def mind(
    folder: Annotated[
        Path,
        typer.Option(
            help="Folder with behaviors.tsv and news.tsv, or the folder above MINDsmall_train and MINDsmall_dev."
        ),
    ],
) -> "Source":
    """MIND: news that readers were shown and clicked; the others shown are the candidates. For research only.

    Clicks from before the log have no time: they are placed before it, a second apart, in their order.

    [bold]logs2lang build mind --folder MINDsmall --output data/mind[/]
    """
    from logs2lang.dataset_builders.sources.mind import read_mind

    return partial(read_mind, folder=folder)


@source_command("kuairand")
def kuairand(
    folder: Annotated[Path, typer.Option(help="Folder of KuaiRand-Pure, KuaiRand-1K or KuaiRand-27K.")],
) -> "Source":
    """KuaiRand: short videos, how long they were watched, and which were only shown (--candidates impressions).

    [bold]logs2lang build kuairand --folder KuaiRand-Pure --output data/kuairand[/]
    """
    from logs2lang.dataset_builders.sources.kuairand import read_kuairand

    return partial(read_kuairand, folder=folder)


@source_command("yambda")
def yambda(
    size: Annotated[Literal["50m", "500m", "5b"], typer.Option(help="Number of events of the data set.")] = "50m",
    layout: Annotated[
        Literal["flat", "sequential"], typer.Option(help="Files to read: a row per event, or a row per user.")
    ] = "flat",
    events: Annotated[Literal["listens", "likes"], typer.Option(help="What users did.")] = "listens",
    folder: Annotated[
        Path | None, typer.Option(help="Copy of the repository, or of its files; by default they come from the Hub.")
    ] = None,
) -> "Source":
    """Yambda: tracks that users of a music service chose or were recommended, and how much of them they played.

    [bold]logs2lang build yambda --size 50m --output data/yambda[/]
    """
    from logs2lang.dataset_builders.sources.yambda import read_yambda

    return partial(read_yambda, size=size, layout=layout, events=events, folder=folder)


@source_command("lastfm-1k")
def lastfm_1k(
    folder: Annotated[Path, typer.Option(help="Folder of the unpacked lastfm-dataset-1K.")],
) -> "Source":
    """Last.fm-1K: all that nearly a thousand people listened to, with repeats. For non-commercial use.

    [bold]logs2lang build lastfm-1k --folder lastfm-dataset-1K --output data/lastfm[/]
    """
    from logs2lang.dataset_builders.sources.lastfm import read_lastfm_1k

    return partial(read_lastfm_1k, folder=folder)


@source_command("otto")
def otto(
    folder: Annotated[Path, typer.Option(help="Folder with otto-recsys-train.jsonl.")],
) -> "Source":
    """OTTO: clicks, carts and orders of a web shop, each session a user. Its rows may be published.

    [bold]logs2lang build otto --folder otto-recsys --output data/otto[/]
    """
    from logs2lang.dataset_builders.sources.otto import read_otto

    return partial(read_otto, folder=folder)


@source_command("viewing-history")
def viewing_history(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Your export: Netflix, Spotify, YouTube, Letterboxd or Trakt.")
    ],
    profile: Annotated[
        str | None, typer.Option(help="Only this profile of the account; by default all profiles.")
    ] = None,
    day_first: DayFirstOption = None,
    encoding: EncodingOption = None,
) -> "Source":
    """A personal viewing or listening history, as exported by the service. Everything stays on this machine.

    [bold]logs2lang build viewing-history ViewingActivity.csv --profile Ann --output data/ann[/]
    """
    from logs2lang.dataset_builders.sources.viewing_history import read_viewing_history

    return partial(read_viewing_history, path=path, profile=profile, day_first=day_first, encoding=encoding)


@source_command("streaming-simulation")
def streaming_simulation(
    events: Annotated[int, typer.Option(help="Approximate number of log records.")] = 100_000,
    accounts: Annotated[int, typer.Option(help="Number of accounts (user ids); one or two people use each.")] = 1_000,
    films: Annotated[int, typer.Option(help="Number of films in the catalogue.")] = 700,
    series: Annotated[
        int, typer.Option(help="Number of series in the catalogue, each with seasons and episodes.")
    ] = 500,
    difficulty: Annotated[
        float,
        typer.Option(
            help="0 to 1: at 0 taste almost determines what is watched, at 1 no recommender can beat chance."
        ),
    ] = 0.5,
    noise_share: Annotated[float, typer.Option(help="Share of the records that say nothing about taste.")] = 0.25,
    binge: Annotated[
        float, typer.Option(help="Probability, after each play, that the same work is continued.")
    ] = 0.45,
    returns: Annotated[float, typer.Option(help="Share of the sessions that return to an earlier work.")] = 0.25,
    households: Annotated[float, typer.Option(help="Share of the accounts used by two people.")] = 0.3,
    drift: Annotated[float, typer.Option(help="How much of a taste is new after 30 days.")] = 0.15,
    days: Annotated[int, typer.Option(help="Length of the log.")] = 180,
    simulation_seed: Annotated[int, typer.Option(help="Seed of the simulation; --seed is for the examples.")] = 0,
) -> "Source":
    """A simulated streaming service whose noise and tastes are known, so that every score has a ceiling.

    [bold]logs2lang build streaming-simulation --events 1000000 --accounts 10000 --output data/simulation[/]
    """
    from logs2lang.dataset_builders.sources.streaming_simulation import SimulationConfig, read_streaming_simulation

    config = SimulationConfig(
        events=events,
        accounts=accounts,
        films=films,
        series=series,
        difficulty=difficulty,
        noise_share=noise_share,
        binge=binge,
        returns=returns,
        households=households,
        drift=drift,
        days=days,
        seed=simulation_seed,
    )
    return partial(read_streaming_simulation, config=config)
