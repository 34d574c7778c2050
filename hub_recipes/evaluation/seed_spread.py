"""How far a row's numbers move when what chance decides is drawn again."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any


def seed_spread(
    seeds: Sequence[int], measured: Sequence[Mapping[str, Any]], cut_offs: Sequence[int]
) -> dict[str, Any]:
    """The measures of one row under several seeds.

    Args:
        seeds (`list[int]`): One per run.
        measured (`list[dict]`): What `rank_measures` returns, one per run.
        cut_offs (`list[int]`): The NDCG is told at the largest.

    Returns:
        `dict`: `seeds`, and by measure its `values`, their `mean` and their standard deviation `sd` (with `n - 1`;
        `None` for a single run). A measure without a number is left out.

    Example:
        >>> measured = [{"recall@1": 0.25, "ndcg@1": 0.25}, {"recall@1": 0.75, "ndcg@1": 0.75}]
        >>> spread = seed_spread([0, 1], measured, [1])
        >>> spread["seeds"], spread["recall@1"]["values"], round(spread["recall@1"]["sd"], 3)
        ([0, 1], [0.25, 0.75], 0.354)
    """
    spread: dict[str, Any] = {"seeds": list(seeds)}
    for name in ("discovery_recall@1", "recall@1", f"ndcg@{max(cut_offs)}"):
        values = [one[name] for one in measured if one.get(name) is not None]
        if values:
            sd = stdev(values) if len(values) > 1 else None
            spread[name] = {"mean": fmean(values), "sd": sd, "values": values}
    return spread
