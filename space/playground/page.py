"""The page: components, and which step of `session` each of them sets off."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported: nothing here calls home

import gradio as gr

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import ITEM_ID, TIMESTAMP, TITLE, USER_ID

from .code_snippets import code_of
from .comparison import UNTRAINED_TEMPERATURE, VERBALIZERS, Choices, default_choices
from .decision import Decision
from .endpoints import add_endpoints, sentence_of
from .example_users import example_films, example_users, films_license
from .loaded_models import LoadedModels
from .markup import render
from .permalink import USER, from_query, to_query
from .received_file import take
from .released_adapters import MODEL_CARDS, released_adapters
from .results_view import (
    RESULTS,
    first_evaluation,
    measured_sentence,
    result_names,
    results_table,
    reward_curves,
    run_names,
)
from .session import (
    QUEUED,
    Scene,
    begun,
    card_htmls,
    log_html,
    notice_html,
    opened,
    refused,
    reshuffled,
    running,
    status_html,
    stopped,
)
from .uploaded_log import (
    MAX_BYTES,
    ROLES,
    SUFFIXES,
    FileColumns,
    UploadedFile,
    UploadedLog,
    look_at,
    read_upload,
    to_decision,
)

MODEL_QUEUE = "models"
"""Everything that runs a model waits here, one at a time: two at once would only take turns on the same cores."""

SESSION_S = 1_800
_FOLDER = Path(__file__).parent
_NO_COLUMN = "(none)"
_ROLE_LABELS = {
    USER_ID: "User",
    ITEM_ID: "Item id",
    TITLE: "Title",
    TIMESTAMP: "Time",
    "event": "Event",
    "duration_s": "Seconds",
    "value": "Rating",
    "year": "Year",
    "tags": "Tags",
}
_CHOICES = tuple(one.name for one in fields(Choices))
_REVEAL = "(shown) => { document.body.classList.toggle('guess', !shown); return shown; }"
_COPY = """(query) => {
    if (!query) return;
    history.replaceState(null, "", query);
    navigator.clipboard?.writeText(location.href).catch(() => {});
}"""


@dataclass(frozen=True)
class Setup:
    """What a page is made with.

    Args:
        models ([`LoadedModels`]): Where models are kept.
        results (`Path`): Folders with `results.json`.
        model_cards (`Path`): Folders of released adapters.
    """

    models: LoadedModels
    results: Path = RESULTS
    model_cards: Path = MODEL_CARDS


@dataclass(frozen=True)
class View:
    """The components that show a scene, in the order in which steps return them."""

    scene: gr.State
    status: gr.HTML
    notice: gr.HTML
    log: gr.HTML
    cards: dict[str, gr.HTML]

    def outputs(self) -> list[Any]:
        return [self.scene, self.status, self.notice, self.log, *self.cards.values()]


def to_page(setup: Setup) -> gr.Blocks:
    """The whole page.

    Args:
        setup ([`Setup`]): Models and folders.
    """
    with gr.Blocks(title="logs2lang: see a log become language", delete_cache=(600, 600), fill_width=True) as page:
        gr.HTML(render("hero"))
        with gr.Tabs():
            with gr.Tab("Playground"):
                controls = _playground(setup, page)
            with gr.Tab("Results"):
                _results(setup)
            with gr.Tab("Code"):
                _code(setup, controls)
            with gr.Tab("About"):
                gr.HTML(_about(setup))
        add_endpoints(setup.models, setup.results, MODEL_QUEUE)
    return page


def launch_options() -> dict[str, Any]:
    """How the page is served: its looks, and the limit of an upload."""
    script = (_FOLDER / "page.js").read_text(encoding="utf-8")
    return {
        "theme": to_theme(),
        "css_paths": [_FOLDER / "page.css"],
        "head": f"<script>{script}</script>",
        "max_file_size": MAX_BYTES,
        "footer_links": ["api", "settings"],
        "show_error": False,
        "ssr_mode": False,
        "pwa": False,
        "run_history": False,
        "mcp_server": True,
    }


def to_theme() -> gr.themes.Base:
    """Gradio's own fonts from its own files, those that have all letters in bold too: no font server is asked."""
    fonts = gr.themes.utils.fonts
    return gr.themes.Default(
        primary_hue="indigo",
        neutral_hue="zinc",
        font=[fonts.LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif"],
        font_mono=[fonts.LocalFont("IBM Plex Mono", weights=(400,)), "monospace"],
    ).set(
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_hover_dark="*primary_700",
        body_text_color_subdued="*neutral_600",  # Gradio's own is too pale to be read by everybody
    )


def _playground(setup: Setup, page: gr.Blocks) -> "Controls":
    users = example_users()
    first = opened(next(iter(users.values())))
    example = gr.Radio(
        [(f"{name}: {user.description}", name) for name, user in users.items()],
        value=first.decision.name,
        label="An invented user",
    )
    gr.HTML(render("invented", names=list(users), measured=measured_sentence(setup.results)))
    with gr.Row(equal_height=True):
        run = gr.Button("Write and recommend", variant="primary", min_width=200)
        stop = gr.Button("Stop", min_width=80)
        shuffle = gr.Button("Shuffle the candidates", min_width=200)
        copy = gr.Button("Copy link", min_width=110)
        truth = gr.Checkbox(True, label="Show what came next", min_width=200)
    view_status = gr.HTML(status_html(first.status))
    notice = gr.HTML(notice_html(first), elem_classes="quiet-when-empty")
    gr.HTML(render("marks_legend"))
    with gr.Row(elem_classes="cards"):
        cards = {name: gr.HTML(card, elem_id=f"card-{name}") for name, card in card_htmls(first).items()}
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            upload = _upload_controls()
            history = gr.Slider(1, 100, value=20, step=1, label="Newest records to read")
            controls = Controls(example, {"history_length": history, **_model_controls(setup)})
        with gr.Column(scale=3, min_width=320):
            log = gr.HTML(log_html(first))
    scene = gr.State(first, time_to_live=SESSION_S)
    view = View(scene, view_status, notice, log, cards)
    _bind(setup, view, controls, run, stop, shuffle, truth)
    _bind_link(setup, page, view, controls, copy)
    _bind_upload(view, controls, upload)
    return controls


@dataclass(frozen=True)
class Controls:
    """The components in which a visitor chooses.

    Args:
        example (`gr.Radio`): Which example user.
        by_field (`dict[str, Any]`): One for each field of [`Choices`].
    """

    example: gr.Radio
    by_field: dict[str, Any]

    @property
    def choices(self) -> list[Any]:
        """In the order of the fields."""
        return [self.by_field[name] for name in _CHOICES]

    @property
    def seed(self) -> Any:
        """That of the candidates' order."""
        return self.by_field["seed"]


@dataclass(frozen=True)
class UploadControls:
    """The components of the part where a visitor's own log comes in."""

    file: gr.File
    columns_box: gr.Accordion
    columns: dict[str, gr.Dropdown]
    again: gr.Button
    user: gr.Dropdown
    candidates: gr.Textbox
    ask: gr.Button
    uploaded: gr.State
    read: gr.State


def _upload_controls() -> UploadControls:
    with gr.Accordion("Your own log", open=False):
        where = "this Space's machine" if os.environ.get("SPACE_ID") else "the machine that runs this page"
        gr.HTML(render("privacy", megabytes=MAX_BYTES >> 20, where=where))
        file = gr.File(label="A log, or a personal export", file_types=list(SUFFIXES), type="filepath", height=150)
        with gr.Accordion("Columns", open=False, visible=False) as columns_box:
            columns = {
                role: gr.Dropdown([_NO_COLUMN], value=_NO_COLUMN, label=_ROLE_LABELS[role], min_width=120)
                for role in ROLES
            }
            again = gr.Button("Read the log with these columns")
        user = gr.Dropdown([], label="Which user of the log", visible=False)
        candidates = gr.Textbox(
            label="Your own candidates (optional)", placeholder="Two to ten titles, one per line", lines=3
        )
        ask = gr.Button("Ask about this log", visible=False)
        uploaded, read = gr.State(None, time_to_live=SESSION_S), gr.State(None, time_to_live=SESSION_S)
    return UploadControls(file, columns_box, columns, again, user, candidates, ask, uploaded, read)


def _model_controls(setup: Setup) -> dict[str, Any]:
    """The controls of [`Choices`] but the first."""
    hint = f"Hub id{' or folder' if setup.models.folders else ''} of an adapter for {setup.models.base_model}; empty: "
    page = default_choices(setup.model_cards)
    with gr.Accordion("Models, answer mode, seed", open=False):
        action = gr.Textbox(page.action_adapter, label="Adapter of the action verbalizer", info=f"{hint}a rule")
        rewrite = gr.Textbox(page.rewrite_adapter, label="Adapter of the rewrite verbalizer", info=f"{hint}no rewrite")
        zero_shot = gr.Checkbox(False, label="Write zero-shot as well, with the untrained base model")
        reasoner = gr.Textbox(page.reasoner_adapter, label="Adapter of the reasoner", info=f"{hint}untrained")
        answer = gr.Radio(
            [
                ("by title: the probability of each title after the text", "title"),
                ("by tags: the probability of each candidate's tags", "tags"),
                ("by label: the probability of the letters A to J", "label"),
            ],
            value="title",
            label="Answer mode of the reasoner",
        )
        seed = gr.Number(0, label="Seed for the order of the candidates", precision=0, minimum=0, maximum=2**31 - 1)
    return {
        "action_adapter": action,
        "rewrite_adapter": rewrite,
        "reasoner_adapter": reasoner,
        "answer": answer,
        "seed": seed,
        "zero_shot": zero_shot,
    }


def _bind(setup: Setup, view: View, controls: Controls, *buttons: Any) -> None:
    run, stop, shuffle, truth = buttons
    choices, seed, history = controls.choices, controls.seed, controls.by_field["history_length"]
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    quick = {**private, "concurrency_limit": None}
    slow = {**private, "concurrency_limit": 1, "concurrency_id": MODEL_QUEUE}
    controls.example.input(_open_example, [controls.example], [history, seed, *view.outputs()], **quick)
    history.release(_begin, [view.scene, *choices], view.outputs(), **quick)
    waiting = run.click(partial(_begin, status=QUEUED), [view.scene, *choices], view.outputs(), **quick)
    compared = waiting.then(_steps(running, setup.models), [view.scene, *choices], view.outputs(), **slow)
    turned = shuffle.click(lambda number: int(number or 0) + 1, [seed], [seed], **quick)
    reread = turned.then(_steps(reshuffled, setup.models), [view.scene, *choices], view.outputs(), **slow)
    # First the end, then what is left of it: a step that is still on its way must not come last.
    halted = stop.click(None, None, None, cancels=[compared, reread], api_visibility="private")
    halted.then(lambda scene: _show(stopped(scene)), [view.scene], view.outputs(), **quick)
    truth.change(None, [truth], None, js=_REVEAL)


def _bind_link(setup: Setup, page: gr.Blocks, view: View, controls: Controls, copy: Any) -> None:
    """A link to what is on the page, and the page as a link says it."""
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    defaults = default_choices(setup.model_cards)
    query, asked = gr.Textbox(visible=False), gr.State("")  # a state's value never reaches the browser

    def to_link(user: str | None, *values: Any) -> list[Any]:
        if user is None:  # a log of one's own is in no link
            return ["", status_html("A log of your own has no link: it is kept nowhere.")]
        return [
            to_query(user, _to_choices(*values), defaults),
            status_html("The link is in the address bar, and copied where the browser allows it."),
        ]

    def restore(request: gr.Request) -> list[Any]:
        said = dict(request.query_params)
        user = example_users().get(said.get(USER, ""))
        if user is None:
            return [gr.skip()] * (2 + len(_CHOICES) + len(view.outputs()))
        try:
            choices = from_query(said, defaults)
        except InputError as error:
            return ["", said[USER], *[gr.skip()] * len(_CHOICES), *_show(replace(opened(user), errors=(str(error),)))]
        values = [getattr(choices, name) for name in _CHOICES]
        if choices == defaults:
            return ["", said[USER], *values, *_show(opened(user))]
        begun_scene = replace(begun(user.decision, choices), status=QUEUED)
        return [request.session_hash, said[USER], *values, *_show(begun_scene)]

    linked = copy.click(
        to_link, [controls.example, *controls.choices], [query, view.status], concurrency_limit=None, **private
    )
    linked.then(None, [query], None, js=_COPY, api_visibility="private")
    restored = [asked, controls.example, *controls.choices, *view.outputs()]
    page.load(restore, None, restored, concurrency_limit=None, **private)
    slow = {**private, "concurrency_limit": 1, "concurrency_id": MODEL_QUEUE}
    asked.change(_steps(running, setup.models), [view.scene, *controls.choices], view.outputs(), **slow)


def _bind_upload(view: View, controls: Controls, upload: UploadControls) -> None:
    choices, example = controls.choices, controls.example
    quick: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 2, "concurrency_id": "reading"}
    columns = list(upload.columns.values())
    seen = [upload.uploaded, upload.columns_box, *columns]
    known = [upload.read, upload.user, upload.ask]
    took = upload.file.upload(_take, [upload.file, view.scene], [upload.file, *seen, *known, *view.outputs()], **quick)
    read = [upload.uploaded, upload.candidates, view.scene, *choices, *columns]
    shown = took.success(_read, read, [*known, *view.outputs()], **quick)
    # Once a log of one's own was read, no invented user is on the page any more.
    shown.success(lambda log: gr.skip() if log is None else None, [upload.read], [example], **quick)
    upload.again.click(_read, read, [*known, *view.outputs()], **quick)
    asked = [upload.read, upload.user, upload.candidates, view.scene, *choices]
    upload.user.input(_ask, asked, view.outputs(), **quick)
    upload.ask.click(_ask, asked, view.outputs(), **quick)


