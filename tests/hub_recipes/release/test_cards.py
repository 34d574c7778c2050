import json
import re
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from small_release import ADAPTER, BASE_MODEL, PROMPT, run_record, write_json

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.model_cards.render import Home
from logs2lang.release.adapter import ReleasedAdapter
from logs2lang.release.cards import stale_cards, write_cards

HOME = Home("me/adapter", "me/log", "me/discovery_recall", "c" * 40, "http://hub/datasets/me/log/tree/" + "c" * 40)


@pytest.fixture
def adapters(released_adapters, tmp_path) -> Path:
    return Path(shutil.copytree(released_adapters, tmp_path / "adapters"))


def change(path: Path, **values) -> None:
    write_json(path, {**json.loads(path.read_text()), **values})


def test_the_metadata_says_what_the_adapter_is_and_how_good(adapters):
    data = ModelCard(ReleasedAdapter.open(adapters / ADAPTER).card(HOME)).data
    assert (data.base_model, data.datasets, data.library_name) == (BASE_MODEL, ["me/log"], "peft")
    assert (data.model_name, data.license, data.pipeline_tag) == (ADAPTER, "apache-2.0", "text-generation")
    discovery, overall = data.eval_results
    assert (discovery.metric_type, discovery.metric_name) == ("me/discovery_recall", "Discovery Recall@1")
    assert discovery.metric_value == 9 / 30
    assert discovery.metric_args == {"n": 30, "interval_95": [9 / 30 - 0.1, 9 / 30 + 0.1]}
    assert (overall.metric_value, overall.metric_args["n"]) == (10 / 40, 40)
    assert (discovery.dataset_type, discovery.dataset_revision) == ("me/log", "c" * 40)


def test_the_card_shows_its_row_beside_the_template_and_the_best_classical_one(adapters):
    text = (adapters / ADAPTER / "README.md").read_text()
    assert "| **rewrite** (this adapter) | 0.300 [0.200, 0.400] | 30 | 0.250 [0.150, 0.350] | 40 | 0 |" in text
    assert "| template | 0.200 [0.100, 0.300] | 30 | 0.200 [0.100, 0.300] | 40 | 0 |" in text
    assert "| markov-lift | 0.400 [0.300, 0.500] |" in text
    assert "| random |" not in text
    assert "not shown to be better than that of the template" in text  # 0.20 lies in [0.15, 0.35]
    assert "12.5% are neither in the log" in text


def test_the_card_names_a_text_that_serves_the_same_reasoner_better(adapters):
    folder = adapters / ADAPTER
    assert "From another text" not in (folder / "README.md").read_text()
    path = adapters / json.loads((folder / "run.json").read_text())["results"]["path"]
    template, own, *others = json.loads(path.read_text())["rows"]
    rules = [{**own, "row": name, "recall@1": share} for name, share in (("lists:next", 0.35), ("profile", 0.1))]
    change(path, rows=[template, own, *rules, *others])
    text = ReleasedAdapter.open(folder).card(HOME)
    assert "| lists:next | 0.300" in text
    assert "From another text, lists:next, the same reasoner has a higher Recall@1 on the same candidates." in text
    assert "profile" not in text


def test_the_card_has_all_that_a_reader_asks_for(adapters):
    text = (adapters / ADAPTER / "README.md").read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == [
        "How to use", "Training", "Results", "Prompts", "Limits", "Privacy", "Licence", "Citation",
    ]  # fmt: skip
    assert PROMPT in text
    assert "25 minutes on 2 CPU cores" in text  # 1,500 seconds
    assert "![Curves of the training, step by step](curves.svg)" in text
    assert "2602.20558" in text
    for stub in ("<!--", "More Information Needed", "TODO", "None", "\n\n\n"):
        assert stub not in text


def test_no_row_of_a_history_stands_in_a_card(adapters, simulation_folder):
    from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset

    dataset = BuiltDataset.open(simulation_folder)
    text = (adapters / ADAPTER / "README.md").read_text() + (simulation_folder / "README.md").read_text()
    titles = {item["title"] for item in dataset.items().values()}
    assert titles
    assert not [title for title in titles if title in text]
    assert not [user for user in dataset.training_interactions()["user"].unique() if user in text]


@pytest.mark.parametrize("role", ["verbalizer", "reasoner"])
@pytest.mark.parametrize("method", ["sft", "grpo", "exact", "history_lm"])
@pytest.mark.parametrize(("verbalizer", "answer"), [("rewrite", "label"), ("action", "title"), ("template", None)])
def test_every_kind_of_adapter_has_a_card(adapters, role, method, verbalizer, answer):
    path = adapters / ADAPTER / "run.json"
    facts = {"role": role, "method": method, "verbalizer": verbalizer, "answer": answer}
    if role == "reasoner":
        facts |= {"config": {"temperature": 4.0, "subtract_prior": True}, "prompts": {"reasoner": PROMPT}}
    change(path, **facts, results=None, oracle=None, parent=None)
    text = ReleasedAdapter.open(path.parent).card(HOME)
    assert "has no row in a results table" in text
    assert ModelCard(text).data.eval_results is None
    assert "\n\n\n" not in text
    assert ("allowed_token_ids" in text) == (role == "verbalizer" and verbalizer == "action")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    compile(code, "card", "exec")


