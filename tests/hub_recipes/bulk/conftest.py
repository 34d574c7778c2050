"""One Ray with two CPUs for all tests of this folder: starting one takes longer than writing a few texts. And a
damaged dataset."""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from logs2lang.bulk.ray_session import ray_session
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.export import shards_of


@pytest.fixture(scope="session")
def ray(tmp_path_factory) -> Iterator[None]:
    if find_spec("ray") is None:  # importing it here would settle what `ray_session` is to settle
        pytest.skip("needs the extra `ray`")
    with ray_session(None, 2, tmp_path_factory.mktemp("ray") / "ray.log"):
        yield


@pytest.fixture
def with_bad_rows(simulation_folder, tmp_path) -> tuple[BuiltDataset, list[str]]:
    """A dataset two of whose training examples have no history, as if their file had been damaged; and their ids."""
    folder = tmp_path / "damaged"
    shutil.copytree(simulation_folder, folder)
    (path,) = shards_of(folder, "examples", "train")
    table = pq.read_table(path)
    histories = table["history"].to_pylist()
    histories[3] = histories[8] = None
    place = table.column_names.index("history")
    damaged = table.set_column(place, "history", pa.array(histories, table.schema.field("history").type))
    pq.write_table(damaged, path, row_group_size=7)
    return BuiltDataset.open(folder), [table["example_id"][row].as_py() for row in (3, 8)]
