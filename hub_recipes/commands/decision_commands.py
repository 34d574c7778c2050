"""`logs2lang decisions`: what an action verbalizer decides about records, counted."""

import json
import shlex
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import typer

from logs2lang.dataset_builders.input_error import InputError

from .text_commands import DatasetArgument, DiscoveriesOption, LimitOption, SplitOption

decision_app = typer.Typer()


@decision_app.command()
def decisions(
    dataset: DatasetArgument,
    adapter: Annotated[str, typer.Option(help="The trained action verbalizer, by Hub id or folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for decisions.json.")],
    before: Annotated[
        str | None,
        typer.Option(help="The action verbalizer that training started from, such as the warm start of GRPO."),
    ] = None,
    split: SplitOption = "test",
    limit: LimitOption = 500,
    discoveries: DiscoveriesOption = False,
    users: Annotated[int, typer.Option(min=0, help="Number of users to print in full.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed for choosing examples.")] = 0,
) -> None:
    """Count what an action verbalizer decides: by place, age, event, popularity and number of successors.

    With --before, the same records as they were decided before training stand beside it. Users in full are printed,
    and written only if the licence of the log allows sharing its rows.

    [bold]logs2lang decisions data/mt --adapter runs/mt/verbalizer/adapter --before runs/mt/warm_start/adapter -o d[/]
    """
    from datasets import disable_progress_bars

    from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
    from logs2lang.dataset_builders.dataset_folder.chosen_examples import choose_examples
    from logs2lang.dataset_builders.dataset_folder.output_paths import require_folder_place
    from logs2lang.dataset_builders.whole_files import write_text

    from ..console.progress import show_status
    from ..evaluation.decision_counts import (
        AFTER,
        BEFORE,
        DECISIONS_FILE,
        SCHEMA_VERSION,
        USERS_FILE,
        count_decisions,
        decisions_section,
        users_text,
    )

    disable_progress_bars()
    require_folder_place(output)
    given = {BEFORE: before, AFTER: adapter}
    with show_status() as say:
        say("Reading the dataset")
        built = BuiltDataset.open(dataset)
        examples = choose_examples(built.examples(split), limit, seed, None, discoveries)
        say("Loading the models")
        verbalizers = {when: _load(name, built) for when, name in given.items() if name is not None}
        say(f"Deciding on the records of {len(examples)} examples")
        counts, full = count_decisions(verbalizers, built, examples, users)
    document = {
        "schema_version": SCHEMA_VERSION,
        "dataset": {key: built.report.get(key) for key in ("name", "options", "content_sha256")},
        "split": split,
        "seed": seed,
        "discoveries": discoveries,
        "verbalizers": {when: one.language_model.entry() for when, one in verbalizers.items()},
        **counts,
        "command": shlex.join(["logs2lang", *sys.argv[1:]]),
        "created": datetime.now(timezone.utc).isoformat(),
    }
    files = [write_text(output / DECISIONS_FILE, json.dumps(document, indent=2, ensure_ascii=False) + "\n")]
    if full and built.report["license"]["redistributable"]:
        files.append(write_text(output / USERS_FILE, f"# {built.name}, {split}\n\n{users_text(full)}"))
    print(decisions_section(document))
    print(users_text(full) if full else "", end="")
    print("Written: " + ", ".join(map(str, files)))


def _load(name: str, dataset: Any) -> Any:
    """An adapter that was taught to decide."""
    from ..models.model_folders import VERBALIZER_CONFIG, model_folder
    from ..verbalizers.action import ActionVerbalizer

    if not (model_folder(name) / VERBALIZER_CONFIG).exists():
        raise InputError(
            f"{name} is no action verbalizer: it has no {VERBALIZER_CONFIG}. Train one with `logs2lang train "
            "verbalizer --config smollm2-135m/verbalizer/action_next.yaml`."
        )
    return ActionVerbalizer.from_pretrained(name, dataset.items(), successors=dataset.known_successors())
