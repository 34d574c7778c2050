"""The card of an adapter or a student, filled from the record of its training, the results and the build report alone.

This module imports nothing of the project, so that a card can be rendered wherever its three sources lie.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError

TEMPLATES = Path(__file__).parent
ADAPTER_TEMPLATE = "adapter.md.jinja"
STUDENT_TEMPLATE = "student.md.jinja"

Document = Mapping[str, Any]


class CardError(ValueError):
    """A card cannot be filled: a number or a fact is missing in its sources."""


@dataclass(frozen=True)
class Home:
    """Where a reader of the card finds things: in a checkout, or on the Hub.

    Args:
        adapter (`str`): Folder or Hub id of the adapter.
        dataset (`str`): Folder or Hub id of the dataset it was trained on.
        metric (`str`): What `evaluate.load` takes.
        dataset_revision (`str`, *optional*): Commit of the dataset on the Hub.
        dataset_url (`str`, *optional*): Page of that commit.
    """

    adapter: str
    dataset: str
    metric: str
    dataset_revision: str | None = None
    dataset_url: str | None = None


def render_adapter_card(run: Document, report: Document, results: Document | None, home: Home) -> str:
    """Fill the card of one adapter, or of one student.

    Args:
        run (`dict`): The content of `run.json`.
        report (`dict`): The content of `build_report.json` of the dataset it was trained on.
        results (`dict`, *optional*): The content of the `results.json` that `run` points to; `None` where the adapter
            has no row of its own in a table.
        home ([`Home`]): Where things are to be found.

    Returns:
        `str`: `README.md`: metadata that `huggingface_hub` parses, and text.

    Raises:
        CardError: Something the card states is missing in its sources.
    """
    student = run.get("student")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True
    )
    environment.filters |= {"number": number, "interval": interval, "duration": duration, "fenced": fenced}
    environment.filters |= {"cell": cell, "strongest": strongest}
    template = environment.get_template(ADAPTER_TEMPLATE if student is None else STUDENT_TEMPLATE)
    sources = {"run": run, "report": report, "results": results, "home": home, "student": student}
    noun = "adapter" if student is None else "student"
    try:
        rows = _rows(run, results)
        data = (card_data if student is None else student_card_data)(run, report, results, home)
        return template.render(card_data=data.to_yaml(), rows=rows, noun=noun, **sources)
    except UndefinedError as error:
        raise CardError(f"its sources lack something that the card needs ({error.message})") from error
    except KeyError as error:
        raise CardError(f"its sources lack something that the card needs ({error.args[0]!r} is missing)") from error


def card_data(run: Document, report: Document, results: Document | None, home: Home) -> ModelCardData:
    """The metadata of the card, with a `model-index` where the adapter has a row of results."""
    return ModelCardData(
        model_name=run["name"],
        base_model=run["base_model"],
        base_model_relation="adapter",
        datasets=[home.dataset] if home.dataset_revision else None,
        eval_results=_eval_results(run, report, results, home) or None,
        language="en",
        library_name="peft",
        license="apache-2.0",
        pipeline_tag="text-generation",
        tags=["lora", "recommendation", "logs2lang", run["role"], run["method"]],
    )


def student_card_data(run: Document, report: Document, results: Document | None, home: Home) -> ModelCardData:
    """The metadata of a student's card: it has no base model, and only logs2lang opens it."""
    return ModelCardData(
        model_name=run["name"],
        datasets=[home.dataset] if home.dataset_revision else None,
        eval_results=_eval_results(run, report, results, home) or None,
        language="en",
        library_name="logs2lang",
        license="apache-2.0",
        tags=["recommendation", "logs2lang", "distillation", run["role"]],
    )


_MEASURES = {
    "discovery_recall@1": ("Discovery Recall@1", "n_discovery"),
    "recall@1": ("Recall@1", "n"),
}


def _eval_results(run: Document, report: Document, results: Document | None, home: Home) -> list[EvalResult]:
    if results is None:
        return []
    row = _row(results, run["results"]["row"])
    return [
        EvalResult(
            task_type="text-generation",
            task_name="Next-item recommendation",
            dataset_type=home.dataset if home.dataset_revision else report["name"],
            dataset_name=report["name"],
            dataset_config="examples",
            dataset_split=results["split"],
            dataset_revision=home.dataset_revision,
            metric_type=home.metric,
            metric_name=title,
            metric_value=row[measure],
            metric_args={"n": row[count], "interval_95": row[f"{measure}_interval"]},
        )
        for measure, (title, count) in _MEASURES.items()
        if row[measure] is not None
    ]


def _rows(run: Document, results: Document | None) -> dict[str, Document]:
    """The rows that the card shows: the own one, a student's teacher, the template, the best of the other texts, the
    best classical recommender."""
    if results is None:
        return {}
    own = _row(results, run["results"]["row"])
    template = next((row for row in results["rows"] if row["row"] == "template"), None)
    teacher = next((row for row in results["rows"] if "student" in run and row["row"] == run["verbalizer"]), None)
    shown = {
        "own": own,
        "teacher": None if own is teacher else teacher,
        "template": None if own is template else template,
    }
    others = [row for row in results["rows"] if not any(row is one for one in (own, teacher, template))]
    shown |= {"text": _best(others, "verbalizer"), "baseline": _best(others, "baseline")}
    return {name: row for name, row in shown.items() if row is not None}


def _best(rows: Sequence[Document], kind: str) -> Document | None:
    return max((row for row in rows if row["kind"] == kind), key=lambda row: row["recall@1"], default=None)


def _row(results: Document, name: str) -> Document:
    rows = {row["row"]: row for row in results["rows"]}
    if name not in rows:
        raise CardError(f"its results.json has no row {name!r}, only {', '.join(rows)}")
    return rows[name]


def number(value: float | None, spec: str = ".3f") -> str:
    """A number as the card writes it; one that is missing stops the card.

    Example:
        >>> number(0.13333), number(1234, ",d")
        ('0.133', '1,234')
    """
    if value is None:
        raise CardError("a number that the card needs is null in its sources")
    return format(value, spec)


def interval(bounds: list[float] | None) -> str:
    """A 95% interval.

    Example:
        >>> interval([0.05, 0.2167])
        '[0.050, 0.217]'
    """
    if bounds is None:
        raise CardError("an interval that the card needs is null in its sources")
    low, high = bounds
    return f"[{low:.3f}, {high:.3f}]"


def duration(seconds: float) -> str:
    """A time as people say it.

    Example:
        >>> duration(40), duration(600), duration(9_000)
        ('40 seconds', '10 minutes', '2.5 hours')
    """
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7_200 else f"{seconds / 3_600:.1f} hours"


def cell(text: str) -> str:
    """A name as a cell of a table: it may come from a log, and must open neither a cell nor a tag.

    Example:
        >>> print(cell("event is a | <b>"))
        event is a \\| &lt;b>
    """
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def strongest(weights: Mapping[str, Mapping[str, float]]) -> list[tuple[str, Mapping[str, float]]]:
    """Features with their weights, those first whose largest weight is largest.

    Example:
        >>> [name for name, _ in strongest({"age": {"drop": 0.1}, "place": {"drop": -0.5}})]
        ['place', 'age']
    """
    return sorted(weights.items(), key=lambda pair: -max(map(abs, pair[1].values())))


def fenced(text: str) -> str:
    """A text in a fence longer than any inside it.

    Example:
        >>> print(fenced("Rewrite this log."))
        ```text
        Rewrite this log.
        ```
    """
    ticks = "`" * 3
    while ticks in text:
        ticks += "`"
    return f"{ticks}text\n{text.rstrip()}\n{ticks}"
