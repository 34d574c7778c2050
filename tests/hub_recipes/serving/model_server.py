"""A chat server on loopback that runs real models and speaks what vLLM speaks; told to, it leaves something out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import FastAPI, HTTPException
from loopback_service import listening_on_loopback

from logs2lang.models.language_models import LanguageModel

TOP = 20


@dataclass
class ModelServer:
    """Models by the names that requests call them by.

    Args:
        models (`dict[str, LanguageModel]`): What runs.
        ignores (`set[str]`): Fields of a request that it does not read.
        refuses (`set[str]`): Fields that it answers with 400.
        rounding (`float`): Added to every log-probability, as another precision does.
        bodies (`list[dict]`): Every request.
    """

    models: dict[str, LanguageModel]
    ignores: set[str] = field(default_factory=set)
    refuses: set[str] = field(default_factory=set)
    rounding: float = 0.0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        self.bodies.append(body)
        if unread := self.refuses & body.keys():
            raise HTTPException(400, f"unknown field {min(unread)}")
        if body["model"] not in self.models:
            raise HTTPException(404, f"The model {body['model']} does not exist.")
        read = {name: value for name, value in body.items() if name not in self.ignores}
        model = self.models[body["model"]]
        model = replace(model, chat_template_kwargs=read.get("chat_template_kwargs", {}))
        ids = model.prompt_ids(body["messages"])
        allowed = read.get("allowed_token_ids")
        constraints = None if allowed is None else [lambda written: allowed]
        text = model.generate([ids], body["max_tokens"], constraints=constraints)[0]
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        choice["message"] = {"role": "assistant", "content": text}
        if read.get("logprobs"):
            listed = self._listed(model, ids)
            choice["logprobs"] = {"content": [{**listed[0], "top_logprobs": listed}]}
        usage = {"prompt_tokens": len(ids), "completion_tokens": 1, "total_tokens": len(ids) + 1}
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }

    def _listed(self, model: LanguageModel, ids: list[int]) -> list[dict[str, Any]]:
        log_probs = model.next_token_log_probs([ids], range(model.model.config.vocab_size))[0]
        best = (-log_probs).argsort()[:TOP]
        return [
            {
                "token": model.tokenizer.decode([int(token)]),
                "logprob": float(log_probs[token]) + self.rounding,
                "bytes": None,
            }
            for token in best
        ]


@contextmanager
def serve_models(server: ModelServer) -> Iterator[ModelServer]:
    """A server that runs as long as the block; its `url` says where."""
    app = FastAPI()

    @app.post("/v1/chat/completions")
    def completions(body: dict[str, Any]) -> dict[str, Any]:
        return server.complete(body)

    with listening_on_loopback(app) as port:
        server.url = f"http://127.0.0.1:{port}/v1"
        yield server
