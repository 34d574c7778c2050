"""What holds of every store, on real servers: whole texts, leases, outages, deletion."""

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
from servers import PASSWORD, free_port, postgres_url, redis_url

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.stores import redis_store
from logs2lang.stores.opening import open_store
from logs2lang.stores.store import StoredText, StoreError, TextKey

HOLDER = """
import sys, time
from logs2lang.stores.opening import open_store
with open_store(sys.argv[1]) as store, store.lease(7) as lease:
    print("held" if lease else "busy", flush=True)
    time.sleep(600)
"""


def to_text(user: str, text: str = "Heat; Fargo", history: str = "h1") -> StoredText:
    return StoredText(user, TextKey(history, "template:1"), text)


def test_what_is_put_is_what_is_got(store):
    hostile = "Ünï 🎬 'quoted' \"twice\"\n%s {0} \\N NULL\t;--"
    texts = [to_text("a", hostile), to_text("b", "", history="h2"), to_text("c:d", "x" * 100_000)]
    store.put(texts)
    assert store.get(["a", "b", "c:d", "nobody"]) == {text.user: text for text in texts}
    assert store.keys(["b", "nobody"]) == {"b": TextKey("h2", "template:1")}
    assert sorted(store, key=lambda text: text.user) == texts
    assert store.get([]) == store.keys([]) == {}


def test_a_later_text_takes_the_place_of_an_earlier_one(store, place):
    store.put([to_text("a"), to_text("b")])
    with open_store(place.address) as other:
        assert len(list(other)) == 2
        other.put([to_text("a", "newer", "h2")])
    assert store.get(["a"]) == {"a": to_text("a", "newer", "h2")}
    assert sorted(text.text for text in store) == ["Heat; Fargo", "newer"]


def test_a_deleted_user_is_gone(store, place):
    store.put([to_text("a", "earlier"), to_text("b")])
    store.put([to_text("a", "later")])
    assert store.delete("a")
    assert not store.delete("a")
    with open_store(place.address) as other:
        assert [text.user for text in other] == [text.user for text in store] == ["b"]


def test_a_batch_is_kept_as_a_whole_or_not_at_all(store):
    store.put([to_text("a", "old")])
    with pytest.raises(UnicodeEncodeError):
        store.put([to_text("a", "new"), to_text("b"), to_text("c", "half a pair \ud800")])
    assert [text.text for text in store] == ["old"]


def test_what_the_server_refuses_in_a_batch_undoes_all_of_it(postgres_place):
    with open_store(postgres_place.address) as store:
        with pytest.raises(StoreError, match="NUL"):
            store.put([to_text("a"), to_text("z", "a \0 in it")])
        assert list(store) == []


def test_one_process_has_a_lease_at_a_time(store, place):
    with open_store(place.address) as other:
        with store.lease(3) as ours:
            assert ours.is_held()
            with other.lease(3) as theirs, store.lease(3) as again, other.lease(4) as another:
                assert (theirs, again) == (None, None)
                assert another.is_held()
        with other.lease(3) as theirs:
            assert theirs is not None


