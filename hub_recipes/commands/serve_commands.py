"""`logs2lang serve`, `golden-prompts` and `verify-server`: a service, and the check of a server that others run."""

import json
import os
import shlex
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from logs2lang.dataset_builders.input_error import InputError

serve_app = typer.Typer()

SERVE_KEY = "LOGS2LANG_SERVE_KEY"
"""The environment variable of the key that clients of the service must send."""


@serve_app.command()
def serve(
    verbalizer: Annotated[
        str,
        typer.Option(
            help="What writes texts: template, profile, successors, a decision rule such as action:newest-3, or the "
            "folder or Hub id of an adapter or a student."
        ),
    ],
    items: Annotated[
        str,
        typer.Option(
            help="The catalogue: a built dataset, as folder or Hub id. Its successors are read too, its logs are not."
        ),
    ],
    reasoner: Annotated[
        str | None,
        typer.Option(
            help="What ranks candidates: a base model or an adapter, by Hub id or folder; by default "
            "SmolLM2-135M-Instruct, untrained. An adapter shares the base model of the verbalizer."
        ),
    ] = None,
    answer: Annotated[
        Literal["label", "title", "tags", "generate"] | None,
        typer.Option(help="Answer mode of the reasoner; by default the one it was trained with, else title."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="Where `logs2lang refresh` keeps the texts of users: a folder, postgresql://... or redis://... . "
            "/recommend then takes a user in place of a history."
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="URL of an OpenAI-compatible server that runs the models, such as http://localhost:8000/v1. Its key "
            "is read from LOGS2LANG_API_KEY."
        ),
    ] = None,
    engine_verbalizer: Annotated[
        str | None,
        typer.Option(help="The engine's name for the verbalizer's adapter; without it, texts are made here."),
    ] = None,
    engine_reasoner: Annotated[str | None, typer.Option(help="The engine's name for the reasoner.")] = None,
    host: Annotated[
        str,
        typer.Option(help=f"Address to listen on; beyond this machine, clients need the key that {SERVE_KEY} holds."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 for any free port.")] = 8_100,
    batch: Annotated[int, typer.Option(min=1, max=256, help="Most requests that are answered together.")] = 32,
    waiting: Annotated[
        int, typer.Option(min=1, help="Most requests that wait for their turn; more get 429 and Retry-After.")
    ] = 256,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for an answer; what takes longer gets 504.")] = 30.0,
    max_body_kb: Annotated[int, typer.Option(min=1, help="Kilobytes of a request; larger ones get 413.")] = 1_024,
) -> None:
    """Answer over HTTP: /verbalize writes a history as text, /recommend ranks candidates for it.

    What many clients ask at once is computed together. /docs shows every field with examples, /metrics is for
    Prometheus, /healthz for load balancers. Nothing that is asked is kept on disk.

    [bold]logs2lang serve --verbalizer successors --items data/mt[/]

    [bold]logs2lang serve --verbalizer runs/mt/verbalizer/adapter --reasoner runs/mt/reasoner_action/adapter --items
    data/mt --store texts[/]
    """
    _require_extra()
    from datasets import disable_progress_bars

    from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset

    from ..console.progress import show_status
    from ..serving.app import Examples, to_app
    from ..serving.server import is_loopback, listen, run
    from ..serving.service import Limits, Service
    from ..stores.opening import open_store

    disable_progress_bars()  # of `datasets`
    key = os.environ.get(SERVE_KEY, "").strip() or None
    if key is None and not is_loopback(host):
        raise InputError(
            f"{host} can be reached from other machines, so clients must send a key. Set {SERVE_KEY} to a long random "
            "word, or listen on 127.0.0.1."
        )
    _check_engine(engine, engine_verbalizer, engine_reasoner, reasoner, answer)
    with ExitStack() as open_things:
        # A port that is taken is said before models are loaded.
        listening = open_things.enter_context(listen(host, port))
        with show_status() as say:
            say("Reading the catalogue")
            dataset = BuiltDataset.open(items)
            opened = None if store is None else open_things.enter_context(closing(open_store(store)))
            say("Loading the models")
            models = _load(verbalizer, reasoner, answer, dataset, engine, engine_verbalizer, engine_reasoner, timeout)
            limits = Limits(batch, waiting, timeout, max_body_kb * 1_024)
            service = Service(*models, dataset.items(), dataset.name, opened, limits)
            app = to_app(service, key)
        shown_host = f"[{host}]" if ":" in host else host
        url = f"http://{shown_host}:{listening.getsockname()[1]}"
        print(f"Serving {dataset.name}, {len(service.items):,} items; all endpoints with examples: {url}/docs\n")
        for path, body in Examples(service).first_try().items():
            print(_curl(url + path, body, with_key=key is not None), flush=True)
        run(app, listening)


def _require_extra() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("fastapi", "uvicorn", "prometheus_client") if find_spec(name) is None]
    if missing:
        raise InputError(f"The service needs {missing[0]}. Install it with `pip install 'logs2lang[serve]'`.")


def _check_engine(
    engine: str | None, verbalizer: str | None, reasoner: str | None, local: str | None, answer: str | None
) -> None:
    if engine is None and (verbalizer or reasoner):
        raise InputError("--engine-verbalizer and --engine-reasoner name models of an --engine; give its URL too.")
    if engine is None:
        return
    if reasoner is None:
        raise InputError("--engine needs --engine-reasoner: give the engine's name for the model that ranks.")
    if local is not None:
        raise InputError("--reasoner is a model of this process, and --engine-reasoner one of the engine; give one.")
    if answer not in (None, "label", "generate"):
        raise InputError(
            f"An engine answers by label or generate; --answer {answer} needs a reasoner of this process."
        )


def _load(
    verbalizer: str,
    reasoner: str | None,
    answer: Any,
    dataset: Any,
    engine: str | None,
    engine_verbalizer: str | None,
    engine_reasoner: str | None,
    timeout: float,
) -> tuple[Any, Any]:
    """The verbalizer and the reasoner."""
    from ..models.language_models import DEFAULT_BASE_MODEL
    from ..models.weights import SharedWeights
    from ..serving.engine import Engine, ForgetfulReasoner, load_on_engine
    from ..serving.loading import load_reasoner, load_verbalizer

    weights = SharedWeights()
    if engine is None or engine_reasoner is None:
        writer = load_verbalizer(verbalizer, dataset, weights)
        return writer, load_reasoner(reasoner or DEFAULT_BASE_MODEL, answer, dataset, weights)
    remote = ForgetfulReasoner(Engine(engine, engine_reasoner, timeout), answer)
    if engine_verbalizer is None:
        return load_verbalizer(verbalizer, dataset, weights), remote
    return load_on_engine(verbalizer, dataset, Engine(engine, engine_verbalizer, timeout)), remote


def _curl(url: str, body: dict[str, Any], with_key: bool) -> str:
    key = f' -H "Authorization: Bearer ${SERVE_KEY}"' if with_key else ""
    return (
        f"curl {url}{key} -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body, ensure_ascii=False))}\n"
    )


@serve_app.command("golden-prompts")
def golden_prompts(
    adapter: Annotated[Path, typer.Argument(help="Folder of an adapter, as training wrote it.")],
) -> None:
    """Write golden_prompts.json beside an adapter: invented prompts, and how probable it finds what comes next.

    `logs2lang verify-server` asks a server these prompts. The file holds no user's log, and is published with the
    adapter.

    [bold]logs2lang golden-prompts runs/mt/verbalizer/adapter[/]
    """
    from ..serving.golden_prompts import write_golden_prompts

    print(f"Written: {write_golden_prompts(adapter)}")


@serve_app.command("verify-server")
def verify_server(
    url: Annotated[str, typer.Argument(help="Of an OpenAI-compatible server, such as http://localhost:8000/v1.")],
    adapter: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=ID_OR_FOLDER",
            help="The server's name for an adapter, and the adapter itself, with its golden_prompts.json; may be "
            "given for several.",
        ),
    ],
    tolerance: Annotated[
        float, typer.Option(min=0.001, help="Largest difference of log-probabilities that is no fault, in nats.")
    ] = 0.25,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for an answer.")] = 60.0,
) -> None:
    """Check that a server runs your adapters as they were trained: attached, with their chat template, their tokens.

    Its key is read from LOGS2LANG_API_KEY. Exit code 1 if a check fails.

    [bold]logs2lang verify-server http://localhost:8000/v1 --adapter verbalizer=runs/mt/verbalizer/adapter[/]
    """
    from ..serving.verification import to_served, verify

    findings = [
        finding for name, folder in to_served(adapter) for finding in verify(url, name, folder, tolerance, timeout)
    ]
    for finding in findings:
        print(finding.line())
    raise typer.Exit(0 if all(finding.is_right for finding in findings) else 1)
