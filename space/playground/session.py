"""What the page does when a visitor presses something: pure steps from choices to what is shown next.

Nothing here knows of Gradio; `page.py` binds these steps to components, and `endpoints.py` to the API.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from logs2lang.dataset_builders.input_error import InputError

from .comparison import (
    VERBALIZERS,
    Choices,
    Comparison,
    Written,
    compare,
    reread,
    written_by_rules,
)
from .decision import Decision
from .example_users import ExampleUser, example_users
from .loaded_models import LoadedModels
from .log_table import log_table
from .markup import render
from .text_marks import TextMarks
from .writing import writing_card

READY = "Ready."
AHEAD = "Precomputed. Change anything and press “Write and recommend” to run it live."
NO_LOG = Decision("No log", [], {}, [])
"""What is on the page after a log could not be read: nothing of the one before it."""
QUEUED = "In the queue …"
DONE = "Done. Hover over or press a sentence to see the records it describes."


@dataclass(frozen=True)
class Scene:
    """What the page shows.

    Args:
        decision ([`Decision`]): All records of the chosen user.
        comparison (`dict[str, Written]`): The texts, as far as they are.
        choices ([`Choices`]): What they were made with.
        status (`str`): What is going on.
        errors (`tuple[str, ...]`): What went wrong, in sentences.
    """

    decision: Decision
    comparison: Comparison
    choices: Choices = field(default_factory=Choices)
    status: str = READY
    errors: tuple[str, ...] = field(default=())

    @property
    def shown(self) -> Decision:
        """The decision with the records and the order of candidates that were chosen."""
        return self.decision.newest(self.choices.history_length).reordered(self.choices.seed)


def opened(example: ExampleUser) -> Scene:
    """A precomputed example."""
    comparison = {name: Written(state="done", **written) for name, written in example.written.items()}
    return Scene(example.decision, comparison, status=AHEAD)


def begun(decision: Decision, choices: Choices) -> Scene:
    """A log before any model has read it: what can be written by rules is there."""
    scene = Scene(decision, {}, choices)
    empty = {name: Written() for name in choices.verbalizers}
    return replace(scene, comparison=_resting(written_by_rules(scene.shown, choices)) if decision.history else empty)


def running(scene: Scene, choices: Choices, models: LoadedModels) -> Iterator[Scene]:
    """The whole comparison, step by step; what a visitor did wrong becomes a sentence on the page."""
    scene = replace(begun(scene.decision, choices), status="Working …")
    if not scene.decision.history:
        yield replace(scene, status="Stopped.", errors=("There is no log to read. Choose a user or upload a log.",))
        return
    yield scene
    try:
        for comparison in compare(scene.shown, choices, models):
            scene = replace(scene, comparison=comparison)
            yield scene
    except InputError as error:
        yield replace(scene, comparison=_resting(scene.comparison), status="Stopped.", errors=(str(error),))
        return
    yield replace(scene, status=DONE)


def reshuffled(scene: Scene, choices: Choices, models: LoadedModels) -> Iterator[Scene]:
    """The same texts, with the candidates in another order."""
    scene = replace(scene, choices=choices, errors=(), status="The reasoner is reading the texts again …")
    if not any(written.probabilities for written in scene.comparison.values()):
        yield replace(scene, status="The candidates are in a different order now.")
        return
    before = {name: written.pick for name, written in scene.comparison.items()}
    try:
        for comparison in reread(scene.comparison, scene.shown, choices, models):
            scene = replace(scene, comparison=comparison)
            yield scene
    except InputError as error:
        yield replace(scene, comparison=_resting(scene.comparison), status="Stopped.", errors=(str(error),))
        return
    moved = sum(written.pick != before[name] for name, written in scene.comparison.items())
    yield replace(scene, status=_moved(moved, len(before)))


def stopped(scene: Scene) -> Scene:
    """The scene after a visitor pressed Stop."""
    return replace(scene, comparison=_resting(scene.comparison), status="Stopped.")


def _moved(moved: int, total: int) -> str:
    if not moved:
        return f"Same candidates, different order: all {total} picks are unchanged."
    return f"Same candidates, different order: {moved} of {total} picks changed. This is position bias."


def _resting(comparison: Comparison) -> Comparison:
    """Nothing is at work any more: what has a text keeps it, the rest is empty."""
    return {
        name: replace(written, state="done" if written.text else "empty") if written.state != "done" else written
        for name, written in comparison.items()
    }


def log_html(scene: Scene) -> str:
    """The log, with what `action` decided about its records."""
    action = scene.comparison.get("action", Written())
    return log_table(scene.shown, len(scene.decision.history), action.decisions)


def card_htmls(scene: Scene) -> dict[str, str]:
    """A card for each text; empty for a verbalizer that was not asked to write."""
    shown, comparison = scene.shown, scene.comparison
    marks = TextMarks.of(shown)
    return {
        name: writing_card(name, comparison[name], shown, marks) if name in comparison else "" for name in VERBALIZERS
    }


def refused(scene: Scene, message: str) -> Scene:
    """A file could not be read: what an earlier file left goes, an invented user stays."""
    if scene.decision.name in example_users():
        return replace(scene, status="No log was read; the invented user is still here.", errors=(message,))
    return replace(begun(NO_LOG, scene.choices), status="No log was read.", errors=(message,))


def notice_html(scene: Scene) -> str:
    """What a reader should know before reading the outcome, and what went wrong."""
    errors = render("notice", kind="error", messages=scene.errors)
    return errors + render("notice", kind="remark", messages=scene.decision.notes)


def status_html(text: str) -> str:
    """One line that says what is going on."""
    return render("status", text=text)
