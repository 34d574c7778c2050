"""The HTTP service: its endpoints, its OpenAPI page, and errors as JSON."""

import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from logs2lang.dataset_builders.input_error import InputError

from .bodies import (
    OF_HISTORY,
    OF_USER,
    ErrorAnswer,
    HealthAnswer,
    RecommendAnswer,
    RecommendForUser,
    RecommendRequest,
    VerbalizeAnswer,
    VerbalizeRequest,
)
from .guards import FAULT, App, Guard, Refused
from .measured import Measured
from .service import Service, ranked

_DESCRIPTION = """
Turns what a user did into a text (`/verbalize`), and a text into a ranking of candidates (`/recommend`).
Every error is a JSON object `{"error": {"message": ..., "field": ...}}`, where `field` is the part of the request that
is wrong. After 429 and 503, wait as many seconds as `Retry-After` says.
"""
_WORK_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "The body is not JSON."},
    404: {"model": ErrorAnswer, "description": "An item is not in the catalogue, or a user not in the store."},
    408: {"model": ErrorAnswer, "description": "The body did not arrive in time."},
    409: {"model": ErrorAnswer, "description": "The text of the user was written by another verbalizer."},
    413: {"model": ErrorAnswer, "description": "The body is too large."},
    422: {"model": ErrorAnswer, "description": "The body has another form than this page shows."},
    429: {"model": ErrorAnswer, "description": "Too many requests wait."},
    500: {"model": ErrorAnswer, "description": "The service failed."},
    502: {"model": ErrorAnswer, "description": "The model picked no candidate."},
    503: {"model": ErrorAnswer, "description": "The store or the engine cannot be reached."},
    504: {"model": ErrorAnswer, "description": "There was no answer in time."},
}
_METRICS_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
_KEY_ERROR: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorAnswer, "description": "The API key is missing or wrong."}
}


