"""One call to a chat server that speaks OpenAI's protocol: messages out, an answer or a named trouble back.

An exception of the HTTP client carries its request, and the request carries the API key. So none leaves this module:
each becomes one of three troubles, whose text is checked for the key and which is chained to nothing.
"""

import asyncio
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import AsyncInferenceClient, get_token
from huggingface_hub.errors import HfHubHTTPError, HTTPError, InferenceTimeoutError, OfflineModeIsEnabled

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import Message

INFERENCE_PROVIDERS_URL = "https://router.huggingface.co/v1"

_NO_KEY = "none"  # a server without keys ignores it; without any, the client would send the Hugging Face token
_TAKES_HF_TOKEN = re.compile(r"(^|\.)(huggingface\.co|endpoints\.huggingface\.cloud)$")
_TOO_LONG = re.compile(r"context[ _](length|window)|too long|too many tokens|max_model_len", re.IGNORECASE)
_MAX_MESSAGE_CHARS = 300


class EndpointError(InputError):
    """The endpoint cannot be used as it was given: it is not there, or refuses the key, the model or the request."""


class PassingTrouble(Exception):  # noqa: N818 - not the caller's to see
    """The same request may succeed in a while.

    Args:
        reason (`str`): What happened.
        wait_s (`float`): Seconds that the server asks to wait.
        may_be_billed (`bool`): Whether the server may have done the work all the same.
    """

    def __init__(self, reason: str, wait_s: float = 0.0, may_be_billed: bool = False):
        super().__init__(reason)
        self.wait_s = wait_s
        self.may_be_billed = may_be_billed


class Refusal(Exception):  # noqa: N818 - not the caller's to see
    """The server does not take the request as it is; another may do.

    Args:
        reason (`str`): The server's own words.
        status (`int`): Of HTTP.
    """

    def __init__(self, reason: str, status: int):
        super().__init__(reason)
        self.status = status

    @property
    def is_too_long(self) -> bool:
        """Whether the prompt is longer than the model's window."""
        return self.status == 413 or bool(_TOO_LONG.search(str(self)))


@dataclass(frozen=True)
class ChatAnswer:
    """What a chat server answered.

    Args:
        text (`str`): All of it.
        top_log_probs (`dict[str, float]`, *optional*): The most probable first tokens with the natural logarithms of
            their probabilities; `None` where the server lists none.
        input_tokens (`int`, *optional*): Of the prompt, as the server counts and bills them.
        output_tokens (`int`, *optional*): Of the answer.
    """

    text: str
    top_log_probs: dict[str, float] | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


def check_url(url: str) -> str:
    """The URL of a server, without a slash at the end.

    Raises:
        InputError: It is no http(s) URL, or holds a password or a query, where keys are wont to hide.

    Example:
        >>> check_url("http://localhost:8000/v1/")
        'http://localhost:8000/v1'
    """
    example = "Give one such as http://localhost:8000/v1."
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname is not None and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InputError(f"The endpoint must be an http or https URL, but this is not one. {example}")
    if parts.username or parts.password or parts.query:
        raise InputError(
            "The endpoint's URL must not contain a user, password or query; set the key in the environment instead. "
            f"{example}"
        )
    return url.rstrip("/")


def read_api_key(url: str, variable: str) -> str:
    """The key for a server, read from the environment now.

    Args:
        url (`str`): The server's. The Hugging Face token goes to hosts of Hugging Face and to no others.
        variable (`str`): Name of the environment variable, which wins over the token.

    Raises:
        InputError: The key holds what no HTTP header can.
    """
    key = os.environ.get(variable, "").strip()
    if not key and _TAKES_HF_TOKEN.search(urlsplit(url).hostname or ""):
        key = get_token() or ""
    if not re.fullmatch(r"[\x21-\x7e]*", key):
        raise InputError(
            f"The key in {variable} contains characters that are not allowed in a key. Set it to the key only."
        )
    return key or _NO_KEY


