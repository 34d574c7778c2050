"""The README and the pages it leads to describe today: their commands run, their Python runs, and their numbers are
those of committed results."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from logs2lang.commands.cli import main
from logs2lang.evaluation.protocol_grid import grid_tables
from logs2lang.evaluation.report import NOISE_COLUMNS, TERMINAL_COLUMNS, markdown_table, setting_line

ROOT = Path(__file__).parents[1]
RESULTS_PAGE = ROOT / "model_cards" / "results" / "README.md"
PAGES = (ROOT / "dataset_builders" / "README.md", ROOT / "README.md", ROOT / "hub_recipes" / "README.md", RESULTS_PAGE)
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
README = "\n".join(TEXTS.values())
REPORT = {"splits": {"test": {"examples": 1}}, "notes": []}
RESULTS = sorted((ROOT / "model_cards" / "results").glob("*/results.json"))


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands(text: str) -> list[list[str]]:
    joined = text.replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in re.findall(r"^logs2lang [^\n#]*", joined, re.MULTILINE)]


IN_BLOCKS = [words for block in blocks("bash") for words in commands(block)]
IN_TABLES = [words for line in re.findall(r"`(logs2lang build [^`]+)`", README) for words in commands(line)]


@pytest.fixture
def toy_folder(tmp_path, monkeypatch) -> Path:
    """The files that the README speaks of: twelve users, thirty films, a film a day."""
    monkeypatch.chdir(tmp_path)
    with Path("log.csv").open("w", newline="") as file:
        rows = [
            (f"u{user}", f"m{(7 * user + day) % 30}", 1_600_000_000 + 86_400 * day)
            for user in range(12)
            for day in range(18)
        ]
        csv.writer(file).writerows([("uid", "film", "when"), *rows])
    with Path("films.csv").open("w", newline="") as file:
        rows = [(f"m{film}", f"Film number {film}", 1950 + film, "Drama|Comedy") for film in range(30)]
        csv.writer(file).writerows([("item_id", "title", "year", "tags"), *rows])
    head = "Profile Name,Start Time,Duration,Attributes,Title,Supplemental Video Type,Device Type,Bookmark,"
    play = "Ann,2024-05-0{day} 20:00:00,00:45:00,,Fog: Season 1: Part {day},,TV,00:45:00,00:45:00,XX"
    plays = [play.format(day=day) for day in (3, 4)]
    Path("ViewingActivity.csv").write_text("\n".join([f"{head}Latest Bookmark,Country", *plays]) + "\n")
    return tmp_path


def run(words: list[str], monkeypatch) -> int:
    monkeypatch.setattr(sys, "argv", ["logs2lang", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0


@pytest.mark.parametrize("words", [*IN_TABLES, *IN_BLOCKS], ids=" ".join)
def test_every_command_is_understood(words, monkeypatch, toy_folder):
    """Parsed by the real command line; what would take long or need somebody's files is not run."""
    seen = []
    monkeypatch.setattr(
        "logs2lang.dataset_builders.builder.build_dataset", lambda *args, **_: seen.append(args) or REPORT
    )
    monkeypatch.setattr("logs2lang.evaluation.report.build_table", lambda report: "")
    monkeypatch.setattr("logs2lang.dataset_builders.dataset_folder.built_dataset.BuiltDataset.open", _stop)
    monkeypatch.setattr("logs2lang.evaluation.results.read_results", _stop)
    stopped = ("evaluation.metric.install_metric", "evaluation.protocol_grid.write_grid")
    for name in (*stopped, "release.plan.plan_release", "release.jobs.preparation"):
        monkeypatch.setattr(f"logs2lang.{name}", _stop)
    for name in ("write_cards", "stale_cards"):
        monkeypatch.setattr(f"logs2lang.release.cards.{name}", _stop)
    monkeypatch.setattr("logs2lang.release.adoption.adopt_adapter", _stop)
    monkeypatch.setattr("logs2lang.space.playground.app.serve", _stop)
    for name in ("server.listen", "golden_prompts.write_golden_prompts", "verification.verify"):
        monkeypatch.setattr(f"logs2lang.serving.{name}", _stop)
    try:
        assert run(words, monkeypatch) == 0
    except _ReachedError:
        seen.append(words)
    assert seen


class _ReachedError(Exception):
    """The command got past its arguments."""


def _stop(*args, **kwargs):
    raise _ReachedError


@pytest.mark.slow
def test_a_log_of_ones_own_goes_from_file_to_table(toy_folder, monkeypatch):
    block = next(block for block in blocks("bash") if "build tabular" in block)
    for words in commands(block):
        assert run(words, monkeypatch) == 0
    rows = json.loads(Path("results/own/results.json").read_text())["rows"]
    assert {"template", "successors", "sasrec-lift"} <= {row["row"] for row in rows}


def test_the_python_of_the_readme_runs(toy_folder):
    said = """
import json
titles = [record["title"] for record in histories[0]]
print(json.dumps({"examples": len(examples), "answer": prompts[0]["answer"], "titles": titles}))
"""
    install = "from logs2lang.evaluation.metric import install_metric\ninstall_metric()\n"
    script = "\n".join([install, *blocks("python"), said])
    # A process of its own, because evaluate keeps the modules that a process has loaded once.
    environment = {**os.environ, "HF_MODULES_CACHE": str(toy_folder / "modules"), "HF_EVALUATE_OFFLINE": "1"}
    command = [sys.executable, "-c", script]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    seen = json.loads(output.splitlines()[-1])
    assert seen["examples"] == 12
    assert seen["answer"] in "ABCDEFGHIJ"
    assert seen["titles"] == ["Fog: Season 1: Part 3", "Fog: Season 1: Part 4"]


