"""The whole recipe, one step after another: oracle, warm start, verbalizer, texts, reasoners, results.

A chain is a YAML list of steps in one run folder. A step that is done is not done again unless its inputs changed: its
recipe, its arguments, the dataset, or the adapters and texts it builds on. What a changed step made before is moved
aside, never deleted. A kill or a time limit loses at most the work since the last checkpoint.
"""

import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic
from typing import Any

import typer
import yaml
from rich.console import Console

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.whole_files import move_aside

from ..console.exit_codes import UNFINISHED
from ..console.log_level import is_quiet
from ..console.progress import show_status
from ..evaluation.report import terminal_tables
from ..models.language_models import DEFAULT_BASE_MODEL
from ..models.model_folders import model_folder, public_name
from ..reasoners.spending_ledger import LEDGER_FILE
from ..training.runs.arguments import LIMITS, find_recipe, read_recipe
from ..training.runs.chain_results import CHAIN_FILE, chain_document, chain_tables
from ..training.runs.run_folder import ADAPTER_FOLDER
from ..training.runs.run_record import adapter_hash, content_entry, digest, read_json, write_json
from ..training.runs.text_files import TextFiles

DONE_FILE = "done.json"
ACTIONS = ("train", "verbalize", "evaluate")
ROLES = ("verbalizer", "reasoner")
SPLITS = ("train", "validation", "test")
GIVEN = ("base_model", "adapter")
"""What braces stand for beside the names of steps."""

_LEAST_MINUTES = 1e-4

_console = Console(stderr=True)


@dataclass(frozen=True)
class Step:
    """One step of a chain.

    Args:
        name (`str`): Of the step and of its folder.
        action (`str`): `"train"`, `"verbalize"` or `"evaluate"`.
        role (`str`): What is trained (`"verbalizer"` or `"reasoner"`), or which verbalizer writes.
        choices (`dict`): Its arguments. `{name}` in a value stands for what the step of that name made, and
            `{base_model}` and `{adapter}` for the base model and the adapter that the chain was given.
    """

    name: str
    action: str
    role: str
    choices: Mapping[str, Any]

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Step":
        """A step as the YAML spells it: `{name: oracle, train: reasoner, config: ..., adapter: "{history}"}`."""
        actions = [action for action in ACTIONS if isinstance(entry, Mapping) and action in entry]
        if len(actions) != 1 or "name" not in entry:
            raise InputError(f"The step {entry!r} needs a name and one of {', '.join(ACTIONS)}.")
        if entry["name"] in GIVEN:
            raise InputError(
                f"A step is called {entry['name']!r}, which is a word for what is given. Rename the step."
            )
        (action,) = actions
        if action == "train" and entry[action] not in ROLES:
            raise InputError(f"The step {entry['name']} trains {entry[action]!r}; choose {' or '.join(ROLES)}.")
        choices = {key: value for key, value in entry.items() if key not in ("name", action)}
        return cls(entry["name"], action, entry[action], choices)

    def settings(self) -> dict[str, Any]:
        """Its arguments, with what its recipe says where it says nothing itself."""
        recipe = self.choices.get("config")
        own = {name: value for name, value in self.choices.items() if name != "config"}
        return {**(read_recipe(recipe) if recipe else {}), **own}

    def uses(self, name: str) -> bool:
        """Whether one of its values stands for what the step `name` made."""
        return any("{" + name + "}" in str(value) for value in (self.role, *self.choices.values()))


