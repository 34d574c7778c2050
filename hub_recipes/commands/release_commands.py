"""`logs2lang publish`, `cards` and `jobs`: what turns a checkout into a release."""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from logs2lang.dataset_builders.input_error import InputError

if TYPE_CHECKING:
    from ..release.plan import ReleasePlan

release_app = typer.Typer()
cards_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="The cards of adapters and datasets, and the sources they are rendered from.",
)
release_app.add_typer(cards_app, name="cards")

CardFolder = Annotated[
    Path | None,
    typer.Argument(help="An adapter, a built dataset, or a folder that contains several; model_cards by default."),
]


@release_app.command()
def publish(
    namespace: Annotated[str, typer.Option(help="User or organisation on the Hub.")],
    only: Annotated[
        list[str] | None,
        typer.Option(help="Names of repositories, or datasets, adapters, metric, demo; may be repeated."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the plan and stop. With a token, also ask the Hub which files would be deleted.",
        ),
    ] = False,
    private: Annotated[bool, typer.Option("--private", help="Make new repositories private.")] = False,
    tag: Annotated[str | None, typer.Option(help="Name of the release; by default v and the version.")] = None,
    create_pr: Annotated[
        bool, typer.Option("--create-pr", help="Open pull requests; nothing is tagged, and no Collection is created.")
    ] = False,
    data: Annotated[Path, typer.Option(help="Folder with built datasets.")] = Path("data"),
    adapters: Annotated[Path, typer.Option(help="Folder with released adapters and their results.")] = Path(
        "model_cards"
    ),
) -> None:
    """Publish datasets, adapters, metric and demo, each in one commit, tagged, with cards that link to each other.

    Your datasets and adapters are published. The metric and the demo are included in a checkout of logs2lang, or if
    --only names them. A repository of the same name that logs2lang did not publish is never overwritten.

    The token is read from HF_TOKEN or `hf auth login`. A second run uploads nothing; an interrupted run resumes.

    [bold]logs2lang publish --namespace me --dry-run[/]
    """
    from huggingface_hub import constants, get_token
    from rich.console import Console

    from ..console.progress import show_status
    from ..release.checks import check_release
    from ..release.plan import Links, check_place, is_checkout, plan_release

    check_place(namespace, data, adapters)
    token = get_token()
    with show_status() as say:
        say("Reading the files to publish")
        plan = plan_release(
            Links(namespace, constants.ENDPOINT),
            tag or f"v{version('logs2lang')}",
            data=data,
            adapters=adapters,
            only=[name.strip() for names in only or [] for name in names.split(",")],
            with_spaces=is_checkout(Path.cwd()),
        )
    # Names are long, and a file or a pipe has no width that they would have to be folded to.
    Console(width=None if sys.stdout.isatty() else 160).print(plan_table(plan))
    for line in plan_notes(plan):
        print(line)
    with show_status() as say:
        say("Checking the cards and their links")
        check_release(plan.repos, plan.links, token)
    if dry_run:
        print("\n".join(_deletion_lines(plan, token, private, create_pr)))
        print("Nothing was uploaded. Without --dry-run, the plan above is pushed.")
        return
    if token is None:
        raise InputError(
            "There is no token for the Hub. Set HF_TOKEN to one with write access, or run `hf auth login`."
        )
    _push(plan, token, private, create_pr)


def _push(plan: "ReleasePlan", token: str, private: bool, create_pr: bool) -> None:
    from huggingface_hub import HfApi

    from ..console.progress import show_status
    from ..release.publishing import Publisher

    print("\n".join(_deletion_lines(plan, token, private, create_pr)))
    with show_status() as say:
        api = HfApi(plan.links.endpoint, token=token)
        for done in Publisher(api, plan, private, create_pr, tell=say).publish():
            print(f"{done.outcome}: {done.page} at {done.revision[:12]}")


def _deletion_lines(plan: "ReleasePlan", token: str | None, private: bool, create_pr: bool) -> list[str]:
    """What publishing would delete on the Hub, file by file."""
    from huggingface_hub import HfApi

    from ..console.progress import show_status
    from ..release.publishing import Publisher

    if token is None:
        return [
            (
                "The files that would be deleted on the Hub are unknown, because there is no token (HF_TOKEN or `hf "
                "auth login`)."
            )
        ]
    with show_status() as say:
        api = HfApi(plan.links.endpoint, token=token)
        found = Publisher(api, plan, private, create_pr, tell=say).deletions()
    lines = [f"Deleted on the Hub: {repo_id}/{path}" for repo_id, paths in found.items() for path in paths]
    return lines or ["Nothing is deleted on the Hub."]


