"""A machine without room: an error that says so, nothing left behind, and an earlier build as it was."""

import errno
import resource
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import duckdb
import pytest

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.sources.streaming_simulation import SimulationConfig, read_streaming_simulation
from logs2lang.dataset_builders.tables.machine_limits import plain_limits

SMALL = SimulationConfig(events=20_000, accounts=200, films=60, series=40)
simulate = partial(read_streaming_simulation, config=SMALL)


@contextmanager
def files_of_at_most(kilobytes: int):
    """The system's own limit on the size of a file: a full disk that every machine has."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# The first table that is stored, the finished examples, and the prompts, which pyarrow writes.
@pytest.mark.parametrize("kilobytes", [100, 700])
def test_a_disk_that_takes_no_more_is_an_error_of_the_system_and_leaves_nothing(tmp_path, kilobytes):
    with files_of_at_most(kilobytes), pytest.raises(OSError, match="File too large") as caught:
        build_dataset(simulate, tmp_path / "simulation")
    assert caught.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_build_stays_when_a_later_one_finds_no_room(tmp_path):
    output = tmp_path / "simulation"
    build_dataset(simulate, output)
    before = contents(output)
    with files_of_at_most(100), pytest.raises(OSError, match="File too large"):
        build_dataset(simulate, output, BuildOptions(seed=1))
    assert contents(output) == before
    assert [path.name for path in tmp_path.iterdir()] == ["simulation"]


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("3MB", "limit of 3MB is too small for this log. Allow more with --memory-limit"),
        ("much", "'much' is not a size"),
    ],
)
def test_a_memory_limit_that_cannot_be_held_is_named(tmp_path, limit, message):
    with pytest.raises(InputError, match=message):
        build_dataset(simulate, tmp_path / "simulation", memory_limit=limit)
    assert list(tmp_path.iterdir()) == []


ASYNC_WRITE = """IO Error: Async write failed for range [offset=10946, size=9123]: {"exception_type":"IO",
"exception_message":"Could not write file \\"out/test.parquet\\": No space left on device","errno":"28"}"""
COMMIT = 'Failed to commit: Could not write file "build.duckdb.wal": File too large'
CHECKPOINT = 'FATAL Error: Failed to create checkpoint: Could not write file "build.duckdb": No space left on device'
SPILL = "failed to offload data block of size 256.0 KiB. This limit was set by the 'max_temp_directory_size' setting."


@pytest.mark.parametrize(
    ("raised", "number", "path"),
    [
        (duckdb.IOException(ASYNC_WRITE), errno.ENOSPC, "out/test.parquet"),
        (duckdb.TransactionException(COMMIT), errno.EFBIG, "build.duckdb.wal"),
        (duckdb.FatalException(CHECKPOINT), errno.ENOSPC, "build.duckdb"),
        (duckdb.OutOfMemoryException(SPILL), errno.ENOSPC, "What does not fit in memory"),
    ],
)
def test_whatever_duckdb_calls_a_full_disk_it_is_an_error_of_the_system(raised, number, path):
    with pytest.raises(OSError, match=path) as caught, plain_limits("3GB"):
        raise raised
    assert (caught.value.errno, caught.value.filename) == (number, path)


def test_other_errors_of_duckdb_stay_what_they_are():
    for error in (duckdb.BinderException("no such column"), duckdb.ParserException("syntax error at SELECT")):
        with pytest.raises(type(error)), plain_limits("3GB"):
            raise error