def _to_choices(*values: Any) -> Choices:
    history_length, action, rewrite, reasoner, answer, seed, zero_shot = values
    return Choices(
        int(history_length), action or "", rewrite or "", reasoner or "", answer, int(seed or 0), bool(zero_shot)
    )


def _show(scene: Scene) -> list[Any]:
    cards = card_htmls(scene)
    return [scene, status_html(scene.status), notice_html(scene), log_html(scene), *cards.values()]


def _open_example(name: str) -> list[Any]:
    scene = opened(example_users()[name])
    return [scene.choices.history_length, scene.choices.seed, *_show(scene)]


def _begin(scene: Scene, *values: Any, status: str = "") -> list[Any]:
    begun_scene = begun(scene.decision, _to_choices(*values))
    return _show(replace(begun_scene, status=status) if status else begun_scene)


def _steps(step: Callable[..., Iterator[Scene]], models: LoadedModels) -> Callable[..., Iterator[list[Any]]]:
    """A generator for Gradio: only changes are sent, and an unexpected error is one sentence."""

    def steps(scene: Scene, *values: Any) -> Iterator[list[Any]]:
        before: list[Any] = [None] * (4 + len(VERBALIZERS))
        try:
            for reached in step(scene, _to_choices(*values), models):
                now = _show(reached)
                yield [new if new != old else gr.skip() for new, old in zip(now, before, strict=True)]
                before = now
        except Exception as error:
            yield _show(replace(scene, status="Stopped.", errors=(sentence_of(error),)))

    return steps


