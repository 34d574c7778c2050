"""Measuring a table of 15 rows against the passes of the language model that its rows wait for."""

from functools import partial
from time import process_time

import numpy as np
import pytest

from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.prompting.prompts import template_text
from logs2lang.dataset_builders.sources.streaming_simulation import SimulationConfig, read_streaming_simulation
from logs2lang.evaluation.evaluation import evaluate_rows
from logs2lang.models.language_models import load_language_model
from logs2lang.reasoners.local import LocalReasoner
from logs2lang.reasoners.ranking import Ranking

ROWS = 15
READ_ROWS = 3
"""Rows of a usual table that a language model reads; the others are classical."""
EXAMPLES = 1_000
SCORED = 12
HISTORY = 10
MOST_BESIDE_PASSES = 0.10


class AtOnce:
    """Ranks at random with probabilities, in no time: what is left is the measuring."""

    language_model = None

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def entry(self):
        return {"id": "at once", "base_model": None, "trained": None, "answer": "title", "fingerprint": "at once"}

    def rank(self, contexts, candidates, progress=None):
        return [self._rank([item["item_id"] for item in shown]) for shown in candidates]

    def _rank(self, ids):
        probabilities = np.sort(self.rng.dirichlet(np.ones(len(ids))))[::-1]
        return Ranking(self.rng.permutation(ids).tolist(), probabilities.tolist())


class Short:
    """Writes three titles."""

    def verbalize(self, histories, progress=None):
        return ["; ".join(record["title"] for record in history[-3:]) for history in histories]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> BuiltDataset:
    folder = tmp_path_factory.mktemp("speed") / "simulation"
    config = SimulationConfig(events=12_000, accounts=300)
    build_dataset(partial(read_streaming_simulation, config=config), folder)
    return BuiltDataset.open(folder)


def test_measuring_a_table_adds_a_tenth_to_its_passes_at_most(dataset, tmp_path):
    language_model = load_language_model(device="cpu")
    examples, items = dataset.examples("train").select(range(SCORED)), dataset.items()
    texts = [template_text(history[-HISTORY:]) for history in examples["history"]]
    candidates = [[items[one["item_id"]] for one in shown] for shown in examples["candidates"]]
    started = process_time()
    LocalReasoner(language_model, "title").rank(texts, candidates)
    passes = READ_ROWS * EXAMPLES * (process_time() - started) / SCORED

    rows = {f"row {number}": Short() for number in range(ROWS)}
    choices = {"split": "train", "limit": EXAMPLES, "history_length": HISTORY, "against": "row 0", "output": tmp_path}
    started = process_time()
    results = evaluate_rows(dataset, list(rows), reasoner=AtOnce(), verbalizers=rows, **choices)
    measuring = process_time() - started
    print(
        f"\n{ROWS} rows of {results.context['n']} examples: {measuring:.1f} s beside {passes:.0f} s for {READ_ROWS} "
        f"passes, a share of {measuring / passes:.3f}"
    )
    assert results.context["n"] == EXAMPLES
    assert measuring / passes < MOST_BESIDE_PASSES
