"""A row of texts that are there already measures what the row of their verbalizer measures, and says where from."""

import json
from pathlib import Path

import pandas as pd
import pytest

from logs2lang.bulk.shard_writer import ShardWriter, Writing
from logs2lang.bulk.text_shards import TextShards
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.verbalizers.text_record import writer_record
from logs2lang.verbalizers.written_texts import WrittenTexts

CHOICE = ("--limit", 8, "--history-length", 4)


@pytest.fixture
def evaluate(run_main, simulation_folder, tiny_model_folder, tmp_path):
    """The command, with a tiny reasoner; returns its exit code and what it said."""

    def run(*words: object) -> tuple[int, str]:
        code, out, err = run_main(
            *("evaluate", simulation_folder, *CHOICE, "--reasoner", tiny_model_folder),
            *(*words, "-o", tmp_path / "results"),
        )
        return code, out + err

    return run


@pytest.fixture
def file(run_main, simulation_folder, tiny_model_folder, tmp_path) -> Path:
    """The texts of the chosen examples, by `logs2lang verbalize`."""
    path = tmp_path / "own.parquet"
    words = (*CHOICE, "--verbalizer", "successors", "--model", tiny_model_folder, "-o", path)
    assert run_main("verbalize", simulation_folder, *words)[0] == 0
    return path


@pytest.fixture
def shards(simulation_folder, tiny_model_folder, tmp_path) -> Path:
    """The texts of all examples, in the shards of the Ray engine."""
    built, model, folder = BuiltDataset.open(simulation_folder), str(tiny_model_folder), tmp_path / "texts"
    writing = Writing(simulation_folder, "test", "successors", model=model, history_length=4)
    texts = TextShards.of(built, "test", folder, 15, writer_record(built, "successors", None, model, 4))
    ShardWriter(writing, texts)({"item": range(len(texts.shards))})
    return folder


def read_rows(tmp_path: Path) -> dict[str, dict]:
    return {row["row"]: row for row in json.loads((tmp_path / "results" / "results.json").read_text())["rows"]}


def test_texts_that_are_there_stand_beside_those_that_are_written_now(
    evaluate, file, shards, simulation_folder, tmp_path
):
    places = ("--texts", f"own={file}", "--texts", f"bulk={shards}")
    code, said = evaluate("--rows", "template,successors", *places)
    assert code == 0, said
    rows = read_rows(tmp_path)
    assert list(rows) == ["template", "successors", "own", "bulk"]
    measured = ("n", "recall@1", "mrr", "compression", "gain", "named_titles", "by_gap")
    now, own, bulk = ([rows[name][key] for key in measured] for name in ("successors", "own", "bulk"))
    assert now == own == bulk
    predictions = pd.read_parquet(tmp_path / "results" / "predictions.parquet")
    ids = predictions[predictions["row"] == "template"]["example_id"].tolist()
    picks = predictions.pivot_table(index="example_id", columns="row", values="pick", aggfunc="first").loc[ids]
    assert picks["successors"].tolist() == picks["own"].tolist() == picks["bulk"].tolist()

    read = WrittenTexts.read(file, BuiltDataset.open(simulation_folder), "test", ids, 4)
    assert rows["own"]["texts"] == read.entry()
    assert rows["bulk"]["texts"]["sha256"] == rows["own"]["texts"]["sha256"]
    assert rows["bulk"]["texts"]["written_by"]["fingerprint"] == "successors-10-5-20"
    assert not {"tokens_read", "seconds_per_example"} & rows["own"].keys()  # writing is no part of this run
    remark = "Row bulk: its texts were read from files that 'successors' had written from the newest 4 records."
    assert remark in said
    assert remark in (tmp_path / "results" / "results.md").read_text()


def test_a_row_is_run_again_once_its_texts_are_others(evaluate, file, tmp_path):
    own = ("--rows", "template", "--texts", f"own={file}")
    assert evaluate(*own)[0] == 0
    first = read_rows(tmp_path)["own"]
    assert evaluate(*own)[0] == 0
    assert read_rows(tmp_path)["own"] == first
    frame = pd.read_parquet(file)
    frame.assign(text=frame["text"] + " And more.")[["example_id", "text"]].to_parquet(file)
    code, said = evaluate(*own)
    assert code == 0
    again = read_rows(tmp_path)["own"]
    assert again["compression"] > first["compression"]
    assert again["texts"]["written_by"] is None
    assert "Row own: its texts were read from files that do not say who wrote them" in said


def test_texts_that_are_there_rank_a_whole_catalogue(evaluate, file, tmp_path):
    all_items = ("--num-candidates", "all", "--limit", 2, "--answer", "title")
    code, said = evaluate("--rows", "successors", "--texts", f"own={file}", *all_items)
    assert code == 0, said
    rows = read_rows(tmp_path)
    assert rows["own"]["mean_rank"] == rows["successors"]["mean_rank"]
    assert rows["own"]["texts"]["written_by"]["verbalizer"] == "successors"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--texts", "own"], "expected NAME=FILE_OR_FOLDER"),
        (["--texts", "a,b=own.parquet"], "expected NAME=FILE_OR_FOLDER"),
        (["--texts", "template=own.parquet"], "written-template=own.parquet"),
        (["--texts", "a=own.parquet", "--texts", "a=x"], "two places for 'a': own.parquet and x"),
        (["--texts", "a=nowhere"], "nowhere cannot be read as verbalizations"),
        (["--texts", "a=own.parquet", "--history-length", "3"], "the newest 4 records of each history"),
        (["--texts", "a=own.parquet", "--limit", "9"], "no text for 1 of 9 examples"),
    ],
)
def test_texts_that_cannot_be_used_are_one_line_and_exit_code_2(evaluate, file, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    code, output = evaluate("--rows", "template", *words)
    assert code == 2
    assert said in next(line for line in output.splitlines() if line.startswith("Error: "))
    assert not (tmp_path / "results" / "results.json").exists()
