"""Datasets that are built into an object store, and opened from there."""

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError

URL = "s3://logs/datasets/own"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", tmp_path / "cache")


def test_a_dataset_of_a_store_is_that_of_a_folder(bucket, make_source, crowd, tmp_path):
    report = build_dataset(make_source(crowd), URL)
    here = build_dataset(make_source(crowd), tmp_path / "own")
    assert report["content_sha256"] == here["content_sha256"]
    stored = {key.removeprefix("logs/datasets/own/") for key in bucket.find("logs/datasets/own")}
    assert stored == {
        path.relative_to(tmp_path / "own").as_posix() for path in (tmp_path / "own").rglob("*") if path.is_file()
    }
    opened, local = BuiltDataset.open(URL), BuiltDataset.open(tmp_path / "own")
    assert opened.examples("test")[:] == local.examples("test")[:]
    assert opened.items() == local.items()


def test_a_build_is_copied_once(bucket, make_source, crowd):
    build_dataset(make_source(crowd), URL)
    first = BuiltDataset.open(URL)
    bucket.rm("logs/datasets/own/examples", recursive=True)
    assert BuiltDataset.open(URL).folder == first.folder
    assert len(first.examples("test"))


def test_a_place_with_anything_in_it_is_refused_before_the_build(bucket, make_source, crowd):
    bucket.pipe("logs/datasets/own/notes.txt", b"mine")
    with pytest.raises(InputError, match=f"{URL} holds 1 files already"):
        build_dataset(lambda connection: pytest.fail("the log was read"), URL)
    assert bucket.find("logs/datasets") == ["logs/datasets/own/notes.txt"]


@pytest.mark.parametrize("url", ["s3://nobodys-bucket/own", "https://127.0.0.1:9/own"], ids=["bucket", "web"])
def test_a_place_that_cannot_be_written_is_refused_before_the_build(bucket, url):
    with pytest.raises(InputError, match=f"{url} cannot be used"):
        build_dataset(lambda connection: pytest.fail("the log was read"), url)


class FullStore(MemoryFileSystem):
    """Takes a few files, and no more."""

    protocol = "full"
    store, pseudo_dirs = {}, [""]

    def put_file(self, *args, **kwargs):
        if len(self.store) == 5:
            raise OSError("the quota is used up")
        super().put_file(*args, **kwargs)


def test_an_upload_that_fails_leaves_nothing(make_source, crowd):
    fsspec.register_implementation("full", FullStore, clobber=True)
    with pytest.raises(InputError, match=r"full://own cannot be used \(the quota is used up\)"):
        build_dataset(make_source(crowd), "full://own")
    assert FullStore.store == {}


def test_a_store_without_a_dataset_is_one_sentence(bucket):
    with pytest.raises(InputError, match=f"{URL} is no built dataset: it has no build_report.json"):
        BuiltDataset.open(URL)


def test_the_hub_is_published_to(make_source, crowd):
    with pytest.raises(InputError, match="publish that with `logs2lang publish`"):
        build_dataset(make_source(crowd), "hf://datasets/me/own")
