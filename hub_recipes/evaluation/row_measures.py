"""What a row of the results table measures: from its rankings and texts to numbers.

One line per example first (`judge`), means second (`measure`), so that every slice of the examples (all of them, or
those whose target came within the hour) goes through the same arithmetic. Recall, its intervals and the reciprocal
rank are the metric's own; see `space/discovery_recall`.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset

from logs2lang.dataset_builders.prompting.described_records import items_of
from logs2lang.dataset_builders.prompting.prompts import sanitize, template_text
from logs2lang.dataset_builders.schema import (
    CANDIDATES,
    EXAMPLE_ID,
    HISTORY,
    IS_DISCOVERY,
    ITEM_ID,
    NO_TIME,
    TARGET,
    TIMESTAMP,
    TITLE,
)
from logs2lang.dataset_builders.successor_lists import SuccessorLists

from ..reasoners.ranking import Ranking
from ..reasoners.title_mentions import TitleIndex, mentioned_titles
from ..verbalizers.language_model_verbalizer import folds_of
from ..verbalizers.verbalization_file import count_tokens
from .metric import load_metric
from .relative_gain import relative_gain
from .results import GAP_NAMES, ROW

_GAP_BOUNDS_S = (1, 60 * 60, 24 * 60 * 60)

GAP = "gap"
RANKED = "ranked"
PICK = "pick"
PICK_POSITION = "pick_position"
NUM_CANDIDATES = "num_candidates"
TARGET_RANK = "target_rank"
DECIDED = "decided"
TOKENS = "tokens"
TEMPLATE_TOKENS = "template_tokens"
NAMED = "named_titles"
UNSUPPORTED = "unsupported_titles"


def gap_name(seconds: float) -> str:
    """The bin of the time between a target and the interaction before it.

    Args:
        seconds (`float`): At least 0.

    Returns:
        `str`: One of `GAP_NAMES`; a bound belongs to the longer bin.

    Example:
        >>> gap_name(0), gap_name(59), gap_name(3600), gap_name(86400)
        ('same_second', 'under_an_hour', 'under_a_day', 'a_day_and_more')
    """
    return GAP_NAMES[bisect_right(_GAP_BOUNDS_S, seconds)]


def judge(examples: Dataset, rankings: Sequence[Ranking | None]) -> pd.DataFrame:
    """One line per example: what was ranked, what was picked, and where the target ended up.

    Args:
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.
        rankings (`list[Ranking | None]`): One per example; `None` where the reasoner gave no valid answer.

    Returns:
        `pandas.DataFrame`: `example_id`, `target`, `is_discovery`, `gap` (missing in a log without times),
        `num_candidates`, `ranked` (item ids), `pick` (item id), `pick_position` (from 0) and `target_rank` (from 1),
        missing where there is no answer.
    """
    return pd.DataFrame([_judge_one(row, ranking) for row, ranking in zip(examples, rankings, strict=True)])


def _judge_one(example: dict[str, Any], ranking: Ranking | None) -> dict[str, Any]:
    candidates = [candidate[ITEM_ID] for candidate in example[CANDIDATES]]
    ranked = [] if ranking is None else list(ranking.item_ids)
    target = example[TARGET]
    return {
        EXAMPLE_ID: example[EXAMPLE_ID],
        TARGET: target,
        IS_DISCOVERY: example[IS_DISCOVERY],
        GAP: _gap(example),
        NUM_CANDIDATES: len(candidates),
        RANKED: ranked,
        PICK: ranked[0] if ranked else None,
        PICK_POSITION: candidates.index(ranked[0]) if ranked else np.nan,
        TARGET_RANK: ranked.index(target) + 1 if target in ranked else np.nan,
    }


def _gap(example: dict[str, Any]) -> str | None:
    """The bin of an example's gap; `None` in a log without times."""
    if example[TIMESTAMP] == NO_TIME:
        return None
    return gap_name((example[TIMESTAMP] - example[HISTORY][-1][TIMESTAMP]).total_seconds())


