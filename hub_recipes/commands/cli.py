"""The `logs2lang` command. Heavy libraries are imported inside the commands, so that `--help` answers at once."""

import errno
import json
import signal
import socket
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from logs2lang.dataset_builders.input_error import InputError

from ..console.log_level import LogLevel, set_log_level
from .build_commands import build_app
from .comparison_commands import comparison_app
from .decision_commands import decision_app
from .distill_commands import distill_app
from .grid_commands import grid_app
from .release_commands import release_app
from .serve_commands import serve_app
from .store_commands import store_app
from .text_commands import text_app
from .train_commands import train_app

_DISK_TROUBLES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "it would be larger than this system allows",
    errno.EACCES: "permission is denied",
    errno.EROFS: "the file system is read-only",
}

_AGAIN_AFTER_S = 0.05

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
app.add_typer(grid_app, name="grid")
app.add_typer(text_app)
app.add_typer(comparison_app)
app.add_typer(decision_app)
app.add_typer(store_app)
app.add_typer(serve_app)
app.add_typer(train_app, name="train")
app.add_typer(distill_app)
app.add_typer(metric_app, name="metric")
app.add_typer(release_app)


class _Interruption(BaseException):
    """The user wants the command to end. Not an exception that code on the way could catch as its own."""

    came = False


def _interrupt(number: int, frame: object) -> None:
    _Interruption.came = True
    signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
    raise _Interruption(number)


def _interrupt_again(ignored: "sys.UnraisableHookArgs") -> None:
    """Interrupt once more where the first time fell into a finalizer: Python would print that, and go on working."""
    if not isinstance(ignored.exc_value, _Interruption):
        sys.__unraisablehook__(ignored)
        return
    (number,) = ignored.exc_value.args
    signal.signal(number, _interrupt)
    threading.Timer(_AGAIN_AFTER_S, signal.raise_signal, [number]).start()


def main() -> None:
    """The console entry: one line, never a traceback.

    What the user did wrong ends with exit code 2, an interruption (Ctrl-C, or a request to terminate) with 130. Either
    way whatever was half written is cleaned up.
    """
    _Interruption.came = False
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _interrupt)
        sys.unraisablehook = _interrupt_again
    try:
        app()
    except InputError as error:
        _stop(str(error))
    except OSError as error:
        _refuse_unless_interrupted(error)
        if error.errno not in _DISK_TROUBLES:
            raise
        _stop(f"{error.filename or 'A file'} could not be written: {_DISK_TROUBLES[error.errno]}.")
    except BaseException as error:  # libraries make errors of their own of an interruption
        _refuse_unless_interrupted(error)
        raise


def _refuse_unless_interrupted(error: BaseException) -> None:
    if _Interruption.came:
        print(
            "Interrupted. No half-written files were left behind; run the same command to start again.",
            file=sys.stderr,
        )
        raise SystemExit(130) from error


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
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only results and errors: no progress, no warnings.")
    ] = False,
    log_level: Annotated[
        LogLevel,
        typer.Option(help="Lowest level of messages to show; messages of libraries need one level more."),
    ] = "warning",
) -> None:
    set_log_level("error" if quiet else log_level)


@metric_app.command("install")
def install_metric() -> None:
    """Install the metric where `evaluate.load("discovery_recall")` finds it, also offline.

    [bold]logs2lang metric install[/]
    """
    from ..evaluation.metric import install_metric as install

    print(f"Installed at {install()}; evaluate.load('discovery_recall') now works from any folder.")
    print("It asks the Hub first; without a network, set HF_EVALUATE_OFFLINE=1 to avoid the wait.")


@app.command()
def demo(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 for any free port.")] = 7860,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for all addresses of this machine.")
    ] = "127.0.0.1",
    share: Annotated[bool, typer.Option("--share/--no-share", help="Create a public link through Gradio.")] = False,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    model: Annotated[
        str | None, typer.Option(help="Base model, by Hub id or folder; SmolLM2-135M-Instruct by default.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder that contains one folder per evaluation; the released ones by default.")
    ] = None,
    adapters: Annotated[
        Path | None, typer.Option(help="Folder that contains one folder per adapter; the released ones by default.")
    ] = None,
) -> None:
    """See a log become language, in the browser: its verbalizations side by side, and the candidate picked from each.

    [bold]logs2lang demo[/]
    """
    from importlib import import_module
    from importlib.util import find_spec

    if find_spec("gradio") is None:
        raise InputError("The demo needs gradio. Install it with `pip install 'logs2lang[space]'`.")
    for folder in (results, adapters):
        if folder is not None and not folder.is_dir():
            raise InputError(
                f"{folder} is not a folder. Give a folder that contains one folder per evaluation or adapter."
            )
    chosen = {"base_model": model, "results": results, "model_cards": adapters}
    # By name: the app stands above the command line, and imports go one way, from space to hub_recipes.
    import_module("logs2lang.space.playground.app").serve(
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
    """Report what this machine has, what it lacks, and the command that fixes it. Exit code 0 if the main job can run.

    [bold]logs2lang doctor --json[/]
    """
    from rich.console import Console

    from .doctor import can_run, diagnose, to_json, to_table

    findings = diagnose(timeout=timeout)
    if as_json:
        print(json.dumps(to_json(findings), indent=2, ensure_ascii=False))
    else:
        Console().print(to_table(findings))
    raise typer.Exit(0 if can_run(findings) else 1)
