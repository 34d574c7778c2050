"""On a log of twelve users, with a reasoner that does what its text says: every number can be counted by hand."""

import csv
import json
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.chosen_examples import choose_examples
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import template_text
from logs2lang.dataset_builders.schema import HISTORY, IS_DISCOVERY, TARGET
from logs2lang.dataset_builders.sources.streaming_simulation import SimulationConfig, read_streaming_simulation
from logs2lang.dataset_builders.sources.tabular import read_tabular
from logs2lang.evaluation.evaluation import RowsLeftError, count_namesakes, evaluate_rows
from logs2lang.evaluation.report import remarks, setting_line
from logs2lang.evaluation.results import PREDICTIONS_FILE, RESULTS_FILE, read_results
from logs2lang.reasoners.ranking import Ranking

GAPS_S = {"same_second": 0, "under_an_hour": 600, "under_a_day": 18_000, "a_day_and_more": 172_800}
USERS = 12


def write_log(path: Path) -> None:
    """Twelve users who saw twelve of forty films; three users for each gap between the last two interactions."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "timestamp"])
        # Every film is in the log before anybody chooses. Who saw all of them has no candidates left, so no example.
        writer.writerows(["early bird", f"m{film}", 1_500_000_000 + film] for film in range(40))
        for user in range(USERS):
            last = 1_600_000_000 + 86_400 * 11 + list(GAPS_S.values())[user % 4]
            times = [*(1_600_000_000 + 86_400 * day for day in range(1, 12)), last]
            writer.writerows([f"u{user}", f"m{(3 * user + n) % 40}", time] for n, time in enumerate(times))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> BuiltDataset:
    folder = tmp_path_factory.mktemp("evaluation")
    write_log(folder / "log.csv")
    build_dataset(partial(read_tabular, interactions=str(folder / "log.csv")), folder / "built")
    return BuiltDataset.open(folder / "built")


class Scripted:
    """Writes one given word per history, in the order of the examples."""

    def __init__(self, words: list[str]):
        self.words, self.seen = words, []

    def verbalize(self, histories, progress=None):
        self.seen.append(histories)
        return self.words[: len(histories)]


class Obedient:
    """Picks the target where the text says `hit`, another candidate for `miss`, and says nothing for `silent`."""

    def __init__(self, dataset: BuiltDataset, adapter_id: str | None = None):
        self.by_candidates = {
            frozenset(candidate["item_id"] for candidate in row["candidates"]): row[TARGET]
            for row in dataset.examples("test")
        }
        self.language_model = SimpleNamespace(
            tokenizer=lambda texts, **_: {"input_ids": [text.split() for text in texts]}
        )
        self.adapter_id = adapter_id

    def entry(self):
        trained = self.adapter_id is not None
        known = {"id": self.adapter_id or "org/base", "base_model": "org/base", "trained": trained}
        return {**known, "answer": "label", "fingerprint": f"org/base+{self.adapter_id}"}

    def rank(self, contexts, candidates, progress=None):
        return [self._rank(context, shown) for context, shown in zip(contexts, candidates, strict=True)]

    def _rank(self, context, shown):
        ids = [item["item_id"] for item in shown]
        target = self.by_candidates[frozenset(ids)]
        others = [item_id for item_id in ids if item_id != target]
        if context == "silent":
            return None
        ranked = [target, *others] if context == "hit" else [others[0], target, *others[1:]]
        return Ranking(ranked, [1 / len(ids)] * len(ids))


QUARTER = ["hit"] * 3 + ["miss"] * 9
HALF = ["hit"] * 6 + ["silent"] * 2 + ["miss"] * 4


@pytest.fixture
def evaluate(dataset):
    """`evaluate_rows` with scripted verbalizers."""

    def run(rows, scripts=None, **choices):
        scripts = scripts or {"template": Scripted(QUARTER), "half": Scripted(HALF)}
        return evaluate_rows(dataset, rows, reasoner=Obedient(dataset), verbalizers=scripts, **choices)

    return run


def test_recall_counts_hits_and_invalid_answers_are_misses(evaluate):
    row = evaluate(["half"]).row("half")
    assert (row["n"], row["invalid"]) == (12, 2)
    assert row["recall@1"] == pytest.approx(1 / 2)
    low, high = row["recall@1_interval"]
    assert low < 1 / 2 < high


def test_mrr_counts_the_target_second_where_it_was_missed(evaluate):
    # 6 hits at rank 1, 4 misses at rank 2, 2 silent answers that rank nothing
    assert evaluate(["half"]).row("half")["mrr"] == pytest.approx((6 + 4 / 2 + 0) / 12)


def test_gain_over_template_is_relative_and_paired(evaluate):
    results = evaluate(["template", "half"])
    assert results.row("half")["gain"] == pytest.approx(6 / 3 - 1)
    low, high = results.row("half")["gain_interval"]
    assert low is not None
    assert low < 1
    assert high is None or high > 1
    assert results.row("template")["gain"] == 0


def test_gains_come_when_template_comes_later(evaluate, tmp_path):
    assert "gain" not in evaluate(["half"], output=tmp_path).row("half")
    assert evaluate(["template"], output=tmp_path).row("half")["gain"] == pytest.approx(1.0)


def test_compression_is_the_mean_of_each_texts_share_of_its_template(evaluate, dataset):
    shares = [1 / len(template_text(history).split()) for history in dataset.examples("test")[HISTORY][:]]
    assert evaluate(["half"]).row("half")["compression"] == pytest.approx(sum(shares) / 12)


def test_titles_that_neither_stand_in_the_history_nor_followed_it_are_unsupported(dataset):
    first = dataset.examples("test")[0]
    seen = {record["title"] for record in first[HISTORY]}
    unseen = next(item["title"] for item in dataset.items().values() if item["title"] not in seen)
    text = f"miss {first[HISTORY][0]['title']}, {unseen}"
    reasoner = Obedient(dataset)
    results = evaluate_rows(dataset, ["own"], reasoner=reasoner, verbalizers={"own": Scripted([text] * 12)})
    row = results.row("own")
    assert row["named_titles"] == 24
    items, successors = dataset.items(), dataset.successors()

    def supported(history) -> set[str]:
        following = {found.item_id for record in history for found in successors.after(record["item_id"])}
        return {record["title"] for record in history} | {items[item_id]["title"] for item_id in following}

    expected = sum(
        title not in supported(history)
        for history in dataset.examples("test")[HISTORY][:]
        for title in (first[HISTORY][0]["title"], unseen)
    )
    assert row["unsupported_title_rate"] == pytest.approx(expected / 24)


def test_rows_are_split_by_the_gap_before_the_target(evaluate):
    by_gap = evaluate(["half"]).row("half")["by_gap"]
    assert {gap: measures["n"] for gap, measures in by_gap.items()} == dict.fromkeys(GAPS_S, 3)
    hits = sum(measures["recall@1"] * measures["n"] for measures in by_gap.values())
    assert hits == pytest.approx(6)


def test_baselines_stand_beside_texts_on_the_same_examples(evaluate):
    results = evaluate(["template", "popularity"])
    ids = [results.predictions_of(row)["example_id"].tolist() for row in ("template", "popularity")]
    assert ids[0] == ids[1]
    baseline = results.row("popularity")
    assert (baseline["kind"], baseline["n"], baseline["invalid"]) == ("baseline", 12, 0)
    assert "compression" not in baseline


def test_baselines_need_no_reasoner(dataset):
    results = evaluate_rows(dataset, ["popularity"])
    assert results.context["reasoner"] is None
    hits = results.predictions_of("popularity")["target_rank"].eq(1)
    assert results.row("popularity")["recall@1"] == pytest.approx(hits.mean())


def test_limit_draws_the_same_examples_for_the_same_seed(dataset):
    examples = dataset.examples("test")
    draws = [choose_examples(examples, 5, seed, None)["example_id"][:] for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    smaller = choose_examples(examples, 3, 0, None)["example_id"][:]
    assert set(smaller) < set(draws[0])
    assert choose_examples(examples, 99, 0, None)["example_id"][:] == examples["example_id"][:]


def test_history_length_keeps_the_newest_records(dataset):
    examples = dataset.examples("test")
    shortened = choose_examples(examples, None, 0, 2)
    assert shortened[HISTORY][:] == [history[-2:] for history in examples[HISTORY][:]]
    assert shortened.features == examples.features


def test_discoveries_are_chosen_among_discoveries(dataset):
    examples = dataset.examples("test")
    touched = examples["example_id"][::2]
    some = examples.map(lambda row: {IS_DISCOVERY: row["example_id"] not in touched}, features=examples.features)
    found = choose_examples(some, None, 0, None, discoveries=True)
    assert found["example_id"][:] == examples["example_id"][1::2]
    assert len(choose_examples(some, 3, 0, None, discoveries=True)) == 3
    none = some.filter(lambda row: not row[IS_DISCOVERY])
    with pytest.raises(InputError, match="No target of this split is a discovery"):
        choose_examples(none, None, 0, None, discoveries=True)


def test_results_say_that_they_are_about_discoveries_alone(dataset):
    results = evaluate_rows(dataset, ["popularity"], discoveries=True)
    assert "test discoveries, n = 12" in setting_line(results.document())
    assert "test, n = 12" in setting_line(evaluate_rows(dataset, ["popularity"]).document())


def test_what_is_written_is_what_is_returned_and_holds_no_text(evaluate, tmp_path):
    results = evaluate(["template", "popularity"], output=tmp_path, command="logs2lang evaluate")
    document = json.loads((tmp_path / RESULTS_FILE).read_text())
    assert document == json.loads(json.dumps(results.document()))
    assert document["reasoner"] == {
        "id": "org/base",
        "base_model": "org/base",
        "trained": False,
        "answer": "label",
        "fingerprint": "org/base+None",
    }
    predictions = pd.read_parquet(tmp_path / PREDICTIONS_FILE)
    columns = ["example_id", "row", "is_discovery", "gap", "pick", "target_rank", "pick_probability"]
    assert list(predictions.columns) == columns
    assert len(predictions) == 2 * 12


class Known(Scripted):
    """Says when what it writes has changed."""

    @property
    def fingerprint(self):
        return " ".join(self.words)


def test_finished_rows_are_not_run_again(evaluate, tmp_path):
    scripts = {"template": Known(QUARTER), "half": Known(HALF)}
    evaluate(["template"], scripts, output=tmp_path)
    again = evaluate(["template", "half"], scripts, output=tmp_path)
    assert [len(scripts[name].seen) for name in ("template", "half")] == [1, 1]
    assert [row["row"] for row in again.rows] == ["template", "half"]


def test_a_verbalizer_is_not_known_by_its_name(evaluate, tmp_path):
    assert evaluate(["own"], {"own": Scripted(QUARTER)}, output=tmp_path).row("own")["recall@1"] == 3 / 12
    assert evaluate(["own"], {"own": Scripted(HALF)}, output=tmp_path).row("own")["recall@1"] == 6 / 12


def test_a_kept_row_keeps_the_command_and_the_time_of_its_own_run(evaluate, tmp_path):
    scripts = {"template": Known(QUARTER), "half": Known(HALF)}
    first, second = (datetime(2026, 1, day, tzinfo=timezone.utc) for day in (1, 2))
    evaluate(["template"], scripts, output=tmp_path, command="first", created=first)
    evaluate(["template", "half"], scripts, output=tmp_path, command="second", created=second)
    runs = {row["row"]: row["run"] for row in read_results(tmp_path).rows}
    assert {name: (run["command"], run["created"]) for name, run in runs.items()} == {
        "template": ("first", first.isoformat()),
        "half": ("second", second.isoformat()),
    }
    assert runs["template"]["versions"]["logs2lang"]


def test_rows_of_equal_examples_with_other_contents_are_not_kept(dataset, tmp_path):
    write_log(tmp_path / "log.csv")
    renamed = tmp_path / "items.csv"
    renamed.write_text("item_id,title\n" + "".join(f"m{film},Film {film}\n" for film in range(40)))
    source = partial(read_tabular, interactions=str(tmp_path / "log.csv"), items=str(renamed))
    build_dataset(source, tmp_path / "built")
    other = BuiltDataset.open(tmp_path / "built")
    assert other.examples("test")["example_id"][:] == dataset.examples("test")["example_id"][:]
    evaluate_rows(dataset, ["popularity"], output=tmp_path / "results")
    with pytest.raises(InputError, match=r"a different dataset .*content_sha256.*items"):
        evaluate_rows(other, ["popularity"], output=tmp_path / "results")


def test_an_interrupted_row_leaves_the_finished_ones(evaluate, tmp_path):
    class Interrupted(Scripted):
        def verbalize(self, histories, progress=None):
            raise KeyboardInterrupt

    scripts = {"template": Scripted(QUARTER), "half": Interrupted(HALF)}
    with pytest.raises(KeyboardInterrupt):
        evaluate(["template", "half"], scripts, output=tmp_path)
    assert [row["row"] for row in read_results(tmp_path).rows] == ["template"]


@pytest.mark.parametrize("changed", [{"limit": 5}, {"seed": 1}, {"split": "validation"}, {"history_length": 3}])
def test_results_of_other_examples_are_not_mixed_in(evaluate, tmp_path, changed):
    evaluate(["popularity"], output=tmp_path)
    with pytest.raises(InputError, match="--overwrite"):
        evaluate(["popularity"], output=tmp_path, **changed)
    evaluate(["popularity"], output=tmp_path, overwrite=True, **changed)


def test_results_of_another_reasoner_are_not_mixed_in(dataset, tmp_path):
    scripts = {"template": Scripted(QUARTER)}
    evaluate_rows(dataset, ["template"], reasoner=Obedient(dataset), verbalizers=scripts, output=tmp_path)
    trained = Obedient(dataset, adapter_id="org/adapter")
    with pytest.raises(InputError, match="a different reasoner"):
        evaluate_rows(dataset, ["template"], reasoner=trained, verbalizers=scripts, output=tmp_path)
    anew = evaluate_rows(dataset, ["template"], reasoner=trained, verbalizers=scripts, output=tmp_path, overwrite=True)
    assert anew.context["reasoner"]["trained"] is True


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["popularitty"], "Did you mean 'popularity'"),
        (["zero-shot"], "Did you mean 'zero_shot'"),
        ([], "No row"),
        (["template"], "no reasoner was given"),
        (["action"], "--verbalizer-adapter action="),
    ],
)
def test_a_wrong_row_is_the_users_to_mend(dataset, rows, said):
    with pytest.raises(InputError, match=said):
        evaluate_rows(dataset, rows)


@pytest.mark.parametrize("choices", [{"limit": 0}, {"history_length": 0}])
def test_an_empty_choice_of_examples_is_refused(dataset, choices):
    with pytest.raises(InputError, match="at least 1"):
        evaluate_rows(dataset, ["popularity"], **choices)


def test_progress_names_the_row_and_what_it_does(evaluate):
    told = []
    evaluate(["popularity"], progress=lambda *report: told.append(report))
    assert told == [("popularity", "fitting", 0, 12), ("popularity", "fitting", 12, 12)]


def test_a_simulated_log_has_a_ceiling_and_knows_what_texts_do_with_noise(tmp_path):
    simulation = SimulationConfig(events=1_500, accounts=30, films=60, series=20, difficulty=0.1)
    build_dataset(partial(read_streaming_simulation, config=simulation), tmp_path / "simulated")
    simulated = BuiltDataset.open(tmp_path / "simulated")
    silent = {"silent": Scripted(["silent"] * 30)}
    results = evaluate_rows(simulated, ["silent", "ceiling"], reasoner=Obedient(simulated), verbalizers=silent)
    noise = results.row("silent")["noise"]
    assert (noise["noise_recall"], noise["genuine_kept"]) == (1.0, 0.0)  # a text that names nothing drops everything
    assert results.row("ceiling")["recall@1"] > 0.5 > results.row("silent")["recall@1"] == 0
    assert "noise" not in results.row("ceiling")


def test_a_log_of_the_real_world_has_no_ceiling(dataset):
    with pytest.raises(InputError):
        evaluate_rows(dataset, ["ceiling"])


def test_rows_with_nothing_to_go_on_are_not_available_and_say_why(evaluate, tmp_path):
    results = evaluate(["year-closeness", "popularity", "tag-cosine"], output=tmp_path)
    assert [row["row"] for row in results.rows] == ["popularity"]
    assert remarks(results.document()) == [
        "Row year-closeness is not available: no item of the catalogue has a year.",
        "Row tag-cosine is not available: no item of the catalogue has tags.",
    ]
    again = evaluate(["random"], output=tmp_path)  # chance is what this row is about
    assert [row["row"] for row in again.rows] == ["popularity", "random"]
    assert list(again.context["unavailable"]) == ["year-closeness", "tag-cosine"]


def test_a_reasoner_by_tags_has_nothing_to_go_on_without_tags(dataset):
    reasoner = Obedient(dataset)
    reasoner.entry = lambda: {"id": "org/base", "trained": False, "answer": "tags"}
    with pytest.raises(InputError, match=r"None of these rows .*no item of the catalogue has any; use --answer title"):
        evaluate_rows(dataset, ["own"], reasoner=reasoner, verbalizers={"own": Scripted(HALF)})


def test_examples_whose_candidates_share_title_and_year_are_counted(dataset):
    films = dict(dataset.items())
    examples = dataset.examples("test").select([0])
    target, other, third = (
        examples[0][TARGET],
        *[
            candidate["item_id"]
            for candidate in examples[0]["candidates"]
            if candidate["item_id"] != examples[0][TARGET]
        ][:2],
    )

    def with_heat(*years):
        heats = {item: {**films[item], "title": "Heat", "year": year} for item, year in years}
        return count_namesakes(examples, films | heats)

    def counts(*numbers):
        return dict(zip(("same_title", "examples", "targets"), numbers, strict=True))

    assert with_heat() == counts(0, 0, 0)
    assert with_heat((target, 1995), (other, 1986)) == counts(1, 0, 0)  # the year tells them apart
    assert with_heat((third, 1995), (other, 1995)) == counts(1, 1, 0)
    assert with_heat((target, 1995), (other, 1995)) == counts(1, 1, 1)
    said = remarks({"rows": [], "n": 9, "namesakes": {"examples": 4, "targets": 2}})
    assert said[0].startswith(
        "In 4 of 9 examples, several candidates share their title and year; in 2 of these, the target"
    )


def test_a_time_limit_ends_between_rows_and_the_same_call_goes_on(dataset, tmp_path):
    rows, run = ["random", "popularity", "markov-counts"], []
    for _ in rows[1:]:
        with pytest.raises(RowsLeftError) as end:
            evaluate_rows(dataset, rows, output=tmp_path, minutes=0)
        run.append([row["row"] for row in read_results(tmp_path).rows])
        assert end.value.rows == [name for name in rows if name not in run[-1]]
    assert run == [rows[:1], rows[:2]]
    assert [row["row"] for row in evaluate_rows(dataset, rows, output=tmp_path, minutes=0).rows] == rows
