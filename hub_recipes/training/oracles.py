"""The frozen judge of stage 1: a reasoner on this machine or behind an endpoint."""

from dataclasses import replace
from math import inf
from typing import Any, cast

from transformers.utils import logging

from dataset_builders.input_error import InputError
from hub_recipes.model_folders import model_folder
from hub_recipes.reasoners.local import LocalReasoner, trained_choices
from hub_recipes.training.arguments import VerbalizerArguments
from hub_recipes.training.run_record import parent_entry

logger = logging.get_logger(__name__)


def to_oracle(arguments: VerbalizerArguments) -> Any:
    """Load the oracle that the arguments name.

    Returns:
        [`Reasoner`]: Loaded once, beside the policy; it never learns.

    Raises:
        InputError: No oracle is named, or it is to answer in a way that it cannot.
    """
    if arguments.oracle is None:
        raise InputError(
            "GRPO needs a judge and no oracle was named. Train one first with `logs2lang train reasoner`, or name a "
            "server with --oracle_url and its model with --oracle."
        )
    if arguments.oracle_url is not None:
        if arguments.oracle_temperature is not None:
            raise InputError("oracle_temperature is for an oracle on this machine; an endpoint is asked for a pick.")
        return to_endpoint(arguments)
    oracle = LocalReasoner.from_pretrained(arguments.oracle, answer=arguments.oracle_answer)
    if oracle.language_model.adapter_id is None:
        logger.warning(
            f"The oracle {arguments.oracle} is a base model that was never taught to recommend. It knows nothing "
            "of who watches what, and judges well only texts that name successors (verbalizer: action, "
            "decisions: 4). For others train a reasoner first, or use an endpoint."
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


def to_endpoint(arguments: VerbalizerArguments) -> Any:
    """The oracle behind a server; nothing is asked yet."""
    from hub_recipes.reasoners.endpoint import EndpointReasoner

    return EndpointReasoner(
        model=str(arguments.oracle),
        base_url=arguments.oracle_url,
        answer=cast(Any, _answer_of(arguments)),  # another is refused there
        max_calls=arguments.max_calls,
        max_cost=arguments.max_cost,
        price_per_million_input_tokens=arguments.input_price,
        price_per_million_output_tokens=arguments.output_price,
        extra_body={} if arguments.oracle_thinking else {"chat_template_kwargs": {"enable_thinking": False}},
    )


def oracle_entry(arguments: VerbalizerArguments) -> dict[str, Any]:
    """The oracle as `run.json` names it: never a key, never a folder of this machine."""
    judged: dict[str, Any] = {"answer": _answer_of(arguments), "reward": arguments.oracle_reward}
    if arguments.oracle_temperature is not None:
        judged["temperature"] = arguments.oracle_temperature
    if arguments.oracle_url is not None:
        told = {} if arguments.oracle_thinking else {"thinking": False}
        return {"name": arguments.oracle, "endpoint": True, **told, **judged}
    return {**(parent_entry(arguments.oracle) or {}), "endpoint": False, **judged}


def _answer_of(arguments: VerbalizerArguments) -> str:
    """How the oracle answers, where the arguments leave that to its training."""
    if arguments.oracle_answer is not None:
        return arguments.oracle_answer
    if arguments.oracle_url is not None:
        return "label"
    trained = trained_choices(model_folder(str(arguments.oracle)))
    return str(trained.get("answer", LocalReasoner.answer))
