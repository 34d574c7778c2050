"""`logs2lang refresh` and `logs2lang forget`: one text per user, kept up to date, and deleted where a user asks."""

from pathlib import Path
from typing import Annotated

import typer

from logs2lang.dataset_builders.input_error import InputError

from .text_commands import AdapterOption, ModelOption, VerbalizerOption, chosen_adapters

store_app = typer.Typer()

FolderArgument = Annotated[str, typer.Argument(metavar="DATASET", help="A folder that `logs2lang build` wrote.")]
StoreOption = Annotated[
    str,
    typer.Option(
        metavar="FOLDER|URL",
        envvar="LOGS2LANG_STORE",
        help="Where the texts are kept: a folder for Parquet files, postgresql://USER@HOST/DATABASE or "
        "redis://HOST:PORT/NUMBER. A URL with a password is best given by the environment.",
    ),
]


@store_app.command()
def refresh(
    dataset: FolderArgument,
    store: StoreOption,
    verbalizer: VerbalizerOption = "successors",
    verbalizer_adapter: AdapterOption = None,
    model: ModelOption = None,
    edition: Annotated[
        str,
        typer.Option(
            help="Any word, such as 2026-11. A new one has all texts written anew: do so when the catalogue, or what "
            "users choose next, has changed much."
        ),
    ] = "",
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a store that cannot be reached before giving up.")
    ] = 60.0,
) -> None:
    """Keep one text per user up to date: write only the texts of users whose newest records changed.

    Build the dataset from the new log, then run this, as often as you like: a run costs what changed. A text is
    written anew if any of the user's newest records (100, or --history of the build) changed, or the verbalizer, its
    adapter or --edition. If a run is stopped, every text is still whole, old or new, and the next run writes the rest.
    Several runs at once, also on several machines if the store is a server, share the work.

    [bold]logs2lang refresh data/own --store texts/own --verbalizer successors[/]
    """
    from datasets import disable_progress_bars

    from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset

    from ..console.progress import show_progress, show_status
    from ..evaluation.table_rows import to_verbalizer
    from ..models.language_models import DEFAULT_BASE_MODEL, load_language_model
    from ..stores.opening import open_store
    from ..stores.refreshing import Refresher, to_revision
    from ..verbalizers.by_rule import is_written_by_rule
    from ..verbalizers.learned import load_adapters
    from ..verbalizers.verbalizer import without_disk_cache

    disable_progress_bars()  # of `datasets`
    adapters = chosen_adapters(verbalizer, verbalizer_adapter)
    built = BuiltDataset.open(dataset)
    histories = built.newest_histories()
    histories.hashes()  # says at once where there are none
    with open_store(store) as texts:
        with show_status() as say:
            say("Loading the models")
            needs_model = not (adapters or is_written_by_rule(verbalizer))
            language_model = load_language_model(model or DEFAULT_BASE_MODEL) if needs_model else None
            loaded = load_adapters(adapters, built.items(), built.known_successors())
        writer = without_disk_cache(loaded.get(verbalizer) or to_verbalizer(verbalizer, built, language_model))
        refresher = Refresher(histories, writer, to_revision(verbalizer, writer, edition), texts, patience)
        with show_progress() as report:
            done = refresher.run(lambda finished, users: report(verbalizer, "up to date", finished, users))
    print(f"{done.users:,} users, {done.written:,} texts written; the other texts were up to date.")


@store_app.command()
def forget(
    dataset: FolderArgument,
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's id in the log, or in the dataset.")],
    store: StoreOption,
    salt: Annotated[
        str | None, typer.Option(envvar="LOGS2LANG_SALT", help="The --salt of the build, if it had one.")
    ] = None,
    keep_answers: Annotated[
        bool,
        typer.Option(
            "--keep-answers",
            help="Keep the cached answers of endpoints, which were paid for. A model that thinks aloud may repeat a "
            "user's records there.",
        ),
    ] = False,
) -> None:
    """Delete a user: the text in the store, every row of the dataset, quarantine included, and the caches on disk.

    Caches do not say which user an entry is about, so they are emptied. Counts over many users, such as successors,
    stay. Delete the user from the log too, or the next build brings the records back. Files that you wrote elsewhere
    (results, texts by `logs2lang verbalize`, backups, caches of other machines) are yours to delete.

    [bold]logs2lang forget data/own ann@example.org --store texts/own[/]
    """
    from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset

    from ..reasoners.answer_cache import answers_folder
    from ..stores.opening import open_store
    from ..stores.refreshing import forget_user
    from ..verbalizers.text_cache import cache_folder, empty_cache

    built = BuiltDataset.open(dataset)
    if not Path(dataset).is_dir():
        raise InputError(f"{dataset} is not a folder; give the built dataset on this machine.")
    with open_store(store) as texts:
        rows, had_text = forget_user(built, texts, user.strip(), salt)
    folders = [cache_folder()] if keep_answers else [cache_folder(), answers_folder()]
    emptied = sum(map(empty_cache, folders))
    if not (rows or had_text):
        raise InputError(
            f"Nothing of the user {user!r} was found in {dataset} or in the store; {emptied:,} entries of caches were "
            "deleted. Check the id, and that --salt is that of the build; if the user was deleted before, all is done."
        )
    said = "the text in the store" if had_text else "no text, since the store had none"
    print(f"Deleted: {rows:,} rows of {dataset}, {said}, and {emptied:,} entries of caches.")
    print("Delete the user from the log too, or the next build brings the records back.")