def plan_table(plan: "ReleasePlan") -> Any:
    """The plan as a rich table: each repository with the number and the size of its files.

    Args:
        plan ([`ReleasePlan`]): What is about to be pushed.
    """
    from rich.table import Table

    from ..release.plan import size_phrase, total_size

    table = Table(title=f"Release {plan.tag} to {plan.links.endpoint}", title_justify="left")
    for heading, justify in (("Repository", "left"), ("Type", "left"), ("Files", "right"), ("Size", "right")):
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    of_repos = {plan.repo_id(repo): (repo.repo_type, repo.files(plan.links)) for repo in plan.repos}
    for repo_id, (repo_type, files) in of_repos.items():
        table.add_row(repo_id, repo_type, str(len(files)), size_phrase(total_size(files)))
    everything = [file for _, files in of_repos.values() for file in files]
    table.add_section()
    table.add_row("total", "", str(len(everything)), size_phrase(total_size(everything)))
    return table


def plan_notes(plan: "ReleasePlan") -> list[str]:
    """What the table does not say: what stays here, and what has to be on the Hub already."""
    refused = [f"Not published: {name}. {notice}" for name, notice in plan.refused.items()]
    stays = [f"Stays here: {repo.folder / name}" for repo in plan.repos for name in repo.stays_here()]
    needed = [
        f"{adapter} links to {plan.links.namespace}/{dataset}, which must already be on the Hub."
        for dataset, adapter in plan.needed_datasets().items()
    ]
    return [*refused, *stays, *needed]


@release_app.command()
def jobs(
    namespace: Annotated[str, typer.Option(help="User or organisation on the Hub that the Jobs run under.")],
    only: Annotated[str | None, typer.Option(help="Only recipes whose path contains this text.")] = None,
    flavor: Annotated[
        str | None, typer.Option(help="Hardware for all recipes; by default what each recipe needs.")
    ] = None,
    timeout: Annotated[str, typer.Option(help="Time limit of a Job.")] = "6h",
) -> None:
    """Print the recipes as commands for Hugging Face Jobs. Nothing is run; Jobs cost money.

    [bold]logs2lang jobs --namespace me --only gpu[/]
    """
    from ..release.jobs import job_command, preparation, recipes

    chosen = [recipe for recipe in recipes() if (only or "") in recipe.name]
    if not chosen:
        raise InputError(
            f"No recipe has {only!r} in its path; choose from {', '.join(recipe.name for recipe in recipes())}."
        )
    print(
        "# Run once, from the root of the checkout: build a wheel, create a bucket for all files, build the dataset."
    )
    print("\n".join(preparation(namespace)))
    for recipe in chosen:
        print(f"\n# {recipe.name}: {recipe.shows}")
        print(job_command(namespace, recipe.words, flavor or recipe.flavor, timeout, recipe.secrets))


@cards_app.command("render")
def render_cards(
    folder: CardFolder = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            help="The built dataset an adapter was trained on; its build report is stored next to the results."
        ),
    ] = None,
) -> None:
    """Render cards from run.json, results.json and the build report, and draw the curves.

    [bold]logs2lang cards render model_cards/my-adapter --dataset data/mt[/]
    """
    from ..release.cards import write_cards
    from ..release.plan import writable_cards

    written = write_cards(folder or writable_cards("the folder, such as model_cards/my-adapter"), dataset)
    print("Written: " + ", ".join(map(str, written)))


@cards_app.command("adopt")
def adopt(
    adapter: Annotated[
        Path, typer.Argument(help="Adapter folder written by training, such as runs/mt/verbalizer/adapter.")
    ],
    results: Annotated[Path, typer.Option(help="The folder with its results, written by `logs2lang evaluate`.")],
    dataset: Annotated[Path, typer.Option(help="The built dataset it was trained on.")],
    row: Annotated[
        str | None,
        typer.Option(help="Row of this adapter in the results; by default what it was trained as."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the results; by default made from the dataset and the row.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of released adapters; in a checkout, model_cards by default.")
    ] = None,
) -> None:
    """Add a trained adapter to the released ones, with its results and its card.

    [bold]logs2lang cards adopt runs/mt/verbalizer/adapter --results runs/mt/results --dataset data/mt[/]
    """
    from ..release.adoption import adopt_adapter
    from ..release.plan import writable_cards

    place = output or writable_cards("--output FOLDER")
    print(f"Written: {adopt_adapter(adapter, results, row, dataset, place, name)}")


@cards_app.command("check")
def check_cards(folder: CardFolder = None) -> None:
    """List the cards that no longer match their sources. Exit code 1 if there are any.

    [bold]logs2lang cards check[/]
    """
    from ..release.cards import find_cards, stale_cards
    from ..release.plan import MODEL_CARDS

    troubles = stale_cards(folder or MODEL_CARDS)
    for trouble in troubles:
        print(trouble)
    if troubles:
        raise typer.Exit(1)
    print(f"{len(find_cards(folder or MODEL_CARDS))} cards match their sources.")
