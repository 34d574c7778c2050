"""The results table: every row runs once, on the same examples, and is measured by the metric's own arithmetic."""

import hashlib
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, lru_cache
from importlib import metadata
from math import inf
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.chosen_examples import choose_examples
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import told_apart
from logs2lang.dataset_builders.schema import (
    CANDIDATES,
    EXAMPLE_FEATURES,
    FOLD,
    HISTORY,
    ITEM_ID,
    TARGET,
    TITLE,
    Item,
)

from ..models.language_models import load_tokenizer
from ..reasoners.ranking import Ranking
from ..reasoners.reasoner import Reasoner
from ..verbalizers.action import ActionVerbalizer
from ..verbalizers.learned import STUDENT
from .calibration import calibration_measures
from .catalogue_popularity import CataloguePopularity, novelty_measures
from .comparisons import compare_with
from .example_groups import group_columns, group_measures
from .noise_measures import noise_measures
from .rank_measures import rank_measures, to_cut_offs
from .results import (
    COMPARISON,
    FINGERPRINT,
    GAP_NAMES,
    RESULTS_FILE,
    ROW,
    SEEDS,
    UNAVAILABLE,
    Results,
    read_results,
)
from .row_measures import (
    DECIDED,
    GAP,
    TextJudge,
    judge,
    measure,
    measure_agreement,
    measure_gains,
    to_predictions,
)
from .seed_spread import seed_spread
from .table_rows import TEMPLATE_ROW, NothingToGoOnError, Outcome, TableRow, read_row_texts, to_rows
from .trec_files import prepare_runs, write_run

Progress = Callable[[str, str, int, int], None]
"""Called with the row, what it is doing, the number of finished examples and the number of all."""

LIBRARIES = ("logs2lang", "torch", "transformers", "peft", "datasets", "evaluate", "numpy", "scikit-learn")
_FROM_BUILD_REPORT = ("name", "dataset_version", "options", "cut_times", "content_sha256")
_SETTING = ("dataset", "split", "n", "seed", "history_length", "examples_sha256")
"""What rows must share to stand in one table."""
_RECORD = ("command", "created", "versions")
"""What a row keeps of the run that it comes from, for a table is made in many runs."""


_MEASURES = 2
"""Raised when rows gain measures, so that a row which lacks them is run again."""


class RowsLeftError(Exception):
    """The time limit came before some rows; the others are written.

    Args:
        rows (`list[str]`): Their names.
    """

    def __init__(self, rows: Sequence[str]):
        super().__init__(f"The time limit was reached before {', '.join(rows)}.")
        self.rows = rows


