"""Stage 2, and the oracle of stage 1: teach a reasoner to recommend from text.

    logs2lang train reasoner --config smollm2-135m/reasoner/cpu.yaml --dataset data/mt --output_dir runs/reasoner
    accelerate launch -m logs2lang.train_reasoner --config ...   # the same, on several processes

Methods: `history_lm` (next-title language modelling), `sft` (cross-entropy), `exact` (the policy gradient in closed
form) and `grpo` (sampled answers, as Shi et al., 2026, arXiv 2602.20558).
"""

from collections.abc import Sequence
from typing import Any

from transformers import TrainingArguments
from trl import GRPOConfig

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.prompting.prompts import prompt_text

from .console.progress import show_status
from .models.language_models import LanguageModel
from .reasoners.questions import question
from .training.grpo.grpo_run import shuffles_per_example, to_grpo_trainer
from .training.objectives.prompt_rows import to_reasoner_rows
from .training.objectives.reasoner_objectives import ObjectiveSettings
from .training.objectives.reasoner_objectives import to_trainer as to_objective_trainer
from .training.objectives.rewards import AnswerReward
from .training.runs.adapters import trainable_model
from .training.runs.arguments import (
    ObjectiveArguments,
    ReasonerArguments,
    chat_template_kwargs,
    parse_arguments,
    run_as_script,
)
from .training.runs.dry_run import describe_run
from .training.runs.run_folder import TrainingRun
from .training.runs.texts import training_texts

_OBJECTIVE = (ObjectiveArguments, TrainingArguments)
CONFIGURATIONS = {"history_lm": _OBJECTIVE, "sft": _OBJECTIVE, "exact": _OBJECTIVE, "grpo": (GRPOConfig,)}


def main(argv: Sequence[str] | None = None) -> int:
    """Train a reasoner.

    Args:
        argv (`list[str]`, *optional*): Arguments; those of the process by default.

    Returns:
        `int`: Exit code: 0 when the adapter is written, 75 when the time limit came first.
    """
    args, *objective, training_args = parse_arguments(ReasonerArguments, CONFIGURATIONS, argv)
    with show_status() as say:
        say("Reading the dataset")
        dataset = BuiltDataset.open(args.dataset)
    if args.dry_run:
        return describe_run(args, training_args, dataset, [AnswerReward()] if args.method == "grpo" else ())
    run = TrainingRun(args, training_args, *objective)
    with show_status() as say:
        say("Loading the model")
        switches = chat_template_kwargs(*objective, training_args)
        policy = trainable_model(args, training_args.seed, chat_template_kwargs=switches)
        say("Writing the prompts")
        to_trainer = _grpo_trainer if args.method == "grpo" else _objective_trainer
        trainer = to_trainer(run, dataset, policy, *objective)
    run.train(trainer)
    return run.finish(trainer, policy, dataset, _record(args, dataset, *objective))


def _objective_trainer(
    run: TrainingRun, dataset: BuiltDataset, policy: LanguageModel, objective: ObjectiveArguments
) -> Any:
    """A trainer without sampling; see [`reasoner_objectives`]."""
    args = run.arguments
    choices = {name: value for name, value in vars(objective).items() if name != "chat_template_kwargs"}
    settings = ObjectiveSettings(method=args.method, history_length=args.history_length, **choices)
    train, validation = run.examples(dataset, "train"), run.examples(dataset, "validation")
    return to_objective_trainer(
        policy,
        train,
        training_texts(args, dataset, train, "train"),
        dataset.items(),
        settings,
        run.training_args,
        eval_examples=validation,
        eval_texts=None if validation is None else training_texts(args, dataset, validation, "validation"),
        callbacks=run.callbacks,
    )


def _grpo_trainer(run: TrainingRun, dataset: BuiltDataset, policy: LanguageModel) -> Any:
    """A trainer on sampled answers; the rows hold every shuffle, so the trainer goes over them once."""
    train = _rows(run, dataset, policy, "train")
    validation = _rows(run, dataset, policy, "validation")
    run.training_args.num_train_epochs = 1
    return to_grpo_trainer(policy, run.training_args, train, [AnswerReward()], validation, run.callbacks)


def _rows(run: TrainingRun, dataset: BuiltDataset, policy: LanguageModel, split: str) -> Any:
    examples = run.examples(dataset, split)
    if examples is None:
        return None
    shuffles = shuffles_per_example(run.training_args, len(examples)) if split == "train" else 1
    texts = training_texts(run.arguments, dataset, examples, split)
    return to_reasoner_rows(examples, texts, dataset.items(), policy, shuffles, run.training_args.seed)


def _record(args: ReasonerArguments, dataset: BuiltDataset, *objective: ObjectiveArguments) -> dict[str, Any]:
    """What `run.json` says of a reasoner beside what it says of every run."""
    asked = objective[0].answer if objective else "generate"
    answer = "title" if args.method == "history_lm" else asked
    text = args.verbalizer.replace(",", "-").partition("=")[0]
    return {
        "name": args.name or f"{args.base_model.split('/')[-1].lower()}-{dataset.name}-reasoner-{text}-{args.method}",
        "role": "reasoner",
        "method": args.method,
        "verbalizer": text,
        "answer": answer,
        "prompts": {"reasoner": question(answer) if answer in ("title", "tags") else prompt_text("reasoner")},
    }


if __name__ == "__main__":
    run_as_script(main)
