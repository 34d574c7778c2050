import json
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import save_file
from small_release import ADAPTER, DATASET, write_json

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.release.checks import check_file, check_release
from logs2lang.release.plan import AdapterRepo, DatasetRepo, Links, ReleaseFile, SpaceRepo

LINKS = Links("me", "http://hub")
ROOT = Path(__file__).parents[3]
# Written in parts, so that no search for secrets stops at this file.
SECRETS = {
    "Hub token": "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz01234567",
    "GitHub token": "ghp_" + "a1B2" * 9,
    "API key of a model provider": "sk-" + "proj-" + "0123456789abcdefghij",
    "cloud access key": "AKIA" + "ABCDEFGHIJKLMNOP",
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "password in a URL": "https://ann:" + "hunter2@host/repo.git",
}


@pytest.fixture
def adapter(released_adapters, tmp_path) -> AdapterRepo:
    shutil.copytree(released_adapters, tmp_path / "adapters")
    return AdapterRepo(ADAPTER, tmp_path / "adapters" / ADAPTER)


@pytest.fixture
def dataset(simulation_folder, tmp_path) -> DatasetRepo:
    return DatasetRepo(DATASET, Path(shutil.copytree(simulation_folder, tmp_path / DATASET)))


def test_the_small_release_and_our_spaces_pass(adapter, dataset):
    spaces = [SpaceRepo(path.parent.name, path.parent) for path in sorted((ROOT / "space").glob("*/README.md"))]
    assert spaces
    check_release([dataset, adapter, *spaces], LINKS, "hf_not_in_any_file")


def test_a_built_movielens_does_not_pass(dataset):
    report = json.loads((dataset.folder / "build_report.json").read_text())
    terms = {"name": "other", "redistributable": False, "notice": "MovieLens may not be redistributed."}
    write_json(dataset.folder / "build_report.json", {**report, "license": terms})
    with pytest.raises(InputError, match="may not be published: MovieLens may not be redistributed"):
        check_release([dataset], LINKS)


@pytest.mark.parametrize(
    ("config", "spoil", "said"),
    [
        ("interactions", lambda table: with_column(table, "user", "196"), "not a hash of 16 hexadecimal digits"),
        ("examples", lambda table: with_column(table, "user", "ann@mail.example"), "not a hash"),
        ("items", lambda table: table.append_column("user_id", pa.array(["7"] * len(table))), "has the columns"),
        ("truth", lambda table: table.append_column("user_id", pa.array(["7"] * len(table))), "raw ids"),
    ],
)
def test_raw_user_ids_do_not_pass(dataset, config, spoil, said):
    path = next((dataset.folder / config).glob("*.parquet"))
    pq.write_table(spoil(pq.read_table(path)), path)
    with pytest.raises(InputError, match=said):
        check_release([dataset], LINKS)


def with_column(table: pa.Table, name: str, value: str) -> pa.Table:
    """The table with one raw value in the last row of a column."""
    values = [*table[name].to_pylist()[:-1], value]
    return table.set_column(table.column_names.index(name), name, pa.array(values))


@pytest.mark.parametrize("what", SECRETS)
def test_secrets_do_not_pass(what, adapter):
    run = json.loads((adapter.folder / "run.json").read_text())
    write_json(adapter.folder / "run.json", {**run, "config": {"note": f"made with {SECRETS[what]}"}})
    with pytest.raises(InputError, match=rf"run.json contains what looks like an? {what}") as raised:
        check_release([adapter], LINKS)
    assert SECRETS[what] not in str(raised.value)


def test_the_token_in_use_does_not_pass_whatever_it_looks_like(tmp_path):
    with pytest.raises(InputError, match="contains the token that is in use") as raised:
        check_file(ReleaseFile("app.py", b"login('open sesame')"), "space", "open sesame")
    assert "open sesame" not in str(raised.value)


@pytest.mark.parametrize("name", [".env", "token", "keys/id_rsa", "server.pem", ".netrc", "credentials.json"])
def test_files_that_are_named_like_secrets_do_not_pass(name):
    with pytest.raises(InputError, match="named like a secret"):
        check_file(ReleaseFile(name, b"x"), "space")


