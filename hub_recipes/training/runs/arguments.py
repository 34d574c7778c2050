"""The arguments of a training run: our own, beside every field of the trainer's configuration.

A recipe is a YAML file that holds choices; the command line overrides it. An unknown or a missing one is an error that
names it, never a default in silence.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NoReturn, cast

import torch
import yaml
from trl import TrlParser

from logs2lang.dataset_builders.input_error import InputError, did_you_mean
from logs2lang.dataset_builders.prompting.described_records import RECORD_TOKENS

from ...console.log_level import set_log_level
from ...models.accelerators import accelerator
from .adapters import AdapterArguments

CONFIGS = Path(__file__).parents[2] / "configs"
"""Where our recipes lie."""

LIMITS = ("minutes", "max_calls", "max_cost", "input_price", "output_price")
"""Limits of a run. They decide when a run stops and never what is learned, so a run may resume with other limits."""


def option(default: Any, text: str) -> Any:
    """A field with its line in `--help`."""
    return field(default=default, metadata={"help": text})


@dataclass
class RunArguments(AdapterArguments):
    """Arguments of every training run."""

    dataset: str = option("", "A built folder, or a dataset repository of the Hub. Required.")
    name: str | None = option(None, "Name of the adapter; by default made from base model, dataset and role.")
    limit: int | None = option(None, "Number of training examples, chosen by the seed; all by default.")
    validation_limit: int = option(100, "Number of validation examples to evaluate on; 0 for none.")
    users_from: float = option(
        0.0,
        "Train only on users whose hash is at or above this fraction of the hash range. An oracle and the "
        "verbalizer that it judges should share no user: 0 to 0.5 for one, 0.5 to 1 for the other.",
    )
    users_below: float = option(1.0, "Train only on users whose hash is below this fraction.")
    discoveries: bool = option(False, "Only examples whose target the user never touched before.")
    history_length: int | None = option(
        None, "Keep only this many of the newest records of each history; all by default."
    )
    release: Literal["full", "smoke"] = option(
        "full", "smoke: a run too short for meaningful results; its card says so."
    )
    matmul_precision: Literal["highest", "high", "medium"] = option(
        "highest",
        "Precision of matrix products in float32. medium: left to oneDNN, which is faster and may round to bfloat16, "
        "on processors with instructions for it (AMX or AVX512-BF16); weights stay in float32.",
    )
    minutes: float | None = option(None, "Stop with a checkpoint after this many minutes; the same command resumes.")
    dry_run: bool = option(False, "Prepare everything except the weights, print what would be trained, and stop.")


@dataclass
class VerbalizerArguments(RunArguments):
    """Arguments of `train verbalizer`."""

    method: Literal["sft", "grpo", "distill"] = option(
        "grpo",
        "sft: warm start on profile text or on random decisions, or learning a teacher's texts. grpo: rewarded by the "
        "oracle's accuracy. distill: learns a teacher's probabilities on texts of its own (rewrite only).",
    )
    teacher: str | None = option(
        None,
        "sft, distill: verbalizer to learn from, by Hub id or folder. For distill its base model must have the same "
        "vocabulary.",
    )
    verbalizer: Literal["rewrite", "action"] = option("rewrite", "rewrite: free text. action: a decision per record.")
    decisions: Literal[3, 4] = option(
        3, "action: 3 decides between drop, keep and detail; 4 also next, the titles that other users chose after it."
    )
    as_lists: bool = option(
        False,
        "action: name works in two lists, what is kept and what others chose next, instead of a line per record.",
    )
    max_verbalization_tokens: int = option(
        96, "Maximum number of tokens of a rewrite; action always uses one token per record."
    )
    record_tokens: int | None = option(
        RECORD_TOKENS,
        "Approximate number of tokens for the records in a rewrite's prompt, with year, tags and what others chose "
        "next. If they do not fit, what others chose next is left out first, and the oldest records last.",
    )
    oracle: str | None = option(
        None, "Frozen oracle: an adapter or base model by Hub id or folder, or the endpoint's name for the model."
    )
    oracle_url: str | None = option(
        None, "URL of an OpenAI-compatible server; its key is read only from LOGS2LANG_API_KEY."
    )
    oracle_thinking: bool = option(
        True,
        "false: disable thinking in the oracle's chat template (enable_thinking: false), for models such as Qwen3. "
        "A thought takes more tokens than an answer is allowed.",
    )
    oracle_answer: Literal["label", "title", "tags", "generate"] | None = option(
        None,
        "Answer mode of the oracle; by default the one it was trained with, else title, or label on a server.",
    )
    oracle_temperature: float | None = option(
        None,
        "Divides the scores of an oracle that answers by title or tags; by default the temperature it was trained "
        "with. Use a higher value for an overconfident oracle, whose probabilities depend on single words.",
    )
    oracle_reward: Literal["hit", "probability", "log_likelihood"] = option(
        "hit",
        "hit: 1 or 0, as in the paper. probability, log_likelihood: that of the target; dense, and both need an "
        "oracle with probabilities. log_likelihood also penalises overconfidence of the oracle.",
    )
    oracle_check: int = option(
        32,
        "Number of training examples on which the oracle's hits are counted before training, once for users that it "
        "was trained on and once for users that the verbalizer learns from; 0 for none.",
    )
    max_calls: int | None = option(
        None, "Maximum number of endpoint calls by all processes and runs with this output_dir; no cap by default."
    )
    max_cost: float | None = option(None, "The same in US dollars; needs both prices. No cap by default.")
    input_price: float | None = option(None, "The endpoint's price in US dollars per million prompt tokens.")
    output_price: float | None = option(None, "The endpoint's price in US dollars per million answer tokens.")
    length_low: float = option(0.3, "Shortest text with full length reward, as a share of the template's tokens.")
    length_high: float = option(0.7, "Longest text with full length reward, likewise.")
    length_end: float = option(
        1.0, "Where the length reward reaches 0. Above 1, a text may be longer than the template at a price per token."
    )


@dataclass
class ReasonerArguments(RunArguments):
    """Arguments of `train reasoner`."""

    method: Literal["history_lm", "sft", "exact", "grpo"] = option(
        "exact",
        "history_lm: next-title prediction on histories. sft: cross-entropy of the right candidate. exact: GRPO in "
        "closed form over the candidates. grpo: sampled answers, as in the paper.",
    )
    verbalizer: str = option(
        "template",
        "Verbalizer of the texts: template, profile, successors, action (random decisions), another decision rule "
        "such as action:next, or NAME=ADAPTER; several, separated by commas, alternate.",
    )
    texts: str | None = option(
        None,
        "Instead of a verbalizer: folder with train.parquet and validation.parquet, or their shards, as written by "
        "`logs2lang verbalize`.",
    )


@dataclass
class ChatTemplateArguments:
    """An argument of TRL's GRPO configuration, for the methods whose trainers lack it."""

    chat_template_kwargs: dict | str | None = field(
        default=None,
        metadata={
            "help": "Arguments for the chat template of every prompt, as JSON such as '{\"enable_thinking\": false}'; "
            "saved with the adapter. By default those of the adapter that training continues from."
        },
    )

    def __post_init__(self) -> None:
        given = self.chat_template_kwargs
        if isinstance(given, str) and given.startswith("{"):  # as TRL reads it; what is none is refused at loading
            self.chat_template_kwargs = json.loads(given)


