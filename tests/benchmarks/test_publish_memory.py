"""Publishing a gigabyte of Parquet: what the process holds in memory, and what a second run sends."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loopback_hub import TOKEN, USER, serve, stranger_environment
from small_release import DATASET, build_simulation

from logs2lang.dataset_builders.schema import TRAINING_INTERACTION_FEATURES

PARQUET_BYTES = 1_000_000_000
MOST_MEMORY = 1 << 30
ROWS, WIDTH = 100_000, 240
PUBLISH = """
import json, resource, sys
from logs2lang.commands.cli import main
try:
    main()
finally:
    print(json.dumps({"bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


def write_large_shard(path: Path) -> None:
    """A shard of the config `interactions` whose `device` is noise that no compression shortens."""
    schema = TRAINING_INTERACTION_FEATURES.arrow_schema
    rng = np.random.default_rng(0)
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        while path.stat().st_size < PARQUET_BYTES:
            noise = rng.integers(97, 123, (ROWS, WIDTH), np.uint8).view(f"S{WIDTH}").ravel()
            columns = {name: pa.nulls(ROWS, schema.field(name).type) for name in schema.names}
            columns |= {"user": pa.array(["0123456789abcdef"] * ROWS), "device": pa.array(noise).cast(pa.string())}
            writer.write_table(pa.table(columns, schema=schema))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    dataset = build_simulation(folder / "data" / DATASET)
    write_large_shard(next((dataset / "interactions").glob("*.parquet")))
    (folder / "model_cards").mkdir()
    return folder


def test_a_gigabyte_is_published_in_less_memory_than_it_takes(checkout):
    with serve(checkout / "hub") as hub:
        first, second = (publish(hub.endpoint, checkout) for _ in range(2))
        sent = [request.size for request in hub.requests if request.method == "PUT"]
    print(
        f"\npublish: {first / 2**20:.0f} MiB at most, {sum(sent) / 1e9:.2f} GB sent; again: {second / 2**20:.0f} MiB"
    )
    assert max(sent) >= PARQUET_BYTES
    assert len(sent) == len(set(sent))  # nothing was sent twice
    assert max(first, second) < MOST_MEMORY


def publish(endpoint: str, checkout: Path) -> int:
    """Run the command in a process of its own; returns the most memory it held."""
    command = [sys.executable, "-c", PUBLISH, "publish", "--namespace", USER, "--adapters", "model_cards"]
    environment = stranger_environment(endpoint, checkout / "homes", "publisher", HF_TOKEN=TOKEN)
    arguments = [*command, "--only", "datasets"]
    done = subprocess.run(arguments, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])["bytes"]