def _take(path: str | None, scene: Scene) -> list[Any]:
    """Take an uploaded file into memory and remove it from the disk."""
    cleared = [gr.File(value=None)]
    no_columns = [gr.Accordion(visible=False), *[gr.Dropdown([_NO_COLUMN], value=_NO_COLUMN)] * len(ROLES)]
    unknown = [None, gr.Dropdown([], visible=False), gr.Button(visible=False)]
    view = [gr.skip()] * (4 + len(VERBALIZERS))
    try:
        file = take(path)
        seen = look_at(file)
    except Exception as error:
        return [*cleared, None, *no_columns, *unknown, *_show(refused(scene, sentence_of(error)))]
    return [*cleared, file, *_column_updates(seen), *unknown, *view]


def _column_updates(seen: FileColumns) -> list[Any]:
    if seen.service is not None:
        return [gr.Accordion(visible=False), *[gr.Dropdown([_NO_COLUMN], value=_NO_COLUMN)] * len(ROLES)]
    names = [_NO_COLUMN, *seen.names]
    dropdowns = [gr.Dropdown(names, value=seen.guess.get(role, _NO_COLUMN)) for role in ROLES]
    return [gr.Accordion(visible=True, open=not {TIMESTAMP} <= set(seen.guess)), *dropdowns]


