"""The Space of the metric: give predictions and references, see Discovery Recall with its interval, and the misses."""

import csv
import html
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported: nothing here calls home

import evaluate
import gradio as gr
import pandas as pd

MAX_ROWS = 100_000
MAX_CHARACTERS = 20_000_000
MAX_MISSES = 200
MAX_CELL = 120
LAST_PLACE = 10
BINS = [*map(str, range(1, LAST_PLACE + 1)), f"after {LAST_PLACE}", "not ranked"]
LOCALLY = "For larger inputs, load the metric in Python: evaluate.load."

# By its file: in a Space the folder is not named after the metric, and evaluate looks for <folder name>.py.
METRIC = evaluate.load(str(Path(__file__).with_name("discovery_recall.py")))

INTRODUCTION = """
# Discovery Recall

How often is the item that a user chose next, and **had never touched before**, among the first *k* recommended items?

Give CSV with a header line, or JSON Lines, with one example per line:

| column | content |
| --- | --- |
| `prediction` | an item id, or a ranking of item ids: `a\\|b\\|c` in CSV, a list in JSON. Empty: invalid, a miss |
| `reference` | the id of the item the user chose next |
| `is_discovery` | `true` or `false`: was the item new to the user? Or give `history` instead |
| `history` | the ids of all items the user touched before: `a\\|b\\|c` in CSV, a list in JSON |
"""
EXAMPLE = """prediction,reference,is_discovery
heat|alien|fargo,heat,true
heat|fargo|alien,fargo,true
alien|heat|fargo,alien,false
fargo|alien|heat,brazil,true
,alien,true
"""


def score(text: str, file: str | None, k: float) -> tuple[list[list[Any]], pd.DataFrame, list[list[Any]]]:
    """What the button does: scores, histogram and misses of an uploaded file, or else of the pasted text."""
    try:
        examples = to_examples(read_rows(read_source(text, file)))
        scores = METRIC.compute(**examples, k=int(k))
        ranks = METRIC.ranks(examples["predictions"], examples["references"])
    except ValueError as error:
        # The message quotes what came, and the page shows messages as HTML.
        raise gr.Error(html.escape(str(error), quote=False), print_exception=False) from error
    return to_score_table(scores, int(k)), to_histogram(ranks), to_misses(examples, ranks, int(k))


def read_source(text: str | None, file: str | None) -> str:
    """The text to read, of a length that a shared Space can bear."""
    try:
        source = Path(file).read_text(encoding="utf-8-sig") if file else text or ""
    except UnicodeDecodeError:
        raise ValueError("The file is not UTF-8 text. Give CSV or JSON Lines.") from None
    if len(source) > MAX_CHARACTERS:
        raise ValueError(
            f"The input has {len(source):,} characters; at most {MAX_CHARACTERS:,} are read here. {LOCALLY}"
        )
    return source


def read_rows(source: str) -> list[dict[str, Any]]:
    """The lines of CSV or JSON Lines.

    Example:
        >>> read_rows("prediction,reference\\na|b,b"), read_rows('{"prediction": ["a", "b"], "reference": "b"}')
        ([{'prediction': 'a|b', 'reference': 'b'}], [{'prediction': ['a', 'b'], 'reference': 'b'}])
    """
    read = read_json_lines if source.lstrip().startswith("{") else read_csv
    rows = list(islice(read(source), MAX_ROWS + 1))
    if not rows:
        raise ValueError("There are no examples. Give a header line and at least one line below it.")
    if len(rows) > MAX_ROWS:
        raise ValueError(f"There are more than {MAX_ROWS:,} examples, which is the maximum here. {LOCALLY}")
    return rows


def read_csv(source: str) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(source.strip()), skipinitialspace=True, strict=True)
    try:
        for row in reader:
            if None in row:
                raise ValueError(
                    f"Line {reader.line_num} has more fields than the header; quote ids that contain commas."
                )
            yield row
    except csv.Error as error:
        raise ValueError(f"The input is not valid CSV after line {reader.line_num}: {error}.") from None


