"""Whether a server runs an adapter as it was trained, judged by golden prompts."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, log
from typing import Any

from huggingface_hub import AsyncInferenceClient

from logs2lang.dataset_builders.input_error import InputError

from ..reasoners.chat_server import (
    ChatAnswer,
    EndpointError,
    PassingTrouble,
    Refusal,
    chat,
    check_url,
    read_api_key,
)
from .engine import KEY_VARIABLE
from .golden_prompts import ADAPTER, NO_ADAPTER, NO_SWITCHES, GoldenPrompts, read_golden_prompts

LEAST_SHARE = 0.01
"""Tokens that are less probable than this decide nothing, and differ most between one precision and another."""

_TOP = 20
_FAULTS = {
    NO_ADAPTER: "it answers as the base model alone: the adapter is not attached to this name. On vLLM, pass "
    "--enable-lora --lora-modules {name}=FOLDER",
    NO_SWITCHES: "it ignores chat_template_kwargs {switches}: prompts are built without them. Start it with a chat "
    "template that has them, or a server that passes them on",
}


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Args:
        model (`str`): The server's name for the adapter.
        check (`str`): What was checked.
        is_right (`bool`): Whether it is as it must be.
        detail (`str`): What came, and what to do.
    """

    model: str
    check: str
    is_right: bool
    detail: str

    def line(self) -> str:
        """For a terminal.

        Example:
            >>> Finding("verbalizer", "allowed tokens", True, "it writes only what it may").line()
            'ok    verbalizer, allowed tokens: it writes only what it may.'
        """
        return f"{'ok   ' if self.is_right else 'WRONG'} {self.model}, {self.check}: {self.detail}."


def to_served(words: Sequence[str]) -> list[tuple[str, str]]:
    """The adapters that a server is to be checked for.

    Args:
        words (`list[str]`): `NAME=ID_OR_FOLDER`.

    Raises:
        InputError: A word has another form.

    Example:
        >>> to_served(["verbalizer=runs/v"])
        [('verbalizer', 'runs/v')]
    """
    pairs = []
    for word in words:
        name, _, folder = word.partition("=")
        if not name or not folder:
            raise InputError(f"--adapter is {word!r}; expected the server's name and the adapter: NAME=ID_OR_FOLDER.")
        pairs.append((name, folder))
    return pairs


def verify(url: str, name: str, folder: str, tolerance: float = 0.25, timeout_s: float = 60.0) -> list[Finding]:
    """Check one adapter on a server.

    Args:
        url (`str`): Such as `"http://localhost:8000/v1"`.
        name (`str`): The server's name for the adapter.
        folder (`str`): Folder or Hub id of the adapter, with its golden prompts.
        tolerance (`float`, *optional*, defaults to 0.25): Largest difference of log-probabilities that is no fault, in
            nats. Half precision alone makes about 0.1.
        timeout_s (`float`, *optional*, defaults to 60.0): Seconds for an answer.

    Returns:
        `list[Finding]`: One for the adapter and its chat template, and one for allowed tokens where it has some.

    Raises:
        InputError: There are no golden prompts, or the server is not there, or knows no model of that name.
    """
    return asyncio.run(_verify(check_url(url), name, read_golden_prompts(folder), tolerance, timeout_s))


async def _verify(url: str, name: str, golden: GoldenPrompts, tolerance: float, timeout_s: float) -> list[Finding]:
    key = read_api_key(url, KEY_VARIABLE)
    async with AsyncInferenceClient(base_url=url, token=key, timeout=timeout_s) as client:
        asked = _Asked(client, name, golden, timeout_s)
        findings = [await _log_probs_finding(asked, tolerance)]
        if golden.allowed_token_ids:
            findings.append(await _allowed_finding(asked))
        return findings


