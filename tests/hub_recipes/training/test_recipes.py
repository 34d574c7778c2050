"""Every YAML that we ship: parsed by the installed TRL, and dry-run as it stands."""

import shlex
from pathlib import Path

import pytest
import torch
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from trl import GRPOConfig

from logs2lang import train_reasoner, train_verbalizer
from logs2lang.commands.chain import read_chain
from logs2lang.commands.train_commands import PRESETS
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.training.runs.arguments import (
    ReasonerArguments,
    VerbalizerArguments,
    find_recipe,
    parse_arguments,
    run_as_script,
)

CONFIGS = Path(train_reasoner.__file__).parent / "configs"
SCRIPTS = {"verbalizer": train_verbalizer, "reasoner": train_reasoner}
ARGUMENTS = {"verbalizer": VerbalizerArguments, "reasoner": ReasonerArguments}
RECIPES = sorted(path for role in SCRIPTS for path in CONFIGS.glob(f"*/{role}/*.yaml"))
CHAINS = sorted(CONFIGS.glob("*/chain/*.yaml"))
ACCELERATE = sorted((CONFIGS / "accelerate").glob("*.yaml"))


def address(path: Path) -> str:
    return path.relative_to(CONFIGS).as_posix()


def parse(path: Path, *words: str):
    role = path.parent.name
    always = ["--config", address(path), "--dataset", "built", "--output_dir", "run"]
    return parse_arguments(ARGUMENTS[role], SCRIPTS[role].CONFIGURATIONS, [*always, *words])


@pytest.fixture
def on_a_gpu(monkeypatch):
    """As far as arguments go: bfloat16 is no mistake."""
    monkeypatch.setattr("logs2lang.training.runs.arguments._refuse_slow", lambda training_args: None)
    monkeypatch.setattr("transformers.training_args.is_torch_bf16_gpu_available", lambda: True, raising=False)


@pytest.mark.parametrize("path", RECIPES, ids=address)
def test_a_recipe_is_understood(path, on_a_gpu):
    recipe = yaml.safe_load(path.read_text())
    own, *_, training_args = parse(path)
    seen = {**vars(training_args), **vars(own)}
    for name in ("method", "learning_rate", "per_device_train_batch_size", "history_length"):
        if name in recipe:
            assert seen[name] == recipe[name], name
    assert training_args.report_to in ([], ["none"], "none")


@pytest.mark.parametrize("path", RECIPES, ids=address)
def test_a_recipe_builds_everything_but_the_weights(path, on_a_gpu, at_training_folder, capsys):
    words = ["--config", address(path), "--dataset", "built", "--output_dir", "dry", "--dry_run", "True"]
    oracle = ["--oracle", "model", "--oracle_url", "http://127.0.0.1:9"] if path.parent.name == "verbalizer" else []
    assert SCRIPTS[path.parent.name].main([*words, *oracle]) == 0
    assert "training examples" in capsys.readouterr().out
    assert not Path("dry").exists()


@pytest.mark.parametrize("path", [*RECIPES, *CHAINS, *ACCELERATE], ids=address)
def test_a_yaml_opens_with_what_it_is_for_and_its_command(path):
    comment = [line for line in path.read_text().splitlines() if line.startswith("#")]
    text = " ".join(line.lstrip("# ").rstrip("\\") for line in comment)
    assert text[0].isupper()
    command = next(part for part in ("logs2lang train", "accelerate launch") if part in text)
    if "--config " in text and "..." not in text:
        words = shlex.split(text[text.index(command) :])
        assert words[words.index("--config") + 1] == address(path)


def test_every_chain_of_the_default_model_is_a_preset():
    assert {path.stem for path in (CONFIGS / "smollm2-135m" / "chain").glob("*.yaml")} == set(PRESETS)


def test_the_paper_s_choices_stand_in_its_recipe(on_a_gpu):
    own, training_args = parse(CONFIGS / "qwen3-8b" / "verbalizer" / "paper.yaml")
    assert isinstance(training_args, GRPOConfig)
    assert training_args.reward_weights == [0.9, 0.1]
    assert (own.length_low, own.length_high, own.history_length) == (0.3, 0.7, 100)
    assert (own.oracle_answer, own.oracle_reward) == ("generate", "hit")
    assert training_args.beta > 0
    assert training_args.num_generations >= 8
    assert training_args.use_vllm


@pytest.mark.parametrize("path", [path for path in RECIPES if path.parent.name == "verbalizer"], ids=address)
def test_length_is_never_scaled_up_where_the_oracle_is_silent(path, on_a_gpu):
    *_, training_args = parse(path)
    if isinstance(training_args, GRPOConfig):
        by_group = training_args.multi_objective_aggregation == "sum_then_normalize"
        assert not by_group or training_args.scale_rewards in ("batch", "none")


