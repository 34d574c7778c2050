"""What every trainer here does beside learning: whole checkpoints, resuming, a stop where a loss is no number.

Mixed into trainers of transformers and TRL. A checkpoint is written into a folder beside its place and renamed, so a
kill at any moment leaves no half a checkpoint, and the last one stays readable when a disk fills up.
"""

import json
import os
import shutil
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from peft import PeftModel
from safetensors import SafetensorError
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints

from logs2lang.dataset_builders.input_error import InputError

_STAGING = ".partial"
_STATE_FILE = "trainer_state.json"


class ResumableTrainer:
    """A mixin; it stands before the trainer class: `class OurTrainer(ResumableTrainer, GRPOTrainer)`."""

    args: Any
    state: Any
    model: Any
    accelerator: Any
    _is_staging = False

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """One step, as the trainer does it.

        Raises:
            InputError: The loss is no finite number. Nothing was stepped on, and the last checkpoint is whole.
        """
        try:
            loss = super().training_step(*args, **kwargs)  # type: ignore[misc]
        except RuntimeError as error:
            if "probability tensor" in str(error):  # what sampling says of logits that are no numbers
                raise self._no_number("probabilities") from error
            raise
        if not torch.isfinite(loss):
            raise self._no_number("loss")
        return loss

    def _refuse_broken_weights(self) -> None:
        """A step can break weights while its loss was still a number; such weights are never saved."""
        learned = (weight for weight in self.model.parameters() if weight.requires_grad)
        if not all(torch.isfinite(weight).all() for weight in learned):
            raise self._no_number("adapter's weights")

    def _no_number(self, what: str) -> InputError:
        return InputError(
            f"At step {self.state.global_step} the {what} became infinite or NaN. Train into a new output_dir with a "
            "lower learning_rate, with max_grad_norm, or with bf16 instead of fp16. The earlier checkpoints in "
            f"{self.args.output_dir} are intact."
        )

    def _get_output_dir(self, trial: Any) -> str:
        folder = super()._get_output_dir(trial)  # type: ignore[misc]
        return os.path.join(folder, _STAGING) if self._is_staging else folder

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
        # transformers before 5.21 loads only the adapters in folders of their own, such as the reference of a KL term,
        # and would go on with the learned one as it was before the first step.
        learned = self.model if model is None else model
        if isinstance(learned, PeftModel) and len(learned.peft_config) > 1:
            active = learned.active_adapter
            learned.load_adapter(resume_from_checkpoint, active, is_trainable=True)
            learned.set_adapter(active)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self._refuse_broken_weights()
        self._is_staging = True
        try:
            super()._save_checkpoint(model, trial)  # type: ignore[misc]
        except (
            OSError,
            RuntimeError,
            SafetensorError,
        ) as error:  # each library says in its own way that a disk is full
            shutil.rmtree(Path(self.args.output_dir) / _STAGING, ignore_errors=True)
            raise InputError(
                f"A checkpoint could not be written to {self.args.output_dir} ({str(error).splitlines()[0]}). Free "
                "some disk space and run the same command again; it resumes from the last checkpoint."
            ) from error
        finally:
            self._is_staging = False
        self.accelerator.wait_for_everyone()
        # The best checkpoint was named before it had its place, and `load_best_model_at_end` would not find it.
        folder, best = Path(self.args.output_dir), f"{PREFIX_CHECKPOINT_DIR}-{self.state.best_global_step}"
        if self.state.best_global_step == self.state.global_step or (folder / best).is_dir():
            self.state.best_model_checkpoint = str(folder / best)
        if self.args.should_save:
            _place(folder, self.state, self.args.save_total_limit)
        self.accelerator.wait_for_everyone()

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        """Whether the model is the best so far, as `metric_for_best_model` measures it.

        Raises:
            InputError: Nothing of that name is measured.
        """
        try:
            return super()._determine_best_metric(metrics, trial)  # type: ignore[misc]
        except KeyError as error:
            raise InputError(
                f"metric_for_best_model is {self.args.metric_for_best_model!r}, but the available metrics are "
                f"{', '.join(sorted(name.removeprefix('eval_') for name in metrics))}. Choose one of these, and set "
                "greater_is_better."
            ) from error


def _place(folder: Path, state: Any, save_total_limit: int | None) -> None:
    name = f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
    state.save_to_json(str(folder / _STAGING / name / _STATE_FILE))
    shutil.rmtree(folder / name, ignore_errors=True)
    os.replace(folder / _STAGING / name, folder / name)
    shutil.rmtree(folder / _STAGING, ignore_errors=True)
    rotate_checkpoints(str(folder), save_total_limit, state.best_model_checkpoint)


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a run, or `None`. What a kill left half written is cleared away.

    Args:
        folder (`Path`): `output_dir` of the trainer.

    Raises:
        InputError: The newest checkpoint is damaged.
    """
    shutil.rmtree(folder / _STAGING, ignore_errors=True)
    steps = {int(path.name.rpartition("-")[2]): path for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-[0-9]*")}
    if not steps:
        return None
    newest = steps[max(steps)]
    try:
        json.loads((newest / _STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"The checkpoint {newest} is damaged ({error}). Delete it to resume from the one before."
        ) from error
    return newest


class TimeLimit(TrainerCallback):
    """Ends a run after some minutes, with a checkpoint, so that the same command continues from there.

    Clocks of processes differ, and one that stopped alone would leave the others waiting for it: the first decides.

    Args:
        minutes (`float` or `None`): From now on; `None` for no limit.
    """

    def __init__(self, minutes: float | None):
        self.deadline = None if minutes is None else monotonic() + 60 * minutes
        self.is_reached = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if self.deadline is None or state.global_step >= state.max_steps:
            return control
        (is_over,) = broadcast_object_list([monotonic() >= self.deadline])
        if is_over:
            self.is_reached = control.should_save = control.should_training_stop = True
        return control


class TimeSpent(TrainerCallback, ExportableState):
    """Counts the seconds of training over all pieces of a run; a checkpoint carries the count on."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last = monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        carried = state.stateful_callbacks.get(type(self).__name__)
        self.seconds = carried["attributes"]["seconds"] if isinstance(carried, dict) else 0.0
        self._last = monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        now = monotonic()
        self.seconds, self._last = self.seconds + now - self._last, now

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {"seconds": self.seconds}}
