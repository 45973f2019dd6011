"""What answers all that is no request to classify, and describes all of it (OpenAPI)."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from edgekit.serve import schemas
from edgekit.serve.pages import SECURITY, Page, pages
from edgekit.serve.refusal import RefusedError
from edgekit.serve.service import Service
from edgekit_runtime import __version__

_REASONS = {
    400: "No JSON, no valid HTTP, or a Host header that is not this service's",
    401: "No key, or a wrong one",
    413: "Body, batch or text too large",
    415: "Not application/json",
    422: "Other fields than described",
    429: "The queue is full; Retry-After says for how long",
    500: "The engine failed",
    503: "The service is about to end",
    504: "No answer in time",
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.Refused, "description": reason} for status, reason in _REASONS.items()
}


def inner_app(service: Service) -> FastAPI:
    """The application behind the gate."""
    app = FastAPI(
        title="edgekit",
        summary="Classifies text.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.openapi_version = "3.0.3"  # the newest that the page of the interface can show
    keyed = [Depends(HTTPBearer(auto_error=False))] if service.settings.api_keys is not None else []
    _describe_predictions(app, keyed)
    _add_health(app, service)

    @app.get("/metrics", summary="Figures for Prometheus", dependencies=keyed, response_class=Response)
    async def metrics() -> Response:
        return Response(service.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/v1/monitor", summary="What was answered up to now, and drift", dependencies=keyed)
    async def monitor() -> Response:
        return Response(service.generation.monitor.snapshot().to_json(), media_type="application/json")

    @app.get("/v1/bundle", summary="What answers", dependencies=keyed)
    async def bundle() -> schemas.Description:
        generation = service.generation
        classifier = generation.classifiers[0]
        return schemas.Description(
            **generation.about,
            labels=list(classifier.labels),
            engine=classifier.engine_names,
            threads=service.settings.threads,
            workers=service.settings.worker_count,
        )

    for path, page in pages().items():
        app.add_api_route(path, _answers(page), include_in_schema=False)
    _add_errors(app)
    return app


def _describe_predictions(app: FastAPI, keyed: list[Any]) -> None:
    """Describes what the gate answers itself."""

    @app.post("/predict", summary="Classify a text", responses=REFUSALS, dependencies=keyed)
    async def predict(body: schemas.OneText) -> schemas.Answered:
        raise AssertionError("the gate answers this")

    @app.post("/v1/predict", summary="Classify texts", responses=REFUSALS, dependencies=keyed)
    async def predict_several(body: schemas.ManyTexts) -> schemas.ManyAnswered:
        raise AssertionError("the gate answers this")


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", summary="Whether the service lives")
    async def healthz() -> schemas.Status:
        return schemas.Status(status="ok")

    @app.get("/readyz", summary="Whether it takes requests", responses={503: REFUSALS[503]})
    async def readyz() -> schemas.Status:
        if not service.ready:
            raise service.ending()
        return schemas.Status(status="ready")


def _answers(page: Page) -> Any:
    async def answer() -> Response:
        return Response(page.content, media_type=page.media_type, headers=SECURITY)

    return answer


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        code, message = {
            404: ("not_found", "there is no such path; /docs lists all"),
            405: ("method_not_allowed", "this path takes another method; /docs says which"),
        }.get(error.status_code, ("refused", "this cannot be answered"))
        return JSONResponse({"error": {"code": code, "message": message}}, error.status_code, error.headers)

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        headers = {name.decode(): value.decode() for name, value in error.headers}
        return Response(error.body, error.status, headers, media_type="application/json")

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:  # the gate logs it
        body = RefusedError(500, "internal", "the service failed on this request; the service's log says more").body
        return Response(body, 500, media_type="application/json")
