"""Group relative policy optimisation of an adapter: what both stages share."""

from collections.abc import Callable, Sequence
from math import ceil
from typing import Any

from datasets import Dataset
from torch import Tensor
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from logs2lang.dataset_builders.input_error import InputError

from ...models.language_models import LanguageModel
from ..objectives.prompt_rows import SAMPLED_TOKENS
from ..runs.resumable_trainer import ResumableTrainer
from .shared_prompts import SharedPrompts


class ResumableGRPOTrainer(ResumableTrainer, SharedPrompts, GRPOTrainer):
    """TRL's trainer with whole checkpoints, a stop at the first loss that is no number, and each prompt read once.

    A row learns from the first `sampled_tokens` of an answer. All answers of a batch are sampled to one length,
    and what nobody reads has no loss, no entropy and no length.

    Beside what TRL logs, `<name>/alone` of each reward but the first: the share of groups that learn from it alone.
    """

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._sampled_tokens = [row.get(SAMPLED_TOKENS) for row in inputs]  # `None` is all of them
        return super()._generate_and_score_completions(inputs)

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> tuple[list[list[int]], list[list[float]] | None]:
        token_ids, log_probs = super()._generate_single_turn(*args, **kwargs)
        return self._only_read(token_ids), None if log_probs is None else self._only_read(log_probs)

    def _only_read(self, answers: list[list[Any]]) -> list[list[Any]]:
        return [answer[:tokens] for answer, tokens in zip(answers, self._sampled_tokens, strict=True)]

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Tensor:
        rewards = super()._calculate_rewards(*args, **kwargs)  # of all processes
        mode = "train" if self.model.training else "eval"
        size = self.num_generations if mode == "train" else self.num_generations_eval
        counted = (self.reward_weights != 0).to(rewards.device)  # what weighs nothing is only watched
        grouped = rewards.nan_to_num().view(-1, size, rewards.shape[1]) * counted
        for place, name in enumerate(self.reward_func_names[1:], start=1):
            self._metrics[mode][f"{name}/alone"].append(share_alone(grouped, place))
        return rewards


def share_alone(rewards: Tensor, place: int) -> float:
    """The share of groups in which one reward differs between completions and no other does.

    Args:
        rewards (`Tensor` of shape `(groups, completions, rewards)`): NaN where a reward is `None`.
        place (`int`): Of the reward in question.

    Example:
        >>> missed, mixed = [[0.0, 1.0], [0.0, 0.5]], [[1.0, 1.0], [0.0, 0.5]]
        >>> share_alone(Tensor([missed, mixed]), 1)
        0.5
    """
    differs = (rewards.nan_to_num() - rewards.nan_to_num()[:, :1]).abs().amax(dim=1) > 0
    return (differs[:, place] & (differs.sum(dim=1) == 1)).float().mean().item()


def to_grpo_trainer(
    policy: LanguageModel,
    training_args: GRPOConfig,
    prompts: Dataset,
    rewards: Sequence[Callable[..., list[float | None]]],
    eval_prompts: Dataset | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> ResumableGRPOTrainer:
    """A trainer of the policy's adapter, ready to run.

    Args:
        policy ([`LanguageModel`]): With an adapter in training mode. One that continues from an earlier one is held
            near that adapter by the KL term, a new one near the base model.
        training_args (`trl.GRPOConfig`): See TRL. `reward_weights` must have one weight per reward.
        prompts (`datasets.Dataset`): Rows of [`training.prompt_rows`], with `prompt` and the columns of the rewards.
        rewards (`list[Callable]`): As in [`rewards`].
        eval_prompts (`datasets.Dataset`, *optional*): Prompts that are only watched.
        callbacks (`list[TrainerCallback]`, *optional*): Beside those of transformers.

    Raises:
        InputError: There are fewer prompts than a step takes, or weights that do not match the rewards.
    """
    check_weights(training_args.reward_weights, rewards)
    check_enough(prompts, training_args)
    training_args.chat_template_kwargs = dict(policy.chat_template_kwargs)  # TRL makes the prompts itself
    return ResumableGRPOTrainer(
        model=policy.model,
        args=training_args,
        train_dataset=prompts,
        eval_dataset=eval_prompts,
        reward_funcs=list(rewards),
        processing_class=policy.tokenizer,
        callbacks=list(callbacks),
    )


def check_weights(weights: Sequence[float] | None, rewards: Sequence[Any]) -> None:
    """Refuse reward weights that do not match the rewards."""
    names = [reward.__name__ for reward in rewards]
    if weights is not None and len(weights) != len(rewards):
        raise InputError(
            f"reward_weights has {len(weights)} numbers, but the rewards are {', '.join(names)}; give "
            "one number for each."
        )


def check_enough(prompts: Dataset, training_args: GRPOConfig) -> None:
    """Refuse a run whose first step would need more prompts than there are: TRL would train on none."""
    size = training_args.generation_batch_size
    needed = (size or 0) // (training_args.num_generations or 1)
    if len(prompts) < needed:
        raise InputError(
            f"A step takes {needed} prompts, but there are only {len(prompts)}. Lower per_device_train_batch_size or "
            "gradient_accumulation_steps, or build a larger dataset."
        )


def shuffles_per_example(training_args: GRPOConfig, num_examples: int) -> int:
    """How often each example must stand among the rows, so that one pass over them is as long as was asked for.

    Args:
        training_args (`trl.GRPOConfig`): `max_steps` counts where it is set, else `num_train_epochs`.
        num_examples (`int`): Above 0.
    """
    if training_args.max_steps > 0:
        return ceil(training_args.max_steps * prompts_per_step(training_args) / num_examples)
    return ceil(training_args.num_train_epochs)


def prompts_per_step(training_args: GRPOConfig) -> int:
    """How many different prompts one optimiser step learns from, over all processes."""
    rows = training_args.per_device_train_batch_size * training_args.gradient_accumulation_steps
    return max(1, rows * training_args.world_size // (training_args.num_generations or 1))
