"""Stage 1: teach a verbalizer, first by example (`method: sft`), then by what an oracle recommends (`method: grpo`).

A smaller one can learn from one that was trained so (`method: distill`, or `sft` on its texts).

    logs2lang train verbalizer --config smollm2-135m/verbalizer/cpu.yaml --dataset data/mt --output_dir runs/verbalizer
    accelerate launch -m logs2lang.train_verbalizer --config ...   # the same, on several processes

Method: Shi et al. (2026), arXiv 2602.20558.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from accelerate import PartialState
from datasets import Dataset
from trl import DistillationConfig, GRPOConfig, SFTConfig, SFTTrainer

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import prompt_text

from .console.log_level import is_quiet
from .console.progress import show_status
from .models.language_models import LanguageModel
from .training.distillation.rewrite_student import open_teacher_model, teacher_texts, to_distillation_trainer
from .training.grpo.grpo_run import to_grpo_trainer
from .training.grpo.oracles import oracle_entry, oracle_hits, to_oracle
from .training.objectives.prompt_rows import SAMPLED_TOKENS, to_verbalizer_rows, to_warm_start_rows
from .training.objectives.rewards import LengthReward, OracleReward
from .training.runs.adapters import restrict_vocabulary, trainable_model
from .training.runs.arguments import (
    ChatTemplateArguments,
    VerbalizerArguments,
    chat_template_kwargs,
    parse_arguments,
    run_as_script,
)
from .training.runs.dry_run import describe_run
from .training.runs.resumable_trainer import ResumableTrainer
from .training.runs.run_folder import TrainingRun
from .training.runs.run_record import parent_entry, read_json, write_json
from .verbalizers.action import decision_token_ids
from .verbalizers.decided_texts import WITH_NEXT
from .verbalizers.learned import LEARNED_VERBALIZERS
from .verbalizers.rewrite import RewriteVerbalizer

CONFIGURATIONS = {
    "sft": (ChatTemplateArguments, SFTConfig),
    "grpo": (GRPOConfig,),
    "distill": (DistillationConfig,),
}
ORACLE_FILE = "oracle.json"
ORACLE_USERS = {"own_users": "users it was trained on", "verbalizer_users": "users the verbalizer learns from"}
"""Whose examples the oracle's hits are counted on; see [`oracles.oracle_hits`]."""
WATCHED = ("train", "validation")
"""The splits that training reads; `test` is for evaluation alone."""


class ResumableSFTTrainer(ResumableTrainer, SFTTrainer):
    """TRL's trainer with whole checkpoints and a stop at the first loss that is no number."""


def main(argv: Sequence[str] | None = None) -> int:
    """Train a verbalizer.

    Args:
        argv (`list[str]`, *optional*): Arguments; those of the process by default.

    Returns:
        `int`: Exit code: 0 when the adapter is written, 75 when the time limit came first.
    """
    args, *template, training_args = parse_arguments(VerbalizerArguments, CONFIGURATIONS, argv)
    with show_status() as say:
        say("Reading the dataset")
        dataset = BuiltDataset.open(args.dataset)
    if args.dry_run:
        return describe_run(
            args, training_args, dataset, _rewards(args, dataset, None) if args.method == "grpo" else ()
        )
    run = TrainingRun(args, training_args, *template)
    with show_status() as say:
        say("Loading the models")
        switches = chat_template_kwargs(*template, training_args)
        policy = trainable_model(args, training_args.seed, chat_template_kwargs=switches)
        verbalizer = _verbalizer(args, dataset, policy)
        say("Writing the prompts")
        to_trainer = {"sft": _sft_trainer, "grpo": _grpo_trainer, "distill": _distillation_trainer}[args.method]
        trainer = to_trainer(run, dataset, policy, verbalizer)
    run.train(trainer)
    return run.finish(trainer, policy, dataset, _record(run, dataset), verbalizer.save_config)


def _verbalizer(args: VerbalizerArguments, dataset: BuiltDataset, policy: LanguageModel | None = None) -> Any:
    """What asks, and what makes texts of the answers."""
    kind = LEARNED_VERBALIZERS[args.verbalizer]
    choices: dict[str, Any] = {"decisions": args.decisions, "as_lists": args.as_lists}
    if args.verbalizer == "rewrite":
        room = {"max_new_tokens": args.max_verbalization_tokens, "record_tokens": args.record_tokens}
        choices = {**room, "successors": dataset.known_successors()}
    elif args.decisions == len(WITH_NEXT):
        choices["successors"] = dataset.successors()
    return kind(dataset.items(), policy, history_length=args.history_length, **choices)


def _sft_trainer(
    run: TrainingRun, dataset: BuiltDataset, policy: LanguageModel, verbalizer: Any
) -> ResumableSFTTrainer:
    """Warm start: the first groups of GRPO should not be all noise. Or, with a teacher, learning its texts."""
    run.training_args.max_length = policy.max_prompt_tokens  # TRL's 1,024 would cut off what is to be learned
    to_rows = _to_taught_rows(run, dataset)
    train, validation = (_rows(run, dataset, split, policy, verbalizer, to_rows) for split in WATCHED)
    return ResumableSFTTrainer(
        model=policy.model,
        args=run.training_args,
        train_dataset=train,
        eval_dataset=validation,
        processing_class=policy.tokenizer,
        callbacks=run.callbacks,
    )


