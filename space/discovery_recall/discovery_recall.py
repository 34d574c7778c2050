"""Discovery Recall as an `evaluate` metric: `evaluate.load("<namespace>/discovery_recall")`."""

import sys
from numbers import Integral
from typing import Any

import datasets
import evaluate

from .item_ids import to_examples, to_rankings
from .scores import summarise, target_ranks

logger = evaluate.logging.get_logger(__name__)

_DESCRIPTION = """
Discovery Recall@k is Recall@k over the examples whose target the user had never touched before: the share of them
whose target is among the first k predicted items. It separates recommending something new from repeating the past.
"""

_CITATION = """
@article{shi2026logs,
  title = {From Logs to Language: Learning Optimal Verbalization for LLM-Based Recommendation in Production},
  author = {Shi, Yucheng and Li, Ying and Wang, Yu and Feng, Yesu and Rao, Arjun and Houthooft, Rein and
    Sehgal, Shradha and Wang, Jin and Zhen, Hao and Liu, Ninghao and Baltrunas, Linas},
  journal = {arXiv preprint arXiv:2602.20558},
  year = {2026}
}
"""

_INPUTS = """
Args:
    predictions (`list`): Per example an item id (`str` or `int`), or a ranked list of them, best first. `None`, `""`
        and `[]` are not valid answers: each is a miss, counted in `invalid`. An id repeated in a list keeps its first
        place and takes up no other. Ids are compared as strings.
    references (`list`): Per example the id of the item the user chose next.
    is_discovery (`list[bool]`, *optional*): Whether the user had never touched that item. Either this or `histories`.
    histories (`list[list]`, *optional*): Per example the ids of all items the user touched before.
    k (`int` or `list[int]`, *optional*): Number of first places that count as a hit; for several values, all
        are returned. By default the k given to `evaluate.load("discovery_recall", k=...)`, else 1 with a warning.

Returns:
    `dict`:
    - `discovery_recall@k` (`float` in [0, 1], or `None` without a discovery) and `discovery_recall@k_interval`
      (`[low, high]`, 95%, by Wilson),
    - `recall@k` and `recall@k_interval`, the same over all examples,
    - `discovery_ndcg@k` and `ndcg@k` (`float` in [0, 1]): the normalised discounted cumulative gain over discoveries
      and over all examples; with one target per example the mean of `1 / log2(1 + rank)` among the first k places,
    - `mrr` (`float` in [0, 1]): mean reciprocal rank over all examples, 0 where the target is not ranked,
    - `n_discovery`, `n` and `invalid` (`int`): discoveries, examples, and examples without a valid answer.

Raises:
    ValueError: Lengths differ, both or neither of `is_discovery` and `histories` are given, or a value is no item id.

Example:
    >>> import evaluate
    >>> discovery_recall = evaluate.load("discovery_recall")
    >>> scores = discovery_recall.compute(
    ...     predictions=[["heat", "alien"], ["fargo", "heat"], []],
    ...     references=["heat", "heat", "alien"],
    ...     histories=[["fargo"], ["fargo"], ["alien"]],
    ...     k=1,
    ... )
    >>> scores["discovery_recall@1"], scores["n_discovery"], scores["invalid"]
    (0.5, 2, 1)
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _INPUTS)
class DiscoveryRecall(evaluate.Metric):
    """Discovery Recall@k with its interval and its counts."""

    def __init__(self, *args: Any, k: Any = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.ks = None if k is None else _to_ks(k)

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Value("string")),
                    "references": datasets.Value("string"),
                    "is_discovery": datasets.Value("bool"),
                }
            ),
            reference_urls=["https://arxiv.org/abs/2602.20558"],
        )

    def compute(
        self,
        *,
        predictions: Any = None,
        references: Any = None,
        is_discovery: Any = None,
        histories: Any = None,
        k: Any = None,
    ) -> dict[str, Any] | None:
        """Discovery Recall of the examples given here and of those added before."""
        ks = self._chosen(k)
        inputs = {
            "predictions": predictions,
            "references": references,
            "is_discovery": is_discovery,
            "histories": histories,
        }
        given = any(column is not None for column in inputs.values())
        if given and self.writer is None and self.num_process == 1:
            # Not through evaluate's Arrow file: it knows no column of "an id or a list of ids", and writing and
            # reading a million rankings takes far longer than scoring them.
            return self._compute(**inputs, ks=ks)
        if given:
            self.add_batch(**inputs)
        return super().compute(ks=ks)

    def _chosen(self, k: Any) -> list[int]:
        """The cut-offs of this call, else those of loading, else 1, which is said."""
        if k is not None:
            return _to_ks(k)
        if self.ks is None:
            logger.warning("No k was given, so Recall@1 is measured. Pass k, such as k=1, here or when loading.")
        return self.ks or [1]

    def add_batch(
        self, *, predictions: Any = None, references: Any = None, is_discovery: Any = None, histories: Any = None
    ) -> None:
        """Store examples for a later `compute()`."""
        examples = to_examples(predictions, references, is_discovery, histories)
        super().add_batch(
            predictions=[list(map(str, ranking)) for ranking in examples.rankings],
            references=list(map(str, examples.targets)),
            is_discovery=examples.is_discovery.tolist(),
        )

    def add(
        self,
        *,
        prediction: Any = None,
        reference: Any = None,
        is_discovery: Any = None,
        history: Any = None,
        **combined: Any,
    ) -> None:
        """Store one example for a later `compute()`. `evaluate.combine` names its columns in the plural here too."""
        history = combined.pop("histories", history)
        self.add_batch(
            predictions=[combined.pop("predictions", prediction)],
            references=[combined.pop("references", reference)],
            is_discovery=None if is_discovery is None else [is_discovery],
            histories=None if history is None else [history],
            **combined,
        )

    def _feature_names(self) -> list[str]:
        """The columns that `evaluate.combine` hands on of a batch: flags, or histories where it has those instead.

        It asks for names before it looks at the batch, and would end in a KeyError where there are no flags; so the
        batch is looked at here, in the frame of the caller. Where it has neither, `add_batch` says so.
        """
        names = super()._feature_names()
        batch = sys._getframe(1).f_locals.get("batch")
        if not isinstance(batch, dict):
            return names
        return [*names[:-1], *(name for name in ("is_discovery", "histories", "history") if name in batch)]

    def ranks(self, predictions: Any, references: Any) -> list[int]:
        """The place of each target in its ranking, from 1; 0 where it is not ranked or there is no valid answer."""
        return target_ranks(*to_rankings(predictions, references))[0].tolist()

    def _compute(
        self,
        *,
        predictions: Any,
        references: Any,
        is_discovery: Any = None,
        histories: Any = None,
        ks: list[int],
    ) -> dict[str, Any]:
        examples = to_examples(predictions, references, is_discovery, histories)
        ranks, valid = target_ranks(examples.rankings, examples.targets)
        return summarise(ranks, valid, examples.is_discovery, ks)


def _to_ks(k: Any) -> list[int]:
    """The cut-offs that were asked for, each once.

    Raises:
        ValueError: There is none, or one is not a whole number of at least 1.
    """
    ks = list(dict.fromkeys(k)) if isinstance(k, (list, tuple, range)) else [k]
    for one in ks:
        if not isinstance(one, Integral) or isinstance(one, bool) or one < 1:
            raise ValueError(f"k must be an integer of at least 1; got {one!r}. Pass several values as a list.")
    if not ks:
        raise ValueError("k is an empty list; give at least one number, such as k=1.")
    return [int(one) for one in ks]
