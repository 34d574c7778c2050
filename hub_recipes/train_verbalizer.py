"""Stage 1: teach a verbalizer, first by example (`method: sft`), then by what an oracle recommends (`method: grpo`).

    logs2lang train verbalizer --config smollm2-135m/verbalizer/cpu.yaml --dataset data/mt --output_dir runs/verbalizer
    accelerate launch -m hub_recipes.train_verbalizer --config ...   # the same, on several processes

Method: Shi et al. (2026), arXiv 2602.20558.
"""

from collections.abc import Callable, Sequence
from typing import Any

from trl import GRPOConfig, SFTConfig, SFTTrainer

from dataset_builders.built_dataset import BuiltDataset
from dataset_builders.prompts import prompt_text
from hub_recipes.grpo_run import to_grpo_trainer
from hub_recipes.language_models import LanguageModel
from hub_recipes.rewards import LengthReward, OracleReward
from hub_recipes.training.adapters import trainable_model
from hub_recipes.training.arguments import VerbalizerArguments, parse_arguments, run_as_script
from hub_recipes.training.dry_run import describe_run
from hub_recipes.training.oracles import oracle_entry, to_oracle
from hub_recipes.training.prompt_rows import to_verbalizer_rows, to_warm_start_rows
from hub_recipes.training.resumable_trainer import ResumableTrainer
from hub_recipes.training.run_folder import TrainingRun
from hub_recipes.verbalizers.learned import LEARNED_VERBALIZERS

CONFIGURATIONS = {"sft": (SFTConfig,), "grpo": (GRPOConfig,)}
PROMPTS = {"rewrite": "verbalizer", "action": "action"}
"""The prompt text of each verbalizer."""


class ResumableSFTTrainer(ResumableTrainer, SFTTrainer):
    """TRL's trainer with whole checkpoints and a stop at the first loss that is no number."""


def main(argv: Sequence[str] | None = None) -> int:
    """Train a verbalizer.

    Args:
        argv (`list[str]`, *optional*): Arguments; those of the process by default.

    Returns:
        `int`: Exit code: 0 when the adapter is written, 75 when the time limit came first.
    """
    args, training_args = parse_arguments(VerbalizerArguments, CONFIGURATIONS, argv)
    dataset = BuiltDataset.open(args.dataset)
    if args.dry_run:
        return describe_run(
            args, training_args, dataset, _rewards(args, dataset, None) if args.method == "grpo" else ()
        )
    run = TrainingRun(args, training_args)
    policy = trainable_model(args, training_args.seed)
    to_trainer = {"sft": _sft_trainer, "grpo": _grpo_trainer}[args.method]
    trainer = to_trainer(run, dataset, policy)
    run.train(trainer)
    return run.finish(trainer, dataset, _record(args, dataset))


def _sft_trainer(run: TrainingRun, dataset: BuiltDataset, policy: LanguageModel) -> ResumableSFTTrainer:
    """Warm start: the first groups of GRPO should not be all noise."""
    run.training_args.max_length = policy.max_prompt_tokens  # TRL's 1,024 would cut off what is to be learned
    train, validation = _rows(run, dataset, policy, to_warm_start_rows)
    return ResumableSFTTrainer(
        model=policy.model,
        args=run.training_args,
        train_dataset=train,
        eval_dataset=validation,
        processing_class=policy.tokenizer,
        callbacks=run.callbacks,
    )


def _grpo_trainer(run: TrainingRun, dataset: BuiltDataset, policy: LanguageModel) -> Any:
    rewards = _rewards(run.arguments, dataset, policy.tokenizer)
    train, validation = _rows(run, dataset, policy, to_verbalizer_rows)
    return to_grpo_trainer(policy, run.training_args, train, rewards, validation, run.callbacks)


def _rewards(args: VerbalizerArguments, dataset: BuiltDataset, tokenizer: Any) -> list[Any]:
    """What is optimised: the oracle's accuracy and the plateau of lengths, weighed by `reward_weights`."""
    items = dataset.items()
    verbalizer = LEARNED_VERBALIZERS[args.verbalizer](items)
    oracle = None if args.dry_run else to_oracle(args)
    return [
        OracleReward(oracle, verbalizer, items, args.oracle_reward),
        LengthReward(verbalizer, tokenizer, args.length_low, args.length_high),
    ]


def _rows(run: TrainingRun, dataset: BuiltDataset, policy: LanguageModel, to_rows: Callable[..., Any]) -> list[Any]:
    """The training rows, and those that are only watched."""
    settings = {}
    if run.arguments.verbalizer == "rewrite" and hasattr(run.training_args, "max_completion_length"):
        settings["max_new_tokens"] = run.training_args.max_completion_length
    verbalizer = LEARNED_VERBALIZERS[run.arguments.verbalizer](dataset.items(), policy, **settings)
    splits = [run.examples(dataset, split) for split in ("train", "validation")]
    return [None if examples is None else to_rows(examples, verbalizer, policy) for examples in splits]


def _record(args: VerbalizerArguments, dataset: BuiltDataset) -> dict[str, Any]:
    """What `run.json` says of a verbalizer beside what it says of every run."""
    return {
        "name": args.name or f"{args.base_model.split('/')[-1].lower()}-{dataset.name}-verbalizer-{args.verbalizer}",
        "role": "verbalizer",
        "method": args.method,
        "verbalizer": args.verbalizer,
        "answer": None,
        "oracle": oracle_entry(args) if args.method == "grpo" else None,
        "prompts": {"verbalizer": prompt_text(PROMPTS[args.verbalizer])},
    }


if __name__ == "__main__":
    run_as_script(main)