def _to_taught_rows(run: TrainingRun, dataset: BuiltDataset) -> Callable[..., Any]:
    """What turns examples into rows to learn by heart: with the texts of the teacher, where there is one."""
    teacher = run.arguments.teacher
    if teacher is None:
        return to_warm_start_rows
    kind = LEARNED_VERBALIZERS[run.arguments.verbalizer]
    writer = kind.from_pretrained(teacher, dataset.items(), successors=dataset.known_successors())

    def to_rows(examples: Dataset, verbalizer: Any, language_model: LanguageModel) -> Dataset:
        return to_warm_start_rows(examples, verbalizer, language_model, teacher_texts(writer, examples))

    return to_rows


def _distillation_trainer(run: TrainingRun, dataset: BuiltDataset, policy: LanguageModel, verbalizer: Any) -> Any:
    """A smaller model learns, on texts of its own, how probable its teacher finds each next token."""
    if run.arguments.verbalizer != RewriteVerbalizer.name:
        raise InputError(
            "method distill is for rewrite. An action verbalizer is distilled with `logs2lang distill`, into a "
            "student that needs no language model."
        )
    teacher = open_teacher_model(run.arguments.teacher, policy)
    train, validation = (_rows(run, dataset, split, policy, verbalizer, to_verbalizer_rows) for split in WATCHED)
    run.training_args.max_completion_length = verbalizer.max_new_tokens
    return to_distillation_trainer(policy, teacher, run.training_args, train, validation, run.callbacks)


def _grpo_trainer(run: TrainingRun, dataset: BuiltDataset, policy: LanguageModel, verbalizer: Any) -> Any:
    rewards = _rewards(run.arguments, dataset, policy.tokenizer, run.folder)
    _count_hits(run, dataset, rewards[0].oracle)
    train, validation = (_rows(run, dataset, split, policy, verbalizer, to_verbalizer_rows) for split in WATCHED)
    run.training_args.max_completion_length = max(train[SAMPLED_TOKENS])
    if run.arguments.verbalizer == "action":
        _decide_alone(run.training_args, policy, verbalizer.known)
    return to_grpo_trainer(policy, run.training_args, train, rewards, validation, run.callbacks)


def _decide_alone(training_args: GRPOConfig, policy: LanguageModel, known: Sequence[str]) -> None:
    """Keep the policy to the words that decide, where it samples and where it learns."""
    token_ids = decision_token_ids(policy.tokenizer, known)
    restrict_vocabulary(policy.model, token_ids)
    if training_args.use_vllm:  # samples from a copy of the weights
        chosen: Any = training_args.generation_kwargs or {}
        training_args.generation_kwargs = {**chosen, "allowed_token_ids": token_ids}


def _rewards(
    args: VerbalizerArguments, dataset: BuiltDataset, tokenizer: Any, folder: Path | None = None
) -> list[Any]:
    """What is optimised: the oracle's accuracy and the plateau of lengths, weighed by `reward_weights`."""
    items = dataset.items()
    verbalizer = _verbalizer(args, dataset)  # without the policy: a reward must not carry what it judges
    oracle = None if args.dry_run else to_oracle(args, folder)
    return [
        OracleReward(oracle, verbalizer, items, args.oracle_reward),
        LengthReward(verbalizer, tokenizer, args.length_low, args.length_high, args.length_end),
    ]


def _count_hits(run: TrainingRun, dataset: BuiltDataset, oracle: Any) -> None:
    """Say and keep how often the oracle hits before it judges; once in a run, whatever pieces it is done in."""
    path = run.folder / ORACLE_FILE
    if path.exists() or not PartialState().is_main_process:
        return
    counts = oracle_hits(oracle, dataset, run.arguments, run.training_args.seed)
    write_json(counts, path)
    if counts and not is_quiet():
        said = (f"{count['hits']} of {count['n']} examples of {ORACLE_USERS[name]}" for name, count in counts.items())
        print(f"Oracle hits from template text: {', '.join(said)}.", file=sys.stderr)


def _rows(
    run: TrainingRun,
    dataset: BuiltDataset,
    split: str,
    policy: LanguageModel,
    verbalizer: Any,
    to_rows: Callable[..., Any],
) -> Any:
    """The rows of a split, or `None` where it is not watched."""
    examples = run.examples(dataset, split)
    return None if examples is None else to_rows(examples, verbalizer, policy)


def _record(run: TrainingRun, dataset: BuiltDataset) -> dict[str, Any]:
    """What `run.json` says of a verbalizer beside what it says of every run."""
    args, path = run.arguments, run.folder / ORACLE_FILE
    counts = {"template_hits": read_json(path)} if path.exists() else {}
    return {
        "name": args.name or f"{args.base_model.split('/')[-1].lower()}-{dataset.name}-verbalizer-{args.verbalizer}",
        "role": "verbalizer",
        "method": args.method,
        "verbalizer": args.verbalizer,
        "answer": None,
        "oracle": {**oracle_entry(args), **counts} if args.method == "grpo" else None,
        "prompts": {"verbalizer": prompt_text(_prompt_name(args))},
        **({"teacher": parent_entry(args.teacher)} if args.teacher else {}),
    }


def _prompt_name(args: VerbalizerArguments) -> str:
    """The prompt text of the verbalizer."""
    if args.verbalizer == "rewrite":
        return "verbalizer" if args.record_tokens is None else "verbalizer_described"
    return "action_next" if args.decisions == len(WITH_NEXT) else "action"


if __name__ == "__main__":
    run_as_script(main)