@pytest.mark.parametrize("decisions", [3, 4])
def test_the_card_of_an_action_adapter_says_what_it_decides_and_what_it_needs(adapters, decisions):
    path = adapters / ADAPTER / "run.json"
    facts = {"verbalizer": "action", "config": {"decisions": decisions, "as_lists": decisions == 4}}
    change(path, **facts, results=None)
    text = ReleasedAdapter.open(path.parent).card(HOME)
    assert ("or with what other users chose next. The text names works in two lists" in text) == (decisions == 4)
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    assert ("dataset.items(), successors=dataset.successors())" in code) == (decisions == 4)
    compile(code, "card", "exec")


def test_a_reasoner_of_template_text_is_its_own_template(adapters):
    path = adapters / ADAPTER / "run.json"
    results = {**json.loads(path.read_text())["results"], "row": "template"}
    config = {"temperature": 4.0, "subtract_prior": True}
    change(path, role="reasoner", answer="title", results=results, config=config, prompts={"reasoner": PROMPT})
    text = ReleasedAdapter.open(path.parent).card(HOME)
    assert "| **template** (this adapter) | 0.200" in text
    assert "not shown to be better" not in text


def test_a_missing_number_stops_the_card(adapters):
    results = next(adapters.glob("results/*/results.json"))
    document = json.loads(results.read_text())
    document["rows"][1]["recall@1_interval"] = None
    write_json(results, document)
    with pytest.raises(InputError, match=rf"The card of {ADAPTER} cannot be filled: an interval .* is null"):
        ReleasedAdapter.open(adapters / ADAPTER).card(HOME)
    del document["rows"][1]["n_discovery"]
    write_json(results, document)
    with pytest.raises(InputError, match=r"cannot be filled: its sources lack .*n_discovery"):
        ReleasedAdapter.open(adapters / ADAPTER).card(HOME)


def test_fresh_cards_match_their_sources(adapters, simulation_folder):
    assert stale_cards(adapters) == []
    assert stale_cards(simulation_folder) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "README.md").write_text("# Mine\n"), "README.md does not match"),
        (lambda folder: (folder / "README.md").unlink(), "README.md does not match"),
        (lambda folder: change(folder / "run.json", steps=41), "README.md does not match"),
        (lambda folder: change(folder / "run.json", history=[{"step": 1, "loss": 2.0}]), "curves.svg does not show"),
        (lambda folder: (folder / "optimizer.pt").touch(), "optimizer.pt is not part"),
    ],
)
def test_a_card_that_no_longer_matches_is_named(adapters, spoil, said):
    spoil(adapters / ADAPTER)
    assert any(said in trouble for trouble in stale_cards(adapters))


def test_a_changed_results_table_makes_the_card_stale(adapters):
    results = next(adapters.glob("results/*/results.json"))
    document = json.loads(results.read_text())
    document["rows"][1]["recall@1"] = 0.275
    write_json(results, document)
    assert len(stale_cards(adapters)) == 1
    write_cards(adapters / ADAPTER)
    assert stale_cards(adapters) == []
    assert "0.275" in (adapters / ADAPTER / "README.md").read_text()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "run.json").write_text("{"), "cannot be read"),
        (lambda folder: change(folder / "run.json", schema_version=2), "schema_version 2"),
        (lambda folder: change(folder / "run.json", name="other"), "is the record of 'other'"),
        (lambda folder: change(folder / "run.json", base_model="x/y"), "names the base model"),
        (lambda folder: change(folder / "run.json", history=[]), "no curve to draw"),
        (lambda folder: change(folder / "run.json", dataset={"report_sha256": "0" * 64}), "--dataset FOLDER"),
        (lambda folder: change(folder / "run.json", dataset={}), "lacks 'dataset.report_sha256'"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "has no adapter_model.safetensors"),
        (lambda folder: change(folder / "run.json", results={"path": "results/x.json", "row": "a"}), "does not exist"),
    ],
)
def test_a_folder_that_cannot_be_released_is_one_sentence(adapters, spoil, said):
    spoil(adapters / ADAPTER)
    with pytest.raises(InputError, match=re.escape(said)):
        write_cards(adapters / ADAPTER)


def test_the_report_kept_is_that_of_the_dataset_the_adapter_was_trained_on(adapters, simulation_folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "build_report.json").write_text("{}")
    with pytest.raises(InputError, match="Give the dataset it was trained on"):
        write_cards(adapters / ADAPTER, other)
    record = run_record(simulation_folder)["dataset"]["report_sha256"]
    assert record in (adapters / ADAPTER / "run.json").read_text()