def to_predictions(name: str, judged: pd.DataFrame) -> pd.DataFrame:
    """The lines of `predictions.parquet` for one row: opaque ids, ranks and decisions, no text and no history."""
    decided = [DECIDED] if DECIDED in judged else []
    shown = judged[[EXAMPLE_ID, IS_DISCOVERY, GAP, PICK, TARGET_RANK, *decided]]
    columns = shown.astype({TARGET_RANK: "Int16", PICK: "string"})
    columns.insert(1, ROW, name)
    return columns


def measure(judged: pd.DataFrame) -> dict[str, Any]:
    """The means of one row over a slice of its examples.

    Args:
        judged (`pandas.DataFrame`): As `judge` returns it, with the columns of `TextJudge` for rows that write text.

    Returns:
        `dict`: `discovery_recall@1`, `recall@1` and their intervals, `n_discovery`, `n`, `invalid` as the metric gives
        them; `mrr`; `position_bias` and `picks_by_position`; and for texts `compression`, `named_titles` and
        `unsupported_title_rate`. `None` where there is nothing to take a mean of.
    """
    return {**_metric_scores(judged), **position_measures(judged), **text_measures(judged)}


def _metric_scores(judged: pd.DataFrame) -> dict[str, Any]:
    """The metric's own numbers; an invalid answer is an empty ranking, which it counts as a miss."""
    return load_metric().compute(
        predictions=judged[RANKED].tolist(),
        references=judged[TARGET].tolist(),
        is_discovery=judged[IS_DISCOVERY].tolist(),
        k=1,
    )


def measure_gains(predictions: pd.DataFrame, template: pd.DataFrame, seed: int) -> dict[str, Any]:
    """How much more often a row hits than `template` does, on the same examples.

    Args:
        predictions (`pandas.DataFrame`): As `to_predictions` returns them.
        template (`pandas.DataFrame`): Those of the row `template`, in the same order.
        seed (`int`): Drives the bootstrap.

    Returns:
        `dict`: `gain` over all examples and `discovery_gain` over discoveries (0.1 = ten percent more hits), each with
        its interval; see `relative_gain`.
    """
    hits, template_hits = (frame[TARGET_RANK].eq(1).fillna(False).to_numpy(bool) for frame in (predictions, template))
    discovery = predictions[IS_DISCOVERY].to_numpy(bool)
    gain, interval = relative_gain(hits, template_hits, seed)
    discovery_gain, discovery_interval = relative_gain(hits[discovery], template_hits[discovery], seed)
    return {
        "gain": gain,
        "gain_interval": interval,
        "discovery_gain": discovery_gain,
        "discovery_gain_interval": discovery_interval,
    }


def measure_agreement(predictions: pd.DataFrame, teacher: pd.DataFrame, seed: int) -> dict[str, Any]:
    """How a student compares with its teacher on the same examples.

    Args:
        predictions (`pandas.DataFrame`): The student's, as `to_predictions` returns them.
        teacher (`pandas.DataFrame`): The teacher's, in the same order.
        seed (`int`): Drives the bootstrap.

    Returns:
        `dict`: `agreement` (the share of records on which both decided alike, of those that both were shown),
        `teacher_gain` (0.1 = ten percent more hits than the teacher) and its paired 95% interval.
    """
    pairs = [
        pair
        for ours, theirs in zip(predictions[DECIDED], teacher[DECIDED], strict=True)
        # From the newest on: where a teacher's window was too short it has left out the oldest.
        for pair in zip(reversed(ours.split()), reversed(theirs.split()), strict=False)
    ]
    gains = measure_gains(predictions, teacher, seed)
    return {
        "agreement": sum(one == other for one, other in pairs) / len(pairs) if pairs else None,
        "teacher_gain": gains["gain"],
        "teacher_gain_interval": gains["gain_interval"],
    }


