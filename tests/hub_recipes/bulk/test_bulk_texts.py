"""Texts that actors wrote on Ray are those that one process writes, each once, whatever dies on the way."""

import os
import shutil
import signal
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from filelock import FileLock

from logs2lang.bulk.bulk_texts import BulkTexts, write_bulk_texts
from logs2lang.bulk.shard_writer import ShardWriter, Writing
from logs2lang.bulk.text_shards import TextShards
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.export import shards_of
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.verbalizers.written_texts import read_texts, text_files

pytestmark = pytest.mark.xdist_group("ray")

LIMIT, SHARD_ROWS = 60, 5
RUNS_LONG_S = 120


def read(folder: Path) -> pd.DataFrame:
    """All rows of the shards of a folder, in their order."""
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))], ignore_index=True)


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def kill_one_that_writes(folder: Path) -> int:
    """SIGKILL an actor in the middle of a shard: what it had begun is still there, and will never be finished."""
    until = time.monotonic() + RUNS_LONG_S
    while time.monotonic() < until:
        for begun in folder.glob(".*.partial"):
            pid = int(begun.name.rsplit("-", 1)[1].partition(".")[0])
            os.kill(pid, signal.SIGSTOP)  # or it might finish the shard just now
            if begun.exists():
                os.kill(pid, signal.SIGKILL)
                return pid
            os.kill(pid, signal.SIGCONT)
    raise AssertionError("no actor was writing")


@pytest.fixture
def writing(simulation_folder, tiny_model_folder) -> Writing:
    return Writing(simulation_folder, "train", "successors", model=str(tiny_model_folder))


def test_a_killed_actor_loses_no_text_and_writes_none_twice(
    ray, run_main, simulation_folder, tiny_model_folder, save_adapter, text_cache, tmp_path
):
    adapter = save_adapter(tmp_path / "adapter")
    choice = ("--split", "train", "--limit", LIMIT, "--history-length", 6, "--model", tiny_model_folder)
    words = ("verbalize", simulation_folder, *choice, "--verbalizer", "action")
    adapted = ("--verbalizer-adapter", f"action={adapter}")
    code, _, err = run_main(*words, *adapted, "-o", tmp_path / "plain.parquet")
    assert code == 0, err
    plain = pd.read_parquet(tmp_path / "plain.parquet")

    writing = Writing(
        simulation_folder, "train", "action", str(adapter), model=str(tiny_model_folder), history_length=6
    )
    folder, killed = tmp_path / "shards", []

    def kill_once(done: int, total: int) -> None:
        if done and not killed:
            killed.append(kill_one_that_writes(folder))

    write = partial(
        write_bulk_texts,
        BuiltDataset.open(simulation_folder),
        folder,
        writing,
        limit=LIMIT,
        shard_rows=SHARD_ROWS,
        actors=2,
    )
    shards = LIMIT // SHARD_ROWS
    done = write(progress=kill_once)
    assert len(killed) == 1
    assert (done.texts, done.failed, done.written, done.shards) == (LIMIT, 0, shards, shards)
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".lock") == [
        f"train-{number:05}-of-{shards:05}.parquet" for number in range(shards)
    ]
    written = read(folder)
    assert written.pop("error").isna().all()
    pd.testing.assert_frame_equal(written, plain)
    assert done.compression == pytest.approx(plain["compression"].mean())

    before = state(folder)
    assert write() == BulkTexts(LIMIT, 0, None, done.compression, 0, shards)
    assert state(folder) == before

    lost = ["train-00003-of-00012.parquet", "train-00007-of-00012.parquet"]
    for name in lost:
        (folder / name).unlink()
    # By the command line this time.
    code, out, err = run_main(
        *(*words, *adapted, "--engine", "ray", "--shard-rows", SHARD_ROWS, "--actors", 1, "-o", folder)
    )
    assert code == 0, err
    assert f"{LIMIT} texts" in out
    assert "12 shards, 2 of them written now" in out
    after = state(folder)
    assert {name: after[name] for name in before if name not in lost} == {
        name: before[name] for name in before if name not in lost
    }
    pd.testing.assert_frame_equal(read(folder).drop(columns="error"), plain)
    rows = load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert rows["example_id"][:] == plain["example_id"].tolist()
    assert read_texts(text_files(folder, "train"), rows["example_id"][:]) == plain["text"].tolist()


