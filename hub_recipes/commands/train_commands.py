"""`logs2lang train`: one verbalizer, one reasoner, or the whole chain."""

from pathlib import Path
from typing import Annotated

import typer

from logs2lang.dataset_builders.input_error import InputError, did_you_mean

train_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Teach a verbalizer, a reasoner, or both in a chain."
)

_RECIPE = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Everything after the command belongs to the training script, `--help` included."""

PRESETS = ("smoke", "cpu", "simulation", "gpu")
"""Chains that are known by a word; each is a file of `configs/smollm2-135m/chain`."""


@train_app.command("verbalizer", context_settings=_RECIPE)
def verbalizer(context: typer.Context) -> None:
    """Teach a verbalizer by example, or by what an oracle recommends from its texts.

    [bold]logs2lang train verbalizer --config smollm2-135m/verbalizer/cpu.yaml --dataset data/mt --output_dir runs/v[/]
    """
    from ..train_verbalizer import main

    raise typer.Exit(main(context.args))


@train_app.command("reasoner", context_settings=_RECIPE)
def reasoner(context: typer.Context) -> None:
    """Teach a reasoner to recommend from texts.

    [bold]logs2lang train reasoner --config smollm2-135m/reasoner/cpu.yaml --dataset data/mt --output_dir runs/r[/]
    """
    from ..train_reasoner import main

    raise typer.Exit(main(context.args))


@train_app.command("all")
def train_all(
    dataset: Annotated[str, typer.Option(help="A built folder, or a dataset repository of the Hub.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run: each step has a folder in it.")],
    preset: Annotated[
        str, typer.Option(help="smoke, cpu, simulation or gpu, or the path of a YAML file with your own steps.")
    ] = "cpu",
    minutes: Annotated[
        float | None,
        typer.Option(help="Stop after so many, with exit code 75; the same command goes on from there."),
    ] = None,
    base_model: Annotated[str | None, typer.Option(help="Base model by Hub id or folder, for every step.")] = None,
    base_model_id: Annotated[
        str | None, typer.Option(help="Hub id of the base model, where --base-model is a folder.")
    ] = None,
    restart: Annotated[
        list[str] | None,
        typer.Option(metavar="STEP", help="Do this step again although nothing changed; may be given again."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what every step would do.")] = False,
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearse",
            help="Do every step on a few short examples, two steps of training each: does the preset run here?",
        ),
    ] = False,
) -> None:
    """Oracle, warm start, verbalizer, texts, reasoners, results. What is done is not done again.

    A step whose inputs changed starts anew; what it made before is moved to a dated folder beside it.

    [bold]logs2lang train all --preset cpu --dataset data/mt --output runs/mt[/]
    """
    from ..models.accelerators import accelerator
    from .chain import Chain, read_chain, rehearsed

    address = f"smollm2-135m/chain/{preset}.yaml" if preset in PRESETS else preset
    if preset not in PRESETS and not Path(preset).suffix:
        hint = did_you_mean(preset, PRESETS, "")
        choices = f"Choose {', '.join(PRESETS)}, or give the path of a YAML file."
        raise InputError(" ".join(filter(None, (f"There is no preset {preset!r}.", hint, choices))))
    given = {"base_model": base_model, "base_model_id": base_model_id}
    shared = {name: value for name, value in given.items() if value is not None}
    steps = read_chain(address)
    if rehearse:
        steps = [rehearsed(step, bf16=accelerator() is not None) for step in steps]
    raise typer.Exit(Chain(steps, dataset, output, shared, minutes).run(dry_run, restart or ()))