def evaluate_rows(
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
    cut_offs: Sequence[int] | None = None,
    seed: int = 0,
    seeds: Sequence[int] = (),
    against: str | None = None,
    output: Path | None = None,
    overwrite: bool = False,
    command: str = "",
    created: datetime | None = None,
    progress: Progress | None = None,
    minutes: float | None = None,
) -> Results:
    """Run each row on the same examples and measure it.

    Args:
        dataset ([`BuiltDataset`]): What to evaluate on.
        rows (`list[str]`): Names of verbalizers and of classical baselines; see `table_rows.to_row_names`.
        split (`str`, *optional*, defaults to `"test"`): `"train"`, `"validation"` or `"test"`.
        limit (`int`, *optional*): How many examples to choose by `seed`; all when `None`.
        reasoner ([`Reasoner`], *optional*): Reads the texts; baselines do without.
        verbalizers (`dict[str, Verbalizer]`, *optional*): Your own, by row name, beside those built in. One without a
            `fingerprint` is run every time.
        texts (`dict[str, Path]`, *optional*): Files or folders of texts that are there already, by row name; see
            [`WrittenTexts`].
        history_length (`int`, *optional*): Keep only so many of the newest records of each history.
        discoveries (`bool`, *optional*, defaults to `False`): Only examples whose target the user never touched.
        cut_offs (`list[int]`, *optional*): How many of the first places count, each in turn; 1, 3, 5 and 10 by
            default, as far as there are so many candidates.
        seed (`int`, *optional*, defaults to 0): Chooses the examples, breaks ties, drives the bootstrap.
        seeds (`list[int]`, *optional*): Run what chance decides once for each: the training of a classical
            recommender, the decisions of a random rule, and the order of the candidates where a reasoner answers by
            label or in its own words. The rows hold the spread under `seeds`.
        against (`str`, *optional*): The row that all others are compared with; see `comparisons.compare_with`.
        output (`Path`, *optional*): Folder to write after each row. Rows that stand there unchanged are not run again.
        overwrite (`bool`, *optional*, defaults to `False`): Start from scratch, whatever `output` holds.
        command (`str`, *optional*): The command line, for the record.
        created (`datetime`, *optional*): The time, for the record.
        progress (`Callable`, *optional*): See `Progress`.
        minutes (`float`, *optional*): Begin no further row after so many; what was begun is finished and written. One
            row is run at least, or a limit below its time would be reached again and again.

    Returns:
        [`Results`]: The rows, those kept from an earlier run included.

    Raises:
        RowsLeftError: The time was over before the last row.
        InputError: A row is unknown or needs a reasoner, no row can be scored, a cut-off is above the number of
            candidates, texts do not go with the examples, or `output` holds results of other examples or of another
            reasoner.
    """
    examples = choose_examples(dataset.examples(split), limit, seed, history_length, discoveries)
    there = read_row_texts(texts or {}, dataset, split, examples, history_length)
    table = to_rows(rows, dataset, reasoner, {**(verbalizers or {}), **there}, seed)
    chosen_by = {"seed": seed, "history_length": history_length, "discoveries": discoveries}
    num_candidates = max(map(len, examples[CANDIDATES]))
    cuts = to_cut_offs(cut_offs, num_candidates)
    counted = {"num_candidates": num_candidates, "cut_offs": cuts}
    choices = {"split": split, "n": len(examples), **chosen_by, **counted}
    record = {"command": command, "created": created and created.isoformat()}
    context = {**record, **to_context(dataset, examples, choices, reasoner)}
    results = resumed_results(context, output, overwrite)
    if against is not None and against not in {*(row.name for row in table), *(row[ROW] for row in results.rows)}:
        raise InputError(f"--against is {against!r}, which is no row of this table. Add it to --rows.")
    if output is not None:
        prepare_runs(output, examples, [row[ROW] for row in results.rows])
    bench = Bench(examples, dataset, reasoner and _tokenizer(reasoner), cuts, tuple(seeds))

    def run(row: TableRow) -> tuple[dict[str, Any], pd.DataFrame]:
        entry, judged, rankings = bench.run(row, progress or _silent)
        if output is not None:
            write_run(output, row.name, examples, rankings)
        return entry, to_predictions(row.name, judged)

    results = run_missing_rows(results, table, run, output=output, minutes=minutes, seeds=seeds)
    if against is not None:
        results = replace(results, context={**results.context, COMPARISON: compare_with(results, against, cuts)})
    if output is not None:
        results.write(output)
    return results


def run_missing_rows(
    results: Results,
    table: Sequence[TableRow],
    run: Callable[[TableRow], tuple[dict[str, Any], pd.DataFrame]],
    *,
    output: Path | None = None,
    minutes: float | None = None,
    seeds: Sequence[int] = (),
) -> Results:
    """Run the rows that results lack, or hold of other inputs; each is written as soon as it is finished.

    Args:
        results ([`Results`]): What is there already.
        table (`list[TableRow]`): The rows that are wanted.
        run (`Callable`): Gives a row as `results.json` holds it, but for gains, and its predictions.
        output (`Path`, *optional*): Folder to write after each row.
        minutes (`float`, *optional*): Begin no further row after so many, but at least one.
        seeds (`list[int]`, *optional*): Part of what a row is known by.

    Raises:
        RowsLeftError: The time was over before the last row.
        InputError: No row can be scored.
    """
    deadline, has_run = inf if minutes is None else monotonic() + 60 * minutes, False
    for place, row in enumerate(table):
        fingerprint = to_fingerprint(row, results.context, seeds)
        if results.holds(row.name, fingerprint):
            continue
        if has_run and monotonic() >= deadline:
            raise RowsLeftError([left.name for left in table[place:]])
        has_run = True
        try:
            entry, predictions = run(row)
        except NothingToGoOnError as reason:
            results = results.with_unavailable(row.name, str(reason))
            continue
        own = {FINGERPRINT: fingerprint, "run": {key: results.context[key] for key in _RECORD}}
        results = with_agreement(with_gains(results.with_row({**entry, **own}, predictions), row.name))
        if output is not None:
            results.write(output)
    if not results.rows:
        whys = "; ".join(f"{name}: {why}" for name, why in results.context[UNAVAILABLE].items())
        raise InputError(f"None of these rows can be scored ({whys}). Choose others.")
    return results


