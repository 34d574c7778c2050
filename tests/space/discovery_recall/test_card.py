import doctest
import re
from importlib.metadata import requires
from pathlib import Path

import evaluate
import pytest
from huggingface_hub import RepoCard
from packaging.requirements import Requirement

FOLDER = Path(__file__).parents[3] / "space" / "discovery_recall"
README = FOLDER / "README.md"


@pytest.fixture(scope="module")
def card() -> RepoCard:
    return RepoCard.load(README)


def test_the_card_describes_a_gradio_space_that_is_found_as_a_metric(card):
    data = card.data.to_dict()
    assert (data["sdk"], data["license"]) == ("gradio", "apache-2.0")
    assert (FOLDER / data["app_file"]).is_file()
    assert {"evaluate", "metric"} <= set(data["tags"])
    assert len(data["short_description"]) <= 60  # the Hub takes no more


def test_the_space_runs_a_gradio_that_the_extra_allows(card):
    wanted = [Requirement(line) for line in requires("logs2lang") if line.startswith("gradio")]
    assert all(requirement.specifier.contains(card.data.to_dict()["sdk_version"]) for requirement in wanted)
    assert wanted


def test_the_space_installs_what_the_project_does():
    ours = {Requirement(line).name: Requirement(line).specifier for line in requires("logs2lang")}
    theirs = {Requirement(line) for line in (FOLDER / "requirements.txt").read_text().splitlines()}
    assert {requirement.name: requirement.specifier for requirement in theirs} == {
        requirement.name: ours[requirement.name] for requirement in theirs
    }


def test_the_card_keeps_the_order_that_evaluate_asks_for(card):
    assert re.findall(r"^#+ (.+)$", card.text, flags=re.MULTILINE) == [
        "Metric Card for Discovery Recall",
        "Metric Description",
        "How to Use",
        "Inputs",
        "Output Values",
        "Values from Popular Papers",
        "Examples",
        "Limitations and Bias",
        "Citation",
        "Further References",
    ]


def test_the_card_cites_what_the_metric_cites(card):
    assert evaluate.load(str(FOLDER)).citation.strip() in card.text


def test_the_examples_of_the_card_run():
    outcome = doctest.testfile(
        str(README), module_relative=False, globs={"discovery_recall": evaluate.load(str(FOLDER))}
    )
    assert outcome.attempted > 5
    assert outcome.failed == 0
