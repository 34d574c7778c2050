"""What a training run would do, said without loading a weight."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.chosen_examples import choose_examples

from .adapters import to_base_id
from .training_examples import judgeable, of_users


def describe_run(arguments: Any, training_args: Any, dataset: BuiltDataset, rewards: Sequence[Any] = ()) -> int:
    """Print the plan of a run that could start as it is.

    Args:
        arguments ([`RunArguments`]): Of the role that would be trained.
        training_args (`TrainingArguments`): Of its trainer.
        dataset ([`BuiltDataset`]): Opened; its training examples are chosen and checked.
        rewards (`list[Callable]`, *optional*): What would be optimised.

    Returns:
        `int`: Exit code 0.
    """
    seed, history_length = training_args.seed, arguments.history_length
    of_split = of_users(dataset.examples("train"), arguments.users_from, arguments.users_below)
    chosen = choose_examples(of_split, arguments.limit, seed, history_length, arguments.discoveries)
    examples = judgeable(chosen)
    table = Table(title="Dry run", show_header=False)
    for name, value in _lines(arguments, training_args, dataset, len(examples), rewards):
        table.add_row(name, str(value))
    Console().print(table)
    return 0


def _lines(
    arguments: Any, training_args: Any, dataset: BuiltDataset, num_examples: int, rewards: Sequence[Any]
) -> list[tuple[str, Any]]:
    batch = training_args.per_device_train_batch_size * training_args.gradient_accumulation_steps
    steps = training_args.max_steps if training_args.max_steps > 0 else f"{training_args.num_train_epochs} epochs"
    weights = getattr(training_args, "reward_weights", None) or [1.0] * len(rewards)
    lines = [
        ("method", arguments.method),
        ("base model", to_base_id(arguments)),
        ("continues from", arguments.adapter or "a new adapter"),
        ("dataset", f"{dataset.name}, {num_examples} training examples"),
        ("steps", steps),
        ("rows per step and process", batch),
        ("learning rate", training_args.learning_rate),
        ("precision", "bfloat16" if training_args.bf16 else "float32"),
    ]
    pairs = zip(weights, rewards, strict=True)
    lines += (
        [("optimises", " + ".join(f"{weight:g} * {reward.__name__}" for weight, reward in pairs))] if rewards else []
    )
    if hasattr(training_args, "num_generations"):
        lines += [("group size", training_args.num_generations), ("KL weight", training_args.beta)]
        lines += [("rollouts", "vLLM" if training_args.use_vllm else "transformers")]
    return lines
