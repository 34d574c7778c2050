import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.release.job_script import main
from logs2lang.release.jobs import SCRIPT, job_command, preparation, recipes, to_recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it along

ROOT = Path(__file__).parents[3]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def inline_metadata() -> dict:
    """The block that `uv run` reads, as its specification says it is to be read."""
    block = re.search(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$", SCRIPT.read_text())
    return tomllib.loads("".join(line[2:] for line in block["content"].splitlines(keepends=True)))


def test_the_inline_dependency_is_the_wheel_of_this_version():
    metadata = inline_metadata()
    (requirement,) = map(Requirement, metadata["dependencies"])
    assert (requirement.name, requirement.extras) == (PYPROJECT["name"], {"train"})
    assert requirement.url == f"file:///dist/logs2lang-{PYPROJECT['version']}-py3-none-any.whl"
    assert metadata["requires-python"] == PYPROJECT["requires-python"]


@pytest.mark.slow
def test_the_inline_dependencies_resolve_to_what_pyproject_declares(tmp_path):
    """The first printed command builds the wheel; pip resolves the inline dependency, and says what that asks for."""
    words = shlex.split(preparation("me")[0].replace("dist", str(tmp_path)))
    assert words[:3] == ["pip", "wheel", "--no-deps"]
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, *words[1:-1], "--quiet", "--no-build-isolation", str(ROOT)], check=True, cwd=tmp_path)
    (inline,) = inline_metadata()["dependencies"]
    wanted = inline.replace("file:///dist/", f"{tmp_path.as_uri()}/")
    resolve = [*pip, "install", "--dry-run", "--quiet", "--no-index", "--ignore-installed", "--no-deps"]
    report = subprocess.run([*resolve, "--report", "-", wanted], check=True, capture_output=True, text=True).stdout
    (installed,) = json.loads(report)["install"]
    resolved = {
        Requirement(line.partition(";")[0])
        for line in installed["metadata"]["requires_dist"]
        if "extra ==" not in line or "train" in line.partition(";")[2]
    }
    declared = [*PYPROJECT["dependencies"], *PYPROJECT["optional-dependencies"]["train"]]
    assert resolved == set(map(Requirement, declared))
    assert installed["requested_extras"] == ["train"]


def test_every_recipe_is_a_job():
    found = list(recipes())
    assert len(found) > 5
    assert all(recipe.words[0] in ("logs2lang", "accelerate") for recipe in found)
    assert {recipe.name.split("/")[1] for recipe in found} >= {"verbalizer", "reasoner"}
    for recipe in found:
        command = job_command("me", recipe.words, recipe.flavor, "6h")
        assert tuple(shlex.split(command)[-len(recipe.words) :]) == recipe.words


def test_a_recipe_over_several_lines_keeps_its_command_and_its_secret():
    command = "LOGS2LANG_API_KEY=... accelerate launch -m logs2lang.train_verbalizer \\\n#      --config x"
    text = f"# On 8 GPUs:\n#   {command}\nmethod: grpo\n"
    recipe = to_recipe("m/verbalizer/paper.yaml", text)
    assert recipe.words == ("accelerate", "launch", "-m", "logs2lang.train_verbalizer", "--config", "x")
    assert recipe.secrets == ("LOGS2LANG_API_KEY",)
    assert "--secrets LOGS2LANG_API_KEY" in job_command("me", recipe.words, recipe.flavor, "6h", recipe.secrets)


def test_a_loop_around_a_command_is_left_out():
    text = "# All.\n#   until logs2lang train all --preset gpu --minutes 8; do [ $? -eq 75 ] || break; done\n"
    assert to_recipe("m/chain/gpu.yaml", text).words == ("logs2lang", "train", "all", "--preset", "gpu")


def test_a_recipe_without_its_command_is_named():
    with pytest.raises(InputError, match=r"m/x/y\.yaml does not begin with a comment that contains the command"):
        to_recipe("m/x/y.yaml", "# Nothing.\nlearning_rate: 1\n")


def test_the_client_of_the_hub_understands_what_is_printed():
    """`hf jobs uv run --dry-run` resolves a Job and submits nothing."""
    recipe = next(recipe for recipe in recipes() if recipe.name.endswith("verbalizer/gpu.yaml"))
    for command in (preparation("me")[2], job_command("me", recipe.words, recipe.flavor, "6h")):
        words = shlex.split(command)
        at = words.index("run") + 1
        words = [str(Path(sys.executable).with_name("hf")), *words[1:at], "--dry-run", *words[at:]]
        said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env={"HF_TOKEN": "none", "PATH": ""})
        assert said.returncode == 0, said.stderr
        assert "Job not submitted" in said.stdout
        assert (
            f"args       {shlex.join(words[words.index(f'hub_recipes/release/{SCRIPT.name}') + 1 :])}" in said.stdout
        )


def test_a_job_runs_its_command_in_the_bucket(tmp_path, monkeypatch):
    monkeypatch.setattr("logs2lang.release.job_script.BUCKET", tmp_path)
    script = "import pathlib, sys; pathlib.Path('seen').write_text(sys.argv[1])"
    assert main([Path(sys.executable).name, "-c", script, "hub_recipes/configs/accelerate/ddp.yaml"]) == 0
    assert Path((tmp_path / "seen").read_text()).is_file()
    assert main([Path(sys.executable).name, "-c", "raise SystemExit(75)"]) == 75


def test_the_command_prints_and_runs_nothing(run_main):
    code, out, _ = run_main("jobs", "--namespace", "me", "--only", "verbalizer/gpu")
    assert code == 0
    assert out.count("hf jobs uv run") == 3  # the dataset, and two base models
    code, _, err = run_main("jobs", "--namespace", "me", "--only", "nothing-such")
    assert code == 2
    assert "smollm2-135m/verbalizer/gpu.yaml" in err