def _read(file: UploadedFile | None, candidates: str, scene: Scene, *values: Any) -> list[Any]:
    choices, columns = _to_choices(*values[: -len(ROLES)]), values[-len(ROLES) :]
    if file is None:  # it was refused, and the page says why
        return [gr.skip()] * (3 + 4 + len(VERBALIZERS))
    named = {role: column for role, column in zip(ROLES, columns, strict=True) if column and column != _NO_COLUMN}
    try:
        log = read_upload(file, named)
        decision = to_decision(log, 0, example_films(), candidates, choices.seed)
    except Exception as error:
        hidden = [None, gr.Dropdown([], visible=False), gr.Button(visible=False)]
        return [*hidden, *_show(refused(scene, sentence_of(error)))]
    users = [(f"User {place + 1}: {user.size} records", place) for place, user in enumerate(log.users)]
    chooser = gr.Dropdown(users, value=0, visible=log.num_users > 1)
    return [log, chooser, gr.Button(visible=True), *_show(_of_upload(log, decision, choices))]


def _ask(log: UploadedLog | None, user: int | None, candidates: str, scene: Scene, *values: Any) -> list[Any]:
    choices = _to_choices(*values)
    if log is None:
        return _show_error(scene, "The log is no longer in memory. Upload it again.")
    try:
        decision = to_decision(log, user or 0, example_films(), candidates, choices.seed)
    except Exception as error:
        return _show_error(scene, sentence_of(error))
    return _show(_of_upload(log, decision, choices))