@pytest.mark.parametrize("path", ACCELERATE, ids=address)
def test_accelerate_reads_its_file(path):
    config = load_config_from_file(str(path))
    assert config.num_processes == (2 if config.use_cpu else 8)


def test_deepspeed_is_zero_3():
    assert (
        load_config_from_file(str(CONFIGS / "accelerate" / "deepspeed_zero3.yaml")).deepspeed_config["zero_stage"] == 3
    )


@pytest.mark.parametrize("path", CHAINS, ids=address)
def test_every_step_of_a_chain_uses_what_stands_before_it(path):
    steps = read_chain(address(path))
    names = [step.name for step in steps]
    assert len(set(names)) == len(names)
    for place, step in enumerate(steps):
        used = {
            name for name in names for value in (step.role, *step.choices.values()) if "{" + name + "}" in str(value)
        }
        assert used <= set(names[:place])
        if "config" in step.choices:
            assert find_recipe(step.choices["config"]).is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["--method", "magic"], "There is no method 'magic'"),
        (["--learnin_rate", "1"], "'--learnin_rate' is not an argument .* Did you mean '--learning_rate'"),
        (["--meth", "sft"], "'--meth' is not an argument .* cannot be abbreviated. Did you mean '--method'"),
        (["--conf=own.yaml"], "'--conf=own.yaml' is not an argument .* Did you mean '--config'"),
        (["--output_dir", "x"], "No dataset was given"),
        (
            ["--dataset", "d", "--output_dir", "x", "--push_to_hub", "True"],
            "push_to_hub is on, but training does not push",
        ),
        (["--config"], "--config has no value"),
    ],
)
def test_wrong_arguments_are_one_sentence(words, message):
    with pytest.raises(InputError, match=message):
        parse_arguments(ReasonerArguments, train_reasoner.CONFIGURATIONS, words)


def test_no_file_beside_the_program_adds_arguments(tmp_path, monkeypatch):
    (tmp_path / "logs2lang.args").write_text("--limit 1")
    monkeypatch.setattr("sys.argv", [str(tmp_path / "logs2lang")])
    words = ["--dataset", "built", "--output_dir", "out"]
    assert parse_arguments(ReasonerArguments, train_reasoner.CONFIGURATIONS, words)[0].limit is None


def test_an_unknown_key_of_a_recipe_is_named_with_its_neighbour(tmp_path):
    (tmp_path / "own.yaml").write_text("learning_rte: 0.1\n")
    with pytest.raises(InputError, match=r"learning_rte.*Did you mean 'learning_rate'"):
        parse_arguments(ReasonerArguments, train_reasoner.CONFIGURATIONS, ["--config", str(tmp_path / "own.yaml")])


def test_the_command_line_overrides_the_recipe():
    own, *_ = parse(CONFIGS / "smollm2-135m" / "reasoner" / "smoke.yaml", "--limit", "5")
    assert own.limit == 5


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_help_teaches_what_is_ours(script, capsys):
    with pytest.raises(SystemExit) as end:
        script.main(["--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0
    assert "--history_length" in text
    assert "smollm2-135m" in text
    assert len(text.splitlines()) < 60


def test_arguments_with_an_equals_sign_are_read_like_all_others():
    recipe = "smollm2-135m/reasoner/sft.yaml"
    apart = ["--config", recipe, "--method", "exact", "--dataset", "built", "--output_dir", "out"]
    joined = [f"--config={recipe}", "--method=exact", "--dataset=built", "--output_dir=out"]
    parsed = [parse_arguments(ReasonerArguments, train_reasoner.CONFIGURATIONS, words) for words in (apart, joined)]
    assert parsed[0][0] == parsed[1][0]
    assert parsed[1][0].method == "exact"
    assert [part.max_steps for part in (parsed[0][-1], parsed[1][-1])] == [parsed[0][-1].max_steps] * 2


def test_the_last_of_two_methods_counts():
    words = ["--method", "sft", "--method=exact", "--dataset", "built", "--output_dir", "out"]
    assert parse_arguments(ReasonerArguments, train_reasoner.CONFIGURATIONS, words)[0].method == "exact"


def test_an_interrupted_script_is_one_line_and_exit_code_130(capsys):
    def interrupted() -> int:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        run_as_script(interrupted)
    assert end.value.code == 130
    assert capsys.readouterr().err.splitlines() == ["Interrupted. The same command resumes from the last checkpoint."]


def test_a_script_leaves_no_process_group_behind():
    """Two processes had written their adapter, and one was aborted at the exit by a thread of the group."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    with pytest.raises(SystemExit) as end:
        run_as_script(lambda: 75)
    assert end.value.code == 75
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize("words", [["--config"], ["--method"]])
def test_an_argument_without_its_value_is_one_sentence(words):
    with pytest.raises(InputError, match=f"{words[0]} has no value"):
        parse_arguments(ReasonerArguments, train_reasoner.CONFIGURATIONS, words)
