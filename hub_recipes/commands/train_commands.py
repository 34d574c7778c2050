"""`logs2lang train`: one verbalizer, one reasoner, or the whole chain."""

from pathlib import Path
from typing import Annotated

import typer

from logs2lang.dataset_builders.input_error import InputError, did_you_mean

train_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Train a verbalizer, a reasoner, or both in a chain."
)

_RECIPE = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Everything after the command belongs to the training script, `--help` included."""

ABLATIONS = ("reward", "history", "transfer", "order", "objectives")
"""Chains that change one choice and leave the others as they are."""
PRESETS = ("smoke", "cpu", "simulation", "gpu", *ABLATIONS)
"""Chains that are known by a word; each is a file of `configs/smollm2-135m/chain`."""


@train_app.command("verbalizer", context_settings=_RECIPE)
def verbalizer(context: typer.Context) -> None:
    """Train a verbalizer on examples, or with rewards for what an oracle recommends from its texts.

    [bold]logs2lang train verbalizer --config smollm2-135m/verbalizer/cpu.yaml --dataset data/mt --output_dir runs/v[/]
    """
    from ..train_verbalizer import main

    raise typer.Exit(main(context.args))


@train_app.command("reasoner", context_settings=_RECIPE)
def reasoner(context: typer.Context) -> None:
    """Train a reasoner to recommend from texts.

    [bold]logs2lang train reasoner --config smollm2-135m/reasoner/cpu.yaml --dataset data/mt --output_dir runs/r[/]
    """
    from ..train_reasoner import main

    raise typer.Exit(main(context.args))


@train_app.command("all")
def train_all(
    dataset: Annotated[str, typer.Option(help="A built folder, or a dataset repository of the Hub.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run, with one folder per step.")],
    preset: Annotated[
        str,
        typer.Option(
            help="smoke, cpu, simulation or gpu; an ablation: reward, history, transfer, order or objectives; "
            "or the path of a YAML file with your own steps."
        ),
    ] = "cpu",
    adapter: Annotated[
        str | None,
        typer.Option(help="The verbalizer that an ablation starts from, by Hub id or folder: a released one."),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="Stop after this many minutes, with exit code 75; the same command resumes."),
    ] = None,
    base_model: Annotated[str | None, typer.Option(help="Base model by Hub id or folder, for every step.")] = None,
    base_model_id: Annotated[
        str | None, typer.Option(help="Hub id of the base model, if --base-model is a folder.")
    ] = None,
    restart: Annotated[
        list[str] | None,
        typer.Option(metavar="STEP", help="Run this step again even if nothing changed; may be repeated."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what every step would do, and stop.")] = False,
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearse",
            help="Run every step on a few short examples, with two training steps each, to check that it runs here.",
        ),
    ] = False,
) -> None:
    """Train and evaluate the whole chain: oracle, warm start, verbalizer, texts, reasoners, results.

    Finished steps are not repeated. A step whose inputs changed starts from scratch; its earlier output is moved to
    a dated folder.

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
    raise typer.Exit(Chain(steps, dataset, output, shared, minutes, adapter).run(dry_run, restart or ()))