def test_a_row_that_fails_carries_its_error_and_the_others_their_texts(ray, with_bad_rows, writing, tmp_path):
    built, bad = with_bad_rows
    own = Writing(built.folder, "train", writing.verbalizer, model=writing.model)
    done = write_bulk_texts(built, tmp_path / "texts", own, actors=1)
    written = read(tmp_path / "texts").set_index("example_id")
    assert done.failed == 2
    assert done.error.startswith("TypeError: ")
    assert written.index[written["text"].isna()].tolist() == bad
    assert written.loc[bad, "error"].tolist() == [done.error] * 2
    fine = written.drop(bad)
    assert fine["error"].isna().all()
    assert len(fine) == done.texts == len(built.examples("train")) - 2
    files = text_files(tmp_path / "texts", "train")
    assert read_texts(files, fine.index) == fine["text"].tolist()
    with pytest.raises(InputError, match=r"an error in place of the text of 2 of 2 examples.*Delete .*parquet, and"):
        read_texts(files, bad)


def planned(writing: Writing, folder: Path, rows: int = 10, **choice: object) -> TextShards:
    return TextShards.of(BuiltDataset.open(writing.dataset), writing.split, folder, rows, {}, **choice)


def test_an_actor_that_died_before_it_could_say_so_does_not_write_again(writing, tmp_path):
    texts = planned(writing, tmp_path / "texts")
    writer = ShardWriter(writing, texts)
    assert writer({"item": [0]})["rows"] == [10]
    before = state(tmp_path / "texts")
    assert ShardWriter(writing, texts)({"item": [0]}) == {"rows": [10], "trouble": [""]}
    assert state(tmp_path / "texts") == before


def test_a_full_disk_is_no_error_of_a_row(writing, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    writer = ShardWriter(writing, planned(writing, tmp_path / "texts"))
    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    told = writer({"item": [0]})
    assert told["rows"] == [0]
    assert "No space left on device" in told["trouble"][0]
    assert list((tmp_path / "texts").iterdir()) == []


@pytest.mark.parametrize("choice", [{}, {"limit": 17, "seed": 3}, {"discoveries": True}])
@pytest.mark.parametrize("group", [3, 1_000])
def test_shards_hold_the_examples_that_are_chosen_in_order(simulation_folder, writing, tmp_path, choice, group):
    from logs2lang.dataset_builders.dataset_folder.chosen_examples import choose_examples

    folder = tmp_path / "copy"
    shutil.copytree(simulation_folder, folder)
    (path,) = shards_of(folder, "examples", "train")
    table = pq.read_table(path)
    for part, rows in enumerate((table[:11], table[11:])):
        pq.write_table(rows, path.with_name(f"train-{part:05}-of-00002.parquet"), row_group_size=group)
    path.unlink()
    built = BuiltDataset.open(folder)
    own = Writing(folder, "train", "template")
    found = [
        example["example_id"]
        for shard in planned(own, tmp_path / "texts", 4, **choice).shards
        for batch in shard.batches(["example_id"], 3)
        for example in batch.to_pylist()
    ]
    chosen = {"limit": None, "seed": 0, "history_length": None, **choice}
    assert found == choose_examples(built.examples("train"), **chosen)["example_id"][:]


def test_texts_of_other_settings_are_not_mixed(writing, tmp_path):
    folder = tmp_path / "texts"
    ShardWriter(writing, planned(writing, folder))({"item": [0]})
    assert 0 not in planned(writing, folder).missing()
    with pytest.raises(InputError, match="another choice of shard_rows"):
        planned(writing, folder, 9).missing()
    with pytest.raises(InputError, match="another choice of limit"):
        planned(writing, folder, limit=20).missing()
    pq.write_table(pa.table({"example_id": ["years of work"]}), folder / "train-00001-of-00002.parquet")
    with pytest.raises(InputError, match="does not contain texts of --engine ray"):
        planned(writing, folder).missing()


def test_two_runs_do_not_write_to_one_folder(writing, tmp_path):
    (tmp_path / "texts").mkdir()
    with FileLock(tmp_path / "texts" / ".train.lock"), pytest.raises(InputError, match="Another run is writing"):
        write_bulk_texts(BuiltDataset.open(writing.dataset), tmp_path / "texts", writing)