@dataclass
class ObjectiveArguments(ChatTemplateArguments):
    """Arguments of the methods that need no sampling."""

    answer: Literal["label", "title", "tags"] = option(
        "label",
        "Answer mode. label: the letter of a candidate. title: its name, which suits small models. tags: its tags, "
        "for catalogues whose titles say little.",
    )
    max_length: int | None = option(
        None,
        "Maximum number of tokens of a prompt; the model's context window by "
        "default. Longer contexts lose their oldest lines.",
    )
    beta: float = option(0.0, "exact: weight of the KL term.")
    scale_rewards: Literal["group", "none"] = option(
        "group", "exact: whether advantages are divided by their standard deviation, as in GRPO."
    )
    reference: Literal["base", "start"] = option(
        "base", "exact: reference of the KL term: the base model, or the adapter at the start of training."
    )
    subtract_prior: bool = option(True, "title, tags: subtract the score without context, as in evaluation.")
    records: Literal["titles", "template"] = option(
        "titles", "history_lm: what is read of each record: its title, or its line of the template."
    )
    questions: int = option(
        1, "history_lm: number of records per history that are also asked for as a question, as at inference."
    )
    temperature: float = option(
        1.0, "exact, and sft by title or tags: divides the candidates' scores; above 1 for answers of many tokens."
    )