def test_a_killed_process_gives_its_leases_back(place, monkeypatch):
    # Redis cannot see a process die. Its lease ends by itself, so it is made short here.
    holder = HOLDER.replace("\nwith", "\nfrom logs2lang.stores import redis_store\nredis_store.LEASE_S = 2.0\nwith", 1)
    command = [sys.executable, "-c", holder, place.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, open_store(place.address) as store:
        assert process.stdout.readline() == "held\n"
        with store.lease(7) as lease:
            assert lease is None
        process.kill()
        process.wait()
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with store.lease(7) as lease:
                if lease is not None:
                    return
            time.sleep(0.1)
    raise AssertionError("the lease of the dead process is still held")


def test_a_lease_of_redis_is_renewed_and_ends_when_it_cannot_be(redis_place, monkeypatch):
    monkeypatch.setattr(redis_store, "LEASE_S", 1.5)
    with open_store(redis_place.address) as store, open_store(redis_place.address) as other, store.lease(1) as lease:
        time.sleep(3)
        assert lease.is_held()
        with other.lease(1) as theirs:
            assert theirs is None
        store._client.delete("logs2lang:lease:1")  # as if the server had forgotten it
        time.sleep(1.5)
        assert not lease.is_held()


def test_a_store_that_goes_away_and_comes_back(store, place):
    store.put([to_text("a")])
    with ExitStack() as stack:
        lease = stack.enter_context(store.lease(1))
        place.go_away()
        try:
            acts = (lambda: store.get(["a"]), lambda: list(store), lambda: store.put([to_text("z")]))
            for act in (*acts, lambda: store.lease(2).__enter__()):
                with pytest.raises(StoreError, match="cannot be used") as caught:
                    act()
                assert PASSWORD not in str(caught.value)
        finally:
            place.come_back()
        assert store.get(["a"]) == {"a": to_text("a")}
        assert lease is not None
    store.put([to_text("b")])
    assert len(list(store)) == 2
    with store.lease(1) as again:
        assert again is not None or isinstance(store, redis_store.RedisStore)


def test_a_lease_of_a_session_ends_with_it(postgres_place):
    with open_store(postgres_place.address) as store, store.lease(1) as lease:
        with psycopg.connect(postgres_place.address, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        assert store.keys(["a"]) == {}  # on a new connection
        assert not lease.is_held()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mysql://localhost/texts", "no store of the kind mysql"),
        ("postgresql://ann:do-not-show@[nowhere", "cannot be used"),
        ("redis://:do-not-show@localhost:no-port/0", "no URL of Redis"),
        (lambda: postgres_url(free_port(), "texts"), "Check that PostgreSQL is running"),
        (lambda: redis_url(free_port(), 0), "Check that Redis is running"),
    ],
    ids=["unknown kind", "no URL of PostgreSQL", "no URL of Redis", "no PostgreSQL there", "no Redis there"],
)
def test_a_wrong_address_is_one_sentence_without_the_password(address, said):
    with pytest.raises(InputError, match=said) as caught:
        open_store(address if isinstance(address, str) else address())
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_are_merged_and_stay_few(folder):
    with open_store(str(folder)) as store:
        for number in range(60):
            store.put([to_text(f"u{number % 20}", f"text {number}"), to_text(f"v{number}")])
            assert len(list(folder.glob("texts-*.parquet"))) <= 16
        assert {text.user: text.text for text in store if text.user[0] == "u"} == {
            f"u{number - 40}": f"text {number}" for number in range(40, 60)
        }
        assert len(list(store)) == 80
        rows = sum(pq.read_metadata(path).num_rows for path in folder.glob("texts-*.parquet"))
        assert rows < 110  # what was outdone is dropped when files are merged


def test_rows_are_found_in_files_of_many_row_groups(folder):
    texts = [to_text(f"u{number}", f"text {number}") for number in range(1_000)]
    with open_store(str(folder)) as store:
        store.put(texts)
        assert store.get(["u999", "u0", "u256"]) == {text.user: text for text in (texts[999], texts[0], texts[256])}
        store.delete("u300")
        assert len(list(store)) == 999
        assert store.get(["u301"])["u301"].text == "text 301"


def test_what_a_killed_process_left_is_cleaned_up(folder):
    """Half a file, and a file that was written anew while the earlier one was not yet deleted."""
    with open_store(str(folder)) as store:
        store.put([to_text("a"), to_text("b")])
        before = next(folder.glob("texts-*.parquet"))
        content = before.read_bytes()
        store.delete("a")
        before.write_bytes(content)
        (folder / ".texts-000000000009-000000.parquet.partial").write_bytes(content[:50])
        assert [text.user for text in store] == ["b"]
        store.put([to_text("c")])
        assert sorted(text.user for text in store) == ["b", "c"]
    assert not before.exists()
    assert not list(folder.glob("*.partial"))


def test_a_damaged_file_is_named(folder):
    with open_store(str(folder)) as store:
        (folder / "texts-000000000001-000000.parquet").write_bytes(b"PAR1 no")
        with pytest.raises(StoreError, match="damaged file may be deleted"):
            store.get(["a"])


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="which no store of texts wrote"):
        open_store(str(tmp_path))
    with pytest.raises(InputError, match="is a file"):
        open_store(str(Path(tmp_path) / "notes.txt"))
