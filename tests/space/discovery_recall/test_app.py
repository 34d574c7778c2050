"""The Space itself: started as the Hub starts it, and used through its named endpoint."""

import doctest
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="needs the extra `space`")
gradio_client = pytest.importorskip("gradio_client")
expect = pytest.importorskip("playwright.sync_api").expect

from logs2lang.space.discovery_recall import app  # noqa: E402  (needs gradio)
from tests.space.axe import serious_findings  # noqa: E402
from tests.space.conftest import free_port  # noqa: E402

FOLDER = Path(app.__file__).parent
HEADING = "prediction,reference,is_discovery\n"
SCRIPT = "<img src=x onerror=alert(1)>"


def wait_for(port: int, process: subprocess.Popen, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail("the app did not start")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running app, whose folder is called `app`, as in a Space."""
    folder = tmp_path_factory.mktemp("space") / "app"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    port = free_port()
    settings = {"GRADIO_SERVER_PORT": str(port), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen([sys.executable, "app.py"], cwd=folder, env={**os.environ, **settings})
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def score(url: str) -> Callable:
    """The endpoint `/score`."""
    client = gradio_client.Client(url, verbose=False)
    return lambda text="", file=None, k=1: client.predict(text, file, k, api_name="/score")


def upload(path: Path, content: bytes) -> dict:
    path.write_bytes(content)
    return gradio_client.handle_file(path)


def test_pasted_csv_is_scored(score):
    scores, histogram, misses = score(HEADING + "a|b,a,true\na|b,b,true\n,c,false\n")
    assert [row[:2] for row in scores["data"]] == [
        ["Discovery Recall@1", "0.500"],
        ["Recall@1", "0.333"],
        ["Discovery NDCG@1", "0.500"],
        ["NDCG@1", "0.333"],
        ["Mean reciprocal rank", "0.500"],
        ["Examples without a valid answer", "1"],
    ]
    assert scores["data"][0][2] == "0.095 to 0.905"  # Wilson: one hit of two
    assert [row for row in histogram["data"] if row[1]] == [["1", 1], ["2", 1], ["not ranked", 1]]
    assert misses["data"] == [[2, "b", "a, b", 2], [3, "c", "no answer", "not ranked"]]


def test_an_uploaded_file_counts_and_may_hold_json_lines(score, tmp_path):
    lines = (
        '{"prediction": ["a", 7], "reference": "7", "history": []}\n\n'
        '{"prediction": 1, "reference": 1, "history": [1]}'
    )
    scores, _, misses = score(HEADING, upload(tmp_path / "examples.jsonl", lines.encode("utf-8-sig")), k=2)
    assert scores["data"][0][:2] == ["Discovery Recall@2", "1.000"]
    assert scores["data"][0][3] == 1
    assert misses["data"] == []


def test_the_example_on_the_page_can_be_scored(score):
    assert score(app.EXAMPLE)[0]["data"][0][:2] == ["Discovery Recall@1", "0.250"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "There are no examples"),
        (HEADING, "There are no examples"),
        ("user,item\n1,2\n", "columns prediction and reference are needed, but the columns are: user, item"),
        ("prediction,reference\na,b\n", "Give either is_discovery or histories; got neither"),
        ("prediction,reference,is_discovery,history\na,b,true,c\n", "got both"),
        (HEADING + "a,b,true,d\n", "Line 2 has more fields than the header"),
        (HEADING + "a,b\n", "Example 1: is_discovery must be true or false"),
        (HEADING + "a,b,perhaps\n", "Example 1: is_discovery must be true or false"),
        (HEADING + "a,,true\n", "Example 1 has no reference"),
        (HEADING + 'a,"b,true\n', "not valid CSV"),
        ("{oops\n", "Line 1 is not JSON"),
        ('{"prediction": "a", "reference": "a", "is_discovery": true}\n[1]\n', "Line 2 must be an object"),
        ('{"prediction": 1.5, "reference": "a", "is_discovery": true}\n', "string or an integer; got 1.5"),
        (HEADING + "a,a,true\n" * (app.MAX_ROWS + 1), "more than 100,000 examples"),
    ],
)
def test_bad_input_gets_a_sentence(score, text, message):
    with pytest.raises(gradio_client.exceptions.AppError, match=message):
        score(text)


def test_a_file_that_is_no_text_gets_a_sentence(score, tmp_path):
    with pytest.raises(gradio_client.exceptions.AppError, match="not UTF-8 text"):
        score(file=upload(tmp_path / "junk.csv", b"\xff\xfe\x00\x01"))


def test_files_of_the_machine_cannot_be_read(score):
    with pytest.raises(gradio_client.exceptions.AppError) as refused:
        score(file={"path": str(FOLDER / "requirements.txt"), "meta": {"_type": "gradio.FileData"}})
    assert "evaluate" not in str(refused.value)


def test_what_came_is_never_markup(score):
    *_, misses = score(f"{HEADING}{SCRIPT},a,true\n")
    assert misses["data"][0][2] == SCRIPT  # as it is, for a table whose cells are plain text
    with pytest.raises(gradio_client.exceptions.AppError, match="&lt;img src=x") as refused:
        score(f"{HEADING}a,a,{SCRIPT}\n")
    assert "<img" not in str(refused.value)


def test_every_table_of_the_page_shows_plain_text():
    tables = [block for block in app.demo.blocks.values() if block.get_block_name() == "dataframe"]
    assert len(tables) == 2
    assert {table.datatype for table in tables} == {"str"}


def test_the_score_of_more_text_than_fits_is_refused():
    with pytest.raises(ValueError, match="20,000,001 characters; at most 20,000,000"):
        app.read_source("x" * (app.MAX_CHARACTERS + 1), None)


def test_long_ids_and_many_misses_are_cut():
    examples = {"predictions": [["x" * 500]] * 300, "references": ["y"] * 300}
    misses = app.to_misses(examples, [0] * 300, k=1)
    assert len(misses) == app.MAX_MISSES
    assert misses[0][2] == "x" * app.MAX_CELL + "…"


def test_the_examples_of_the_docstrings_run():
    outcome = doctest.testmod(app)
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.fixture
def page(url, browse):
    opened = browse(url)
    opened.get_by_role("button", name="Score").wait_for()
    return opened


def scored(page, text: str):
    """Paste and press, as a visitor does."""
    page.get_by_label("Paste CSV or JSON Lines").fill(text)
    page.get_by_role("button", name="Score").click()
    return page


def test_a_visitor_scores_what_is_pasted(page):
    page.get_by_role("button", name="Score").click()
    expect(page.get_by_role("gridcell", name="0.250").first).to_be_visible()
    expect(page.locator("canvas, .vega-embed svg").first).to_be_visible()
    expect(page.get_by_text("not ranked").first).to_be_visible()


def test_a_visitor_scores_a_file(page, tmp_path):
    (tmp_path / "examples.csv").write_text(HEADING + "a,a,true\nb,a,true\n")
    page.locator("input[type=file]").first.set_input_files(tmp_path / "examples.csv")
    expect(page.locator(".file-preview")).to_contain_text("examples")
    page.get_by_role("button", name="Score").click()
    expect(page.get_by_role("gridcell", name="0.500").first).to_be_visible()


def test_a_visitor_who_errs_gets_a_sentence_and_goes_on(page):
    for text, message in (
        ("a,b\n1,2\n", "columns prediction and reference"),
        (HEADING + f"a,a,{SCRIPT}\n", "<img src=x"),
    ):
        expect(scored(page, text).get_by_text(message).first).to_be_visible()
        assert page.locator("img[src=x]").count() == 0
        assert "Traceback" not in page.content()
    expect(scored(page, app.EXAMPLE).get_by_role("gridcell", name="0.250").first).to_be_visible()


def test_ids_of_a_visitor_are_text(page):
    scored(page, f"{HEADING}{SCRIPT},a,true\n=cmd|calc,a,true\n")
    expect(page.get_by_role("gridcell", name=SCRIPT)).to_be_visible()
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_finding(url, browse, theme):
    page = browse(f"{url}?__theme={theme}")
    page.get_by_role("button", name="Score").click()
    expect(page.get_by_role("gridcell", name="0.250").first).to_be_visible()
    assert serious_findings(page) == []


def test_it_reads_on_a_phone(url, browse):
    page = browse(url, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page.get_by_role("button", name="Score").tap()
    expect(page.get_by_role("gridcell", name="0.250").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
