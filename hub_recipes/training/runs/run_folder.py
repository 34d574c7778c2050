"""The folder of a training run: checkpoints while it learns, an adapter's folder when it is done."""

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from datasets import Dataset
from rich.console import Console
from transformers import PrinterCallback

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.chosen_examples import choose_examples
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.whole_files import whole_folder

from ...console.exit_codes import UNFINISHED
from ...console.log_level import is_quiet
from ...console.progress import show_progress
from ...models.accelerators import set_matmul_precision
from ...models.language_models import LanguageModel
from ...models.model_folders import CHAT_TEMPLATE_CONFIG
from .adapters import save_adapter, to_base_id
from .arguments import LIMITS
from .curves import draw_curves
from .progress import TrainingProgress
from .resumable_trainer import TimeLimit, TimeSpent, latest_checkpoint
from .run_record import (
    config_entry,
    dataset_entry,
    history_entry,
    inputs_entry,
    machine_entry,
    parent_entry,
    read_json,
    versions_entry,
    write_json,
    write_run,
)
from .training_examples import judgeable, of_users

ADAPTER_FOLDER = "adapter"
CHECKPOINT_FOLDER = "checkpoints"
ARGUMENTS_FILE = "arguments.json"
INPUTS = "inputs"
"""Beside the arguments in that file: the content behind the names among them; see [`run_record.inputs_entry`]."""


def _refuse_what_cannot_be_best(training_args: Any, validation_limit: int) -> None:
    """Refuse to look for the best step where none is measured, or where the best one would not be kept."""
    if training_args.eval_strategy == "no":
        return
    if validation_limit == 0:
        raise InputError(
            f"eval_strategy is {training_args.eval_strategy.value!r} and validation_limit is 0, so there is nothing "
            "to evaluate on. Raise validation_limit, or set eval_strategy: no."
        )
    by_steps = training_args.eval_strategy == "steps"
    if training_args.load_best_model_at_end and by_steps and training_args.eval_steps != training_args.save_steps:
        raise InputError(
            f"load_best_model_at_end is on, with eval_steps {training_args.eval_steps:g} and save_steps "
            f"{training_args.save_steps:g}: the best step might have no checkpoint. Set both to the same number."
        )


