"""Rankings and targets as TREC files, which trec_eval, ranx, PyTerrier and ir_measures read."""

from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset

from logs2lang.dataset_builders.schema import EXAMPLE_ID, TARGET
from logs2lang.dataset_builders.whole_files import write_text

from ..reasoners.ranking import Ranking

TREC_FOLDER = "trec"
QRELS_FILE = "qrels.txt"
DEEPEST = 1_000
"""Places of a run file, as many as trec_eval reads by default."""


def run_file(name: str) -> str:
    """The name of the run file of a row, of letters that every file system takes.

    Example:
        >>> run_file("action:newest-3")
        'action_newest-3.run'
    """
    return "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in name) + ".run"


def write_run(folder: Path, name: str, examples: Dataset, rankings: Sequence[Ranking | None]) -> Path:
    """Write the rankings of one row as `trec/<row>.run`: example, `Q0`, item, rank, score, row.

    The score is `1 / rank`. Readers sort by the score and not by the rank, and probabilities can be equal.

    Args:
        folder (`Path`): Of the evaluation.
        name (`str`): Of the row.
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.
        rankings (`list[Ranking | None]`): One per example; `None`, an invalid answer, has no line.
    """
    tag = run_file(name).removesuffix(".run")
    lines = [
        f"{example} Q0 {item_id} {rank} {1 / rank:.8f} {tag}"
        for example, ranking in zip(examples[EXAMPLE_ID], rankings, strict=True)
        if ranking is not None
        for rank, item_id in enumerate(ranking.item_ids[:DEEPEST], start=1)
    ]
    return _write(folder / TREC_FOLDER / run_file(name), lines)


def prepare_runs(folder: Path, examples: Dataset, rows: Sequence[str]) -> None:
    """Write the target of each example as `trec/qrels.txt`: example, `0`, item, `1`; and drop runs of other examples.

    Args:
        folder (`Path`): Of the evaluation.
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.
        rows (`list[str]`): Whose run files stay: the rows that are kept from an earlier run.
    """
    kept = {run_file(name) for name in rows}
    for path in (folder / TREC_FOLDER).glob("*.run"):
        if path.name not in kept:
            path.unlink()
    pairs = zip(examples[EXAMPLE_ID], examples[TARGET], strict=True)
    _write(folder / TREC_FOLDER / QRELS_FILE, [f"{example} 0 {target} 1" for example, target in pairs])


def _write(path: Path, lines: Sequence[str]) -> Path:
    return write_text(path, "".join(f"{line}\n" for line in lines))
