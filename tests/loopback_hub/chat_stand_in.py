"""A chat server on loopback that speaks OpenAI's protocol and fails when it is told to."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, TypedDict


class Act(TypedDict, total=False):
    """What the server does with one request in place of answering it.

    Args:
        status (`int`): Of HTTP; 200 by default.
        body (`str`): As it goes over the wire.
        headers (`dict[str, str]`): Beside the usual ones.
        delay_s (`float`): Seconds before anything is sent.
        trickle_s (`float`): Seconds before each byte of the body.
        drop (`bool`): Close the connection, and say nothing.
    """

    status: int
    body: str
    headers: dict[str, str]
    delay_s: float
    trickle_s: float
    drop: bool


class ChatServer:
    """Answers "B", and lists `log_probs` for the first token where it is asked to.

    Args:
        text (`str`): Every answer.
        log_probs (`dict[str, float]`, *optional*): `None` for a server that lists none.
        acts (`list[Act]`): Done with the first requests, one each.
        refuse (`Callable`, *optional*): From the body of a request to an `Act`, or to `None` to answer it.
        delay_s (`float`): Seconds that every answer takes.
        usage (`dict`, *optional*): Tokens of every call.
    """

    def __init__(self) -> None:
        self.text, self.log_probs, self.delay_s = "B", {"B": -0.1, "A": -3.0}, 0.0
        self.acts: list[Act] = []
        self.refuse: Callable[[dict[str, Any]], Act | None] = lambda body: None
        self.usage: dict[str, int] | None = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.times: list[float] = []
        self.at_once = self.most_at_once = 0
        self.url = ""
        self._lock = Lock()

    def receive(self, body: dict[str, Any], key: str | None) -> Act:
        with self._lock:
            self.bodies.append(body)
            self.keys.append(key)
            self.times.append(time.monotonic())
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
            act = self.acts.pop(0) if self.acts else None
        return act or self.refuse(body) or {"body": json.dumps(self.answer(body)), "delay_s": self.delay_s}

    def sent(self) -> None:
        with self._lock:
            self.at_once -= 1

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        choice["message"] = {"role": "assistant", "content": self.text}
        if body.get("logprobs") and self.log_probs is not None:
            listed = [{"token": token, "logprob": value, "bytes": None} for token, value in self.log_probs.items()]
            choice["logprobs"] = {"content": [{**listed[0], "top_logprobs": listed}]}
        answer = {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice]}
        return {**answer, "usage": self.usage} if self.usage else answer


@contextmanager
def serve_chat() -> Iterator[ChatServer]:
    """A server that runs as long as the context; its `url` says where."""
    stand_in = ChatServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            act = stand_in.receive(body, self.headers["Authorization"])
            if self.path != "/v1/chat/completions":
                act = {"status": 404, "body": '{"detail":"Not Found"}'}
            time.sleep(act.get("delay_s", 0))
            stand_in.sent()
            if act.get("drop"):
                self.close_connection = True
                return
            content = act.get("body", "{}").encode()
            self.send_response(act.get("status", 200))
            for name, value in {"Content-Length": str(len(content)), **act.get("headers", {})}.items():
                self.send_header(name, value)
            self.end_headers()
            for piece in [content[i : i + 1] for i in range(len(content))] if "trickle_s" in act else [content]:
                time.sleep(act.get("trickle_s", 0))
                self.wfile.write(piece)

        def log_message(self, *args: Any) -> None:
            """Say nothing on stderr."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:  # the client gave up
                return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stand_in.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield stand_in
    server.shutdown()
    server.server_close()
    thread.join()
