"""What a Hub answers when something is wrong, as one sentence with the remedy, and never with a token in it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

from logs2lang.dataset_builders.input_error import InputError

AGAIN = "Run the same command again: what is finished is not uploaded twice."

_SENTENCES = {
    400: "The Hub does not accept the upload for {what} (400: {said}). Fix it and run the command again.",
    401: "The Hub does not know this token (401). Create one with write access in your account settings, then set "
    "HF_TOKEN or run `hf auth login`.",
    402: "The Hub requires a paid plan for {what} (402: {said}). Upgrade the account, or use another --namespace.",
    403: "This token may not write to {what} (403). Use a token with write access to that namespace, or another "
    "--namespace.",
    404: "The Hub does not find {what} (404). Check the namespace and that the token can see it.",
    409: "Something else is being written to {what} (409: {said}). " + AGAIN,
    412: "Someone else has changed {what} in the meantime (412). " + AGAIN,
    413: "A file or the commit for {what} is too large for the Hub (413). Build a smaller dataset, or exclude "
    "this one with --only.",
    429: "There were too many requests to the Hub (429). Wait {wait}. " + AGAIN,
}
_FAULT = "The Hub had an internal error for {what} ({status}). Wait a little. " + AGAIN
_NO_CONNECTION = "The connection to the Hub at {endpoint} failed for {what} ({said}). Check the network. " + AGAIN


@contextmanager
def explained(what: str, endpoint: str, token: str | None) -> Iterator[None]:
    """Turn what a Hub client raises inside the block into an `InputError`.

    Args:
        what (`str`): What is being written or asked for, such as `owner/name`.
        endpoint (`str`): Address of the Hub.
        token (`str`, *optional*): Blotted out wherever it appears.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        sentence = _sentence(error, what, endpoint)
        if sentence is None:
            raise
        # No chain: what a client raises may carry the request, and with it the token.
        raise InputError(without_token(sentence, token)) from None


def without_token(text: str, token: str | None) -> str:
    """A text with the token blotted out.

    Example:
        >>> without_token("Bearer hf_secret is unknown", "hf_secret")
        'Bearer *** is unknown'
    """
    return text.replace(token, "***") if token else text


def _sentence(error: BaseException, what: str, endpoint: str) -> str | None:
    for cause in _causes(error):
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(cause, HfHubHTTPError) and status is not None:
            return _status_sentence(cause, status, what)
        if isinstance(cause, HFValidationError):
            return f"{what} is not a name that the Hub accepts ({_first_line(cause)})."
        if isinstance(cause, (HTTPError, ConnectionError, TimeoutError)):
            said = _first_line(cause) or type(cause).__name__
            return _NO_CONNECTION.format(endpoint=endpoint, what=what, said=said)
    if isinstance(error, ValueError) and "README.md" in str(error):
        return _SENTENCES[400].format(what=what, said=" ".join(str(error).split()))
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from: the client wraps what goes wrong in an upload."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _status_sentence(error: HfHubHTTPError, status: int, what: str) -> str:
    if status >= 500:
        return _FAULT.format(what=what, status=status)
    seconds = error.response.headers.get("Retry-After", "")
    wait = f"{seconds} seconds" if seconds.isdigit() else "a few minutes"
    sentence = _SENTENCES.get(status, "The Hub refused {what} ({status}: {said}).")
    return sentence.format(what=what, status=status, said=_said(error), wait=wait)


def _said(error: HfHubHTTPError) -> str:
    """What the server itself said, in one line."""
    said = error.server_message or _first_line(error)
    return re.sub(r"\s+", " ", said).strip().rstrip(".")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "")
