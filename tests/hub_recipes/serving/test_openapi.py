"""What the OpenAPI page promises, asked by the schemathesis command over a real socket."""

import subprocess
import sys
from pathlib import Path

import pytest

from logs2lang.stores.store import StoredText, TextKey

from .conftest import MemoryStore, serving

KEY = "a-long-word"
REQUESTS_EACH = 25


@pytest.mark.slow
def test_every_answer_is_as_the_page_says(to_service, tmp_path):
    program = Path(sys.executable).with_name("schemathesis")
    if not program.exists():
        pytest.skip("needs the extra `dev`")
    store = MemoryStore(StoredText("0123456789abcdef", TextKey("h", "template"), "Likes static."))
    with serving(to_service(store=store), KEY) as client:
        options = ["--header", f"Authorization: Bearer {KEY}", "--max-examples", str(REQUESTS_EACH), "--seed", "1"]
        tested = ["--checks", "all", "--request-timeout", "60", "--suppress-health-check", "all"]
        said = subprocess.run(
            [program, "run", f"{client.base_url}/openapi.json", *options, *tested, "--no-color"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
    assert said.returncode == 0, said.stdout + said.stderr
    assert "No issues found" in said.stdout
