"""A `transformers.Trainer` for our own objectives; when resumed, it continues with the next data."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from accelerate.utils import DistributedType, gather_object
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import speed_metrics

from logs2lang.dataset_builders.input_error import InputError

from ..runs.resumable_trainer import ResumableTrainer
from .candidate_shuffles import PackedExample, ShuffledByLength, TrainingTexts

Measures = dict[str, Tensor]
"""Values of one batch by name, one per example or token; their mean is logged."""

CUT = "cut_contexts"


class Objective(Protocol):
    """What is optimised."""

    def collate(self, packed_examples: Sequence[PackedExample]) -> dict[str, Any]:
        """Tensors of a batch; `cut_contexts` says of each example whether it lost old lines."""

    def loss(self, model: Any, batch: Mapping[str, Any]) -> tuple[Tensor, Measures]:
        """The loss of a batch, and what else is watched of it, without gradient."""


class Evaluation(Protocol):
    """What is measured between steps."""

    def answers(self, process: int, num_processes: int) -> list[Any]:
        """What the model answers to the examples that are this process's, with all that is needed to measure it."""

    def measure(self, answers: list[Any]) -> dict[str, float]:
        """Measures over the answers of all processes, by name."""


class ObjectiveTrainer(ResumableTrainer, Trainer):
    """Trains on packed examples, in an order that depends on the seed and the epoch alone.

    Args:
        model (`PeftModel`): With an adapter that can be trained.
        args (`transformers.TrainingArguments`): As for any trainer.
        objective ([`Objective`]): What is optimised.
        texts ([`TrainingTexts`]): What is shown.
        evaluation ([`Evaluation`], *optional*): What `evaluate` measures.
        seed (`int`): Decides the order.
        **rest (`Any`, *optional*): As `transformers.Trainer` takes them.
    """

    def __init__(
        self,
        model: Any,
        args: TrainingArguments,
        objective: Objective,
        texts: TrainingTexts,
        evaluation: Evaluation | None,
        seed: int,
        **rest: Any,
    ):
        super().__init__(model, args, data_collator=objective.collate, train_dataset=texts, **rest)
        self.objective: Objective = objective
        self.evaluation = evaluation
        step_size = self._train_batch_size * args.gradient_accumulation_steps * args.world_size
        self.order = ShuffledByLength(texts.lengths, step_size, seed)
        self.watched: dict[str, Tensor] = {}
        self.add_callback(_EpochOfOrder(self.order))

    def _get_train_sampler(self, train_dataset: Any = None) -> ShuffledByLength:
        return self.order

    def compute_loss(
        self, model: Any, inputs: Mapping[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The mean loss of a batch; the trainer divides it where gradients are accumulated."""
        loss, measures = self.objective.loss(model, inputs)
        for name, values in {**measures, CUT: inputs[CUT]}.items():
            seen = torch.stack([values.detach().float().sum(), torch.tensor(float(len(values)), device=values.device)])
            self.watched[name] = self.watched.get(name, 0) + seen
        return (loss, None) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log what was watched since the last time beside the rest, as means over all processes."""
        if self.watched:
            totals = self.accelerator.reduce(torch.stack(list(self.watched.values())), reduction="sum")
            means = (totals[:, 0] / totals[:, 1]).tolist()
            logs = {**logs, **dict(zip(self.watched, means, strict=True))}
            self.watched = {}
        super().log(logs, start_time)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Measure the model as it will be used."""
        if self.evaluation is None:
            raise InputError("There are no examples to evaluate on. Pass eval_examples and eval_texts.")
        started = time.time()
        self.accelerator.unwrap_model(self.model).eval()
        answers = self._answers(self.evaluation)
        metrics = speed_metrics(metric_key_prefix, started, num_samples=len(answers))
        measures = self.evaluation.measure(answers)
        metrics |= {f"{metric_key_prefix}_{name}": value for name, value in measures.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _answers(self, evaluation: Evaluation) -> list[Any]:
        # Where weights are sharded, a pass needs all processes, so each of them takes all examples, side by side.
        if self.accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED):
            return evaluation.answers(0, 1)
        return gather_object(evaluation.answers(self.args.process_index, self.args.world_size))


class _EpochOfOrder(TrainerCallback):
    """Tells the order which epoch begins, also when it begins in the middle because training was killed there."""

    def __init__(self, order: ShuffledByLength):
        self.order = order

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        self.order.epoch = int(state.epoch or 0)
