"""Training a reasoner without sampling: history language modelling, cross-entropy, and the exact policy gradient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from datasets import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from dataset_builders.input_error import InputError
from dataset_builders.schema import Item
from hub_recipes.language_models import LanguageModel

Method = Literal["history_lm", "sft", "exact"]


@dataclass(frozen=True)
class ObjectiveSettings:
    """What is optimised, and what of it is shown.

    Args:
        method (`str`): `"history_lm"`: next-title language modelling over whole histories. `"sft"`: cross-entropy of the
            target. `"exact"`: the expected GRPO update over the candidates in closed form.
        answer (`str`, *optional*, defaults to `"label"`): `"label"` or `"title"`, as [`LocalReasoner`] answers;
            `history_lm` trains `"title"`.
        max_length (`int`, *optional*): Most tokens of a prompt with its answers; the model's window when `None`. What is
            longer loses its oldest lines, and is counted.
        beta (`float`, *optional*, defaults to 0.0): For `exact`: weight of the KL term against the reference.
        scale_rewards (`str`, *optional*, defaults to `"group"`): For `exact`: `"group"` divides advantages by the
            standard deviation of the reward, as GRPO does; `"none"` does not, as Dr. GRPO.
        history_length (`int`, *optional*): For `history_lm`: newest records of a history that are read; all when `None`.
        subtract_prior (`bool`, *optional*, defaults to `True`): For `"title"`: see [`LocalReasoner`].
        reference (`str`, *optional*, defaults to `"base"`): For `exact`: `"base"`, the model without adapter, or
            `"start"`, the adapter as it is when training starts.
        records (`str`, *optional*, defaults to `"titles"`): For `history_lm`: what of a record is read: `"titles"`
            alone, or all its fields as `"template"` text.
        questions (`int`, *optional*, defaults to 1): For `history_lm`: how many records of each history are also asked
            for at the end of a prompt, as at inference.
    """

    method: Method
    answer: Literal["label", "title"] = "label"
    max_length: int | None = None
    beta: float = 0.0
    scale_rewards: Literal["group", "none"] = "group"
    history_length: int | None = None
    subtract_prior: bool = True
    reference: Literal["base", "start"] = "base"
    records: Literal["titles", "template"] = "titles"
    questions: int = 1


def train_objective(
    language_model: LanguageModel,
    examples: Dataset,
    texts: Sequence[str],
    items: Mapping[str, Item],
    settings: ObjectiveSettings,
    training_args: TrainingArguments,
    eval_examples: Dataset | None = None,
    eval_texts: Sequence[str] | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    resume_from_checkpoint: str | bool | None = None,
) -> Trainer:
    """Train the LoRA adapter of a language model as a reasoner.

    Args:
        language_model ([`LanguageModel`]): Its `model` is a `PeftModel` whose adapter can be trained.
        examples (`datasets.Dataset`): Training rows of `EXAMPLE_FEATURES`.
        texts (`list[str]`): The verbalized history of each example; `history_lm` reads the histories themselves.
        items (`dict[str, Item]`): The catalogue.
        settings ([`ObjectiveSettings`]): What is optimised.
        training_args (`transformers.TrainingArguments`): How.
        eval_examples (`datasets.Dataset`, *optional*): What `eval_recall@1` is measured on.
        eval_texts (`list[str]`, *optional*): Their verbalized histories.
        callbacks (`list[TrainerCallback]`, *optional*): For the trainer.
        resume_from_checkpoint (`str` or `bool`, *optional*): A folder that training wrote, or `True` for the last one.

    Returns:
        `transformers.Trainer`: After training.
    """
    raise InputError("Not yet.")
