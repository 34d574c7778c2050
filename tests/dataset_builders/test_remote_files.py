"""Logs in an object store, on a server that speaks S3."""

import gzip
import os
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs

from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.raw_log import connect
from logs2lang.dataset_builders.remote_files import copied_here
from logs2lang.dataset_builders.sources.tabular import read_tabular
from logs2lang.dataset_builders.tables.parquet_scan import reach_stores

ROWS = [("ann", f"i{item}", f"2024-05-0{item} 10:00:00") for item in range(1, 5)]
CSV = "user_id,item_id,timestamp\n" + "".join(f"{','.join(row)}\n" for row in ROWS)


def read(connection, url: str) -> list[tuple[str, ...]]:
    rows = read_tabular(connection, url).interactions.to_pyarrow().to_pylist()
    return sorted((str(row["user_id"]), str(row["item_id"]), str(row["timestamp"])) for row in rows)


def test_files_of_an_object_store_are_read_as_if_they_were_here(bucket, connection, tmp_path):
    pq.write_table(pa.table({"user_id": ["ann"], "item_id": ["i9"], "timestamp": ["2024-05-09"]}), tmp_path / "a.pq")
    bucket.pipe("logs/log.csv", CSV.encode())
    bucket.pipe("logs/log.csv.gz", gzip.compress(CSV.encode()))
    bucket.put(str(tmp_path / "a.pq"), "logs/a.parquet")
    assert read(connection, "s3://logs/log.csv") == read(connection, "s3://logs/log.csv.gz") == sorted(ROWS)
    assert read(connection, "s3://logs/*.parquet") == [("ann", "i9", "2024-05-09")]


def test_parquet_of_a_store_is_read_where_it_lies(bucket, connection, tmp_path):
    for day, rows in (("2024-05-01", ROWS[:2]), ("2024-05-02", ROWS[2:])):
        columns = {"user_id": [row[0] for row in rows], "item_id": [row[1] for row in rows]}
        pq.write_table(pa.table(columns), tmp_path / "part.parquet", row_group_size=1)
        bucket.put(str(tmp_path / "part.parquet"), f"logs/lake/timestamp={day}/part.parquet")
    raw = read_tabular(connection, "s3a://logs/lake/*/*.parquet")
    assert [file.path for file in raw.scan.files] == [
        f"s3://logs/lake/timestamp=2024-05-0{day}/part.parquet" for day in (1, 2)
    ]
    expected = [(user, item, f"2024-05-0{1 + place // 2}") for place, (user, item, _) in enumerate(ROWS)]
    rows = raw.interactions.to_pyarrow().to_pylist()
    assert sorted((row["user_id"], row["item_id"], row["timestamp"]) for row in rows) == expected
    (tmp_path / "executor").mkdir()
    elsewhere = connect(tmp_path / "executor", threads=1)
    reach_stores([file.path for file in raw.scan.files], elsewhere)
    parts = [elsewhere.con.sql(raw.scan.to_sql(part)).fetchall() for part in raw.scan.parts(1)]
    assert [len(part) for part in parts] == [1, 1, 1, 1]


def test_a_file_of_a_store_that_is_no_parquet_is_named(bucket, connection):
    bucket.pipe("logs/log.parquet", b"PAR1 and no more")
    with pytest.raises(InputError, match=r"^s3://logs/log\.parquet cannot be read as Parquet"):
        read(connection, "s3://logs/*.parquet")


def test_a_build_reads_a_store_once(bucket, connection, tmp_path, make_source, crowd):
    """What DuckDB reads several times on this machine is copied to it first."""
    here = build_dataset(make_source(crowd), tmp_path / "here")
    rows = make_source(crowd)(connection).interactions.drop("source_file", "source_row")
    pq.write_table(rows.to_pyarrow(), tmp_path / "log.parquet")
    bucket.put(str(tmp_path / "log.parquet"), "logs/log.parquet")
    there = build_dataset(lambda machine: read_tabular(machine, "s3://logs/*.parquet"), tmp_path / "there")
    assert there["counts"]["used"] == here["counts"]["used"]
    assert there["splits"] == here["splits"]


