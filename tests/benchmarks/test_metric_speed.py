"""A million predictions in under two seconds, beside a plain Python loop that checks nothing.

Times are processor seconds: the metric works in one thread, so that is what it takes on a machine with nothing else
to do. Run with `make bench`.
"""

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from logs2lang.evaluation.metric import load_metric

EXAMPLES = 1_000_000
CATALOGUE = [f"item{number:06d}" for number in range(20_000)]


def to_columns(places: int) -> dict[str, list]:
    """Bare ids (a third of them right) for `places` 1, else rankings that hold the target somewhere."""
    rng = random.Random(0)
    targets = rng.choices(CATALOGUE, k=EXAMPLES)
    if places == 1:
        predictions: list = [target if rng.random() < 1 / 3 else rng.choice(CATALOGUE) for target in targets]
    else:
        predictions = [rng.choices(CATALOGUE, k=places) for _ in targets]
        for ranking, target in zip(predictions, targets, strict=True):
            ranking[rng.randrange(places)] = target
    return {
        "predictions": predictions,
        "references": targets,
        "is_discovery": [rng.random() < 0.7 for _ in targets],
    }


def plain_loop(predictions: list, references: list, is_discovery: list) -> dict[str, Any]:
    """The same means as one would write them down first: no check of types and lengths, no interval."""
    hits = discoveries = discovery_hits = invalid = 0
    reciprocal = 0.0
    for prediction, reference, new in zip(predictions, references, is_discovery, strict=True):
        ranking: list[str] = []
        for item in prediction if isinstance(prediction, list) else [prediction]:
            if str(item) not in ranking:
                ranking.append(str(item))
        rank = ranking.index(str(reference)) + 1 if str(reference) in ranking else 0
        hits += rank == 1
        discoveries += new
        discovery_hits += new and rank == 1
        reciprocal += 1 / rank if rank else 0
        invalid += not ranking or not ranking[0]
    n = len(references)
    return {
        "discovery_recall@1": discovery_hits / discoveries,
        "recall@1": hits / n,
        "mrr": reciprocal / n,
        "n_discovery": discoveries,
        "n": n,
        "invalid": invalid,
    }


def best_of(times: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of the shortest of some runs, since what else the machine does only ever adds."""
    seconds = []
    for _ in range(times):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return min(seconds), result


@pytest.mark.parametrize("places", [1, 10])
def test_a_million_predictions_take_under_two_seconds(places, capsys):
    metric, columns = load_metric(), to_columns(places)
    whole, scores = best_of(3, lambda: metric.compute(**columns))
    loop, expected = best_of(3, lambda: plain_loop(**columns))
    with capsys.disabled():
        print(
            f"\n{EXAMPLES:,} examples with {places} id(s) each: compute {whole:.2f} s; a plain loop {loop:.2f} s, "
            f"{loop / whole:.1f} times as long"
        )
    assert {name: scores[name] for name in expected} == pytest.approx(expected)
    assert whole < 2
