"""`logs2lang distill`: a verbalizer that is cheap enough to write texts for everybody, taught by one that is not."""

from pathlib import Path
from typing import Annotated

import typer

from logs2lang.dataset_builders.input_error import InputError

distill_app = typer.Typer()


@distill_app.command()
def distill(
    verbalizer: Annotated[
        str, typer.Argument(metavar="VERBALIZER", help="The teacher: an action adapter, by Hub id or folder.")
    ],
    dataset: Annotated[str, typer.Option(help="A built folder, or a dataset repository of the Hub.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the student.")],
    limit: Annotated[
        int, typer.Option(min=1, help="Number of training examples that the teacher decides on, chosen by the seed.")
    ] = 1_000,
    validation_limit: Annotated[
        int, typer.Option(min=1, help="Number of validation examples, on which the kind of student is chosen.")
    ] = 300,
    name: Annotated[
        str | None, typer.Option(help="Name of the student; by default the teacher's, with -student.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed for choosing examples and for the trees.")] = 0,
) -> None:
    """Teach a student that decides like an action verbalizer, thousands of times faster and without a language model.

    The student decides from numbers about each record: its place, age and event, how much of the work was played,
    repeats, popularity, what others chose next, shared tags. It is a logistic regression, or gradient-boosted trees
    where these agree with the teacher more often on validation. Its texts are no longer than the teacher's.

    What the teacher has decided is kept on disk, so an interrupted run goes on where it stopped. The student is used
    like its teacher: --verbalizer-adapter student=FOLDER in `logs2lang evaluate`, or ActionVerbalizer.from_pretrained.

    [bold]logs2lang distill runs/mt/verbalizer/adapter --dataset data/mt --output runs/student[/]
    """
    from datetime import datetime, timezone

    from datasets import disable_progress_bars

    from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset

    from ..console.progress import show_progress, show_status
    from ..models.model_folders import model_folder
    from ..training.distillation.action_student import (
        ask,
        distil,
        open_teacher,
        require_student_place,
        write_student,
    )
    from ..verbalizers.action import ActionVerbalizer
    from ..verbalizers.learned import taught_as

    disable_progress_bars()  # of `datasets`
    started = datetime.now(timezone.utc)
    require_student_place(output)
    if (kind := taught_as(model_folder(verbalizer))) != ActionVerbalizer.name:
        raise InputError(f"{verbalizer} is a {kind} verbalizer.")
    with show_status() as say:
        say("Reading the dataset")
        built = BuiltDataset.open(dataset)
        say("Loading the teacher")
        teacher = open_teacher(verbalizer, built)
    with show_progress() as report:
        train, validation = (
            ask(teacher, built, split, number, seed, lambda of, done, total: report("teacher", of, done, total))
            for split, number in (("train", limit), ("validation", validation_limit))
        )
    with show_status() as say:
        say("Teaching the student")
        found = distil(teacher, built, train, validation, seed)
    config = {"limit": limit, "validation_limit": validation_limit, "seed": seed}
    write_student(found, output, built, verbalizer, name, config, started)
    told = found.measures
    print(
        f"{told['kind']}: agrees with its teacher on {told['agreement']:.1%} of {told['validation']['records']:,} "
        f"records of validation (always the most frequent decision: {told['most_frequent']:.1%}), with "
        f"{told['tokens']['student'] / max(1, told['tokens']['teacher']):.2f} of its tokens: {output}"
    )