def test_folders_of_a_lake_keep_their_meaning(bucket, connection):
    for day, rows in (("2024-05-01", ROWS[:2]), ("2024-05-02", ROWS[2:])):
        lines = "user_id,item_id\n" + "".join(f"{user},{item}\n" for user, item, _ in rows)
        bucket.pipe(f"logs/lake/timestamp={day}/part.csv", lines.encode())
    expected = [(user, item, f"2024-05-0{1 + place // 2}") for place, (user, item, _) in enumerate(ROWS)]
    assert read(connection, "s3://logs/lake/*/*.csv") == expected
    assert read(connection, "s3://logs/lake/**/part.csv") == expected


def test_a_signed_link_of_the_web_is_read(connection, tmp_path):
    (tmp_path / "log.csv").write_text(CSV)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert read(connection, f"http://127.0.0.1:{server.server_port}/log.csv?Signature=a/b.c") == sorted(ROWS)
        server.shutdown()


def test_nothing_is_left_here(bucket):
    bucket.pipe("logs/log.csv", CSV.encode())
    with copied_here("s3://logs/log.csv") as files:
        assert [file.read_text() for file in files] == [CSV]
    assert not files[0].exists()


def test_what_is_wrong_with_a_file_is_told_by_its_url(bucket, connection):
    bucket.pipe("logs/empty.csv", b"")
    bucket.pipe("logs/headless.csv", b"\nann,i1,2024-05-01\n")
    with pytest.raises(InputError, match=r"^s3://logs/empty.csv is empty"):
        read(connection, "s3://logs/empty.csv")
    with pytest.raises(InputError, match=r"^s3://logs/headless.csv begins with an empty line"):
        read(connection, "s3://logs/headless.csv")


def test_a_key_cannot_choose_a_place_of_this_machine(bucket, tmp_path):
    bucket.pipe("logs/../../../escape.csv", CSV.encode())
    with pytest.raises(InputError, match="leads out of its folder"), copied_here("s3://logs/**/*.csv"):
        pass


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://logs/missing.csv", "There is no file s3://logs/missing.csv"),
        ("s3://nobodys-bucket/log.csv", "There is no file s3://nobodys-bucket/log.csv"),
        ("quilt://logs/log.csv", r"cannot be used \(Protocol not known: quilt\)"),
        ("https://127.0.0.1:9/log.csv", "There is no file https://127.0.0.1:9/log.csv"),
    ],
    ids=["file", "bucket", "protocol", "server"],
)
def test_what_is_not_there_is_one_sentence(bucket, connection, url, message):
    with pytest.raises(InputError, match=message) as told:
        read(connection, url)
    assert "\n" not in str(told.value)


def test_a_store_without_credentials_is_one_sentence(bucket, connection, monkeypatch):
    bucket.pipe("logs/log.csv", CSV.encode())
    for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_ENDPOINT_URL"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError, match=r"cannot be used \(.*credentials.*Check the address and the credentials"):
        read(connection, "s3://logs/log.csv")


def test_a_package_that_is_missing_is_named(connection):
    with pytest.raises(InputError, match=r"gs://logs/log.csv needs another package. .*gcsfs"):
        read(connection, "gs://logs/log.csv")


def test_files_of_a_dataset_repository_are_read(hub, hub_api, stranger, tmp_path):
    """In a process of its own, since huggingface_hub reads the address of the Hub once."""
    hub_api.create_repo("tester/logs", repo_type="dataset")
    for day, rows in (("2024-05-01", ROWS[:2]), ("2024-05-02", ROWS[2:])):
        lines = "user_id,item_id\n" + "".join(f"{user},{item}\n" for user, item, _ in rows)
        hub_api.upload_file(
            path_or_fileobj=lines.encode(),
            path_in_repo=f"lake/timestamp={day}/part.csv",
            repo_id="tester/logs",
            repo_type="dataset",
        )
    code = (
        "from logs2lang.dataset_builders.remote_files import copied_here\n"
        "with copied_here('hf://datasets/tester/logs/lake/*/*.csv') as files:\n"
        "    print([(file.parent.name, len(file.read_text().splitlines())) for file in files])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], env=stranger(), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[('timestamp=2024-05-01', 3), ('timestamp=2024-05-02', 3)]"
