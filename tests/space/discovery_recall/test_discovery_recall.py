"""Through `evaluate.load(folder)`, as a user meets the metric."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import evaluate
import numpy as np
import pytest
from evaluate.loading import get_imports
from hypothesis import given
from hypothesis import strategies as st

FOLDER = Path(__file__).parents[3] / "space" / "discovery_recall"
IN_A_REPOSITORY = "/spaces/someone/discovery_recall/resolve/main/"

EXAMPLES = {
    "predictions": [["a", "b"], ["b", "b", "a"], None, "c", []],
    "references": ["a", "a", "a", "c", "c"],
    "is_discovery": [True, True, True, False, False],
}


@pytest.fixture(scope="module")
def metric() -> evaluate.Metric:
    return evaluate.load(str(FOLDER))


def test_scores_of_five_examples(metric):
    scores = metric.compute(**EXAMPLES)
    assert scores["discovery_recall@1"] == pytest.approx(1 / 3)
    assert scores["recall@1"] == pytest.approx(2 / 5)
    assert scores["mrr"] == pytest.approx((1 + 1 / 2 + 0 + 1 + 0) / 5)
    assert (scores["n_discovery"], scores["n"], scores["invalid"]) == (3, 5, 2)
    low, high = scores["discovery_recall@1_interval"]
    assert low < 1 / 3 < high
    assert list(scores) == [
        "discovery_recall@1",
        "discovery_recall@1_interval",
        "recall@1",
        "recall@1_interval",
        "discovery_ndcg@1",
        "ndcg@1",
        "mrr",
        "n_discovery",
        "n",
        "invalid",
    ]


def test_k_is_named_in_the_keys(metric):
    scores = metric.compute(**EXAMPLES, k=2)
    assert scores["discovery_recall@2"] == pytest.approx(2 / 3)
    assert scores["recall@2"] == pytest.approx(3 / 5)


def test_histories_say_what_is_discovery(metric):
    flagged = metric.compute(**EXAMPLES)
    del (inputs := dict(EXAMPLES))["is_discovery"]
    assert metric.compute(**inputs, histories=[["b"], [], ["c"], ["b", "c"], ["c"]]) == flagged


def test_examples_may_come_one_by_one_or_in_batches(metric):
    expected = metric.compute(**EXAMPLES)
    for prediction, reference, is_discovery in zip(*EXAMPLES.values(), strict=True):
        metric.add(prediction=prediction, reference=reference, is_discovery=is_discovery)
    assert metric.compute() == expected
    metric.add_batch(**{name: column[:2] for name, column in EXAMPLES.items()})
    assert metric.compute(**{name: column[2:] for name, column in EXAMPLES.items()}) == expected
    assert metric.compute(**EXAMPLES) == expected  # nothing is left from before


def test_a_history_may_come_with_each_example(metric):
    metric.add(prediction=1, reference="1", history=[])
    metric.add(prediction=1, reference="1", history=[1])
    scores = metric.compute()
    assert (scores["n_discovery"], scores["n"], scores["recall@1"]) == (1, 2, 1.0)


def test_options_hold_for_added_examples_too(metric):
    metric.add_batch(**EXAMPLES)
    scores = metric.compute(k=2)
    assert scores["recall@2"] == pytest.approx(3 / 5)
    assert "recall@1" not in scores


def test_refused_examples_leave_the_metric_as_it_was(metric):
    metric.add_batch(**EXAMPLES)
    with pytest.raises(ValueError, match="3 predictions and 1 references"):
        metric.add_batch(predictions=["a", "b", "c"], references=["a"], is_discovery=[True])
    with pytest.raises(ValueError, match="k must be an integer of at least 1; got 0"):
        metric.compute(k=0)
    assert metric.compute()["n"] == 5


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"k": 1.5}, "k must be"),
        ({"k": [1, 0]}, "k must be .* got 0"),
        ({"k": []}, "k is an empty list"),
        ({"k": True}, "k must be"),
        ({"k": "3"}, "k must be"),
    ],
)
def test_options_are_checked(metric, option, message):
    with pytest.raises(ValueError, match=message):
        metric.compute(**EXAMPLES, **option)


def test_a_misspelt_option_is_no_silence(metric):
    with pytest.raises(TypeError, match="kk"):
        metric.compute(**EXAMPLES, kk=10)


def test_nothing_given_and_nothing_added_is_an_error(metric):
    with pytest.raises(ValueError, match="`add`"):
        metric.compute()


def test_no_examples_give_counts_of_zero(metric):
    scores = metric.compute(predictions=[], references=[], is_discovery=[])
    assert (scores["n"], scores["recall@1"], scores["recall@1_interval"]) == (0, None, None)


def test_ranks_tell_where_each_target_is(metric):
    assert metric.ranks(EXAMPLES["predictions"], EXAMPLES["references"]) == [1, 2, 0, 1, 0]


def looked_up(ranking: list, target: int | str) -> int:
    """The rank as one would find it by hand."""
    seen: list[str] = []
    for item in ranking:
        if str(item) == str(target):
            return len(seen) + 1
        if str(item) not in seen:
            seen.append(str(item))
    return 0


ids = st.one_of(st.integers(0, 5), st.sampled_from("012345ab"))


@given(st.lists(st.tuples(st.lists(ids), ids, st.booleans()), min_size=1), st.integers(1, 4))
def test_any_mixture_of_ids_scores_as_a_plain_loop_does(metric, rows, k):
    rankings, targets, flags = (list(column) for column in zip(*rows, strict=True))
    ranks = [looked_up(ranking, target) for ranking, target in zip(rankings, targets, strict=True)]
    hits = [1 <= rank <= k for rank in ranks]
    scores = metric.compute(predictions=rankings, references=targets, is_discovery=flags, k=k)
    assert metric.ranks(rankings, targets) == ranks
    assert scores[f"recall@{k}"] == pytest.approx(np.mean(hits))
    discoveries = [hit for hit, flag in zip(hits, flags, strict=True) if flag]
    assert scores[f"discovery_recall@{k}"] == (pytest.approx(np.mean(discoveries)) if discoveries else None)
    assert scores["invalid"] == rankings.count([])


def test_evaluate_sees_each_import_and_copies_our_own():
    # evaluate reads imports line by line, in the module alone: two on one line, or one that scores.py alone has of
    # its neighbours, would be missing on the Hub.
    kinds = [(kind, name) for kind, name, *_ in get_imports(str(FOLDER / "discovery_recall.py"))]
    assert {name for kind, name in kinds if kind == "internal"} == {"item_ids", "scores"}
    assert {name for kind, name in kinds if kind == "library"} == {"datasets", "evaluate", "numbers", "sys", "typing"}
    for name in ("item_ids.py", "scores.py"):
        assert all(kind == "library" for kind, *_ in get_imports(str(FOLDER / name)))


class HubOfOneSpace(SimpleHTTPRequestHandler):
    """Answers as the Hub does for the files of one Space."""

    def translate_path(self, path: str) -> str:
        return str(FOLDER / path.removeprefix(IN_A_REPOSITORY)) if path.startswith(IN_A_REPOSITORY) else "/absent"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), HubOfOneSpace) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def run_python(code: str, *words: str, folder: Path, **variables: str) -> subprocess.Popen:
    environment = {**os.environ, "HF_HOME": str(folder / "home"), "HF_UPDATE_DOWNLOAD_COUNTS": "0", **variables}
    for name in ("HF_MODULES_CACHE", "HF_METRICS_CACHE", "HF_EVALUATE_CACHE"):
        environment.pop(name, None)
    command = [sys.executable, "-c", code, *words]
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE)


def test_it_loads_from_a_space_of_the_hub(hub, tmp_path):
    code = (
        "import evaluate; metric = evaluate.load('someone/discovery_recall'); "
        "print(metric.compute(predictions=['a'], references=['a'], is_discovery=[True])['recall@1'])"
    )
    process = run_python(code, folder=tmp_path, HF_ENDPOINT=hub, HF_HUB_OFFLINE="0", HF_EVALUATE_OFFLINE="0")
    assert process.communicate(timeout=120)[0].strip() == "1.0"


def test_two_processes_gather_their_examples(tmp_path):
    code = (
        "import sys, evaluate; folder, me = sys.argv[1], int(sys.argv[2]); "
        "metric = evaluate.load(folder, num_process=2, process_id=me, experiment_id='both'); "
        "print(metric.compute(predictions=[['b', 'a'], None][me:], references=['a', 'b'][me:], "
        "is_discovery=[True, False][me:], k=2))"
    )
    first, second = (run_python(code, str(FOLDER), str(me), folder=tmp_path) for me in (0, 1))
    gathered = first.communicate(timeout=120)[0]
    assert second.communicate(timeout=120)[0].strip() == "None"
    assert "'n': 3" in gathered
    assert "'invalid': 2" in gathered


RANKED = {
    "predictions": [["heat", "alien", "fargo"], ["alien", "heat", "fargo"], ["fargo", "alien", "heat"]],
    "references": ["heat", "heat", "heat"],
}
FLAGS, PAST = [True, True, False], [["fargo"], ["alien"], ["heat"]]


def test_several_cut_offs_in_one_call(metric):
    scores = metric.compute(**RANKED, is_discovery=FLAGS, k=[1, 2, 3])
    assert [scores[f"recall@{k}"] for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert [scores[f"discovery_recall@{k}"] for k in (1, 2, 3)] == pytest.approx([1 / 2, 1, 1])
    assert all(len(scores[f"recall@{k}_interval"]) == 2 for k in (1, 2, 3))
    assert list(scores).count("mrr") == list(scores).count("n") == 1


def test_a_cut_off_chosen_when_loading_holds_until_another_is_named():
    loaded = evaluate.load(str(FOLDER), k=3)
    assert loaded.compute(**RANKED, is_discovery=FLAGS)["recall@3"] == 1
    assert "recall@2" in loaded.compute(**RANKED, is_discovery=FLAGS, k=2)
    with pytest.raises(ValueError, match="k must be"):
        evaluate.load(str(FOLDER), k=0)


def test_a_cut_off_that_nobody_chose_is_said(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("evaluate_modules"), "propagate", True)
    loaded = evaluate.load(str(FOLDER))
    name = type(loaded).__module__
    monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    assert "recall@1" in loaded.compute(**RANKED, is_discovery=FLAGS)
    assert [record.getMessage() for record in caplog.records if record.name == name] == [
        "No k was given, so Recall@1 is measured. Pass k, such as k=1, here or when loading."
    ]
    caplog.clear()
    loaded.compute(**RANKED, is_discovery=FLAGS, k=1)
    evaluate.load(str(FOLDER), k=1).compute(**RANKED, is_discovery=FLAGS)
    assert [record for record in caplog.records if record.name == name] == []


def test_combined_it_answers_as_alone(metric):
    alone = metric.compute(**RANKED, is_discovery=FLAGS, k=2)
    assert evaluate.combine([metric]).compute(**RANKED, is_discovery=FLAGS, k=2) == alone


def test_two_settings_combine_under_keys_of_their_own():
    both = evaluate.combine({f"at_{k}": evaluate.load(str(FOLDER), k=k) for k in (1, 3)})
    scores = both.compute(**RANKED, is_discovery=FLAGS)
    assert (scores["recall@1"], scores["recall@3"]) == (pytest.approx(1 / 3), 1)


@pytest.mark.parametrize("known", [{"is_discovery": FLAGS}, {"histories": PAST}], ids=["flags", "histories"])
def test_combined_batches_may_come_with_flags_or_with_histories(metric, known):
    alone = metric.compute(**RANKED, **known)
    combined = evaluate.combine([metric])
    for at in range(3):
        combined.add_batch(**{name: [column[at]] for name, column in {**RANKED, **known}.items()})
    assert combined.compute() == alone


@pytest.mark.parametrize(("one", "known"), [("is_discovery", FLAGS), ("history", PAST)])
def test_combined_examples_may_come_one_by_one(metric, one, known):
    alone = metric.compute(**RANKED, **{"histories" if one == "history" else one: known})
    combined = evaluate.combine([metric])
    for prediction, reference, value in zip(RANKED["predictions"], RANKED["references"], known, strict=True):
        combined.add(prediction=prediction, reference=reference, **{one: value})
    assert combined.compute() == alone


def test_a_combined_batch_without_flags_and_histories_is_told(metric):
    with pytest.raises(ValueError, match="Give either is_discovery or histories; got neither"):
        evaluate.combine([metric]).add_batch(**RANKED)