@dataclass(frozen=True)
class Bench:
    """The examples that every row is run on, and what its texts are held against.

    Args:
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.
        dataset ([`BuiltDataset`]): Where they come from; for the catalogue and, for a simulated log, its truth.
        tokenizer (`PreTrainedTokenizerBase`, *optional*): Counts the tokens of texts; see `_tokenizer`.
        cut_offs (`list[int]`): How many of the first places count, each in turn.
        seeds (`tuple[int, ...]`): What chance decides is run once for each.
    """

    examples: Dataset
    dataset: BuiltDataset
    tokenizer: Any
    cut_offs: Sequence[int]
    seeds: tuple[int, ...] = ()

    @cached_property
    def items(self) -> dict[str, Item]:
        return self.dataset.items()

    @cached_property
    def text_judge(self) -> TextJudge:
        return TextJudge(self.items, self.tokenizer, self.dataset.known_successors())

    @cached_property
    def popularity(self) -> CataloguePopularity:
        return CataloguePopularity.of(self.dataset.training_interactions(), self.items)

    @cached_property
    def groups(self) -> pd.DataFrame:
        return group_columns(self.examples, self.dataset.training_interactions(), self.popularity)

    @cached_property
    def truth(self) -> Callable[[str], pd.DataFrame | None]:
        return lru_cache(self.dataset.truth)

    def run(self, row: TableRow, progress: Progress) -> tuple[dict[str, Any], pd.DataFrame, Sequence[Ranking | None]]:
        """Run one row and measure it, over all examples, by gap and by group.

        Returns:
            `tuple[dict, DataFrame, list[Ranking | None]]`: The row as `results.json` holds it, but for gains, one line
            per example, and what it ranked.
        """
        started = perf_counter()
        outcome = self._outcome(row, row.name, progress)
        entry = {ROW: row.name, "kind": row.kind, "seconds": perf_counter() - started, **outcome.details}
        judged = self._judged(row, outcome)
        if outcome.decided is not None:
            judged[DECIDED] = outcome.decided
        if outcome.texts is not None:
            folds = self.examples[FOLD][:] if FOLD in self.examples.column_names else None
            judged = judged.join(self.text_judge(self.examples[HISTORY][:], outcome.texts, folds))
        slices = {gap: np.flatnonzero(judged[GAP] == gap) for gap in GAP_NAMES}
        by_gap = {gap: self._measure(judged, outcome.texts, rows, (1,)) for gap, rows in slices.items() if len(rows)}
        measures = {
            **self._measure(judged, outcome.texts, np.arange(len(judged)), self.cut_offs),
            **calibration_measures(judged),
            **novelty_measures(judged, self.popularity),
            "by_gap": by_gap,
            "by_group": group_measures(judged, self.groups, self.cut_offs),
        }
        return {**entry, **measures, **self._spread(row, judged, progress)}, judged, outcome.rankings

    def _outcome(self, row: TableRow, name: str, progress: Progress) -> Outcome:
        return row.run(self.examples, lambda stage, done: progress(name, stage, done, len(self.examples)))

    def _judged(self, row: TableRow, outcome: Outcome) -> pd.DataFrame:
        try:
            return judge(self.examples, outcome.rankings)
        except InputError as error:
            raise InputError(f"Row {row.name}: {error}") from error

    def _spread(self, row: TableRow, judged: pd.DataFrame, progress: Progress) -> dict[str, Any]:
        """What the row measures with each seed, for rows that chance decides."""
        drawn = [(seed, other) for seed in self.seeds if (other := row.with_seed(seed)) is not None]
        found = [
            judged if other == row else self._judged(other, self._outcome(other, f"{row.name}, seed {seed}", progress))
            for seed, other in drawn
        ]
        measured = [rank_measures(one, self.cut_offs) for one in found]
        return {SEEDS: seed_spread(self.seeds, measured, self.cut_offs)} if measured else {}

    def _measure(
        self, judged: pd.DataFrame, texts: Sequence[str] | None, rows: np.ndarray, cut_offs: Sequence[int]
    ) -> dict[str, Any]:
        measures = measure(judged.iloc[rows], cut_offs)
        if texts is None or self.truth("records") is None:
            return measures
        written = [texts[row] for row in rows]
        return {**measures, "noise": noise_measures(written, self.examples.select(rows), self.truth, self.items)}


def with_gains(results: Results, changed: str) -> Results:
    """Set each row's gain over `template`; only `changed` is looked at, unless that is `template` itself."""
    if results.row(TEMPLATE_ROW) is None:
        return results
    template = results.predictions_of(TEMPLATE_ROW)
    seed = results.context["seed"]
    rows = [
        {**row, **_gains(row, results.predictions_of(row[ROW]), template, seed)}
        if changed in (row[ROW], TEMPLATE_ROW)
        else row
        for row in results.rows
    ]
    return replace(results, rows=rows)


def with_agreement(results: Results) -> Results:
    """Set how the row `student` compares with its teacher, the row `action`, where both are there and decide."""
    student, teacher = (results.predictions_of(name) for name in (STUDENT, ActionVerbalizer.name))
    if not all(len(one) and DECIDED in one and one[DECIDED].notna().all() for one in (student, teacher)):
        return results
    measures = measure_agreement(student, teacher, results.context["seed"])
    rows = [{**row, **measures} if row[ROW] == STUDENT else row for row in results.rows]
    return replace(results, rows=rows)