@dataclass(frozen=True)
class Chain:
    """Steps over one dataset and one folder.

    Args:
        steps (`list[Step]`): In order; a step may use what earlier ones made.
        dataset (`str`): A built folder, or a dataset repository of the Hub.
        folder (`Path`): Where every step has its folder.
        shared (`dict`): Arguments of every training step, such as `base_model`.
        minutes (`float`, *optional*): Stop after this many; the same chain resumes.
        adapter (`str`, *optional*): An adapter from elsewhere, which its steps call `{adapter}`.
    """

    steps: Sequence[Step]
    dataset: str
    folder: Path
    shared: Mapping[str, Any]
    minutes: float | None = None
    adapter: str | None = None

    def run(self, dry_run: bool = False, restart: Sequence[str] = ()) -> int:
        """Do what is not done.

        Args:
            dry_run (`bool`, *optional*, defaults to `False`): Say what every step would do, and do nothing.
            restart (`list[str]`, *optional*): Steps to do again although nothing changed.

        Returns:
            `int`: Exit code: 0 when all is done, 75 when the time limit came first.

        Raises:
            InputError: There is no step of a name in `restart`.
        """
        _console.quiet = is_quiet()
        self._refuse_unknown_steps(restart)
        self._refuse_missing_adapter()
        for name in restart:
            self._restart(name, dry_run)
        deadline = None if self.minutes is None else monotonic() + 60 * self.minutes
        has_worked = False
        for number, step in enumerate(self.steps, start=1):
            title = f"{number}/{len(self.steps)} {step.name}"
            inputs = self._inputs(step) if not dry_run else ""
            if self._is_done(step, inputs):
                _console.print(f"[dim]{title}: already done[/]")
                continue
            _console.rule(title, align="left")
            left = None if deadline is None else (deadline - monotonic()) / 60
            # However little time there is, each run gets on by a step: or a slow machine would never end.
            if left is not None and left <= 0 and has_worked:
                return UNFINISHED
            code = self._do(step, left and max(left, _LEAST_MINUTES), dry_run)
            has_worked = True
            if code:
                return code
            if not dry_run:
                write_json({"inputs": inputs}, self.folder / step.name / DONE_FILE)
        if not dry_run:
            self._tell_results()
        return 0

    def _tell_results(self) -> None:
        """Write and print what the evaluations found, side by side; nothing where a chain has none."""
        of_action = {action: [step.name for step in self.steps if step.action == action] for action in ACTIONS}
        if not of_action["evaluate"]:
            return
        document = chain_document(self.folder, of_action["train"], of_action["evaluate"])
        given = {"adapter": self.adapter and public_name(self.adapter)}
        made = {"command": shlex.join(["logs2lang", *sys.argv[1:]]), "created": datetime.now(timezone.utc).isoformat()}
        write_json({**document, **given, **made}, self.folder / CHAIN_FILE)
        console = Console()
        for table in chain_tables(document):
            console.print(*terminal_tables(table, console.width), sep="\n")
        console.print(f"Written: {self.folder / CHAIN_FILE}", soft_wrap=True)

    def _refuse_unknown_steps(self, restart: Sequence[str]) -> None:
        names = [step.name for step in self.steps]
        for name in restart:
            if name not in names:
                raise InputError(f"--restart is {name!r}, but the steps are {', '.join(names)}.")

    def _refuse_missing_adapter(self) -> None:
        users = [step.name for step in self.steps if step.uses("adapter")]
        if users and self.adapter is None:
            raise InputError(
                f"The step {users[0]} starts from an adapter that is there already. Name one with --adapter, such as "
                "that of a released verbalizer."
            )

    def _restart(self, name: str, dry_run: bool) -> None:
        if not (self.folder / name).exists():
            return
        if dry_run:
            _console.print(f"{name}: would start from scratch. Its earlier output would be moved to a dated folder.")
            return
        _console.print(
            f"{name}: starts from scratch. Its earlier output was moved to {_set_aside(self.folder / name)}."
        )

    def _is_done(self, step: Step, inputs: str) -> bool:
        """Whether a step was finished with these inputs; what it made from others is moved aside."""
        folder = self.folder / step.name
        begun, done = folder / "inputs.json", folder / DONE_FILE
        if not inputs:
            return False
        if begun.exists() and read_json(begun)["inputs"] != inputs:
            _console.print(
                f"{step.name}: its inputs changed, so it starts from scratch. Its earlier output was moved to "
                f"{_set_aside(folder)}."
            )
        if not begun.exists():
            write_json({"inputs": inputs}, begun)
        return done.exists()

    def _inputs(self, step: Step) -> str:
        """One hash of everything that decides what a step makes: of a recipe what it means, not how it is written."""
        return digest(
            {
                "step": [step.action, step.role],
                "choices": _without_limits({**step.settings(), **self.shared}),
                "dataset": content_entry(BuiltDataset.open(self.dataset)),
                "uses": {other.name: self._made_hash(other) for other in self.steps if step.uses(other.name)},
                **self._given_hash(step),
            }
        )

    def _given_hash(self, step: Step) -> dict[str, str]:
        if self.adapter is None or not step.uses("adapter"):
            return {}
        return {"adapter": adapter_hash(model_folder(self.adapter))}

    def _made_hash(self, step: Step) -> Any:
        made = self._made(step)
        return adapter_hash(made) if step.action == "train" else read_json(made / DONE_FILE)["inputs"]

    def _made(self, step: Step) -> Path:
        """Where the outcome of a step lies."""
        return self.folder / step.name / ADAPTER_FOLDER if step.action == "train" else self.folder / step.name

    def _resolved(self, value: Any) -> Any:
        """A value with the folders of earlier steps in place of their names."""
        if isinstance(value, list):
            return [self._resolved(part) for part in value]
        if not isinstance(value, str):
            return value
        known = {step.name: self._made(step) for step in self.steps}
        try:
            base_model = self.shared.get("base_model", DEFAULT_BASE_MODEL)
            return value.format(base_model=base_model, adapter=self.adapter, **known)
        except (KeyError, IndexError, ValueError) as error:
            raise InputError(
                f"A step says {value!r}, and braces stand around the name of a step, base_model or adapter. The steps "
                f"are {', '.join(known)}."
            ) from error

    def _do(self, step: Step, minutes: float | None, dry_run: bool) -> int:
        choices = {name: self._resolved(value) for name, value in step.choices.items()}
        actions: dict[str, Callable[..., int]] = {
            "train": self._train,
            "verbalize": self._verbalize,
            "evaluate": self._evaluate,
        }
        return actions[step.action](step, choices, minutes, dry_run)

    def _train(self, step: Step, choices: dict[str, Any], minutes: float | None, dry_run: bool) -> int:
        from .. import train_reasoner, train_verbalizer

        main = {"reasoner": train_reasoner.main, "verbalizer": train_verbalizer.main}[step.role]
        folder = str(self.folder / step.name)
        words = to_words({**choices, **self.shared, "dataset": self.dataset, "output_dir": folder})
        if minutes is not None:
            words += ["--minutes", str(minutes)]
        return main([*words, *(["--dry_run", "True"] if dry_run else [])])

    def _verbalize(self, step: Step, choices: dict[str, Any], minutes: float | None, dry_run: bool) -> int:
        adapter = self._resolved(step.role)
        if dry_run:
            _console.print(f"writes the texts of every split with {adapter}")
            return 0
        with show_status() as say:
            say("Loading the models")
            files = TextFiles.by_adapter(adapter, BuiltDataset.open(self.dataset), self.folder / step.name, **choices)
        return files.write(SPLITS, minutes)

    def _evaluate(self, step: Step, choices: dict[str, Any], minutes: float | None, dry_run: bool) -> int:
        from .text_commands import evaluate

        # A model on a server takes the place of a local one.
        reasoner = None if "endpoint_model" in choices else self._resolved(step.role)
        if dry_run:
            _console.print(
                f"evaluates {', '.join(f'{name} {value}' for name, value in choices.items())} with {reasoner}"
            )
            return 0
        # Rows that are there are kept, so a kill costs no more than the row it fell into.
        try:
            evaluate(self.dataset, self.folder / step.name, reasoner=reasoner, minutes=minutes, **choices)
        except typer.Exit as end:
            return end.exit_code
        return 0


