"""The frozen judge of stage 1: a reasoner on this machine or behind an endpoint."""

from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any, cast

from transformers.utils import logging

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.chosen_examples import choose_examples
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import template_text
from logs2lang.dataset_builders.schema import CANDIDATES, HISTORY, ITEM_ID, TARGET

from ...models.model_folders import RUN_FILE, model_folder
from ...reasoners.local import LocalReasoner, trained_choices
from ..objectives.rewards import hit
from ..runs.arguments import VerbalizerArguments
from ..runs.run_record import parent_entry, read_run
from ..runs.training_examples import judgeable, of_users

logger = logging.get_logger(__name__)


def to_oracle(arguments: VerbalizerArguments, folder: Path | None = None) -> Any:
    """Load the oracle that the arguments name.

    Args:
        arguments ([`VerbalizerArguments`]): See there.
        folder (`Path`, *optional*): Of the run, for the ledger of what a server costs.

    Returns:
        [`Reasoner`]: Loaded once, beside the policy; it never learns.

    Raises:
        InputError: No oracle is named, or it is to answer in a way that it cannot.
    """
    if arguments.oracle is None:
        raise InputError(
            "GRPO needs an oracle, but none was given. Train one first with `logs2lang train reasoner`, or give a "
            "server with --oracle_url and its model with --oracle."
        )
    if arguments.oracle_url is not None:
        if arguments.oracle_temperature is not None:
            raise InputError(
                "oracle_temperature works only with a local oracle; leave it out for an endpoint, "
                "which is asked for a pick."
            )
        return to_endpoint(arguments, folder)
    told = None if arguments.oracle_thinking else {"enable_thinking": False}
    oracle = LocalReasoner.from_pretrained(arguments.oracle, answer=arguments.oracle_answer, chat_template_kwargs=told)
    if oracle.language_model.adapter_id is None:
        logger.warning(
            f"The oracle {arguments.oracle} is a base model that was not trained to recommend. It does not know who "
            "watches what, and can judge only texts that name successors (verbalizer: action, decisions: 4). For "
            "other texts, train a reasoner first, or use an endpoint."
        )
    if arguments.oracle_temperature is None:
        return oracle
    return at_temperature(oracle, arguments.oracle_temperature)


def at_temperature(oracle: LocalReasoner, temperature: float) -> LocalReasoner:
    """The oracle as sure as asked for (temperature scaling: Guo et al., arXiv 1706.04599).

    Raises:
        InputError: It answers in a way that has no temperature, or the number is none.
    """
    if oracle.answer not in ("title", "tags") or not 0 < temperature < inf:
        raise InputError(
            f"oracle_temperature is {temperature} for an oracle that answers by {oracle.answer}; expected a number "
            "above 0, and an oracle that answers by title or tags."
        )
    return replace(oracle, temperature=temperature)


def to_endpoint(arguments: VerbalizerArguments, folder: Path | None = None) -> Any:
    """The oracle behind a server; nothing is asked yet."""
    from ...reasoners.endpoint import EndpointReasoner

    return EndpointReasoner(
        model=str(arguments.oracle),
        base_url=arguments.oracle_url,
        answer=cast(Any, _answer_of(arguments)),  # another is refused there
        max_calls=arguments.max_calls,
        max_cost=arguments.max_cost,
        price_per_million_input_tokens=arguments.input_price,
        price_per_million_output_tokens=arguments.output_price,
        spending_folder=folder,
        extra_body={} if arguments.oracle_thinking else {"chat_template_kwargs": {"enable_thinking": False}},
    )


def trained_users(arguments: VerbalizerArguments) -> tuple[float, float] | None:
    """The share of users that the oracle learned from; `None` where it learned from none, or elsewhere."""
    if arguments.oracle_url is not None:
        return None
    record = model_folder(str(arguments.oracle)) / RUN_FILE
    if not record.is_file():
        return None
    config = read_run(record.parent)["config"]
    return config.get("users_from", 0.0), config.get("users_below", 1.0)


def oracle_hits(oracle: Any, dataset: BuiltDataset, arguments: VerbalizerArguments, seed: int) -> dict[str, Any]:
    """How often the oracle picks the target from template text, of users it was trained on and of the verbalizer's.

    What it has memorised it recommends from any text; only hits for users it has never seen show its quality.

    Returns:
        `dict`: Under `own_users` and `verbalizer_users` the `hits` among `n` examples; empty where nothing is counted.
    """
    if arguments.oracle_check == 0 or arguments.oracle_url is not None:
        return {}
    theirs = (arguments.users_from, arguments.users_below)
    shares = {"own_users": trained_users(arguments), "verbalizer_users": theirs}
    known = shares["own_users"]
    if known is not None and max(known[0], theirs[0]) < min(known[1], theirs[1]):
        logger.warning(
            f"The oracle {arguments.oracle} was trained on the users from {known[0]:g} to {known[1]:g} of all, and "
            f"the verbalizer learns from those from {theirs[0]:g} to {theirs[1]:g}. For users in both ranges the "
            "oracle has seen the targets. Train it with --users_below 0.5, and the verbalizer with --users_from 0.5."
        )
    return {name: _hits(oracle, dataset, arguments, share, seed) for name, share in shares.items() if share}


def _hits(
    oracle: Any, dataset: BuiltDataset, arguments: VerbalizerArguments, share: tuple[float, float], seed: int
) -> dict[str, int]:
    of_split = of_users(dataset.examples("train"), *share)
    length, discoveries = arguments.history_length, arguments.discoveries
    examples = judgeable(choose_examples(of_split, arguments.oracle_check, seed, length, discoveries))
    items = dataset.items()
    shown = [[items[candidate[ITEM_ID]] for candidate in row] for row in examples[CANDIDATES]]
    rankings = oracle.rank([template_text(history) for history in examples[HISTORY]], shown)
    hits = [hit(ranking, gold) for ranking, gold in zip(rankings, examples[TARGET], strict=True)]
    return {"hits": int(sum(hits)), "n": len(hits)}


def oracle_entry(arguments: VerbalizerArguments) -> dict[str, Any]:
    """The oracle as `run.json` names it: never a key, never a folder of this machine."""
    judged: dict[str, Any] = {"answer": _answer_of(arguments), "reward": arguments.oracle_reward}
    if arguments.oracle_temperature is not None:
        judged["temperature"] = arguments.oracle_temperature
    if not arguments.oracle_thinking:
        judged["thinking"] = False
    if arguments.oracle_url is not None:
        return {"name": arguments.oracle, "endpoint": True, **judged}
    return {**(parent_entry(arguments.oracle) or {}), "endpoint": False, **judged}


def _answer_of(arguments: VerbalizerArguments) -> str:
    """How the oracle answers, where the arguments leave that to its training."""
    if arguments.oracle_answer is not None:
        return arguments.oracle_answer
    if arguments.oracle_url is not None:
        return "label"
    trained = trained_choices(model_folder(str(arguments.oracle)))
    return str(trained.get("answer", LocalReasoner.answer))
