"""The routes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

import beholder
from beholder.look import base_css, levels_js, read
from beholder.scoring.card import Card
from beholder.scoring.score import Score
from beholder.serve.answers import (
    CompareAnswer,
    HealthAnswer,
    ModelsAnswer,
    PictureAnswer,
    Problem,
    ScoreAnswer,
    preferences,
)
from beholder.serve.guard import Limited, Observed
from beholder.serve.intake import BODY_SCHEMA, Arrived, arrived
from beholder.serve.lanes import Busy, Lanes
from beholder.serve.metrics import Metrics
from beholder.serve.settings import Settings

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

BEARER = HTTPBearer(auto_error=False, description="Needed where the server was started with --api-key-file.")

REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": meaning}
    for code, meaning in {
        401: "No key, or a wrong one.",
        403: "An address of a host that is not allowed.",
        408: "The request did not arrive in time.",
        413: "The request is too large, or has too many pictures.",
        415: "Neither multipart nor JSON.",
        422: "Not a request of this kind.",
        429: "The queue is full; `Retry-After` says in how many seconds to try again.",
        504: "No answer in time.",
    }.items()
}


def make_app(card: Card, lanes: Lanes, metrics: Metrics, folder: Path, settings: Settings) -> FastAPI:
    """The application. `lanes` run already; they are closed when it shuts down. Uploads lie in `folder` meanwhile."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(lanes.close)

    app = FastAPI(
        title="beholder",
        version=beholder.__version__,
        description="How does this picture look to people? Quality and aesthetics scores, 0 to 100.",
        lifespan=lifespan,
        docs_url=None,  # these pages load their scripts from elsewhere
        redoc_url=None,
    )
    app.add_middleware(Limited, settings=settings)
    app.add_middleware(Observed, metrics=metrics)
    known = [] if settings.key is None else [Depends(_key_check(settings.key))]  # the schema asks for no key in vain
    origin = {"model": card.name, "weights_sha256": card.weights_sha256}

    async def scores_of(request: Request, pictures: Sequence[Arrived]) -> list[Score]:
        files = [picture.file for picture in pictures if picture.file is not None]
        found = iter(await _answers(lanes, files, settings.request_s))
        scores = [
            Score(status="unreadable", error=picture.error) if picture.file is None else next(found)
            for picture in pictures
        ]
        for score in scores:
            metrics.pictures.labels(score.status).inc()
        request.state.pictures = len(scores)
        return scores

    @app.post("/v1/score", dependencies=known, responses=REFUSALS, openapi_extra=BODY_SCHEMA)
    async def score(request: Request) -> ScoreAnswer:
        """Score pictures. One that can't be scored is in the answer all the same, with a status and a reason."""
        async with arrived(request, folder, settings, n_wanted=None) as pictures:
            scores = await scores_of(request, pictures)
        answers = [PictureAnswer.of(picture.name, one) for picture, one in zip(pictures, scores, strict=True)]
        return ScoreAnswer(**origin, pictures=answers)

    @app.post("/v1/compare", dependencies=known, responses=REFUSALS, openapi_extra=BODY_SCHEMA)
    async def compare(request: Request) -> CompareAnswer:
        """Compare two pictures, the first with the second."""
        async with arrived(request, folder, settings, n_wanted=2) as pictures:
            first, second = await scores_of(request, pictures)
        return CompareAnswer(
            **origin,
            first=PictureAnswer.of(pictures[0].name, first),
            second=PictureAnswer.of(pictures[1].name, second),
            preferences=preferences(first, second),
        )

    @app.get("/v1/models", dependencies=known, responses={401: REFUSALS[401]})
    async def models() -> ModelsAnswer:
        """The card of the model: meaning, measured accuracy, limits, licences."""
        return ModelsAnswer(models=[card])

    @app.get("/healthz")
    async def healthz() -> HealthAnswer:
        """Whether this server is up; it only listens once its model is loaded."""
        return HealthAnswer(status="ok", model=card.name, waiting=lanes.n_waiting)

    @app.get("/metrics", include_in_schema=False)
    async def metrics_text() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    for path, media_type, text in (
        ("/", "text/html", read(__package__, "page.html")),
        ("/page.css", "text/css", base_css() + read(__package__, "page.css")),
        ("/page.js", "text/javascript", levels_js() + read(__package__, "page.js")),
    ):
        app.get(path, include_in_schema=False)(_static(text, media_type))
    return app


async def _answers(lanes: Lanes, files: Sequence[Path], limit_s: float) -> list[Score]:
    """Scores of files. Raises `HTTPException` 429 where the queue has no room, 504 where none came in time."""
    try:
        waiting: list[Future[Score]] = lanes.submit(files)
    except Busy as busy:
        raise HTTPException(
            429,
            f"the queue is full; try again in {busy.retry_after_s} s",
            {"Retry-After": str(busy.retry_after_s)},
        ) from None
    try:
        return await asyncio.wait_for(asyncio.gather(*map(asyncio.wrap_future, waiting)), limit_s)
    except TimeoutError:
        raise HTTPException(504, f"no answer within {limit_s:g} s") from None
    finally:
        for future in waiting:
            future.cancel()  # those that wait still, if the client went away or the time is up


def _key_check(key: str) -> Callable[..., Awaitable[None]]:
    async def check(shown: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> None:
        if not (shown and secrets.compare_digest(shown.credentials.encode(), key.encode())):
            raise HTTPException(
                401, "this server wants a key: Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"}
            )

    return check


def _static(text: str, media_type: str) -> Callable[[], Awaitable[Response]]:
    headers = {"Content-Security-Policy": PAGE_POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}

    async def answer() -> Response:
        return Response(text, media_type=media_type, headers=headers)

    return answer