def to_app(service: Service, api_key: str | None = None) -> App:
    """The service as an application of ASGI.

    Args:
        service ([`Service`]): Does the work.
        api_key (`str`, *optional*): What clients must send as `Authorization: Bearer KEY`, except to `/healthz`.

    Returns:
        `App`: For an ASGI server such as uvicorn.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(
        title="logs2lang",
        version=version("logs2lang"),
        description=_DESCRIPTION.strip(),
        lifespan=lifespan,
        redoc_url=None,
    )
    _add_errors(app)
    _add_work(app, service, api_key)
    _add_health(app, service, api_key)
    paths = frozenset(app.openapi()["paths"])
    guarded = Guard(app, service.limits.max_body_bytes, service.limits.body_timeout_s)
    return Measured(guarded, service.measures, paths)


def _add_work(app: FastAPI, service: Service, api_key: str | None) -> None:
    shared: dict[str, Any] = {
        "responses": _WORK_ERRORS | (_KEY_ERROR if api_key else {}),
        "dependencies": _key_check(api_key),
    }
    examples = Examples(service)

    @app.post("/verbalize", response_model=VerbalizeAnswer, summary="Write a history as text", **shared)
    async def verbalize(
        request: Annotated[VerbalizeRequest, Body(openapi_examples=examples.verbalize())],
    ) -> dict[str, Any]:
        written = await service.verbalize(request.history)
        return {**written._asdict(), "verbalizer": service.verbalizer.fingerprint}

    @app.post("/recommend", response_model=RecommendAnswer, summary="Rank candidates for a user", **shared)
    async def recommend(
        request: Annotated[RecommendRequest, Body(openapi_examples=examples.recommend())],
    ) -> dict[str, Any]:
        candidates = service.known(request.candidates)
        if isinstance(request, RecommendForUser):
            text = await service.stored_text(request.user)
        else:
            text = (await service.verbalize(request.history)).text
        ranking = await service.recommend(text, candidates)
        return {
            "ranking": ranked(ranking, candidates),
            "text": text,
            "verbalizer": service.verbalizer.fingerprint,
            "reasoner": service.reasoner.entry()["id"],
        }


def _add_health(app: FastAPI, service: Service, api_key: str | None) -> None:
    @app.get("/healthz", response_model=HealthAnswer, summary="Say what the service runs; needs no key")
    async def healthz() -> dict[str, Any]:
        is_there = service.store is None or await service.store_is_there()
        return {
            "status": "ok" if is_there else "degraded",
            "verbalizer": service.verbalizer.fingerprint,
            "reasoner": service.reasoner.entry()["id"],
            "catalogue": service.catalogue,
            "items": len(service.items),
            "store": None if service.store is None else "ok" if is_there else "unreachable",
        }

    @app.get(
        "/metrics",
        summary="Measures for Prometheus",
        response_class=Response,
        responses=_METRICS_TEXT | (_KEY_ERROR if api_key else {}),
        dependencies=_key_check(api_key),
    )
    async def metrics() -> Response:
        return Response(service.measures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _key_check(api_key: str | None) -> list[Any]:
    if api_key is None:
        return []
    bearer = HTTPBearer(auto_error=False, description="The key that the service was started with.")

    async def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        if given is None or not hmac.compare_digest(given.credentials.encode(), api_key.encode()):
            raise Refused(
                401,
                "The API key is missing or wrong. Send it as `Authorization: Bearer KEY`.",
                "header.Authorization",
                {"WWW-Authenticate": "Bearer"},
            )

    return [Depends(check)]


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(request: Request, refused: Refused) -> JSONResponse:
        return JSONResponse(refused.body(), refused.status, refused.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part not in (OF_HISTORY, OF_USER))
        message = f"{first['msg']} ({len(error.errors())} problems in all; this page shows the form: /docs)."
        return JSONResponse(Refused(422, message, field).body(), 422)

    @app.exception_handler(InputError)
    async def unusable(request: Request, error: InputError) -> JSONResponse:
        return JSONResponse(Refused(422, str(error), "body.history").body(), 422)

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse(FAULT.body(), FAULT.status)  # the guard writes what it was to the log

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> JSONResponse:
        message = f"{error.detail}: {request.method} {request.url.path}. See /docs for what there is."
        if error.status_code == 400:
            message = "The body is not JSON in UTF-8."
        return JSONResponse(Refused(error.status_code, message).body(), error.status_code, error.headers)


class Examples:
    """Requests that work on this catalogue, for the OpenAPI page and for a first try.

    Args:
        service ([`Service`]): Whose catalogue the items come from.
    """

    def __init__(self, service: Service):
        self.ids = list(service.items)[:12]
        self.has_store = service.store is not None

    @property
    def history(self) -> list[dict[str, Any]]:
        """Two records, of the first items of the catalogue."""
        times = ("2026-11-26T20:15:00Z", "2026-11-27T21:00:00Z")
        return [
            {"item_id": item_id, "timestamp": time, "event": "play"}
            for item_id, time in zip(self.ids, times, strict=False)
        ]

    @property
    def candidates(self) -> Sequence[str]:
        """Three items that are not in the history, where the catalogue is that large."""
        return self.ids[2:5] or self.ids[:1]

    def first_try(self) -> dict[str, dict[str, Any]]:
        """One body for each endpoint that takes one, by its path."""
        return {
            "/verbalize": {"history": self.history},
            "/recommend": {"history": self.history, "candidates": list(self.candidates)},
        }

    def verbalize(self) -> dict[str, Any]:
        """Examples of bodies, as OpenAPI names them."""
        return {
            "history": {"summary": "Two records", "value": {"history": self.history}},
            "new_user": {"summary": "A user who did nothing yet", "value": {"history": []}},
        }

    def recommend(self) -> dict[str, Any]:
        """Examples of bodies, as OpenAPI names them."""
        of_history = self.first_try()["/recommend"]
        examples = {"history": {"summary": "A history and three candidates", "value": of_history}}
        if self.has_store:
            of_user = {"user": "0123456789abcdef", "candidates": self.candidates}
            examples["user"] = {"summary": "A user of the store", "value": of_user}
        return examples
