import hashlib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.web_files import WebFile, file_from_web

CONTENT = b"1::2::3::4\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A file, and its address on a server of this machine."""
    monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", tmp_path / "cache")
    path = tmp_path / "log.dat"
    path.write_bytes(CONTENT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield path, f"http://127.0.0.1:{server.server_port}/log.dat"
        server.shutdown()


def test_a_file_is_fetched_once(served):
    path, url = served
    first = file_from_web(WebFile(url, DIGEST))
    assert first.read_bytes() == CONTENT
    path.unlink()
    assert file_from_web(WebFile(url, DIGEST)) == first


def test_a_damaged_copy_is_fetched_again(served):
    wanted = WebFile(served[1], DIGEST)
    file_from_web(wanted).write_bytes(b"damaged")
    assert file_from_web(wanted).read_bytes() == CONTENT


def test_another_file_is_refused_and_not_kept(served):
    wanted = WebFile(served[1], "0" * 64)
    with pytest.raises(InputError, match="a different checksum"):
        file_from_web(wanted)
    assert list(Path(wanted.cached.parent).iterdir()) == []


@pytest.mark.parametrize("url", ["{}.gone", "http://127.0.0.1:1/log.dat", "http://no-such-host.invalid/log.dat"])
def test_a_server_that_does_not_answer_is_named(served, url):
    with pytest.raises(InputError, match="cannot be reached"):
        file_from_web(WebFile(url.format(served[1]), "0" * 64))