class RecipeParser(TrlParser):
    """TRL's parser, whose errors are sentences and whose help is about what is ours."""

    def __init__(self, types: Sequence[type]):
        self.types = types
        super().__init__(cast(Any, types))
        # `--meth sft` would set the method here, and not where it decides which arguments there are.
        self.allow_abbrev = False

    def format_help(self) -> str:
        """Our arguments with their meaning; the trainer's hundreds of arguments only by name."""
        *ours, trainers = self.types
        role = self.types[0].__name__.removesuffix("Arguments").lower()
        recipes = sorted(CONFIGS.glob(f"*/{role}/*.yaml"))
        lines = [
            f"logs2lang train {role} --config RECIPE --dataset FOLDER --output_dir FOLDER [--NAME VALUE ...]",
            "",
            *(_help_line(part) for one in ours for part in fields(one)),
            "",
            f"Every field of {trainers.__name__} is an argument too, such as --learning_rate, --max_steps, --seed,",
            "--per_device_train_batch_size. The command line overrides the recipe.",
            "",
            "Recipes: " + ", ".join(path.relative_to(CONFIGS).as_posix() for path in recipes),
            "",
        ]
        return "\n".join(lines)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message[0].upper()}{message[1:]}. See --help for every argument.")


def parse_arguments(
    own: type[RunArguments], configurations: Mapping[str, Sequence[type]], argv: Sequence[str] | None = None
) -> tuple[Any, ...]:
    """Read a recipe and the command line.

    Args:
        own (`type`): [`VerbalizerArguments`] or [`ReasonerArguments`].
        configurations (`dict[str, list[type]]`): Per method, the dataclasses beside `own`; the last is the trainer's.
        argv (`list[str]`, *optional*): Arguments; those of the process by default.

    Returns:
        `tuple`: An instance of each dataclass: `own` first, the trainer's last.

    Raises:
        InputError: An argument is unknown, missing or of the wrong kind, or the recipe is not readable.
    """
    first = _First.of(sys.argv[1:] if argv is None else argv)
    recipe = read_recipe(first.config) if first.config is not None else {}
    types = (own, *configurations[_method(own, recipe, first.method, list(configurations))])
    _refuse_unknown(recipe, types)
    try:
        parser = RecipeParser(types)
        parser.set_defaults_with_config(**recipe, **_defaults_here(recipe, types))
        # No file beside the script is read for further words, which would be missed above as well.
        *parsed, unknown = parser.parse_args_into_dataclasses(
            args=first.others, return_remaining_strings=True, look_for_args_file=False
        )
    except (ValueError, TypeError, ImportError) as error:  # what dataclasses of transformers and TRL refuse
        raise InputError(f"These arguments cannot be used together: {str(error).strip()}") from error
    if unknown:
        raise _unknown_argument(unknown[0], types)
    if not parsed[0].dataset:
        raise InputError("No dataset was given. Give --dataset, or `dataset:` in the recipe: a built folder.")
    _refuse_slow(parsed[-1])
    _refuse_push(parsed[-1])
    return tuple(parsed)


def chat_template_kwargs(*arguments: Any) -> dict[str, Any] | None:
    """What the arguments say that prompts pass to the chat template; `None` where they say nothing."""
    return next(one.chat_template_kwargs for one in arguments if hasattr(one, "chat_template_kwargs"))


def _help_line(part: Field) -> str:
    """One argument: its name, what it means, and its default where it has one."""
    default = f" [{part.default}]" if part.default not in (None, "") else ""
    return f"  --{part.name:<26} {part.metadata.get('help', '')}{default}"


