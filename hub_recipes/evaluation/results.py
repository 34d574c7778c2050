"""`results.json` and `predictions.parquet`: what an evaluation found, written after every row.

A row carries a fingerprint of everything that decides it. A row whose fingerprint is unchanged is not run again, so an
evaluation that was interrupted resumes where it stopped, and a row added later joins the existing rows.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.whole_files import whole_file, write_text

SCHEMA_VERSION = 1
"""Raised whenever a reader of an earlier `results.json` would misread a later one."""

RESULTS_FILE = "results.json"
PREDICTIONS_FILE = "predictions.parquet"

GAP_NAMES = ("same_second", "under_an_hour", "under_a_day", "a_day_and_more")
"""How long after the interaction before it a target came. On MovieLens nearly half are `same_second`: ticked off."""

_SIZES = ("under_10", "10_to_19", "20_to_49", "50_and_more")
GROUP_NAMES = {"history": _SIZES, "activity": _SIZES, "popularity": ("head", "middle", "tail", "cold")}
"""Groups of examples by kind: the records of the history that is read, the training interactions of the user, the
popularity of the target; see `example_groups` and `catalogue_popularity`."""

FEWEST_EXAMPLES = 30
"""Of a smaller group no number is told: of 29 examples a recall of 0.3 has an interval from 0.17 to 0.49."""

CUT_OFFS = (1, 3, 5, 10)
"""So many of the first places count, where nothing else is asked for."""

ROW = "row"
SEEDS = "seeds"
"""What a row measures under several seeds; see `seed_spread`."""
COMPARISON = "comparison"
"""What every row is against one of them; see `comparisons`."""
TEXTS = "texts"
"""Of a row whose texts were there already: their content as a hash, and what is recorded beside them."""
FINGERPRINT = "fingerprint"
UNAVAILABLE = "unavailable"
"""Rows that were requested but cannot be scored, with the reason: their numbers would be those of pure chance."""


@dataclass(frozen=True)
class Results:
    """The rows of one results table and the choices behind them.

    Args:
        context (`dict`): What all rows share: dataset, split, `n`, seed, reasoner; and of the latest run the versions,
            the command and the time.
        rows (`list[dict]`): One per row: its name, fingerprint, seconds and measures, see `row_measures.measure`; and
            under `run` the versions, the command and the time of the run that it comes from.
        predictions (`pandas.DataFrame`): One line per row and example: opaque ids, the pick, the target's rank.
    """

    context: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    predictions: pd.DataFrame = field(default_factory=pd.DataFrame)

    def row(self, name: str) -> dict[str, Any] | None:
        """The row of that name, or `None`.

        Example:
            >>> Results({}, [{"row": "template", "n": 3}]).row("template")["n"]
            3
        """
        return next((row for row in self.rows if row[ROW] == name), None)

    def holds(self, name: str, fingerprint: str | None) -> bool:
        """Whether the row of that name was run with everything as it is now; never without a fingerprint."""
        row = self.row(name)
        return row is not None and fingerprint is not None and row[FINGERPRINT] == fingerprint

    def with_row(self, row: dict[str, Any], predictions: pd.DataFrame) -> "Results":
        """A copy in which `row` stands, in place of an earlier one of its name or at the end."""
        names = [other[ROW] for other in self.rows]
        rows = [row if other[ROW] == row[ROW] else other for other in self.rows]
        others = self.predictions[self.predictions[ROW] != row[ROW]] if names else self.predictions
        return Results(
            self.context,
            rows if row[ROW] in names else [*rows, row],
            pd.concat([others, predictions], ignore_index=True) if len(others) else predictions,
        )

    def with_unavailable(self, name: str, why: str) -> "Results":
        """A copy that says why there is no row of that name.

        Example:
            >>> Results({}).with_unavailable("tag-cosine", "no item has tags").context
            {'unavailable': {'tag-cosine': 'no item has tags'}}
        """
        return replace(self, context={**self.context, UNAVAILABLE: {**self.context.get(UNAVAILABLE, {}), name: why}})

    def predictions_of(self, name: str) -> pd.DataFrame:
        """The predictions of one row, in the order of the examples."""
        return self.predictions[self.predictions[ROW] == name].reset_index(drop=True)

    def document(self) -> dict[str, Any]:
        """What `results.json` holds."""
        return {"schema_version": SCHEMA_VERSION, **self.context, "rows": self.rows}

    def write(self, folder: Path) -> None:
        """Write both files, each whole, so that a kill leaves the earlier ones."""
        # Predictions first: a row in results.json then always has its predictions.
        with whole_file(folder / PREDICTIONS_FILE) as partial:
            self.predictions.to_parquet(partial, index=False)
        write_text(folder / RESULTS_FILE, to_json(self.document()))


def to_json(document: Mapping[str, Any]) -> str:
    """The content of `results.json`, each row on a line of its own: a row has hundreds of numbers.

    Example:
        >>> print(to_json({"n": 2, "rows": [{"row": "template", "mrr": 0.5}, {"row": "random", "mrr": 0.3}]}), end="")
        {
          "n": 2,
          "rows": [
            {"row": "template", "mrr": 0.5},
            {"row": "random", "mrr": 0.3}
          ]
        }
    """
    plain: dict[str, Any] = {"ensure_ascii": False, "allow_nan": False}
    rows = ",\n".join(f"    {json.dumps(row, **plain)}" for row in document["rows"])
    others = {name: value for name, value in document.items() if name != "rows"}
    return f'{json.dumps(others, indent=2, **plain)[:-2]},\n  "rows": [\n{rows}\n  ]\n}}\n'


def read_results(folder: Path) -> Results:
    """Read what `Results.write` wrote.

    Args:
        folder (`Path`): The folder of an evaluation.

    Raises:
        InputError: There is no `results.json`, or it is damaged or of another version.
    """
    document = read_document(folder / RESULTS_FILE)
    rows = document.pop("rows")
    document.pop("schema_version")
    predictions = folder / PREDICTIONS_FILE
    if not is_predictions(predictions):
        raise InputError(
            f"{predictions} is missing or damaged beside its {RESULTS_FILE}. Evaluate again into an empty --output."
        )
    return Results(document, rows, pd.read_parquet(predictions))


def is_predictions(path: Path) -> bool:
    """Whether a file is one of predictions, as an evaluation that was killed leaves it before its `results.json`."""
    try:
        return {"example_id", ROW, "target_rank"} <= set(pq.read_schema(path).names)
    except (pa.ArrowInvalid, OSError):
        return False


def read_document(path: Path) -> dict[str, Any]:
    """The content of one `results.json`, checked for its version.

    Raises:
        InputError: The file is missing, damaged or of another version.
    """
    if not path.exists():
        raise InputError(
            f"{path} does not exist. Run `logs2lang evaluate DATASET --output {path.parent}` to write it."
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is not readable as JSON ({error}). Evaluate again into an empty --output."
        ) from error
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema_version {version!r}; this release reads {SCHEMA_VERSION}. "
            "Evaluate again into an empty --output."
        )
    rows = document.get("rows")
    are_named = isinstance(rows, list) and all(isinstance(row, dict) and ROW in row for row in rows)
    if not (are_named and isinstance(document.get("dataset"), dict)):
        raise InputError(
            f"{path} is damaged: it lacks the rows or the dataset of an evaluation. Evaluate again into an empty "
            "--output."
        )
    return document
