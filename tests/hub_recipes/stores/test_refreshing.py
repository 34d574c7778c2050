"""Texts are written where records changed and nowhere else, whatever is killed; of a deleted user nothing stays."""

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from diskcache import Cache
from small_logs import USERS, build

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.events import user_hash
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.reasoners import answer_cache
from logs2lang.stores import refreshing
from logs2lang.stores.opening import open_store
from logs2lang.stores.refreshing import Refresher, forget_user, to_revision
from logs2lang.stores.store import StoreError
from logs2lang.verbalizers import text_cache
from logs2lang.verbalizers.template import TemplateVerbalizer

SCRIPT = Path(__file__).with_name("refresh_slowly.py")


class CountingVerbalizer(TemplateVerbalizer):
    """Knows which texts it wrote, and can be held up."""

    def __init__(self):
        self.written: list[str] = []
        self.hold = lambda: None

    def verbalize(self, histories, progress=None):
        self.hold()
        texts = super().verbalize(histories, progress)
        self.written += texts
        return texts


@pytest.fixture(scope="session")
def yesterday(tmp_path_factory) -> BuiltDataset:
    return BuiltDataset.open(build(tmp_path_factory.mktemp("yesterday") / "data", news=[]))


@pytest.fixture(scope="session")
def today(tmp_path_factory) -> BuiltDataset:
    return BuiltDataset.open(build(tmp_path_factory.mktemp("today") / "data"))


@pytest.fixture
def own(today, tmp_path) -> BuiltDataset:
    """A copy that may be changed."""
    return BuiltDataset.open(shutil.copytree(today.folder, tmp_path / "data"))


@pytest.fixture
def verbalizer() -> CountingVerbalizer:
    return CountingVerbalizer()


def refresh(dataset, verbalizer, store, edition="", **choices):
    return Refresher(
        dataset.newest_histories(), verbalizer, to_revision("template", verbalizer, edition), store, **choices
    ).run()


def name_of(user_id: str) -> str:
    return user_hash(user_id, seed=0)


def test_only_users_whose_records_changed_are_written_anew(yesterday, today, verbalizer, store):
    assert refresh(yesterday, verbalizer, store).written == USERS
    before = {text.user: text for text in store}
    assert refresh(yesterday, verbalizer, store).written == 0
    verbalizer.written.clear()
    assert refresh(today, verbalizer, store).written == 2
    after = {text.user: text for text in store}
    assert len(verbalizer.written) == 2
    assert "film 0 of today" in after[name_of("u5")].text.splitlines()[-1]  # the very last record, which is a target
    assert after.keys() - before.keys() == {name_of("newcomer")}
    changed = {name_of("u5"), name_of("newcomer")}
    assert all(after[user] == before[user] for user in before.keys() - changed)


def test_another_edition_and_another_verbalizer_write_all(today, verbalizer, parquet_place):
    with open_store(parquet_place.address) as store:
        assert refresh(today, verbalizer, store).written == USERS + 1
        assert refresh(today, verbalizer, store, edition="2026-12").written == USERS + 1
        assert refresh(today, verbalizer, store, edition="2026-12").written == 0
        verbalizer.fingerprint = "another"
        assert refresh(today, verbalizer, store, edition="2026-12").written == USERS + 1


def test_texts_are_those_that_the_verbalizer_writes(today, verbalizer, store):
    refresh(today, verbalizer, store)
    read = today.newest_histories().read(list(today.newest_histories().hashes()))
    assert {text.user: text.text for text in store} == {
        user: TemplateVerbalizer().verbalize([records])[0] for user, (_, records) in read.items()
    }


