"""The results of a chain side by side: what they say is what an independent reading of its folders says."""

import json

import numpy as np
import pandas as pd
import pytest

from logs2lang.evaluation.results import FINGERPRINT, Results
from logs2lang.training.runs.chain_results import chain_document, chain_section, chain_tables

N = 60


def write_evaluation(folder, rows, reader="org/tiny", examples=N, **context):
    """An evaluation whose row of each name hits the targets of its mask."""
    shared = {
        "dataset": {"name": "toy", "content_sha256": {"examples": "abc"}},
        "split": "test",
        "n": examples,
        "num_candidates": 10,
        "seed": 0,
        "history_length": 8,
        "reasoner": {"id": reader, "answer": "title", "trained": reader != "org/tiny"},
        **context,
    }
    tables, lines = [], []
    for name, hits in rows.items():
        hits = np.resize(hits, examples)
        ids = [f"e{place}" for place in range(examples)]
        tables.append(
            pd.DataFrame({"row": name, "example_id": ids, "is_discovery": True, "target_rank": np.where(hits, 1, 4)})
        )
        measures = {"discovery_recall@1": float(hits.mean()), "n_discovery": examples, "n": examples}
        lines.append({"row": name, FINGERPRINT: f"{name}{hits.sum()}", **measures})
    Results(shared, lines, pd.concat(tables)).write(folder)


def write_training(folder, lengths, **run):
    (folder / "adapter").mkdir(parents=True)
    history = [{"step": step, "length/compression": length} for step, length in enumerate(lengths, start=1)]
    record = {"schema_version": 1, "role": "verbalizer", "method": "grpo", "steps": len(lengths), "seconds": 90.0}
    (folder / "adapter" / "run.json").write_text(json.dumps({**record, "history": history, **run}))


@pytest.fixture
def chain(tmp_path):
    rng = np.random.default_rng(1)
    often, seldom = rng.random(N) < 0.8, rng.random(N) < 0.2
    write_training(tmp_path / "hit", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    write_evaluation(tmp_path / "results_start", {"template": seldom, "action": seldom})
    write_evaluation(tmp_path / "results_hit", {"template": seldom, "action": often, "profile": often})
    write_evaluation(tmp_path / "results_few", {"template": often}, examples=20)
    return chain_document(tmp_path, ["hit"], ["results_start", "results_hit", "results_few"])


def test_rows_that_differ_are_compared_on_the_same_examples_alone(chain):
    compared = chain["comparison"]
    assert compared["against"] == "start"
    assert list(compared["rows"]) == ["hit: action"]  # the template was read alike, and few are other examples
    found = compared["rows"]["hit: action"]["discovery_recall@1"]
    rows = {one["step"]: {row["row"]: row for row in one["rows"]} for one in chain["evaluations"]}
    assert list(rows["results_hit"]) == ["action", "profile"]
    after, before = (rows[step]["action"]["discovery_recall@1"] for step in ("results_hit", "results_start"))
    assert found["difference"] == pytest.approx(after - before)
    assert found["difference_interval"][0] > 0
    assert found["p"] == found["p_holm"] < 0.01


def test_a_training_is_told_by_its_first_and_last_steps(chain):
    (training,) = chain["trainings"]
    assert training["start"]["length/compression"] == pytest.approx(0.3)
    assert training["end"]["length/compression"] == pytest.approx(0.5)
    assert "loss" not in training["start"]
    assert "| hit | grpo | 7 | 2 | 0.30 → 0.50 |" in chain_section(chain)


def test_only_what_differs_between_the_steps_has_a_column(chain, tmp_path):
    results = chain_tables(chain)[0]
    assert [column.heading for column in results.columns] == ["n", "Discovery Recall@1"]
    assert results.title == "toy, test, untrained reasoner org/tiny (title)"
    assert [row["row"] for row in results.rows][-1] == "few: template"
    write_evaluation(tmp_path / "short", {"template": [1]}, reader="org/taught", history_length=5)
    write_evaluation(tmp_path / "long", {"template": [1]}, history_length=50)
    section = chain_section(chain_document(tmp_path, [], ["short", "long"]))
    assert "toy, test, n = 60\n" in section
    assert "| short: template | trained reasoner org/taught (title) | 5 | 60 | 1.000 |" in section
    assert "Difference" not in section  # every row of the second hits what that of the first hits, by the same choices
    assert "Trainings" not in section


def test_a_chain_that_evaluates_nothing_has_nothing_to_compare(tmp_path):
    write_training(tmp_path / "alone", [0.5])
    document = chain_document(tmp_path, ["alone"], [])
    assert (document["evaluations"], document["comparison"]) == ([], None)