def rehearsed(step: Step, bf16: bool = False) -> Step:
    """The same step on a few short examples: whether a chain runs, and nothing of how good it is.

    Args:
        step ([`Step`]): Of any chain; its recipe, its method and what it builds on stay.
        bf16 (`bool`, *optional*, defaults to `False`): Whether to compute in bfloat16, which a GPU can.

    Example:
        >>> texts = Step.of({"name": "texts", "verbalize": "{verbalizer}", "train_limit": 4000})
        >>> rehearsed(texts).choices["train_limit"]
        8
    """
    if step.action == "evaluate":
        return replace(step, choices={**step.choices, "limit": 4, "history_length": 4})
    if step.action == "verbalize":
        few = {"train_limit": 8, "test_limit": 4}
        limits = {name: min(limit, step.choices.get(name, limit)) for name, limit in few.items()}
        return replace(step, choices={**step.choices, **limits, "history_length": 4})
    smaller = {"limit": 8, "history_length": 4, "validation_limit": 0, "eval_strategy": "no", "release": "smoke"}
    smaller |= {"max_steps": 2, "save_steps": 1, "per_device_train_batch_size": 4, "bf16": bf16}
    of_verbalizers = {"oracle_check": 4} if step.role == "verbalizer" else {}
    of_grpo = {"num_generations": 4} if step.settings().get("method") == "grpo" else {}
    return replace(step, choices={**step.choices, **smaller, **of_verbalizers, **of_grpo})


def _without_limits(choices: Mapping[str, Any]) -> dict[str, Any]:
    """The choices that decide what a step makes: a higher cap lets it continue, and does not restart it."""
    return {name: value for name, value in choices.items() if name not in LIMITS}


def _set_aside(folder: Path) -> Path:
    """Move what a step made to a dated name beside it: it may have taken hours. What it spent stays spent."""
    aside = move_aside(folder)
    if (aside / LEDGER_FILE).is_file():
        folder.mkdir()
        shutil.copy2(aside / LEDGER_FILE, folder / LEDGER_FILE)
    return aside


def to_words(choices: Mapping[str, Any]) -> list[str]:
    """Arguments as words of a command line.

    Example:
        >>> to_words({"config": "a.yaml", "reward_weights": [0.9, 0.1], "name": None})
        ['--config', 'a.yaml', '--reward_weights', '0.9', '0.1']
    """
    given = {
        name: value if isinstance(value, list) else [value] for name, value in choices.items() if value is not None
    }
    return [word for name, values in given.items() if values != [None] for word in (f"--{name}", *map(str, values))]


def read_chain(name: str) -> list[Step]:
    """The steps of a chain, from a YAML file or by the address of one of ours, such as `smollm2-135m/chain/cpu.yaml`.

    Raises:
        InputError: The file is missing or no chain.
    """
    path = find_recipe(name)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(
            f"The chain {name} cannot be read ({str(error).splitlines()[0]}). Check the path and the YAML."
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("steps"), list):
        raise InputError(f"{name} is not a chain: expected `steps:` with a list below it.")
    return [Step.of(entry) for entry in content["steps"]]
