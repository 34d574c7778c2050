"""What the page does, for programs: named endpoints with typed inputs, which `gradio_client` calls and lists."""

import html
import traceback
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import sanitize, told_apart
from logs2lang.dataset_builders.schema import NUM_CANDIDATES, TITLE, Item
from logs2lang.evaluation.results import RESULTS_FILE, read_document

from .comparison import (
    Choices,
    Comparison,
    Written,
    compare,
    default_choices,
    to_reasoner,
)
from .decision import Decision
from .example_users import example_films, example_users
from .loaded_models import LoadedModels
from .received_file import take
from .results_view import result_names
from .text_marks import TextMarks
from .uploaded_log import ROLES, look_at, read_upload, to_decision

MAX_CONTEXT_CHARACTERS = 20_000
_BROKEN = "Something went wrong, and nothing of your log was kept. Try again, or choose an example."


def add_endpoints(models: LoadedModels, results: Path, model_queue: str) -> None:
    """Add the endpoints to the page that is being made.

    Args:
        models ([`LoadedModels`]): Where models are kept.
        results (`Path`): Folders with `results.json`.
        model_queue (`str`): The queue of everything that runs a model.
    """
    quick: dict[str, Any] = {"concurrency_limit": None}
    slow: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": model_queue}
    page = default_choices(models.released)

    @_answering
    def list_examples() -> list[dict[str, Any]]:
        """The invented users, who watch real films: their names, and how many records each has."""
        return [
            {"name": name, "description": user.description, "records": len(user.decision.history)}
            for name, user in example_users().items()
        ]

    @_answering_steps
    def compare_example(
        name: str = "Ada",
        history_length: int = 20,
        action_adapter: str = page.action_adapter,
        rewrite_adapter: str = page.rewrite_adapter,
        reasoner_adapter: str = page.reasoner_adapter,
        answer: Literal["title", "tags", "label"] = page.answer,
        seed: int = 0,
        zero_shot: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Write the log of an invented user in several ways and let the reasoner choose; streams what is there so far.

        Args:
            name: Of a user that `examples` lists.
            history_length: How many of the newest records are read, 1 to 100.
            action_adapter: Adapter that decides about records, a released name or a Hub id; empty: a rule decides.
            rewrite_adapter: Adapter that rewrites the log; empty: nothing is rewritten.
            reasoner_adapter: Adapter that chooses; empty: the untrained base model.
            answer: How the reasoner answers: by the probability of each title, of its tags, or by label A to J.
            seed: Decides the order of the candidates; 0 leaves it as it is.
            zero_shot: Whether the untrained base model writes a text as well.
        """
        choices = _checked(history_length, action_adapter, rewrite_adapter, reasoner_adapter, answer, seed, zero_shot)
        if name not in example_users():
            raise InputError(f"There is no example {name!r}; choose from {', '.join(example_users())}.")
        yield from _compared(example_users()[name].decision, choices, models)

    @_answering
    def recommend(
        text: str, candidates: list[str], reasoner_adapter: str = "", answer: Literal["title", "label"] = "title"
    ) -> dict[str, Any]:
        """Let the reasoner read any text about a user and say how probable each of up to ten titles is to be next.

        Args:
            text: What is known of the user, at most 20,000 characters.
            candidates: Two to ten different titles.
            reasoner_adapter: Adapter that chooses, a released name or a Hub id; empty: the untrained base model.
            answer: By the probability of each title, or by label A to J.
        """
        titles = [str(title) for title in candidates]
        if not 2 <= len(titles) <= NUM_CANDIDATES:
            raise InputError(f"Give 2 to {NUM_CANDIDATES} candidates; got {len(titles)}.")
        read = [sanitize(title) for title in titles]
        if "" in read:
            raise InputError(f"Candidate {read.index('') + 1} has no title; give one for each.")
        if len(set(read)) < len(read):
            twice = next(title for title, shown in zip(titles, read, strict=True) if read.count(shown) > 1)
            raise InputError(f"Candidate {twice!r} was given more than once; give different titles.")
        if len(text) > MAX_CONTEXT_CHARACTERS:
            raise InputError(f"The text has {len(text):,} characters; at most {MAX_CONTEXT_CHARACTERS:,} are read.")
        shown = [
            Item(item_id=str(place), title=title, year=None, tags=[], series=None, description=None)
            for place, title in enumerate(titles)
        ]
        reasoner = to_reasoner(_checked(1, "", "", reasoner_adapter, answer, 0, False), models)
        (ranking,) = reasoner.rank([text], [shown])
        if ranking is None:
            return {"pick": None, "probabilities": {}}
        by_title = {titles[int(place)]: p for place, p in zip(ranking.item_ids, ranking.probabilities, strict=True)}
        return {"pick": titles[int(ranking.pick)], "probabilities": by_title}

    @_answering
    def results_json(name: str = "") -> dict[str, Any]:
        """A released `results.json`; without a name, the names there are.

        Args:
            name: Of an evaluation.
        """
        if not name:
            return {"names": result_names(results)}
        if name not in result_names(results):
            raise InputError(
                f"There are no results {name!r}; choose from {', '.join(result_names(results)) or 'none'}."
            )
        return read_document(results / name / RESULTS_FILE)

    gr.api(list_examples, api_name="examples", **quick)
    gr.api(compare_example, api_name="compare", **slow)
    gr.api(recommend, api_name="recommend", **slow)
    gr.api(results_json, api_name="results", **quick)
    _add_file_endpoints(models, slow)


def _add_file_endpoints(models: LoadedModels, slow: dict[str, Any]) -> None:
    """Endpoints that take a file: through a component, which lets through only what the client uploaded itself."""
    page = default_choices(models.released)
    with gr.Row(visible=False):
        file = gr.File(label="file")
        columns = gr.JSON({}, label="columns")
        user = gr.Number(0, label="user", precision=0)
        candidates = gr.Textbox("", label="candidates")
        history_length = gr.Number(20, label="history_length", precision=0)
        action, rewrite, reasoner = (
            gr.Textbox(getattr(page, f"{name}_adapter"), label=f"{name}_adapter")
            for name in ("action", "rewrite", "reasoner")
        )
        answer = gr.Radio(["title", "tags", "label"], value=page.answer, label="answer")
        seed = gr.Number(0, label="seed", precision=0)
        zero_shot = gr.Checkbox(False, label="zero_shot")
        found, compared = gr.JSON(label="columns"), gr.JSON(label="comparison")
        look, ask = gr.Button("look"), gr.Button("ask")

    @_answering
    def columns_of(file: str) -> dict[str, Any]:
        """Which columns a log has and which of them are clear, or whose personal export it is."""
        seen = look_at(take(file))
        return {"service": seen.service, "columns": list(seen.names), "guess": dict(seen.guess), "roles": list(ROLES)}

    @_answering_steps
    def compare_log(
        file: str,
        columns: Any,
        user: int,
        candidates: str,
        history_length: int,
        action_adapter: str,
        rewrite_adapter: str,
        reasoner_adapter: str,
        answer: str,
        seed: int,
        zero_shot: bool,
    ) -> Iterator[dict[str, Any]]:
        """Write a log of one's own in several ways and let the reasoner choose. Nothing of it is kept.

        `columns` maps roles (user_id, item_id, title, timestamp, ...) to the file's columns where the guess is wrong;
        `user` counts from 0, the one with the most records first; `candidates` are titles, one a line, or empty.
        """
        choices = _checked(history_length, action_adapter, rewrite_adapter, reasoner_adapter, answer, seed, zero_shot)
        uploaded = take(file)
        if not isinstance(columns, dict):
            raise InputError('columns must be an object such as {"timestamp": "when"}.')
        log = read_upload(uploaded, {**look_at(uploaded).guess, **columns})
        yield from _compared(to_decision(log, int(user), example_films(), candidates, choices.seed), choices, models)

    quick: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "reading"}
    look.click(columns_of, [file], [found], api_name="columns", **quick)
    settings = [history_length, action, rewrite, reasoner, answer, seed, zero_shot]
    ask.click(compare_log, [file, columns, user, candidates, *settings], [compared], api_name="compare_log", **slow)


def _checked(
    history_length: Any, action: str, rewrite: str, reasoner: str, answer: Any, seed: Any, zero_shot: Any
) -> Choices:
    return Choices(
        int(history_length), action or "", rewrite or "", reasoner or "", answer, int(seed), bool(zero_shot)
    )


def _compared(decision: Decision, choices: Choices, models: LoadedModels) -> Iterator[dict[str, Any]]:
    shown = decision.newest(choices.history_length).reordered(choices.seed)
    marks = TextMarks.of(shown)
    for comparison in compare(shown, choices, models):
        yield _to_answer(comparison, shown, marks)


def _to_answer(comparison: Comparison, decision: Decision, marks: TextMarks) -> dict[str, Any]:
    return {
        "records": len(decision.history),
        "candidates": _told_apart(decision),
        "target": None if decision.target is None else _target_title(decision),
        "notes": list(decision.notes),
        "texts": {name: to_entry(written, decision, marks) for name, written in comparison.items()},
    }


def _told_apart(decision: Decision) -> list[str]:
    """The titles of the candidates, no two alike: by their year, and where that is the same by their place."""
    titles = told_apart([decision.items[item_id] for item_id in decision.candidates])
    return [
        f"{title}, candidate {place}" if titles.count(title) > 1 else title
        for place, title in enumerate(titles, start=1)
    ]


def _target_title(decision: Decision) -> str:
    titles = dict(zip(decision.candidates, _told_apart(decision), strict=True))
    return titles.get(decision.target, decision.items[decision.target][TITLE])


def to_entry(written: Written, decision: Decision, marks: TextMarks) -> dict[str, Any]:
    """One text as `/compare` hands it out: what was written and what the reasoner makes of it, by titles."""
    titles = dict(zip(decision.candidates, _told_apart(decision), strict=True))
    return {
        "state": written.state,
        "text": written.text,
        "by": written.by,
        "tokens": written.tokens,
        "compression": written.compression,
        "decisions": list(written.decisions),
        "unsupported_titles": marks.unsupported(written.text),
        "probabilities": {titles[item_id]: p for item_id, p in written.probabilities.items()},
        "pick": None if written.pick is None else titles[written.pick],
    }


def sentence_of(error: Exception) -> str:
    """The message for a visitor: what they did wrong, or that an unexpected error occurred.

    The message of an unforeseen error may quote a log, so neither the visitor nor the machine's own log gets it.
    """
    if isinstance(error, InputError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    print(f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}")
    return _BROKEN


def _answering(function: Callable[..., Any]) -> Callable[..., Any]:
    """What the caller did wrong becomes one sentence, and no traceback."""

    @wraps(function)
    def answer(*values: Any, **named: Any) -> Any:
        try:
            return function(*values, **named)
        except Exception as error:
            raise _refusal(error) from None

    return answer


def _answering_steps(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    @wraps(function)
    def answers(*values: Any, **named: Any) -> Iterator[Any]:
        try:
            yield from function(*values, **named)
        except Exception as error:
            raise _refusal(error) from None

    return answers


def _refusal(error: Exception) -> gr.Error:
    # A page may show the message as HTML, and it quotes what came.
    return gr.Error(html.escape(sentence_of(error), quote=False), print_exception=False)
