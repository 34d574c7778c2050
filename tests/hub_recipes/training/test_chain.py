"""The whole chain on a random model: every step once, then none again, then only what changed."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from logs2lang.commands import chain
from logs2lang.commands.chain import Chain, Step, find_recipe, read_chain, rehearsed
from logs2lang.commands.train_commands import ABLATIONS
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.training.runs.chain_results import chain_tables
from logs2lang.training.runs.run_record import adapter_hash

from .conftest import BASE_ID

SMOKE = "smollm2-135m/chain/smoke.yaml"


def to_chain(steps, folder, minutes=None, adapter=None):
    shared = {"base_model": BASE_ID, "base_model_id": BASE_ID, "use_cpu": True}
    return Chain(steps, "built", Path(folder), shared, minutes, adapter)


@pytest.fixture
def spied(monkeypatch):
    """The names of the steps that were really done."""
    done = []
    original = Chain._do

    def spy(self, step, *others):
        done.append(step.name)
        return original(self, step, *others)

    monkeypatch.setattr(Chain, "_do", spy)
    return done


@pytest.mark.slow
def test_the_chain_runs_once_and_then_only_what_changed(at_training_folder, spied):
    steps = [step for step in read_chain(SMOKE) if step.name != "verbalizer"]
    quick = yaml.safe_load(find_recipe(SMOKE).read_text())
    entry = next(entry for entry in quick["steps"] if entry["name"] == "verbalizer")
    small = {"oracle": "{oracle}", "max_verbalization_tokens": 8, "history_length": 3}
    steps.insert(3, Step.of({**entry, **small}))
    names = [step.name for step in steps]
    assert to_chain(steps, "chain").run() == 0
    assert spied == names
    rows = {row["row"] for row in json.loads(Path("chain/results/results.json").read_text())["rows"]}
    assert rows == {"template", "profile", "rewrite"}  # popularity has nothing to go on: all counts are equal

    spied.clear()
    assert to_chain(steps, "chain").run() == 0
    assert spied == []

    steps[4] = Step.of({"name": "texts", "verbalize": "{verbalizer}", "train_limit": 8, "validation_limit": 4,
                        "test_limit": 3, "history_length": 5})  # fmt: skip
    assert to_chain(steps, "chain").run() == 0
    # The reasoner is trained again on the new texts; those it saw were the same, so its results stand as they are.
    assert spied == ["texts", "reasoner_rewrite"]


@pytest.mark.slow
def test_the_chain_stops_in_time_and_goes_on(at_training_folder, spied):
    steps = read_chain(SMOKE)[:2]
    codes = []
    for _ in range(8):
        codes.append(to_chain(steps, "timed", minutes=0.0001).run())
        if codes[-1] == 0:
            break
    assert set(codes[:-1]) == {75}
    assert codes[-1] == 0
    assert Path("timed/oracle/adapter/run.json").exists()
    shutil.rmtree("timed")


def test_the_chain_stops_in_time_while_it_evaluates(at_training_folder, monkeypatch):
    monkeypatch.setattr("logs2lang.commands.text_commands._load_reasoner", lambda *_: None)
    rows = ["random", "markov-counts", "item-knn-cosine"]
    steps = [Step.of({"name": "results", "evaluate": "nobody", "rows": ",".join(rows)})]
    codes = [to_chain(steps, "timed_results", minutes=1e-9).run() for _ in range(2)]
    assert codes == [75, 75]
    written = json.loads(Path("timed_results/results/results.json").read_text())["rows"]
    assert [row["row"] for row in written] == rows[:2]
    assert to_chain(steps, "timed_results").run() == 0


@pytest.fixture
def made(at_training_folder, tmp_path, monkeypatch):
    """A chain of one training step whose recipe is a file, and which leaves a file behind in place of training."""

    def train(self, step, *others):
        (self.folder / step.name / "weights").write_text(recipe.read_text())
        return 0

    monkeypatch.setattr(Chain, "_do", train)
    recipe = tmp_path / "recipe.yaml"
    step = Step.of({"name": "oracle", "train": "reasoner", "config": str(recipe)})

    def run(text, **choices):
        recipe.write_text(text)
        assert to_chain([step], tmp_path / "runs").run(**choices) == 0
        folders = sorted((tmp_path / "runs").iterdir())
        return [(folder / "weights").read_text() for folder in folders]

    return run


def test_a_comment_in_a_recipe_changes_nothing(made):
    first = "method: sft\nseed: 1\n"
    assert made(first) == [first]
    assert made("# What it shows.\nseed: 1\nmethod:   sft  # why\n") == [first]


def test_what_a_step_overrides_in_its_recipe_changes_nothing(at_training_folder, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    hashes = set()
    for written, chosen in (("max_steps: 40", {"max_steps": 24}), ("max_steps: 24", {})):
        recipe.write_text(f"method: sft\n{written}\n")
        step = Step.of({"name": "oracle", "train": "reasoner", "config": str(recipe), **chosen})
        hashes.add(to_chain([step], tmp_path)._inputs(step))
    assert len(hashes) == 1


def test_a_dataset_of_equal_content_starts_no_step_anew_whatever_its_report_says(made, training_folder, monkeypatch):
    built = BuiltDataset.open(training_folder / "built")
    reports = [{**built.report, "notes": ["one"]}, {**built.report, "notes": ["another"]}]
    for report in reports:
        monkeypatch.setattr(BuiltDataset, "open", lambda *_, report=report: BuiltDataset(built.folder, report))
        assert made("seed: 1\n") == ["seed: 1\n"]
    changed = {**built.report, "content_sha256": {**built.report["content_sha256"], "items": "another"}}
    monkeypatch.setattr(BuiltDataset, "open", lambda *_: BuiltDataset(built.folder, changed))
    assert len(made("seed: 1\n")) == 2


def test_an_adapter_that_is_asked_in_another_way_is_another(tmp_path):
    def hash_of(**run):
        record = {"schema_version": 1, "role": "reasoner", "answer": "title", "config": {"temperature": 1.0}, **run}
        (tmp_path / "run.json").write_text(json.dumps(record))
        return adapter_hash(tmp_path)

    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    assert hash_of(finished="today") == hash_of(finished="tomorrow")
    assert len({hash_of(), hash_of(answer="tags"), hash_of(config={"temperature": 4.0})}) == 3


def test_what_a_changed_step_made_before_is_moved_aside_and_named(made, capsys, tmp_path):
    made("seed: 1\n")
    assert made("seed: 2\n") == ["seed: 2\n", "seed: 1\n"]
    (aside,) = (tmp_path / "runs").glob("oracle.*")
    assert aside.name in capsys.readouterr().err.replace("\n", "")
    assert made("seed: 3\n")[0] == "seed: 3\n"
    assert len(list((tmp_path / "runs").iterdir())) == 3  # nothing is ever deleted


def test_a_higher_cap_or_price_starts_no_step_anew(made):
    first = "method: grpo\nmax_calls: 10\n"
    assert made(first) == [first]
    assert made("method: grpo\nmax_calls: 20\nmax_cost: 1\ninput_price: 1\noutput_price: 2\n") == [first]


def test_what_a_step_spent_stays_spent_when_it_starts_anew(made, tmp_path):
    made("seed: 1\n")
    (tmp_path / "runs" / "oracle" / "spending.json").write_text('{"calls": 7}')
    made("seed: 2\n")
    (aside,) = (tmp_path / "runs").glob("oracle.*")
    for folder in (tmp_path / "runs" / "oracle", aside):
        assert (folder / "spending.json").read_text() == '{"calls": 7}'


def test_a_step_starts_anew_where_that_is_asked_for(made, tmp_path):
    made("seed: 1\n")
    assert made("seed: 1\n", restart=["oracle"]) == ["seed: 1\n"] * 2
    with pytest.raises(InputError, match="'orakle', but the steps are oracle"):
        made("seed: 1\n", restart=["oracle", "orakle"])
    made("seed: 1\n", restart=["oracle"], dry_run=True)
    assert len(list((tmp_path / "runs").glob("oracle.*"))) == 1  # of the first restart


def test_a_dry_run_says_every_step_and_makes_nothing(at_training_folder, capsys):
    assert to_chain(read_chain(SMOKE), "dry-chain").run(dry_run=True) == 0
    assert "history" in capsys.readouterr().err
    assert not Path("dry-chain").exists()


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_says_every_step(at_training_folder, capsys, name, released):
    steps = read_chain(f"smollm2-135m/chain/{name}.yaml")
    assert to_chain(steps, "dry-chain", adapter=released).run(dry_run=True) == 0
    said = capsys.readouterr()
    assert all(step.name in said.err for step in steps)
    assert not Path("dry-chain").exists()


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_without_its_adapter_is_refused(at_training_folder, name):
    with pytest.raises(InputError, match="Name one with --adapter"):
        to_chain(read_chain(f"smollm2-135m/chain/{name}.yaml"), "no-chain").run()
    assert not Path("no-chain").exists()


def test_another_adapter_starts_the_steps_that_use_it_anew(at_training_folder, released, tmp_path):
    used, unused = (
        Step.of({"name": "texts", "verbalize": name, "test_limit": 2}) for name in ("{adapter}", "elsewhere")
    )
    other = shutil.copytree(released, tmp_path / "other")
    run = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps({**run, "config": {"temperature": 9.0}}))
    hashes = [
        [to_chain([step], tmp_path, adapter=str(one))._inputs(step) for one in (released, other)]
        for step in (used, unused)
    ]
    assert [len(set(of_step)) for of_step in hashes] == [2, 1]


@pytest.fixture(scope="module")
def released(training_folder):
    """A trained action verbalizer, as ablations start from one."""
    folder = training_folder / "released"
    home = Path.cwd()
    os.chdir(training_folder)
    try:
        recipe = "smollm2-135m/verbalizer/action_next_warm_start.yaml"
        step = Step.of({"name": "verbalizer", "train": "verbalizer", "config": recipe, "release": "smoke"})
        assert to_chain([rehearsed(step)], folder).run() == 0
    finally:
        os.chdir(home)
    return str(folder / "verbalizer" / "adapter")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reward", "objectives", "order", "history"])
def test_an_ablation_runs_on_a_few_examples(at_training_folder, capsys, name, released):
    steps = [rehearsed(step) for step in read_chain(f"smollm2-135m/chain/{name}.yaml")]
    assert to_chain(steps, name, adapter=released).run() == 0
    for step in steps:
        if step.action == "evaluate":
            document = json.loads(Path(name, step.name, "results.json").read_text())
            assert {row["row"] for row in document["rows"]} >= {"template"}
        elif name == "reward":
            run = json.loads(Path(name, step.name, "adapter", "run.json").read_text())
            assert run["config"]["reward_weights"] == ([1.0, 0.0] if step.name == "without_length" else [0.9, 0.1])
            assert any("frac_reward_zero_std" in line for line in run["history"])
    together = json.loads(Path(name, "chain.json").read_text())
    assert [one["step"] for one in together["evaluations"]] == [s.name for s in steps if s.action == "evaluate"]
    assert [one["step"] for one in together["trainings"]] == [s.name for s in steps if s.action == "train"]
    assert together["adapter"] == "tiny-tabular-verbalizer-action"
    said = capsys.readouterr().out
    assert f"Written: {name}/chain.json" in said
    for table in chain_tables(together):
        assert all(row["row"] in said for row in table.rows)
    shutil.rmtree(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: 3", "is not a chain"),
        ("steps: [{train: reasoner}]", "needs a name"),
        ("steps: [reasoner]", "'reasoner' needs a name"),
        ("steps: [{name: x, train: painter}]", "verbalizer or reasoner"),
        ("][", "cannot be read"),
        ("steps: [{name: adapter, train: reasoner}]", "Rename the step"),
    ],
)
def test_a_chain_that_is_none_is_refused(text, message, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_chain(str(path))


def test_words_of_a_list_stand_side_by_side():
    assert chain.to_words({"reward_weights": [0.9, 0.1], "name": None}) == ["--reward_weights", "0.9", "0.1"]


@pytest.mark.slow
def test_the_preset_for_processors_is_rehearsed(at_training_folder):
    """Every step of it as it stands, on a few short examples."""
    steps = [rehearsed(step) for step in read_chain("smollm2-135m/chain/cpu.yaml")]
    assert to_chain(steps, "cpu").run() == 0
    runs = [json.loads(path.read_text()) for path in Path("cpu").glob("*/adapter/run.json")]
    assert [(run["steps"], run["release"]) for run in runs] == [(2, "smoke")] * 4
    rows = {row["row"] for row in json.loads(Path("cpu", "results", "results.json").read_text())["rows"]}
    assert {"template", "successors", "action", "lists:newest-3"} <= rows


STEPS = """
set -eu
logs2lang() { "$PYTHON" -m logs2lang "$@"; }
left() { echo 60; }
bring() { tar cf "$OUT/$1.tar" -C "$2" .; }
. "$STEPS"
"""


@pytest.mark.slow
def test_the_steps_for_a_card_are_rehearsed(at_training_folder, tmp_path):
    """The file that a card is given, from the command to what comes back."""
    steps = find_recipe("smollm2-135m/chain/gpu.yaml").with_name("gpu_steps.sh")
    folders = {"DATA": "built", "RUNS": str(tmp_path), "OUT": str(tmp_path), "STEPS": str(steps)}
    more = f"--rehearse --base-model {BASE_ID} --base-model-id {BASE_ID}"
    environment = {**os.environ, **folders, "PYTHON": sys.executable, "MORE": more, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(["bash", "-c", STEPS], env=environment, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    with tarfile.open(tmp_path / "chain.tar") as archive:
        back = {Path(name) for name in archive.getnames()}
    trained = {step.name for step in read_chain("smollm2-135m/chain/gpu.yaml") if step.action == "train"}
    assert {path.parts[0] for path in back if path.name == "run.json"} == trained
    assert {Path(f"{name}/results.json") for name in ("results", "results_rewrite")} <= back


def test_a_step_that_names_no_other_is_one_sentence(at_training_folder):
    steps = [Step.of({"name": "results", "evaluate": "{verbaliser}", "limit": 4})]
    with pytest.raises(InputError, match=r"'\{verbaliser\}', and braces .* The steps are results"):
        to_chain(steps, "misspelt").run(dry_run=True)