async def chat(
    client: AsyncInferenceClient, model: str, messages: Sequence[Message], timeout_s: float, request: Mapping[str, Any]
) -> ChatAnswer:
    """Ask once.

    Args:
        client (`AsyncInferenceClient`): With `base_url` and `token`.
        model (`str`): As the server names it.
        messages (`list[dict]`): `role` and `content`.
        timeout_s (`float`): Seconds until the whole answer must be here.
        request (`dict`): Further parameters of `chat_completion`.

    Raises:
        PassingTrouble: Too many requests, an error of the server, no answer in time, no connection, or no chat answer.
        Refusal: The server does not take a parameter, or the prompt is too long.
        EndpointError: Anything that a retry cannot fix.
    """
    trouble: Exception
    try:
        call = client.chat_completion([dict(message) for message in messages], model=model, **request)
        # The client's own time-out is about single reads, and a server that trickles bytes never meets it.
        return _to_answer(await asyncio.wait_for(call, timeout_s))
    except HfHubHTTPError as error:
        trouble = _status_trouble(error.response, client, model)
    except (asyncio.TimeoutError, InferenceTimeoutError):
        trouble = PassingTrouble(f"no answer within {timeout_s:g} s", may_be_billed=True)
    except OfflineModeIsEnabled:
        trouble = EndpointError(
            f"HF_HUB_OFFLINE is set, so huggingface_hub calls no server, not even {client.model}. Unset it."
        )
    except HTTPError as error:
        unreached = type(error).__name__ == "ConnectError"
        reason = f"no connection ({_harmless(str(error) or type(error).__name__, client)})"
        trouble = PassingTrouble(reason, may_be_billed=not unreached)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        trouble = PassingTrouble("the response is not a chat completion", may_be_billed=True)
    raise trouble  # here and not above, where Python would chain it to what holds the key


def _to_answer(output: Any) -> ChatAnswer:
    choice = output.choices[0]
    message = choice.message
    text = message.content or ""
    if not isinstance(text, str):
        raise TypeError
    # A server that sets thoughts apart lists the tokens of the thought first, and those are no answer.
    thought = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    listed = choice.logprobs.content if choice.logprobs and not thought else None
    top = {entry.token: float(entry.logprob) for entry in listed[0].top_logprobs or []} if listed else None
    usage = output.usage
    return ChatAnswer(text, top or None, usage and usage.prompt_tokens, usage and usage.completion_tokens)


def _status_trouble(response: Any, client: AsyncInferenceClient, model: str) -> Exception:
    status, url = response.status_code, client.model
    said = _harmless(_server_words(response), client)
    if status == 429 or status >= 500:
        return PassingTrouble(f"status {status}: {said}", retry_after_s(response.headers.get("Retry-After")))
    if status in (400, 413, 422):
        return Refusal(said, status)
    if status in (401, 403):
        return EndpointError(f"{url} rejects the API key ({status}: {said}). Set a valid one in the environment.")
    if status in (404, 405):
        return EndpointError(
            f"{url} has no model {model!r}, or no chat completions under that URL ({status}: {said}). "
            "Check both; the URL of most servers ends in /v1."
        )
    return EndpointError(f"{url} does not answer for model {model!r} ({status}: {said}). Check the URL and the model.")


def retry_after_s(header: str | None, now: datetime | None = None) -> float:
    """Seconds that a `Retry-After` header asks to wait; 0 where it says nothing.

    Args:
        header (`str`, *optional*): Seconds, or a date of HTTP.
        now (`datetime`, *optional*): The time.

    Example:
        >>> retry_after_s("7"), retry_after_s(None), retry_after_s("soon")
        (7.0, 0.0, 0.0)
        >>> retry_after_s("Fri, 01 Jan 2027 00:00:30 GMT", datetime(2027, 1, 1, tzinfo=timezone.utc))
        30.0
    """
    if header is None:
        return 0.0
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", header):
        return float(header)
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=timezone.utc)
    return max(0.0, (until - (now or datetime.now(timezone.utc))).total_seconds())


def _server_words(response: Any) -> str:
    """The message in the body of an error: OpenAI's `error.message`, FastAPI's `detail`, or the body as it is."""
    try:
        body = json.loads(response.content)
    except ValueError:
        return response.text
    for key in ("error", "detail", "message"):
        if isinstance(body, dict) and key in body:
            body = body[key]
    return body if isinstance(body, str) else json.dumps(body)


def _harmless(text: str, client: AsyncInferenceClient) -> str:
    """A server's words on one line, without the key it may have repeated."""
    if client.token and client.token != _NO_KEY:
        text = text.replace(client.token, "***")
    return " ".join(text.split())[:_MAX_MESSAGE_CHARS] or "no reason given"
