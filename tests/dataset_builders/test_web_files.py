import hashlib

import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.web_files import WebFile, file_from_web


@pytest.fixture
def served(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", tmp_path / "cache")
    path = tmp_path / "log.dat"
    path.write_bytes(b"1::2::3::4\n")
    return path


def test_a_file_is_fetched_once(served):
    wanted = WebFile(served.as_uri(), hashlib.sha256(served.read_bytes()).hexdigest())
    first = file_from_web(wanted)
    assert first.read_bytes() == served.read_bytes()
    served.unlink()
    assert file_from_web(wanted) == first


def test_a_damaged_copy_is_fetched_again(served):
    wanted = WebFile(served.as_uri(), hashlib.sha256(served.read_bytes()).hexdigest())
    file_from_web(wanted).write_bytes(b"damaged")
    assert file_from_web(wanted).read_bytes() == served.read_bytes()


def test_another_file_is_refused(served):
    wanted = WebFile(served.as_uri(), "0" * 64)
    with pytest.raises(InputError, match="another checksum"):
        file_from_web(wanted)
    assert not wanted.cached.exists()


def test_a_server_that_does_not_answer_is_named(served):
    with pytest.raises(InputError, match="cannot be reached"):
        file_from_web(WebFile(served.as_uri() + ".gone", "0" * 64))