@dataclass(frozen=True)
class _Asked:
    client: AsyncInferenceClient
    name: str
    golden: GoldenPrompts
    timeout_s: float

    async def ask(self, messages: list[dict[str, str]], body: Mapping[str, Any], **request: Any) -> ChatAnswer:
        """One token, and what else a request holds."""
        switches = self.golden.chat_template_kwargs
        sent = {"max_tokens": 1, **({"chat_template_kwargs": switches} if switches else {}), **body}
        request = {"temperature": 0.0, **request, "extra_body": sent}
        try:
            return await chat(self.client, self.name, messages, self.timeout_s, request)
        except PassingTrouble as trouble:
            raise EndpointError(
                f"{self.client.model} gives no answer ({trouble}). Check the URL and that the server is up."
            ) from None


async def _log_probs_finding(asked: _Asked, tolerance: float) -> Finding:
    check = "adapter and chat template"
    distances: dict[str, float] = {}
    for prompt in asked.golden.prompts:
        try:
            answer = await asked.ask(prompt.messages, {}, logprobs=True, top_logprobs=_TOP)
        except Refusal as refusal:
            return Finding(asked.name, check, False, f"it refuses the request ({refusal})")
        if answer.top_log_probs is None:
            return Finding(
                asked.name,
                check,
                False,
                "it lists no log-probabilities, so it cannot be checked. Use a server that does, such as vLLM",
            )
        for condition, expected in prompt.expected.items():
            one = distance(expected, answer.top_log_probs)
            distances[condition] = max(one, distances.get(condition, 0.0))
    if distances[ADAPTER] <= tolerance:
        return Finding(asked.name, check, True, f"log-probabilities within {distances[ADAPTER]:.2f} nats")
    nearest = min(distances, key=lambda condition: distances[condition])
    if nearest != ADAPTER and distances[nearest] <= tolerance:
        fault = _FAULTS[nearest].format(name=asked.name, switches=asked.golden.chat_template_kwargs)
        return Finding(asked.name, check, False, fault)
    return Finding(
        asked.name,
        check,
        False,
        f"log-probabilities are {distances[ADAPTER]:.2f} nats off: other weights, another base model, another chat "
        f"template, or coarser arithmetic than --tolerance {tolerance:g} allows",
    )


async def _allowed_finding(asked: _Asked) -> Finding:
    check = "allowed tokens"
    token, text = asked.golden.unlikely
    hint = "Requests of an action adapter need allowed_token_ids; use vLLM, or another server that has them"
    try:
        answer = await asked.ask(asked.golden.prompts[0].messages, {"allowed_token_ids": [token]})
    except Refusal as refusal:
        return Finding(asked.name, check, False, f"it refuses allowed_token_ids ({refusal}). {hint}")
    if answer.text.strip() != text.strip():
        wrote = " ".join(answer.text.split())[:40]
        return Finding(asked.name, check, False, f"it ignores allowed_token_ids: it wrote {wrote!r}. {hint}")
    return Finding(asked.name, check, True, f"pass allowed_token_ids {asked.golden.allowed_token_ids} per request")


def distance(expected: Mapping[str, float], listed: Mapping[str, float]) -> float:
    """The largest difference of log-probabilities among the tokens that matter.

    Args:
        expected (`dict[str, float]`): The most probable tokens as they must be.
        listed (`dict[str, float]`): Those that the server lists, 20 at most.

    Returns:
        `float` in nats. A token that one side does not list is at most as probable there as the last that it lists.

    Example:
        >>> distance({"A": -0.1, "B": -2.4}, {"A": -0.2, "B": -2.0})
        0.3999999999999999
    """
    whole = {token: value for token, value in listed.items() if "�" not in token}
    if not whole or not expected:
        return inf
    lasts = min(expected.values()), min(whole.values())
    pairs = [
        (
            expected.get(token, min(lasts[0], whole.get(token, 0.0))),
            whole.get(token, min(lasts[1], expected.get(token, 0.0))),
        )
        for token in {*expected, *whole}
    ]
    least = log(LEAST_SHARE)
    return max((abs(one - other) for one, other in pairs if max(one, other) >= least), default=0.0)