def position_measures(judged: pd.DataFrame) -> dict[str, Any]:
    """Whether some places of the candidate list are picked more often than others.

    Candidates stand in seeded order, so picks that follow the content are spread evenly.

    Returns:
        `dict`: `picks_by_position` (list of shares of all valid picks, first candidate first) and `position_bias`:
        the total variation distance of those shares from even ones, 0 when even and `1 - 1 / candidates` when one
        place takes all. A small sample is never quite even: 60 picks among ten give about 0.15 by chance alone.

    Example:
        >>> position_measures(pd.DataFrame({"pick_position": [0, 0, 0, 1], "num_candidates": [2, 2, 2, 2]}))
        {'position_bias': 0.25, 'picks_by_position': [0.75, 0.25]}
    """
    picked = judged[PICK_POSITION].dropna().astype(int)
    if picked.empty:
        return {"position_bias": None, "picks_by_position": None}
    shares = np.bincount(picked, minlength=judged[NUM_CANDIDATES].max()) / len(picked)
    return {"position_bias": float(np.abs(shares - 1 / len(shares)).sum() / 2), "picks_by_position": shares.tolist()}


def text_measures(judged: pd.DataFrame) -> dict[str, Any]:
    """How long the texts are against the template's, and how many of the titles they name were never in the log.

    Example:
        >>> text_measures(pd.DataFrame({"tokens": [10, 30], "template_tokens": [20, 40], "named_titles": [3, 1],
        ...     "unsupported_titles": [0, 1]}))
        {'compression': 0.625, 'named_titles': 4, 'unsupported_title_rate': 0.25}
    """
    if TOKENS not in judged:
        return {}
    named = int(judged[NAMED].sum())
    return {
        "compression": float((judged[TOKENS] / judged[TEMPLATE_TOKENS]).mean()),
        "named_titles": named,
        "unsupported_title_rate": float(judged[UNSUPPORTED].sum() / named) if named else None,
    }


class TextJudge:
    """Measures texts against the histories they were written from.

    A title is supported that stands in the log as the template writes it, so that a copy of the log invents nothing,
    or that other users chose after an item of it.

    Args:
        items (`dict[str, Item]`): The catalogue, whose titles are looked for in the texts.
        tokenizer (`PreTrainedTokenizerBase`): The reasoner's, which decides how long a text is.
        successors ([`SuccessorLists`], *optional*): What other users chose after each item.
    """

    def __init__(
        self, items: Mapping[str, Mapping[str, Any]], tokenizer: Any, successors: SuccessorLists | None = None
    ):
        self.items = items
        self.titles = TitleIndex(item[TITLE] for item in items.values())
        self.tokenizer = tokenizer
        self.successors = successors

    def __call__(
        self,
        histories: Sequence[Sequence[Mapping[str, Any]]],
        texts: Sequence[str],
        folds: Sequence[int] | None = None,
    ) -> pd.DataFrame:
        """One line per text: its tokens, the template's, the titles it names, and how many of them nothing supports.

        Args:
            histories (`list[list[Record]]`): What each text was written from.
            texts (`list[str]`): One per history.
            folds (`list[int]`, *optional*): Which users are left out of the counts of successors, per history.
        """
        mentioned = [mentioned_titles(text, self.titles) for text in texts]
        logs = [template_text(history) for history in histories]
        supported = [
            {sanitize(record[TITLE]) for record in history}.union(
                mentioned_titles(log, self.titles), self._following(history, fold)
            )
            for history, log, fold in zip(histories, logs, folds_of(histories, folds), strict=True)
        ]
        return pd.DataFrame(
            {
                TOKENS: count_tokens(self.tokenizer, texts),
                TEMPLATE_TOKENS: count_tokens(self.tokenizer, logs),
                NAMED: [len(titles) for titles in mentioned],
                UNSUPPORTED: [_count_absent(titles, seen) for titles, seen in zip(mentioned, supported, strict=True)],
            }
        )

    def _following(self, history: Sequence[Mapping[str, Any]], fold: int) -> set[str]:
        """The titles of all successors of a history's items."""
        if self.successors is None:
            return set()
        found = {one.item_id for item_id in items_of(history) for one in self.successors.after(item_id, fold)}
        return {sanitize(self.items[item_id][TITLE]) for item_id in found}


def _count_absent(titles: Sequence[str], supported: set[str]) -> int:
    return sum(title not in supported for title in titles)
