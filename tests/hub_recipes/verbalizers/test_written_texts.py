"""Texts are read as they were written, by one process or in shards, and only where they go with the examples."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from logs2lang.bulk.shard_writer import ShardWriter, Writing
from logs2lang.bulk.text_shards import TextShards
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.verbalizers.by_rule import to_rule_verbalizer
from logs2lang.verbalizers.text_record import content_of, read_record, writer_record
from logs2lang.verbalizers.written_texts import WrittenTexts, read_texts

SHARD_ROWS = 15


@pytest.fixture(scope="module")
def built(simulation_folder) -> BuiltDataset:
    return BuiltDataset.open(simulation_folder)


@pytest.fixture(scope="module")
def ids(built) -> list[str]:
    return built.examples("test")["example_id"][:]


@pytest.fixture
def write_shards(built, tiny_model_folder) -> Callable[..., Path]:
    """Writes the shards of the Ray engine, in this process."""

    def write(folder: Path, history_length: int | None = 6) -> Path:
        writing = Writing(
            built.folder, "test", "successors", model=str(tiny_model_folder), history_length=history_length
        )
        record = writer_record(built, writing.verbalizer, None, writing.model, history_length)
        texts = TextShards.of(built, "test", folder, SHARD_ROWS, record)
        told = ShardWriter(writing, texts)({"item": range(len(texts.shards))})
        assert set(told["trouble"]) == {""}
        return folder

    return write


def test_a_file_and_shards_hold_the_same_texts_and_say_the_same_of_them(
    run_main, write_shards, built, ids, tiny_model_folder, tmp_path
):
    file, folder = tmp_path / "own.parquet", write_shards(tmp_path / "texts")
    words = ("--verbalizer", "successors", "--history-length", 6, "--model", tiny_model_folder)
    code, _, err = run_main("verbalize", built.folder, *words, "-o", file)
    assert code == 0, err
    of_file, of_shards = (WrittenTexts.read(place, built, "test", ids, 6) for place in (file, folder))
    histories = [history[-6:] for history in built.examples("test")["history"]]
    expected = to_rule_verbalizer("successors", built).verbalize(histories)
    assert of_file.of(ids) == of_shards.of(ids) == expected
    assert of_file.entry()["sha256"] == of_shards.entry()["sha256"]
    assert of_shards.record == {**of_file.record, "shard_rows": SHARD_ROWS}
    assert (
        of_file.record.items()
        >= {
            "dataset": content_of(built),
            "split": "test",
            "limit": None,
            "verbalizer": "successors",
            "fingerprint": "successors-10-5-20",
            "history_length": 6,
        }.items()
    )


def test_a_folder_may_hold_one_file_per_split(run_main, built, ids, tiny_model_folder, tmp_path):
    words = ("verbalize", built.folder, "--model", tiny_model_folder, "-o", tmp_path / "texts" / "test.parquet")
    assert run_main(*words)[0] == 0
    assert list(WrittenTexts.read(tmp_path / "texts", built, "test", ids).texts) == ids
    with pytest.raises(InputError, match=r"there is no .*validation.parquet.*--split validation"):
        WrittenTexts.read(tmp_path / "texts", built, "validation", ids)


def test_only_the_chosen_examples_are_kept(write_shards, built, ids, tmp_path):
    chosen = ids[::7]
    texts = WrittenTexts.read(write_shards(tmp_path / "texts"), built, "test", chosen, 6)
    assert list(texts.texts) == chosen
    assert texts.entry() != WrittenTexts.read(tmp_path / "texts", built, "test", ids, 6).entry()


def test_texts_of_another_program_need_two_columns(built, ids, tmp_path):
    frame = pd.DataFrame({"example_id": ids[::-1], "text": [f"text of {example_id}" for example_id in ids[::-1]]})
    frame.to_parquet(tmp_path / "own.parquet")
    texts = WrittenTexts.read(tmp_path / "own.parquet", built, "test", ids)
    assert texts.of(ids) == [f"text of {example_id}" for example_id in ids]
    assert texts.record is None


def test_texts_that_do_not_go_with_the_examples_are_refused(write_shards, built, ids, tmp_path):
    folder = write_shards(tmp_path / "texts")
    (path, *_) = sorted(folder.glob("*.parquet"))
    other = replace(built, report={**built.report, "content_sha256": {"examples": "of another seed"}})
    with pytest.raises(InputError, match=f"another build of the dataset .*{content_of(built)[:12]}, not"):
        WrittenTexts.read(folder, other, "test", ids, 6)
    with pytest.raises(InputError, match="texts of the split 'test', not of 'train'"):
        WrittenTexts.read(path, built, "train", ids, 6)
    with pytest.raises(InputError, match=r"the newest 6 records .*, and all records .*same history length"):
        WrittenTexts.read(folder, built, "test", ids)
    with pytest.raises(InputError, match="the newest 6 records of each history, and the newest 5 records"):
        WrittenTexts.read(folder, built, "test", ids, 5)


def test_shards_of_one_run_are_whole_and_alone(write_shards, built, ids, tmp_path):
    folder = write_shards(tmp_path / "texts")
    first, second, *_ = sorted(folder.glob("*.parquet"))
    lost = pq.read_table(second)["example_id"].to_pylist()
    again = folder / "test-00007-of-00008.parquet"
    shutil.copy(first, again)
    with pytest.raises(InputError, match=f"several texts for {SHARD_ROWS} of {len(ids)} examples, such as {ids[0]}"):
        WrittenTexts.read(folder, built, "test", ids, 6)
    shutil.copy(sorted(write_shards(tmp_path / "longer", None).glob("*"))[1], again)
    with pytest.raises(InputError, match=r"several runs: test-00000-of-\d+.parquet and test-00007-of-00008.parquet"):
        WrittenTexts.read(folder, built, "test", ids, 6)
    again.unlink()
    second.unlink()
    with pytest.raises(InputError, match=f"no text for {len(lost)} of {len(ids)} examples, such as {lost[0]}"):
        WrittenTexts.read(folder, built, "test", ids, 6)
    left = [example_id for example_id in ids if example_id not in lost]
    assert len(WrittenTexts.read(folder, built, "test", left, 6).texts) == len(left)


def test_an_error_in_place_of_a_text_is_counted_among_the_chosen_examples(tmp_path):
    names, errors = ["a", "b", "c", "d"], ["TypeError: no history", None, "ValueError: no title", None]
    for part in range(2):
        rows = slice(2 * part, 2 * part + 2)
        of_part = {"example_id": names[rows], "text": [None, "Saw Up."], "error": errors[rows]}
        pq.write_table(pa.table(of_part), tmp_path / f"test-{part:05}-of-00002.parquet")
    files = sorted(tmp_path.glob("*.parquet"))
    assert read_texts(files, ["b", "d"]) == ["Saw Up."] * 2
    said = (
        r"the text of 1 of 2 examples, such as c \(ValueError: no title\). Delete \S*test-00001-of-00002.parquet, and"
    )
    with pytest.raises(InputError, match=said):
        read_texts(files, ["b", "c"])
    with pytest.raises(
        InputError, match=r"of 2 of 4 examples, such as a .*Delete the 2 files with such rows, such as"
    ):
        read_texts(files, names)


@pytest.mark.parametrize("content", [b"", b"no Parquet", None])
def test_other_files_are_no_texts(built, ids, tmp_path, content):
    path = tmp_path / "notes.parquet"
    if content is None:
        pq.write_table(pa.table({"example_id": [3]}), path)
    else:
        path.write_bytes(content)
    assert read_record(path) is None
    with pytest.raises(InputError, match=r"notes\.parquet cannot be read as verbalizations"):
        WrittenTexts.read(path, built, "test", ids)