def _of_upload(log: UploadedLog, decision: Decision, choices: Choices) -> Scene:
    counts = log.counts
    aside = [f"{count:,} {reason}" for reason, count in counts["quarantined_by_reason"].items()]
    said = f"{counts['used']:,} of {counts['input_rows']:,} rows were used"
    said += f"; {counts['merged_duplicates']:,} were duplicates" if counts["merged_duplicates"] else ""
    said += f"; set aside: {', '.join(aside)}" if aside else ""
    sentences = [f"Read: {said}.", *log.notes, "Press “Write and recommend”."]
    return replace(begun(decision, choices), status=" ".join(sentences))


def _show_error(scene: Scene, message: str) -> list[Any]:
    return _show(replace(scene, errors=(message,)))


def _results(setup: Setup) -> None:
    names = result_names(setup.results)
    first = first_evaluation(setup.results)
    chosen = gr.Dropdown(names, value=first, label="Evaluation", visible=len(names) > 1)
    table = gr.HTML(results_table(first, setup.results))
    chosen.input(
        partial(results_table, folder=setup.results),
        [chosen],
        [table],
        api_visibility="private",
        concurrency_limit=None,
        show_progress="hidden",
    )
    adapters = released_adapters(setup.model_cards)
    curves = reward_curves(adapters)
    if curves.empty:
        gr.HTML(
            render("notice", kind="remark", messages=["Reward curves appear here once a training run is released."])
        )
    else:
        gr.LinePlot(curves, x="step", y="reward", color="run", title="Reward by training step", label="Reward curves")
        gr.HTML(render("curves", runs={name: adapter.folder.name for name, adapter in run_names(adapters).items()}))


def _code(setup: Setup, controls: Controls) -> None:
    def code(*values: Any) -> str:
        return code_of(_to_choices(*values), setup.models.base_model)

    choices = controls.choices
    gr.Markdown(
        "The same comparison in Python. `data/own` is a dataset written by `logs2lang build`, local or on the Hub. "
        "The metric is available after `logs2lang metric install`; on the Hub it is `<namespace>/discovery_recall`."
    )
    shown = gr.Code(
        code(*(choice.value for choice in choices)), language="python", label="Code", interactive=False, elem_id="code"
    )
    gr.on(
        [choice.change for choice in choices],
        code,
        choices,
        [shown],
        api_visibility="private",
        concurrency_limit=None,
        show_progress="hidden",
        trigger_mode="always_last",
    )


def _about(setup: Setup) -> str:
    temperature = f"{UNTRAINED_TEMPERATURE:g}"
    return render("about", cards=_cards(setup), temperature=temperature, license=films_license())


def _cards(setup: Setup) -> list[dict[str, str]]:
    """The released adapters, with a link where the page runs as a Space and its owner is known."""
    owner = os.environ.get("SPACE_ID", "").partition("/")[0]
    return [
        {
            "name": adapter.folder.name,
            "what": f"{adapter.role}, {adapter.run.get('release', 'unknown')} run",
            "link": f"https://huggingface.co/{owner}/{adapter.folder.name}" if owner else "",
        }
        for adapter in released_adapters(setup.model_cards)
    ]