def test_every_committed_result_stands_on_the_results_page_as_it_is():
    assert RESULTS
    text = TEXTS[RESULTS_PAGE]
    for path in RESULTS:
        document = json.loads(path.read_text(encoding="utf-8"))
        shown = f"{setting_line(document)}\n\n{markdown_table(document['rows'], TERMINAL_COLUMNS)}"
        assert shown in text, f"{RESULTS_PAGE} does not show {path.relative_to(ROOT)}; it should hold:\n\n{shown}"
        noisy = [{"row": row["row"], **row["noise"]} for row in document["rows"] if "noise" in row]
        assert not noisy or markdown_table(noisy, NOISE_COLUMNS) in text
        assert document["command"] in text, f"{RESULTS_PAGE} does not say how to make {path.relative_to(ROOT)}"


def test_the_front_page_is_short_and_shows_only_rows_of_the_results_page():
    front = TEXTS[ROOT / "README.md"].splitlines()
    rows = [line for line in front if line.startswith("| ") and re.search(r"\d \[\d", line)]
    assert len(front) <= 250
    assert 2 <= len(rows) <= 20
    assert [row for row in rows if row not in TEXTS[RESULTS_PAGE]] == []


def test_the_number_on_the_front_page_is_that_of_the_results():
    document = json.loads((ROOT / "model_cards" / "results" / "movietweetings-100k" / "results.json").read_text())
    rows = {row["row"]: row for row in document["rows"]}
    promise = " ".join(TEXTS[ROOT / "README.md"].split("**How much the text matters")[1].split("\n\n")[0].split())
    for name in ("template", "successors", "action"):
        low, high = rows[name]["discovery_recall@1_interval"]
        assert f"{rows[name]['discovery_recall@1']:.3f} [{low:.3f}, {high:.3f}]" in promise
    gain, (low, high) = rows["successors"]["discovery_gain"], rows["successors"]["discovery_gain_interval"]
    assert f"{gain:+.0%} [{low:+.0%}, {high:+.0%}]" in promise
    assert f"of {document['n']} test targets" in promise
    assert f"{rows['successors']['compression']:.0%} of its length" in promise
    assert f"with {rows['action']['compression']:.0%} of the length" in promise


@pytest.mark.parametrize("log", ["movietweetings-100k", "movielens-100k"])
def test_the_pages_say_of_a_learned_verbalizer_what_its_results_say(log):
    document = json.loads((ROOT / "model_cards" / "results" / log / "results.json").read_text())
    assert document["comparison"]["against"] == "action"
    front, page = (" ".join(TEXTS[path].split()) for path in (ROOT / "README.md", RESULTS_PAGE))
    compared = {row: of_row["discovery_recall@1"] for row, of_row in document["comparison"]["rows"].items()}
    for name in ("lists:random", "lists:strongest-3", "successors", "lists:next", "markov-lift"):
        found = compared[name]
        low, high = found["difference_interval"]
        assert f"`{name}` {found['difference']:+.3f} [{low:.3f}, {high:.3f}] ({found['p_holm']:.2g})" in page
    low, high = compared["lists:random"]["difference_interval"]  # there it is told the other way round
    assert f"{-compared['lists:random']['difference']:.3f} [{-high:.3f}, {-low:.3f}] on Movie" in front
    rows = {row["row"]: row for row in document["rows"]}
    decided = rows["action"]["decisions"]
    share = f"{decided['next'] / sum(decided.values()):.0%}"
    assert f"decides `next` for {share} and drops the rest" in page
    assert decided["keep"] == decided["detail"] == 0
    if log == "movielens-100k":
        shorter = rows["action"]["compression"] / rows["lists:next"]["compression"]
        assert f"as good as `next` for every record, with {shorter:.0%} of its tokens" in page


def test_the_front_page_says_of_the_protocols_what_the_grid_says():
    folder = ROOT / "model_cards" / "results" / "movietweetings-100k"
    document = json.loads((folder / "grid.json").read_text(encoding="utf-8"))
    assert (folder / "grid.md").read_text(encoding="utf-8") == grid_tables(document)
    said = " ".join(TEXTS[ROOT / "README.md"].split("## Does the ranking")[1].split("\n## ")[0].split())
    cells, pairs = {cell["name"]: cell for cell in document["cells"]}, document["agreement"]
    best = {
        name: max(cell["rows"], key=lambda row, of=cell["rows"]: of[row]["ndcg@10"]) for name, cell in cells.items()
    }
    first, second = "leave_last_out-popularity-10", "temporal-popularity-10"
    assert f"`{best[first]}` is best by NDCG@10 among ten candidates drawn by popularity" in said
    assert f"`{best['leave_last_out-uniform-10']}` among ten drawn uniformly" in said
    assert f"and `{best['leave_last_out-all']}` among all items" in said
    assert f"`{best[second]}` is best among ten drawn by popularity" in said
    taus = [pair["kendall_tau"] for pair in pairs]
    assert f"runs from {min(taus):.2f} to {max(taus):.2f} over the {len(pairs)} pairs of protocols" in said
    assert f"in {sum(bool(pair['reversed']) for pair in pairs)} of these pairs some rows are reversed" in said
    assert f"on {cells[first]['n']:,} test targets" in said
    assert f"({cells[second]['n']:,} targets)" in said
    page = " ".join(TEXTS[RESULTS_PAGE].split())
    before, after = (
        [cells[name]["rows"][row]["recall@1"] for row in ("markov-lift", "tag-cosine")] for name in (first, second)
    )
    assert f"`markov-lift` falls from {before[0]:.3f} to {after[0]:.3f} among ten candidates" in page
    assert f"`tag-cosine`, which counts nothing, stays at {before[1]:.2f} to {after[1]:.2f}" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(((?!http)[^)#]+)\)", TEXTS[page]):
        assert (page.parent / target).exists(), target