def test_two_runs_at_once_do_no_work_twice(today, place, monkeypatch):
    monkeypatch.setattr(refreshing, "BY_RULE", 2)
    writers = [CountingVerbalizer(), CountingVerbalizer()]

    def run(writer):
        writer.hold = lambda: time.sleep(0.05)
        with open_store(place.address) as store:
            refresh(today, writer, store)

    threads = [threading.Thread(target=run, args=[writer]) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = [text for writer in writers for text in writer.written]
    assert len(written) == len(set(written)) == USERS + 1
    assert all(writer.written for writer in writers)
    with open_store(place.address) as store:
        assert len(list(store)) == USERS + 1


def start_slowly(dataset, place, seconds):
    command = [sys.executable, str(SCRIPT), str(dataset.folder), place.address, "new", str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_kill_leaves_whole_texts_and_the_next_run_writes_the_rest(today, place, verbalizer):
    with open_store(place.address) as store:
        refresh(today, verbalizer, store, edition="old")
        old = {text.user: text for text in store}
        with start_slowly(today, place, seconds=0.2) as process:
            for _ in range(3):  # in the third batch of two
                assert process.stdout.readline() == "writing\n"
            process.kill()
        left = {text.user: text for text in store}
        new = {user: text for user, text in left.items() if text.key.revision.endswith("@new")}
        assert len(new) == 4
        assert all(left[user].text == old[user].text for user in old)  # these histories are the same
        assert all(left[user] == old[user] for user in old.keys() - new.keys())
        verbalizer.written.clear()
        assert refresh_patiently(today, verbalizer, store) == len(old) - 4
        assert {text.key.revision for text in store} == {to_revision("template", verbalizer, "new")}


def refresh_patiently(dataset, verbalizer, store) -> int:
    """The leases of Redis outlive the killed process for a while; here somebody ends them at once."""
    client = getattr(store, "_client", None)
    if client is not None:
        client.delete(*client.scan_iter("logs2lang:lease:*"), "none")
    return refresh(dataset, verbalizer, store, edition="new").written


def test_a_run_outlasts_a_store_that_goes_away_and_comes_back(today, place, verbalizer, monkeypatch):
    monkeypatch.setattr(refreshing, "BY_RULE", 2)
    monkeypatch.setattr("logs2lang.stores.redis_store.LEASE_S", 3.0)
    faults = iter([place.go_away])
    back = threading.Timer(1.5, place.come_back)

    def fail_once():
        for fault in faults:
            fault()
            back.start()

    verbalizer.hold = fail_once
    with open_store(place.address) as store:
        assert refresh(today, verbalizer, store, patience=60).written == USERS + 1
        assert len({text.user for text in store}) == USERS + 1
    back.join()


def test_patience_ends(today, parquet_place, verbalizer):
    with open_store(parquet_place.address) as store:
        verbalizer.hold = parquet_place.go_away
        with pytest.raises(StoreError, match="cannot be used"):
            refresh(today, verbalizer, store, patience=0)


def bytes_below(*folders: Path) -> bytes:
    return b"".join(path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file())


def test_nothing_of_a_deleted_user_is_left(own, verbalizer, place, run_main, tmp_path, monkeypatch):
    caches = {text_cache: ("cache_folder", tmp_path / "texts-cache"), answer_cache: ("answers_folder", tmp_path / "a")}
    for module, (name, folder) in caches.items():
        monkeypatch.setattr(module, name, lambda folder=folder: folder)
        with Cache(folder) as cache:
            cache["key"] = "likes film 0 of today, says somebody"
    with open_store(place.address) as store:
        refresh(own, verbalizer, store)
        code, said, error = run_main("forget", own.folder, "u3", "--store", place.address)
        assert (code, error) == (0, "")
        assert said.startswith("Deleted: "), said
        assert "the text in the store, and 2 entries of caches" in said
        assert len(list(store)) == USERS
        assert refresh(own, verbalizer, store).written == 0
    tables = [table for table in tables_of(own.folder) if "user" in table.column_names]
    assert len(tables) == 5
    assert not any(name_of("u3") in table["user"].to_pylist() for table in tables)
    ids = [table["example_id"].to_pylist() for table in tables_of(own.folder) if "example_id" in table.column_names]
    assert len(ids) == 9
    assert not any(one.startswith(name_of("u3")) for some in ids for one in some)
    (quarantine,) = [table for table in tables_of(own.folder) if "raw" in table.column_names]
    assert [("u3" in raw, "u4" in raw) for raw in quarantine["raw"].to_pylist()] == [(False, True)]
    everything = bytes_below(tmp_path)
    assert name_of("u3").encode() not in everything
    assert b"says somebody" not in everything
    code, _, error = run_main("forget", own.folder, "u3", "--store", place.address)
    assert code == 2
    assert "Nothing of the user 'u3'" in error


def tables_of(folder):
    return [pq.read_table(path) for path in sorted(folder.rglob("*.parquet"))]


def test_the_dataset_of_a_deleted_user_is_in_order(own, store):
    rows, _ = forget_user(own, store, "u3")
    assert rows
    changed = BuiltDataset.open(own.folder)
    assert changed.report["splits"]["test"]["examples"] == own.report["splits"]["test"]["examples"] - 1
    assert changed.report["content_sha256"]["examples"] != own.report["content_sha256"]["examples"]
    assert changed.report["content_sha256"]["items"] == own.report["content_sha256"]["items"]
    assert changed.examples("test").num_rows == changed.report["splits"]["test"]["examples"]
    assert f"| test | {changed.examples('test').num_rows} |" in (own.folder / "README.md").read_text()


def test_a_run_at_work_does_not_bring_a_deleted_user_back(own, verbalizer, place, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    def hold():
        begun.set()
        go_on.wait(30)

    verbalizer.hold = hold
    with open_store(place.address) as store, open_store(place.address) as another:
        run = threading.Thread(target=refresh, args=(own, verbalizer, store))
        run.start()
        assert begun.wait(30)
        forgetting = threading.Thread(target=forget_user, args=(own, another, "u3"))
        forgetting.start()
        time.sleep(0.5)
        assert forgetting.is_alive()  # it waits until the batch is in the store
        go_on.set()
        run.join()
        forgetting.join()
        assert another.get([name_of("u3")]) == {}
        assert len(list(another)) == USERS


def test_the_command(today, tmp_path, run_main):
    arguments = ("refresh", today.folder, "--store", tmp_path / "texts")
    code, said, error = run_main(*arguments)
    assert (code, error) == (0, "")
    assert said == "13 users, 13 texts written; the other texts were up to date.\n"
    assert run_main(*arguments)[1].startswith("13 users, 0 texts written")
    with open_store(str(tmp_path / "texts")) as store:
        assert store.get([name_of("u5")])[name_of("u5")].text.startswith("Recent, newest last: ")
        assert {text.key.revision for text in store} == {"successors:successors-10-5-20"}


def test_wrong_input_is_one_sentence(own, tmp_path, run_main):
    store = ("--store", tmp_path / "texts")
    code, _, error = run_main("refresh", own.folder, *store, "--verbalizer", "popularity")
    assert (code, "does not write text" in error) == (2, True)
    code, _, error = run_main("refresh", own.folder, *store, "--verbalizer", "action")
    assert (code, "--verbalizer-adapter" in error) == (2, True)
    code, _, error = run_main("refresh", own.folder, "--store", "mysql://db/texts")
    assert (code, "no store of the kind mysql" in error) == (2, True)
    shutil.rmtree(own.folder / "histories")
    code, _, error = run_main("refresh", own.folder, *store)
    assert (code, "has no histories" in error) == (2, True)


def test_a_user_of_a_salted_dataset_needs_the_salt(tmp_path, folder):
    dataset = BuiltDataset.open(build(tmp_path / "data", salt="pepper"))
    with open_store(str(folder)) as store:
        refresh(dataset, TemplateVerbalizer(), store)
        with pytest.raises(InputError, match="secret salt"):
            forget_user(dataset, store, "u3")
        assert forget_user(dataset, store, "u3", "pepper")[1]
        assert forget_user(dataset, store, user_hash("u4", 0, "pepper"))[1]  # by the name in the dataset
        assert len(list(store)) == USERS - 1
