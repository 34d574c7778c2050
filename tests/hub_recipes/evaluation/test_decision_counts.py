"""What action verbalizers decide, counted again by hand; with random adapters, since none is released."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from small_log import write_small_log

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.evaluation.decision_counts import count_decisions, decision_table, users_text
from logs2lang.release.cards import stale_cards, write_cards
from logs2lang.verbalizers.action import ActionVerbalizer


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> BuiltDataset:
    folder = tmp_path_factory.mktemp("decisions")
    build_dataset(write_small_log(folder), folder / "built", BuildOptions(num_candidates=5), prompts=False)
    return BuiltDataset.open(folder / "built")


@pytest.fixture
def adapters(save_adapter, dataset, tmp_path):
    """Two random adapters of the tiny model that were taught to decide on the newest five records."""
    folders = {"before": save_adapter(tmp_path / "warm", 1), "after": save_adapter(tmp_path / "learned", 2)}
    verbalizer = ActionVerbalizer(
        dataset.items(), None, history_length=5, decisions=4, successors=dataset.successors()
    )
    for folder in folders.values():
        verbalizer.save_config(folder)
    return folders


def load(folder, dataset) -> ActionVerbalizer:
    return ActionVerbalizer.from_pretrained(str(folder), dataset.items(), successors=dataset.successors())


def test_decisions_are_counted_by_everything_that_is_known_of_a_record(adapters, dataset, text_cache):
    examples = dataset.examples("test").select(range(12))
    verbalizers = {when: load(folder, dataset) for when, folder in adapters.items()}
    document, users = count_decisions(verbalizers, dataset, examples, users=3)
    assert (document["n_examples"], document["n_records"]) == (12, 60)
    log = dataset.training_interactions()
    log = log[log["event"] != "trailer"]
    chosen = log.groupby("item_id")["user"].nunique()
    for when, verbalizer in verbalizers.items():
        writings = verbalizer.write(examples["history"][:], folds=examples["fold"][:])
        newest, events, few, followed = Counter(), Counter(), Counter(), Counter()
        for example, writing in zip(examples, writings, strict=True):
            (made,) = verbalizer.decided([writing], [example["fold"]])
            newest[made[-1]] += 1
            for record, decision in zip(example["history"][-5:], made, strict=True):
                events[record["event"], decision] += 1
                few[decision] += chosen.get(record["item_id"], 0) in (3, 4, 5, 6, 7, 8, 9)
                number = len(dataset.successors().after(record["item_id"], example["fold"]))
                followed[decision] += 20 <= number < 50
        by = {factor: {one["bin"]: one[when] for one in bins if when in one}
              for factor, bins in document["by"].items()}  # fmt: skip
        for decision in verbalizer.known:
            assert by["place"]["newest"][decision] == newest[decision]
            assert by["event"]["rate"][decision] == events["rate", decision]
            assert by["popularity"].get("3 to 9", Counter())[decision] == few[decision]
            assert by["successors"].get("20 to 49", Counter())[decision] == followed[decision]
        assert sum(document["overall"][when].values()) == 60
        assert sum(sum(one[when].values()) for one in document["by"]["age"]) == 60
    assert len(users) == 3
    text = users_text(users)
    assert "## User 3, " in text
    assert all(line in text for line in users[0].lines)
    assert users[0].decisions["after"][0] == ""  # the oldest records were not shown


def test_a_share_of_few_records_is_not_shown():
    bins = [{"bin": "rate", "before": {"drop": 29, "keep": 0, "detail": 0, "next": 0},
             "after": {"drop": 15, "keep": 15, "detail": 0, "next": 0}}]  # fmt: skip
    line = decision_table("Event", bins).splitlines()[-1]
    assert line == "| rate | 30 | — | 50% | — | 50% | — | 0% | — | 0% |"


def test_the_page_shows_the_counts_of_the_command(run_main, adapters, dataset, tmp_path, text_cache):
    cards = tmp_path / "cards"
    place = cards / "results" / "small"
    words = ["decisions", dataset.folder, "--adapter", adapters["after"], "--before", adapters["before"]]
    code, out, err = run_main(*words, "--limit", 8, "--users", 2, "-o", place)
    assert code == 0, err
    assert "## User 2" in out
    assert not (place / "decisions_users.md").exists()  # nobody said that rows of this log may be shared
    document = json.loads((place / "decisions.json").read_text())
    assert document["verbalizers"]["after"]["trained"]
    page = cards / "results" / "README.md"
    page.write_text("# Results\n\nProse.\n")
    assert stale_cards(cards) == [f"{page} does not match its sources; `logs2lang cards render {cards}` rewrites it."]
    assert write_cards(cards) == [page]
    assert stale_cards(cards) == []
    once = page.read_text()
    assert once.startswith(
        "# Results\n\nProse.\n\n## What was learned\n\n<!-- from small/decisions.json -->\ntabular, test, 8"
    )
    total = sum(document["overall"]["after"].values())
    assert f"| all | {total} |" in once
    document["overall"]["after"] = {"drop": total, "keep": 0, "detail": 0, "next": 0}
    (place / "decisions.json").write_text(json.dumps(document))
    write_cards(cards)
    assert "100%" in page.read_text()
    assert page.read_text().count("<!-- from small/decisions.json -->") == 1


def test_users_of_a_log_that_may_be_shared_are_written(run_main, adapters, dataset, tmp_path, text_cache, monkeypatch):
    report = {**dataset.report, "license": {**dataset.report["license"], "redistributable": True}}
    monkeypatch.setattr(BuiltDataset, "open", lambda *_: replace(dataset, report=report))
    words = ["decisions", "small", "--adapter", adapters["after"], "--limit", 3, "-o", tmp_path / "out"]
    assert run_main(*words)[0] == 0
    assert "## User 3" in (tmp_path / "out" / "decisions_users.md").read_text()


def test_what_is_no_action_verbalizer_is_refused(run_main, dataset, tiny_model_folder, tmp_path):
    code, _, err = run_main("decisions", dataset.folder, "--adapter", tiny_model_folder, "-o", tmp_path / "out")
    assert code == 2
    assert "is no action verbalizer" in err


def test_a_damaged_file_of_decisions_stops_the_page(tmp_path):
    place = tmp_path / "results" / "small"
    place.mkdir(parents=True)
    (tmp_path / "results" / "README.md").write_text("# Results\n")
    (place / "decisions.json").write_text("{}")
    with pytest.raises(InputError, match=r"decisions\.json cannot be shown"):
        write_cards(tmp_path)


def test_a_section_from_a_file_of_another_kind_stops_the_page(tmp_path):
    place = tmp_path / "results" / "small"
    place.mkdir(parents=True)
    (place / "decisions.json").write_text("{}")
    mark = "small/results.json"
    (tmp_path / "results" / "README.md").write_text(f"<!-- from {mark} -->\nx\n<!-- end of {mark} -->\n")
    with pytest.raises(InputError, match=r"section from small/results\.json"):
        write_cards(tmp_path)


def test_candidates_in_reversed_order_are_the_same_question(dataset):
    plain, turned = dataset.examples("test"), replace(dataset, reverse_candidates=True).examples("test")
    assert [row[::-1] for row in turned["candidates"]] == plain["candidates"][:]
    shown = zip(turned["candidates"], turned["target_index"], turned["target"], strict=True)
    assert all(of[index]["item_id"] == target for of, index, target in shown)
