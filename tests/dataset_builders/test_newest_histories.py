"""The hash of a history changes with what the log says of it, and with nothing else."""

import pytest
from ibis.backends.duckdb import Backend as DuckDB

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.events import key_log, user_hash
from logs2lang.dataset_builders.interactions import canonicalize
from logs2lang.dataset_builders.newest_histories import to_newest_histories
from logs2lang.dataset_builders.raw_log import connect

from .conftest import raw_log

ANN = [("ann", "Fog", 1), ("ann", "Dew", 2), ("ann", "Haze", 2), ("ann", "Rime", 3)]


@pytest.fixture
def histories_of(tmp_path):
    """The hash and the items of ann's newest records, in a log of these rows."""

    def histories_of(rows, events=None, **options) -> tuple[str, list[str]]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        connection: DuckDB = connect(folder, threads=1)
        try:
            chosen = BuildOptions(**options)
            canonical = canonicalize(raw_log(connection, rows, events), connection, file_order=chosen.ties == "file")
            keyed = key_log(canonical.interactions, canonical.items, chosen, connection)
            users = to_newest_histories(keyed, chosen).to_pyarrow().to_pylist()
        finally:
            connection.disconnect()
        (ann,) = [row for row in users if row["user"] == user_hash("ann", seed=0)]
        return ann["history_hash"], [record["title"] for record in ann["history"]]

    return histories_of


def test_other_users_and_new_items_change_nothing(histories_of):
    hashed, titles = histories_of(ANN)
    assert titles[0] == "Fog"
    assert titles[-1] == "Rime"  # the last record, which is the target of a test example
    crowd = [(f"u{user}", f"m{user}", user) for user in range(20)]  # the keys of ann and of her items shift
    assert histories_of([*crowd, *ANN])[0] == hashed


@pytest.mark.parametrize(
    "rows",
    [
        [*ANN, ("ann", "Sleet", 9)],
        ANN[:-1],
        [*ANN[:-1], ("ann", "Rime", 4)],
        [*ANN[:-1], ("ann", "Snow", 3)],
    ],
)
def test_each_record_counts(histories_of, rows):
    assert histories_of(rows)[0] != histories_of(ANN)[0]


def test_what_happened_counts(histories_of):
    assert histories_of(ANN, events={ANN[0]: "trailer"})[0] != histories_of(ANN)[0]


def test_only_the_newest_records_count(histories_of):
    hashed, titles = histories_of(ANN, history=3)
    assert (sorted(titles[:2]), titles[2:]) == (["Dew", "Haze"], ["Rime"])
    assert histories_of([("ann", "Mist", 0), *ANN], history=3)[0] == hashed


def test_the_order_of_a_file_counts_where_it_says_something(histories_of):
    swapped = [ANN[0], ANN[2], ANN[1], ANN[3]]
    assert histories_of(swapped)[0] == histories_of(ANN)[0]
    assert histories_of(swapped, ties="file")[0] != histories_of(ANN, ties="file")[0]
