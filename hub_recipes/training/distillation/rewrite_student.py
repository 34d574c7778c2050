"""Distil a rewrite verbalizer: a smaller language model learns to write as a larger one does.

On-policy (Agarwal et al. 2024, arXiv 2306.13649): the student writes, and learns at each token which probabilities
its teacher would have given. So it learns from the mistakes that it makes, which the teacher's own texts do not show.
"""

from collections.abc import Sequence
from typing import Any, cast

from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedModel, TrainerCallback
from trl import DistillationConfig, DistillationTrainer

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import EXAMPLE_ID, FOLD, HISTORY

from ...models.language_models import LanguageModel, load_language_model
from ..runs.resumable_trainer import ResumableTrainer


class ResumableDistillationTrainer(ResumableTrainer, DistillationTrainer):
    """TRL's trainer with whole checkpoints and a stop at the first loss that is no number."""


def teacher_texts(teacher: Any, examples: Dataset) -> dict[str, str]:
    """What a teacher writes about each example, by example id; what it wrote before comes from the cache on disk.

    Args:
        teacher ([`LanguageModelVerbalizer`]): With its language model.
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`, with `fold`.
    """
    writings = teacher.write(examples[HISTORY][:], folds=examples[FOLD][:])
    return {example_id: one.completion for example_id, one in zip(examples[EXAMPLE_ID], writings, strict=True)}


def open_teacher_model(name: str | None, policy: LanguageModel) -> PreTrainedModel:
    """The language model that a student learns from, with its adapter merged into it.

    Args:
        name (`str`, *optional*): Adapter or base model, by Hub id or folder.
        policy ([`LanguageModel`]): The student.

    Raises:
        InputError: There is no teacher, or its tokens are not the student's.
    """
    if name is None:
        raise InputError("method distill needs --teacher: a rewrite verbalizer, by Hub id or folder.")
    teacher = load_language_model(name)
    if teacher.tokenizer.get_vocab() != policy.tokenizer.get_vocab():
        raise InputError(
            f"The teacher {name} has another vocabulary than {policy.model_id}, so their probabilities cannot be "
            "compared. Choose a base model of the same family, or method: sft, which learns the teacher's texts."
        )
    # TRL reads the hidden states below the head, past what wraps the model.
    model = teacher.model.merge_and_unload() if isinstance(teacher.model, PeftModel) else teacher.model
    return cast(PreTrainedModel, model.requires_grad_(False))


def to_distillation_trainer(
    policy: LanguageModel,
    teacher: PreTrainedModel,
    training_args: DistillationConfig,
    prompts: Dataset,
    eval_prompts: Dataset | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> ResumableDistillationTrainer:
    """A trainer of the policy's adapter, ready to run.

    Args:
        policy ([`LanguageModel`]): With an adapter in training mode.
        teacher (`PreTrainedModel`): Frozen; see `open_teacher_model`.
        training_args (`trl.DistillationConfig`): See TRL.
        prompts (`datasets.Dataset`): Rows with `prompt`.
        eval_prompts (`datasets.Dataset`, *optional*): Prompts that are only watched.
        callbacks (`list[TrainerCallback]`, *optional*): Beside those of transformers.
    """
    training_args.chat_template_kwargs = dict(policy.chat_template_kwargs)  # TRL makes the prompts itself
    return ResumableDistillationTrainer(
        model=policy.model,
        teacher_model=teacher,
        args=training_args,
        train_dataset=prompts,
        eval_dataset=eval_prompts,
        processing_class=policy.tokenizer,
        callbacks=list(callbacks),
    )