def _gains(row: dict[str, Any], predictions: pd.DataFrame, template: pd.DataFrame, seed: int) -> dict[str, Any]:
    sliced = {gap: (predictions[GAP] == gap).to_numpy() for gap in row["by_gap"]}
    by_gap = {
        gap: {**row["by_gap"][gap], **measure_gains(predictions[rows], template[rows], seed)}
        for gap, rows in sliced.items()
    }
    return {**measure_gains(predictions, template, seed), "by_gap": by_gap}


def to_context(
    dataset: BuiltDataset, examples: Dataset, choices: dict[str, Any], reasoner: Reasoner | None
) -> dict[str, Any]:
    """What all rows of a table share, as `results.json` holds it."""
    return {
        "dataset": {key: dataset.report.get(key) for key in _FROM_BUILD_REPORT},
        **choices,
        "examples_sha256": _digest(examples.select_columns([*EXAMPLE_FEATURES]).to_list()),
        "namesakes": count_namesakes(examples, dataset.items()),
        "reasoner": reasoner and reasoner.entry(),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}},
    }


def count_namesakes(examples: Dataset, items: Mapping[str, Item]) -> dict[str, int]:
    """In how many examples candidates share a title, and in how many an answer by title cannot tell them apart.

    Returns:
        `dict`: `same_title` counts examples with candidates of one title, whatever their years; `examples` those of
        them with candidates of one title and one year; `targets` those where the target is one of these.
    """
    found = {"same_title": 0, "examples": 0, "targets": 0}
    for shown, target in zip(examples[CANDIDATES], examples[TARGET], strict=True):
        ids = [candidate[ITEM_ID] for candidate in shown]
        candidates = [items[item_id] for item_id in ids]
        titles = told_apart(candidates)
        found["same_title"] += len({item[TITLE] for item in candidates}) < len(candidates)
        found["examples"] += len(set(titles)) < len(titles)
        found["targets"] += titles.count(titles[ids.index(target)]) > 1
    return found


def _tokenizer(reasoner: Reasoner) -> Any:
    """The reasoner's own tokenizer; an endpoint shows none, so the default base model's counts in its place."""
    own = getattr(reasoner, "language_model", None)
    return load_tokenizer() if own is None else own.tokenizer


def to_fingerprint(row: TableRow, context: Mapping[str, Any], seeds: Sequence[int] = ()) -> str | None:
    """What decides a row's numbers, as one hash: its own identity, the examples, what is measured, and the version of
    this code. Seeds count where they change anything.

    `None` where the row has no identity, so that it is run every time.
    """
    identity = row.identity()
    if identity is None:
        return None
    setting: dict[str, Any] = {key: context[key] for key in (*_SETTING, "cut_offs")}
    if seeds and row.with_seed(seeds[0]) is not None:
        setting["seeds"] = list(seeds)
    setting["measures"] = _MEASURES
    return _digest({"row": row.name, **identity, **setting, "version": metadata.version("logs2lang")})


def resumed_results(context: dict[str, Any], output: Path | None, overwrite: bool) -> Results:
    """The results to continue from: those in `output`, if they are about the same examples and reasoner, or none."""
    if output is None or overwrite or not (output / RESULTS_FILE).exists():
        return Results(context)
    earlier = read_results(output)
    differing = [key for key in _SETTING if earlier.context.get(key) != context[key]]
    reasoners = earlier.context.get("reasoner"), context["reasoner"]
    if None not in reasoners and reasoners[0] != reasoners[1]:
        differing.append("reasoner")
    if differing:
        was, now = _differing_parts(earlier.context.get(differing[0]), context[differing[0]])
        raise InputError(
            f"{output / RESULTS_FILE} holds results with a different {differing[0]} ({was!r}, now {now!r}). Choose "
            "another --output, or pass --overwrite to start from scratch."
        )
    kept = {"reasoner": context["reasoner"] or reasoners[0], UNAVAILABLE: earlier.context.get(UNAVAILABLE, {})}
    return replace(earlier, context={**context, **kept})


def _differing_parts(earlier: Any, now: Any) -> tuple[Any, Any]:
    """Two values, without what they share where both are mappings.

    Example:
        >>> _differing_parts({"name": "toy", "seed": 0}, {"name": "toy", "seed": 1})
        ({'seed': 0}, {'seed': 1})
    """
    if not (isinstance(earlier, Mapping) and isinstance(now, Mapping)):
        return earlier, now
    keys = [key for key in now if earlier.get(key) != now[key]]
    pairs = {key: _differing_parts(earlier.get(key), now[key]) for key in keys}
    return {key: pair[0] for key, pair in pairs.items()}, {key: pair[1] for key, pair in pairs.items()}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _silent(row: str, stage: str, done: int, total: int) -> None:
    """No progress is shown."""
