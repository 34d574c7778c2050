"""The results table at all candidates of the catalogue: the same rows, the same examples, other candidates."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.chosen_examples import choose_examples
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import EXAMPLE_ID, IS_DISCOVERY

from ..baselines import BASELINES
from ..reasoners.reasoner import Reasoner
from .catalogue_ranks import CatalogueChoice, CatalogueRanks, ScoreCatalogue
from .evaluation import Progress, resumed_results, run_missing_rows, to_context
from .metric import metric_scores
from .results import ROW, TEXTS, Results
from .row_measures import GAP, PICK, TARGET_RANK
from .table_rows import (
    RANDOM_ROW,
    BaselineRow,
    NothingToGoOnError,
    TableRow,
    VerbalizerRow,
    WrittenRow,
    read_row_texts,
    to_rows,
)
from .whole_catalogue import Catalogue

ALL = "all"
CUT_OFFS = (1, 3, 5, 10, 100)
ALL_CANDIDATES = "all_candidates"
"""Of `results.json`: how many items the catalogue has, where all of them were candidates."""


def evaluate_catalogue(
    dataset: BuiltDataset,
    rows: Sequence[str],
    *,
    split: str = "test",
    limit: int | None = None,
    reasoner: Reasoner | None = None,
    verbalizers: Mapping[str, Any] | None = None,
    texts: Mapping[str, Path] | None = None,
    history_length: int | None = None,
    discoveries: bool = False,
    seed: int = 0,
    output: Path | None = None,
    overwrite: bool = False,
    command: str = "",
    created: datetime | None = None,
    progress: Progress | None = None,
    minutes: float | None = None,
) -> Results:
    """Rank the target of each example among all candidates; see [`Catalogue`] for which those are.

    Args:
        dataset ([`BuiltDataset`]): What to evaluate on, whatever candidates its examples have.
        rows (`list[str]`): As in `evaluate_rows`. A text needs a reasoner that answers by title or tags; the row
            `ceiling` has no number here, because it is computed for drawn candidates.
        split, limit, reasoner, verbalizers, texts, history_length, discoveries, seed, output, overwrite, command,
            created, progress, minutes: As in `evaluate_rows`.

    Returns:
        [`Results`]: Of each row recall and NDCG at 1, 3, 5, 10 and 100, the reciprocal and the mean rank.

    Raises:
        RowsLeftError: The time was over before the last row.
        InputError: A row is unknown or needs another reasoner, or no row can be scored.
    """
    examples = choose_examples(dataset.examples(split), limit, seed, history_length, discoveries)
    there = read_row_texts(texts or {}, dataset, split, examples, history_length)
    table = to_rows(rows, dataset, reasoner, {**(verbalizers or {}), **there}, seed)
    choice = CatalogueChoice.of(examples, Catalogue.of(dataset), seed)
    results = resumed_results(
        {
            "command": command,
            "created": created and created.isoformat(),
            **_context(dataset, examples, choice, reasoner),
            "split": split,
            "n": len(examples),
            "seed": seed,
            "history_length": history_length,
            "discoveries": discoveries,
        },
        output,
        overwrite,
    )

    def run(row: TableRow) -> tuple[dict[str, Any], pd.DataFrame]:
        entry, ranks = _run(row, examples, choice, progress)
        return entry, _predictions(row.name, examples, ranks)

    results = run_missing_rows(results, table, run, output=output, minutes=minutes)
    if output is not None:
        results.write(output)
    return results


def rank_summary(ranks: np.ndarray, is_discovery: np.ndarray, cut_offs: Sequence[int] = CUT_OFFS) -> dict[str, Any]:
    """What the ranks of targets say of a row.

    Args:
        ranks (`np.ndarray` of `int`, shape `[examples]`): From 1; 0 where the target was not ranked.
        is_discovery (`np.ndarray` of `bool`, shape `[examples]`): Whether the target was new to the user.
        cut_offs (`list[int]`, *optional*): How many of the first places count, each in turn.

    Returns:
        `dict`: The metric's own recall with its intervals, NDCG, `mrr` and counts, and `mean_rank` of the ranked
        targets.

    Example:
        >>> summary = rank_summary(np.array([1, 3, 0]), np.array([True, False, True]), [3])
        >>> summary["recall@3"], summary["ndcg@3"], summary["mean_rank"]
        (0.6666666666666666, 0.5, 2.0)
    """
    scores = metric_scores()
    summary = scores.summarise(ranks, np.ones(len(ranks), dtype=bool), is_discovery, list(cut_offs))
    return {**summary, "mean_rank": scores.mean(ranks[ranks > 0])}


def _context(
    dataset: BuiltDataset, examples: Dataset, choice: CatalogueChoice, reasoner: Reasoner | None
) -> dict[str, Any]:
    context = to_context(dataset, examples, {"cut_offs": list(CUT_OFFS)}, reasoner)
    # Other candidates make other examples: rows of both kinds never stand in one table.
    digest = hashlib.sha256(f"{context['examples_sha256']} {ALL}".encode()).hexdigest()
    return {
        **context,
        "examples_sha256": digest,
        "num_candidates": round(float(choice.num_candidates.mean())),
        ALL_CANDIDATES: len(choice.catalogue.item_ids),
    }


def _run(
    row: TableRow, examples: Dataset, choice: CatalogueChoice, progress: Progress | None
) -> tuple[dict[str, Any], CatalogueRanks]:
    """Run one row: as `results.json` holds it, but for gains, and its ranks."""

    def report(stage: str, done: int) -> None:
        if progress is not None:
            progress(row.name, stage, done, len(examples))

    started = perf_counter()
    ranks = choice.rank(_scorer(row, examples, choice.catalogue, report), lambda done: report("ranking", done))
    if not ranks.tells_apart and row.name != RANDOM_ROW:
        raise NothingToGoOnError("all candidates of every example have the same score")
    origin = {TEXTS: row.verbalizer.entry()} if isinstance(row, WrittenRow) else {}
    entry = {ROW: row.name, "kind": row.kind, "seconds": perf_counter() - started, **origin}
    summary = rank_summary(ranks.target_ranks, np.asarray(examples[IS_DISCOVERY][:], dtype=bool))
    places = {"position_bias": None, "picks_by_position": None}  # a catalogue has no places
    return {**entry, **summary, **places, "by_gap": {}}, ranks


def _scorer(
    row: TableRow, examples: Dataset, catalogue: Catalogue, report: Callable[[str, int], None]
) -> ScoreCatalogue:
    item_ids = catalogue.item_ids.tolist()
    if isinstance(row, BaselineRow):
        report("fitting", 0)
        recommender = BASELINES[row.name]().fit(row.dataset.training_interactions(), row.items)
        return lambda some: np.asarray(recommender.score(some, item_ids))
    if not isinstance(row, VerbalizerRow):
        raise NothingToGoOnError("it is computed for the candidates that were drawn, not for a whole catalogue")
    branch_scores = getattr(row.reasoner, "branch_scores", None)
    answer = row.reasoner.entry()["answer"]
    if branch_scores is None or answer not in ("title", "tags"):
        raise InputError(
            f"Row {row.name} cannot rank a whole catalogue: its reasoner answers by {answer}, and every item has to "
            "be scored. Use a local reasoner with --answer title or --answer tags."
        )
    texts = dict(zip(examples[EXAMPLE_ID][:], row.to_texts(examples, report).texts, strict=True))
    shown = [row.items[item_id] for item_id in item_ids]

    def score(some: Dataset) -> np.ndarray:
        contexts = [texts[example] for example in some[EXAMPLE_ID]]
        return np.stack(branch_scores(contexts, [shown] * len(contexts)))

    return score


def _predictions(name: str, examples: Dataset, ranks: CatalogueRanks) -> pd.DataFrame:
    """The lines of `predictions.parquet`; without gaps, which are a matter of the ten candidates' table."""
    frame = pd.DataFrame(
        {
            EXAMPLE_ID: examples[EXAMPLE_ID][:],
            ROW: name,
            IS_DISCOVERY: examples[IS_DISCOVERY][:],
            GAP: None,
            PICK: ranks.picks,
            TARGET_RANK: ranks.target_ranks,
        }
    )
    return frame.astype({GAP: "string", PICK: "string", TARGET_RANK: "Int32"})
