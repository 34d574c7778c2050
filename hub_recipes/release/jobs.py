"""The recipes as commands for Hugging Face Jobs: printed, never run from here."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from logs2lang.dataset_builders.input_error import InputError

CONFIGS = Path(__file__).parents[1] / "configs"
SCRIPT = Path(__file__).with_name("job_script.py")
BUCKET_NAME = "logs2lang"
DATASET = "data/mt"
"""What the recipes call the dataset they are trained on."""

ONE_GPU, MANY_GPUS, NO_GPU = "a100-large", "h200x8", "cpu-upgrade"
_COMMAND = re.compile(r"(?:\b[A-Z0-9_]+=\S+ )*\b((?:logs2lang|accelerate launch) [^;]+)")
_SECRET = re.compile(r"\b([A-Z0-9_]+_(?:KEY|TOKEN))=")


@dataclass(frozen=True)
class Recipe:
    """A recipe that a Job can run.

    Args:
        name (`str`): Its address below `configs/`.
        shows (`str`): Its first line: what it is.
        words (`tuple[str, ...]`): The command it opens with.
        secrets (`tuple[str, ...]`): Environment variables that the command needs and that nobody should see.
    """

    name: str
    shows: str
    words: tuple[str, ...]
    secrets: tuple[str, ...] = ()

    @property
    def flavor(self) -> str:
        """The hardware it asks for."""
        if self.words[0] == "accelerate":
            return MANY_GPUS
        return NO_GPU if re.search(r"\b(cpu|smoke|two CPU)\b", f"{self.name} {self.shows}", re.I) else ONE_GPU


def recipes(folder: Path = CONFIGS) -> Iterator[Recipe]:
    """Every recipe that opens with its command, by address.

    Args:
        folder (`Path`, *optional*): Recipes as `<base model>/<stage>/<variant>.yaml`.
    """
    for path in sorted(folder.glob("*/*/*.yaml")):
        yield to_recipe(path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8"))


def to_recipe(name: str, text: str) -> Recipe:
    """Read what a recipe says of itself.

    Args:
        name (`str`): Its address.
        text (`str`): Its YAML, opening with comments: what it is, and the command that runs it.

    Raises:
        InputError: It does not open with its command.

    Example:
        >>> to_recipe("m/reasoner/gpu.yaml", "# One GPU.\\n#   logs2lang train reasoner --config a.yaml\\n").words
        ('logs2lang', 'train', 'reasoner', '--config', 'a.yaml')
    """
    header = [line.lstrip("# ").rstrip() for line in _leading_comments(text)]
    said = re.sub(r"\\\s+", "", "\n".join(header))
    command = _COMMAND.search(said.replace("\n", " ; "))
    if command is None:
        raise InputError(f"The recipe {name} does not begin with a comment that contains the command that runs it.")
    words = shlex.split(re.sub(r" --minutes \S+", "", command[1]))  # a Job has a time limit of its own
    return Recipe(name, header[0], tuple(words), tuple(_SECRET.findall(said)))


def _leading_comments(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if not line.startswith("#"):
            return
        yield line


def preparation(namespace: str) -> list[str]:
    """The commands that come once, before any recipe: a wheel, a bucket, and the dataset.

    Args:
        namespace (`str`): User or organisation that the Jobs run under.
    """
    build = ("logs2lang", "build", "movietweetings", "--output", DATASET)
    return [
        "pip wheel --no-deps --wheel-dir dist .",
        f"hf buckets create {namespace}/{BUCKET_NAME} --private",
        job_command(namespace, build, NO_GPU, "1h"),
    ]


def job_command(
    namespace: str, words: tuple[str, ...], flavor: str, timeout: str, secrets: tuple[str, ...] = ()
) -> str:
    """One `hf jobs uv run`, to be started from the root of the checkout.

    Args:
        namespace (`str`): User or organisation that the Job runs under.
        words (`tuple[str, ...]`): The command that it runs.
        flavor (`str`): Hardware, as `hf jobs hardware` names it.
        timeout (`str`): Most time, such as `6h`.
        secrets (`tuple[str, ...]`, *optional*): Environment variables to hand over; values are read where it starts.

    Example:
        >>> job_command("me", ("logs2lang", "doctor"), "cpu-upgrade", "1h")
        'hf jobs uv run --namespace me --flavor cpu-upgrade --timeout 1h --secrets HF_TOKEN -v ./dist:/dist \
-v hf://buckets/me/logs2lang:/runs hub_recipes/release/job_script.py logs2lang doctor'
    """
    handed = [word for secret in ("HF_TOKEN", *secrets) for word in ("--secrets", secret)]
    volumes = ["-v", "./dist:/dist", "-v", f"hf://buckets/{namespace}/{BUCKET_NAME}:/runs"]
    choices = ["--namespace", namespace, "--flavor", flavor, "--timeout", timeout, *handed, *volumes]
    return shlex.join(["hf", "jobs", "uv", "run", *choices, f"hub_recipes/release/{SCRIPT.name}", *words])