class TrainingRun:
    """The folder of a run: `checkpoints/` and, once the run is done, `adapter/`.

    Args:
        arguments ([`RunArguments`]): Of the role that is trained.
        training_args (`TrainingArguments`): `output_dir` is the run's folder; its trainer writes to `checkpoints/`.
        extra (`Any`, *optional*): Further arguments that belong into the record.
    """

    def __init__(self, arguments: Any, training_args: Any, *extra: Any):
        self.arguments = arguments
        self.training_args = training_args
        self.folder = Path(training_args.output_dir)
        self.started = datetime.now(timezone.utc)
        self.config = config_entry(arguments, *extra, training_args)
        self.inputs = inputs_entry(arguments)
        training_args.output_dir = str(self.folder / CHECKPOINT_FOLDER)
        training_args.disable_tqdm = True  # ours says what is learned, too
        self._refuse_other_arguments()
        self._refuse_checkpoints_of_others()
        _refuse_what_cannot_be_best(training_args, arguments.validation_limit)
        set_matmul_precision(arguments.matmul_precision)
        self.limit = TimeLimit(arguments.minutes)
        self.spent = TimeSpent()
        self.progress = TrainingProgress(arguments.method)

    def _refuse_other_arguments(self) -> None:
        """A checkpoint carries its schedule and its optimiser: other arguments would be taken and have no effect."""
        path = self.folder / ARGUMENTS_FILE
        if not path.is_file():
            return
        before, now = read_json(path), self.config
        made_of = before.pop(INPUTS, {})
        differing = sorted(name for name in {*before, *now} - {*LIMITS} if before.get(name) != now.get(name))
        if differing:
            name = differing[0]
            raise InputError(
                f"{self.folder} contains a run with {name} = {before.get(name)!r}, but now it is {now.get(name)!r}. "
                "Choose a new --output_dir, or delete that one."
            )
        changed = sorted(name for name, content in self.inputs.items() if made_of.get(name, content) != content)
        if changed:
            name = changed[0]
            raise InputError(
                f"{self.folder} contains a run whose {name}, {getattr(self.arguments, name)}, had different content "
                "at the time. Choose a new --output_dir, or delete that one."
            )

    def _refuse_checkpoints_of_others(self) -> None:
        """What lies there would be gone on from, and the oldest deleted as new ones come."""
        if (
            any((self.folder / CHECKPOINT_FOLDER).glob("checkpoint-*"))
            and not (self.folder / ARGUMENTS_FILE).is_file()
        ):
            raise InputError(
                f"{self.folder / CHECKPOINT_FOLDER} contains checkpoints of a run that logs2lang did not start: "
                f"there is no {ARGUMENTS_FILE} next to it. Choose a new --output_dir."
            )

    @property
    def callbacks(self) -> list[Any]:
        """What the trainer must carry: the run stops in time, knows how long it took, and shows where it is."""
        return [self.limit, self.spent, self.progress]

    def examples(self, dataset: BuiltDataset, split: str) -> Dataset | None:
        """The examples of one split that can be learned from or watched; `None` where none are asked for."""
        chosen = self.arguments.limit if split == "train" else self.arguments.validation_limit
        if chosen == 0 and split != "train":
            return None
        args, seed = self.arguments, self.training_args.seed
        of_split = of_users(dataset.examples(split), args.users_from, args.users_below)
        return judgeable(choose_examples(of_split, chosen, seed, args.history_length, args.discoveries))

    def train(self, trainer: Any) -> None:
        """Train from the start, or from the newest checkpoint of the run."""
        trainer.remove_callback(PrinterCallback)
        if PartialState().is_main_process:
            write_json({**self.config, INPUTS: self.inputs}, self.folder / ARGUMENTS_FILE)
        newest = latest_checkpoint(Path(self.training_args.output_dir))
        with show_progress() as self.progress.report:
            trainer.train(resume_from_checkpoint=None if newest is None else str(newest))

    def finish(
        self,
        trainer: Any,
        policy: LanguageModel,
        dataset: BuiltDataset,
        record: Mapping[str, Any],
        save_beside: Callable[[Path], None] | None = None,
    ) -> int:
        """Write the adapter's folder, or say that the run can be resumed.

        Args:
            trainer (`transformers.Trainer`): After `train`.
            policy ([`LanguageModel`]): What it trained; how its prompts were made is kept with the adapter.
            dataset ([`BuiltDataset`]): What it was trained on.
            record (`dict`): What the role adds to `run.json`; see the training scripts.
            save_beside (`Callable[[Path], None]`, *optional*): Writes what else belongs into the adapter's folder.

        Returns:
            `int`: Exit code: 0, or `UNFINISHED` where the time limit came first.
        """
        state, console = trainer.state, Console(stderr=True, quiet=is_quiet())
        if self.limit.is_reached:
            console.print(f"Stopped after step {state.global_step} of {state.max_steps}; the same command resumes.")
            return UNFINISHED
        model = trainer.accelerator.unwrap_model(trainer.model)
        if PartialState().is_main_process:
            with whole_folder(self.folder / ADAPTER_FOLDER) as partial:
                wanted = self.arguments.adapter_dtype
                dtype = next(model.parameters()).dtype if wanted is None else getattr(torch, wanted)
                save_adapter(model, partial, to_base_id(self.arguments), dtype)
                switches = dict(policy.chat_template_kwargs)
                if switches:
                    write_json(switches, partial / CHAT_TEMPLATE_CONFIG)
                own = {**record, "chat_template_kwargs": switches, "dataset": dataset_entry(dataset)}
                write_run({**self._record(state), **own}, partial)
                draw_curves(partial)
                if save_beside is not None:
                    save_beside(partial)
            console.print(f"Written: {self.folder / ADAPTER_FOLDER}; PeftModel.from_pretrained loads it.")
        PartialState().wait_for_everyone()
        return 0

    def _record(self, state: Any) -> dict[str, Any]:
        history = history_entry(state.log_history)
        watched = [row for row in history if any(name.startswith("eval_") for name in row)]
        if self.training_args.load_best_model_at_end:  # the weights that are kept are those of that step
            watched = [row for row in watched if row["step"] == state.best_global_step]
        return {
            "name": self.arguments.name,
            "release": self.arguments.release,
            "parent": parent_entry(self.arguments.adapter),
            "oracle": None,
            "config": self.config,
            "seed": self.training_args.seed,
            "steps": state.global_step,
            "best_step": state.best_global_step if self.training_args.load_best_model_at_end else None,
            "history": history,
            "metrics": {**(history[-1] if history else {}), **(watched[-1] if watched else {})},
            "versions": versions_entry(),
            "machine": machine_entry(),
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(self.spent.seconds, 1),
            "results": None,
        }