@pytest.mark.parametrize("name", ["adapter_model.bin", "optimizer.pt", "model.pkl", "array.npy"])
def test_files_of_kinds_that_hold_pickles_do_not_pass(name):
    with pytest.raises(InputError, match="may be a pickle"):
        check_file(ReleaseFile(name, b"anything"), "adapter")


def test_a_pickle_under_another_name_does_not_pass(tmp_path):
    with pytest.raises(InputError, match="may be a pickle"):
        check_file(ReleaseFile("weights.safetensors", pickle.dumps([1, 2])), "adapter")
    torch.save({"a": torch.zeros(2)}, tmp_path / "tokenizer.json")
    with pytest.raises(InputError, match="may be a pickle"):
        check_file(ReleaseFile("tokenizer.json", tmp_path / "tokenizer.json"), "adapter")


@pytest.mark.parametrize("length", [0x280, 0x380, 0x480, 0x580])
def test_weights_whose_header_is_as_long_as_a_pickle_begins_pass(tmp_path, length):
    path = tmp_path / "adapter_model.safetensors"
    weights = {"weight": np.zeros(2, np.float32)}
    save_file(weights, path, {"filling": ""})
    missing = length - int.from_bytes(path.read_bytes()[:8], "little")
    save_file(weights, path, {"filling": "x" * missing})
    assert path.read_bytes()[:2] == length.to_bytes(2, "little")
    check_file(ReleaseFile(path.name, path), "adapter")


@pytest.mark.parametrize(
    "path", ["/home/ann/runs/1", "/Users/ann/x", "C:\\Users\\ann", "/root/out", "/mnt/disk/run", "/tmp/a/b"]
)
def test_paths_of_this_machine_do_not_pass(path, adapter):
    run = json.loads((adapter.folder / "run.json").read_text())
    write_json(adapter.folder / "run.json", {**run, "config": {"output_dir": path}})
    with pytest.raises(InputError, match=r"run.json (contains|has 'output_dir' =) .*on this machine"):
        check_release([adapter], LINKS)


@pytest.mark.parametrize("text", ["a/b", "and/or", "/", "https://hub/home/x", "10/12/2024", "~/data", "</home>"])
def test_what_is_no_path_of_this_machine_passes(text):
    check_file(ReleaseFile("run.json", json.dumps({"text": text}).encode()), "adapter")


def test_a_program_may_name_a_home_that_is_not_ours(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    check_file(ReleaseFile("app.py", b'"""Reads /home/bob/log.csv."""'), "space")
    with pytest.raises(InputError, match=r"contains /home/ann/log\.csv"):
        check_file(ReleaseFile("app.py", b'open("/home/ann/log.csv")'), "space")


def test_a_local_base_model_does_not_pass(adapter):
    for name, key in (("run.json", "base_model"), ("adapter_config.json", "base_model_name_or_path")):
        content = json.loads((adapter.folder / name).read_text())
        write_json(adapter.folder / name, {**content, key: "models/mine/final"})
    with pytest.raises(InputError, match="expected its Hub id"):
        check_release([adapter], LINKS)


def test_what_a_training_leaves_behind_does_not_pass(adapter):
    (adapter.folder / "trainer_state.json").write_text("{}")
    with pytest.raises(InputError, match=re.escape("trainer_state.json is not part of a released adapter")):
        check_release([adapter], LINKS)


def test_metadata_of_weights_and_tables_is_read(adapter, dataset):
    from safetensors.torch import load_file, save_file

    weights = adapter.folder / "adapter_model.safetensors"
    save_file(load_file(weights), weights, metadata={"made in": "/home/ann/secret"})
    with pytest.raises(InputError, match="contains /home/ann"):
        check_release([adapter], LINKS)
    shard = next((dataset.folder / "items").glob("*.parquet"))
    table = pq.read_table(shard)
    pq.write_table(table.replace_schema_metadata({"made in": "/home/ann/secret"}), shard)
    with pytest.raises(InputError, match="contains /home/ann"):
        check_release([dataset], LINKS)