@dataclass
class _First:
    """What has to be known of the command line before the other arguments can be: their defaults and their kind."""

    config: str | None
    method: str | None
    others: list[str]

    @classmethod
    def of(cls, words: Sequence[str]) -> "_First":
        """Read by argparse as all arguments are: `--method grpo`, `--method=grpo`, and the last one counts."""
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
        parser.add_argument("--config")
        parser.add_argument("--method")
        try:
            known, others = parser.parse_known_args(list(words))
        except argparse.ArgumentError as error:
            raise InputError(f"{error.argument_name} has no value; give one after it.") from error
        return cls(known.config, known.method, others if known.method is None else [*others, "--method", known.method])


def read_recipe(name: str) -> dict[str, Any]:
    """The arguments that a recipe names.

    Args:
        name (`str`): Its path, or its address in `hub_recipes/configs`.

    Raises:
        InputError: The file cannot be read or is no recipe.
    """
    path = find_recipe(name)
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"The recipe {name} cannot be read ({str(error).splitlines()[0]}).") from error
    if not isinstance(recipe, dict):
        raise InputError(f"The recipe {name} must contain `name: value` lines.")
    return recipe


def find_recipe(name: str) -> Path:
    """A recipe by its path, or by its address in `hub_recipes/configs`, such as `smollm2-135m/verbalizer/cpu.yaml`."""
    shipped = CONFIGS / name
    return shipped if not Path(name).is_file() and shipped.is_file() else Path(name)


def _method(own: type[RunArguments], recipe: Mapping[str, Any], given: str | None, known: Sequence[str]) -> str:
    (default,) = (part.default for part in fields(own) if part.name == "method")
    method = given or recipe.get("method", default)
    if method not in known:
        raise InputError(f"There is no method {method!r}; choose one of {', '.join(known)}.")
    return str(method)


def _refuse_unknown(recipe: Mapping[str, Any], types: Sequence[type]) -> None:
    known = {part.name for one in types for part in fields(one)}
    for name in recipe:
        if name not in known:
            hint = did_you_mean(name, known, "See --help for every argument.")
            raise InputError(f"The recipe has {name}, which is not an argument of this method. {hint}")


def _unknown_argument(word: str, types: Sequence[type]) -> InputError:
    known = {f"--{part.name}" for one in types for part in fields(one)} | {"--config"}
    hint = did_you_mean(word.partition("=")[0], known, "See --help for every argument.")
    return InputError(f"{word!r} is not an argument of this method; names cannot be abbreviated. {hint}")


def _defaults_here(recipe: Mapping[str, Any], types: Sequence[type]) -> dict[str, Any]:
    """Defaults that depend on the machine, where the recipe does not choose: TRL's bf16 is for GPUs."""
    known = {part.name for part in fields(types[-1])}
    here = {"bf16": False, "gradient_checkpointing": False} if accelerator() is None else {}
    # Anything that reports to a service asks first; the numbers are in run.json anyway.
    chosen = {"report_to": "none", "save_total_limit": 2, **here}
    return {name: value for name, value in chosen.items() if name in known and name not in recipe}


def _refuse_slow(training_args: Any) -> None:
    if training_args.bf16 and accelerator() is None:
        raise InputError(
            "bf16 is on but there is no accelerator: most CPUs compute bfloat16 hundreds of times slower. Set bf16: "
            "false, or use a recipe for this machine such as smollm2-135m/verbalizer/cpu.yaml."
        )


def _refuse_push(training_args: Any) -> None:
    """Training would push to a repository that it names itself, even if someone else made it."""
    if training_args.push_to_hub:
        raise InputError(
            "push_to_hub is on, but training does not push: it would write to any repository of that name. Publish "
            "the result with `logs2lang cards adopt` and `logs2lang publish`."
        )


def run_as_script(main: Callable[[], int]) -> NoReturn:
    """End the process as `main` says; what the user did wrong is one line and exit code 2, Ctrl-C one line and 130."""
    set_log_level()
    try:
        code = main()
        if torch.distributed.is_initialized():  # its threads, still running at the exit, can abort the process
            torch.distributed.destroy_process_group()
        raise SystemExit(code)
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    except KeyboardInterrupt as error:
        print("Interrupted. The same command resumes from the last checkpoint.", file=sys.stderr)
        raise SystemExit(130) from error
