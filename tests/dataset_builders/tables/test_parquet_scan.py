"""Parquet files read where they lie: as a whole, in parts, on executors, and broken."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.raw_log import connect
from logs2lang.dataset_builders.sources.table_files import read_files
from logs2lang.dataset_builders.sources.tabular import read_tabular
from logs2lang.dataset_builders.spark.chunk_query import ROWS, SCANNED, ChunkQuery, ScannedChunks
from logs2lang.dataset_builders.spark.cluster_tables import _is_by_row
from logs2lang.dataset_builders.tables.parquet_scan import ParquetScan


@pytest.fixture
def connection(tmp_path):
    return connect(tmp_path, threads=1)


@pytest.fixture
def lake(tmp_path) -> str:
    """Three files in two folders: two of the same columns, and one with a column that DuckDB has a use for."""
    files = {
        "day=2024-05-01/a.parquet": {"user_id": [f"u{row}" for row in range(20)], "item_id": list(range(20))},
        "day=2024-05-02/a.parquet": {"user_id": ["it's"], "item_id": [7]},
        "day=2024-05-02/b.parquet": {"file_row_number": [9, 8], "item_id": ["x", "y"], "user_id": ["ann", "bob"]},
    }
    for name, columns in files.items():
        path = tmp_path / "lake" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path, row_group_size=4)
    return str(tmp_path / "lake" / "*" / "*.parquet")


def in_order(rows: pa.Table) -> list[dict]:
    return sorted(rows.to_pylist(), key=lambda row: (row["source_file"], row["source_row"]))


def test_the_parts_are_all_rows_and_say_where_they_lie(lake, connection):
    read = read_files(connection, "log", lake, in_place=True)
    parts = read.scan.parts(6)
    assert [part.stop - part.start for part in parts] == [6, 6, 6, 2, 1, 2]
    rows = pa.concat_tables(connection.con.sql(read.scan.to_sql(part)).to_arrow_table() for part in parts)
    assert in_order(rows) == in_order(read.rows.to_pyarrow())
    ids = {theirs: read.columns[theirs] for theirs in ("user_id", "item_id", "day")}
    said = {(row["source_file"], row["source_row"]): [row[ours] for ours in ids.values()] for row in in_order(rows)}
    assert said["day=2024-05-01/a.parquet", 20] == ["u19", "19", "2024-05-01"]
    assert said["day=2024-05-02/a.parquet", 1] == ["it's", "7", "2024-05-02"]
    assert said["day=2024-05-02/b.parquet", 2] == ["bob", "y", "2024-05-02"]
    assert read.counted == len(said) == 23


def test_a_part_reads_its_own_row_groups_alone(tmp_path, connection):
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({"user_id": list(range(40))}), path, row_group_size=10, compression=None)
    at = pq.ParquetFile(path).metadata.row_group(3).column(0)
    spoil(path, at.dictionary_page_offset, at.total_compressed_size)
    scan = read_files(connection, "log", str(path), in_place=True).scan
    *whole, broken = scan.parts(10)
    assert [len(connection.con.sql(scan.to_sql(part)).fetchall()) for part in whole] == [10, 10, 10]
    with pytest.raises(duckdb.Error):
        connection.con.sql(scan.to_sql(broken)).fetchall()


def spoil(path: Path, start: int, size: int) -> None:
    """Overwrite the pages of a file, and leave its footer as it is."""
    content = bytearray(path.read_bytes())
    content[start : start + size] = b"\xff" * size
    path.write_bytes(content)


@pytest.fixture
def broken_lake(tmp_path) -> str:
    columns = {"user_id": ["ann"] * 40, "item_id": list(range(40)), "timestamp": list(range(10**9, 10**9 + 40))}
    for name in ("first.parquet", "second.parquet"):
        pq.write_table(pa.table(columns), tmp_path / name, compression=None)
    at = pq.ParquetFile(tmp_path / "second.parquet").metadata.row_group(0).column(1)
    spoil(tmp_path / "second.parquet", at.dictionary_page_offset, at.total_compressed_size)
    return str(tmp_path / "*.parquet")


def test_a_file_with_broken_pages_is_named(broken_lake, tmp_path):
    with pytest.raises(InputError, match=r"second\.parquet cannot be read as Parquet: .*Check that it was written"):
        build_dataset(lambda connection: read_tabular(connection, broken_lake), tmp_path / "built")
    assert not (tmp_path / "built").exists()


def test_a_catalogue_with_broken_pages_is_named(broken_lake, tmp_path, connection):
    with pytest.raises(InputError, match=r"second\.parquet cannot be read as Parquet"):
        read_tabular(connection, str(tmp_path / "first.parquet"), items=str(tmp_path / "second.parquet"))


def on_executor(scan: ParquetScan) -> Iterator[pa.RecordBatch]:
    """What a task of Spark makes of all parts of a scan."""
    parts = scan.parts(6)
    chunks = ScannedChunks(scan, parts, f"SELECT source_file, source_row, column1 FROM {SCANNED}")
    schema = pa.schema({"source_file": pa.string(), "source_row": pa.int64(), "column1": pa.string()})
    places = pa.record_batch({"place": pa.array(range(len(parts)), pa.int64())})
    return ChunkQuery(chunks, f"SELECT * FROM {ROWS}", schema)(iter([places]))


def test_executors_read_the_files_where_they_lie(lake, connection):
    scan = read_files(connection, "log", lake, in_place=True).scan
    rows = pa.Table.from_batches(on_executor(scan))
    assert in_order(rows) == in_order(connection.table(scan.view).select(*rows.column_names).to_pyarrow())


def test_executors_name_a_file_that_is_broken_or_not_there(broken_lake, tmp_path, connection):
    scan = read_files(connection, "log", broken_lake, in_place=True).scan
    with pytest.raises(InputError, match=r"second\.parquet cannot be read as Parquet"):
        list(on_executor(scan))
    (tmp_path / "first.parquet").unlink()
    with pytest.raises(InputError, match=r"first\.parquet is not there on a machine of the cluster\. Put the log"):
        list(on_executor(scan))


def test_rows_that_depend_on_others_are_not_read_by_parts(lake, connection):
    read = read_files(connection, "log", lake, in_place=True)
    rows = read.rows
    assert _is_by_row(rows, read.scan.view)
    assert _is_by_row(rows.filter(rows.column0 != "ann").mutate(twice=rows.column1.length() * 2), read.scan.view)
    assert not _is_by_row(rows, "another")
    assert not _is_by_row(rows.distinct(), read.scan.view)
    assert not _is_by_row(rows.mutate(place=ibis.row_number()), read.scan.view)
    assert not _is_by_row(rows.mutate(most=rows.source_row.max()), read.scan.view)
    assert not _is_by_row(rows.join(ibis.memtable({"source_row": [1]}), "source_row"), read.scan.view)
