"""What every request passes before it is read: the size of its body, the time it takes, and the last net below it."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_DRAINED_BYTES = 256 * 2**20
"""Of a body that is too long so much is read and thrown away: a client that is cut off as it sends reads no answer."""

logger = logging.getLogger("logs2lang.serving")


class Refused(Exception):  # noqa: N818 - an answer to a client
    """A request that is answered before it is understood.

    Args:
        status (`int`): Of HTTP.
        message (`str`): What came, why it fails and what to do.
        field (`str`, *optional*): The part of the request that is wrong.
        headers (`dict[str, str]`, *optional*): Of the answer.
    """

    def __init__(self, status: int, message: str, field: str | None = None, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The answer; see `bodies.ErrorAnswer`."""
        return {"error": {"message": self.message, "field": self.field}}


FAULT = Refused(500, "The service failed; its log says why. Other requests still work.")


class Guard:
    """Reads the body of each request, within limits, before the application sees it; and catches what it lets fall.

    Args:
        app (`App`): Of ASGI.
        max_body_bytes (`int`): Longer bodies are refused with 413.
        body_timeout_s (`float`): A body that takes longer to arrive is refused with 408.
    """

    def __init__(self, app: App, max_body_bytes: int, body_timeout_s: float):
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.body_timeout_s = body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            body = await self._body(receive)
            if body is not None:
                await self.app(scope, _replayed(body, receive), watched)
        except Refused as refused:
            await _answer(refused, send)
        except Exception:
            logger.exception("A request to %s failed.", scope["path"])
            if not begun:
                await _answer(FAULT, send)

    async def _body(self, receive: Receive) -> bytes | None:
        """The whole body; `None` where the client went away."""
        body = _Body(self.max_body_bytes)
        try:
            await asyncio.wait_for(body.read(receive), self.body_timeout_s)
        except asyncio.TimeoutError:
            if not body.is_too_long:
                raise Refused(
                    408,
                    f"The body did not arrive within {self.body_timeout_s:g} s. Send it without pauses.",
                    "body",
                    {"Connection": "close"},
                ) from None
        if body.is_too_long:
            raise Refused(
                413,
                f"The body is larger than {self.max_body_bytes:,} bytes, which is the limit of this service. Send "
                "fewer records, the newest ones.",
                "body",
                {"Connection": "close"},
            )
        return None if body.is_cut_off else b"".join(body.parts)


class _Body:
    """What has arrived of a body; of one that is too long nothing is kept."""

    def __init__(self, most: int):
        self.most = most
        self.size = 0
        self.parts: list[bytes] = []
        self.is_cut_off = False

    @property
    def is_too_long(self) -> bool:
        return self.size > self.most

    async def read(self, receive: Receive) -> None:
        more = True
        while more and self.size <= _DRAINED_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.is_cut_off = True
                return
            part = message.get("body", b"")
            self.size += len(part)
            if self.is_too_long:
                self.parts.clear()
            else:
                self.parts.append(part)
            more = message.get("more_body", False)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the application a body that was read already."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _answer(refused: Refused, send: Send) -> None:
    content = json.dumps(refused.body()).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **refused.headers}
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": pairs})
    await send({"type": "http.response.body", "body": content})