def read_json_lines(source: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(source.splitlines(), start=1):
        if line.strip():
            yield read_json_line(line, number)


def read_json_line(line: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"Line {number} is not JSON: {error.msg}.") from None
    if not isinstance(row, dict):
        raise ValueError(f"Line {number} must be an object with the fields prediction and reference.")
    return row


def to_examples(rows: Sequence[dict[str, Any]]) -> dict[str, list]:
    """The inputs of the metric.

    Example:
        >>> to_examples([{"prediction": "a|b", "reference": "b", "is_discovery": "true"}])
        {'predictions': [['a', 'b']], 'references': ['b'], 'is_discovery': [True]}
    """
    columns = list(rows[0])
    if not {"prediction", "reference"} <= set(columns):
        raise ValueError(
            f"The columns prediction and reference are needed, but the columns are: {', '.join(columns)}."
        )
    examples = {
        "predictions": [to_ids(row.get("prediction")) for row in rows],
        "references": [to_reference(row.get("reference"), at) for at, row in enumerate(rows, start=1)],
    }
    if "is_discovery" in columns:
        examples["is_discovery"] = [to_flag(row.get("is_discovery"), at) for at, row in enumerate(rows, start=1)]
    if "history" in columns:
        examples["histories"] = [to_ids(row.get("history")) for row in rows]
    return examples


def to_ids(cell: Any) -> Any:
    """The ids of a CSV cell as a list; what comes from JSON is left for the metric to judge.

    Example:
        >>> to_ids("a|b"), to_ids(""), to_ids(["a"])
        (['a', 'b'], [], ['a'])
    """
    if cell is None or cell == "":
        return []
    return cell.split("|") if isinstance(cell, str) else cell


def to_reference(cell: Any, at: int) -> Any:
    if cell is None or cell == "":
        raise ValueError(f"Example {at} has no reference; leave it out, or give the item that the user chose next.")
    return cell


def to_flag(value: Any, at: int) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    word = str(value).strip().lower()
    if word not in words:
        raise ValueError(f"Example {at}: is_discovery must be true or false; got {value!r}.")
    return words[word]


def to_score_table(scores: dict[str, Any], k: int) -> list[list[Any]]:
    """Measure, value, interval and the number of examples behind it."""
    return [
        [f"Discovery Recall@{k}", *to_cells(scores, f"discovery_recall@{k}"), scores["n_discovery"]],
        [f"Recall@{k}", *to_cells(scores, f"recall@{k}"), scores["n"]],
        [f"Discovery NDCG@{k}", *to_cells(scores, f"discovery_ndcg@{k}"), scores["n_discovery"]],
        [f"NDCG@{k}", *to_cells(scores, f"ndcg@{k}"), scores["n"]],
        ["Mean reciprocal rank", *to_cells(scores, "mrr"), scores["n"]],
        ["Examples without a valid answer", str(scores["invalid"]), "", scores["n"]],
    ]


def to_cells(scores: dict[str, Any], name: str) -> tuple[str, str]:
    value, interval = scores[name], scores.get(f"{name}_interval")
    shown = "no example" if value is None else f"{value:.3f}"
    return shown, "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def to_histogram(ranks: Iterable[int]) -> pd.DataFrame:
    """How many references were ranked at each place.

    Example:
        >>> to_histogram([1, 1, 12, 0]).query("examples > 0").to_dict("list")
        {'place': ['1', 'after 10', 'not ranked'], 'examples': [2, 1, 1]}
    """
    counts = Counter(min(rank, LAST_PLACE + 1) - 1 for rank in ranks)
    # Rank 0, the target that is not ranked, has its bin behind all others: that of index -1.
    return pd.DataFrame({"place": BINS, "examples": [counts[at] for at in (*range(len(BINS) - 1), -1)]})


def to_misses(examples: dict[str, list], ranks: Sequence[int], k: int) -> list[list[Any]]:
    """The first misses: example, reference, what was predicted instead, and where the reference was ranked."""
    columns = zip(examples["predictions"], examples["references"], ranks, strict=True)
    misses = (
        [at, clip(reference), clip(to_phrase(prediction)), rank or "not ranked"]
        for at, (prediction, reference, rank) in enumerate(columns, start=1)
        if not 1 <= rank <= k
    )
    return list(islice(misses, MAX_MISSES))


def to_phrase(prediction: Any) -> str:
    ids = prediction if isinstance(prediction, list) else [prediction]
    return ", ".join(map(str, ids[:LAST_PLACE])) or "no answer"


def clip(value: Any) -> str:
    text = str(value)
    return text if len(text) <= MAX_CELL else f"{text[:MAX_CELL]}…"


def to_demo() -> gr.Blocks:
    """The page. Whatever came from the user is shown as plain text (`datatype="str"`), never as Markdown or HTML."""
    with gr.Blocks(title="Discovery Recall") as page:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            text = gr.Textbox(EXAMPLE, lines=10, max_lines=20, label="Paste CSV or JSON Lines")
            file = gr.File(
                label="or upload a file, which is used instead of the text", file_types=[".csv", ".jsonl", ".txt"]
            )
        k = gr.Slider(1, LAST_PLACE, value=1, step=1, label="k: how many of the first places count as a hit")
        button = gr.Button("Score", variant="primary")
        scores = gr.Dataframe(
            headers=["measure", "value", "95% interval", "examples"], datatype="str", label="Scores", interactive=False
        )
        histogram = gr.BarPlot(x="place", y="examples", sort=BINS, label="Place of the reference", tooltip="all")
        misses = gr.Dataframe(
            headers=["example", "reference", "predicted", "place of the reference"],
            datatype="str",
            label=f"Misses (the first {MAX_MISSES})",
            interactive=False,
            wrap=True,
        )
        button.click(score, [text, file, k], [scores, histogram, misses], api_name="score")
    return page


def to_theme() -> gr.themes.Base:
    """Gradio's own looks and fonts, but for colours that are too pale to be read by everybody."""
    # Of the fonts that Gradio ships this one has all letters in bold too, and no font server is asked.
    plex = gr.themes.utils.fonts.LocalFont("IBM Plex Sans", weights=(400, 700))
    return gr.themes.Default(font=[plex, "system-ui", "sans-serif"]).set(
        body_text_color_subdued="*neutral_600",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
    )


demo = to_demo()

if __name__ == "__main__":
    demo.launch(theme=to_theme(), max_file_size="20mb", footer_links=["api", "settings"], run_history=False)
