"""The calm part of /v1: the model list and the OpenAPI document."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema

from accounts.keyring import Caller
from catalog.snapshot import CatalogUnavailable, Model, Snapshot
from gateway import door
from gateway.envelope import error_response
from gateway.errors import GatewayError, ModelNotFound, ServiceUnavailable
from gateway.stages.admit import authenticate

api = NinjaAPI(
    title="FastAnchor",
    version="1",
    description="One OpenAI-compatible endpoint in front of many models.",
    urls_namespace="v1",
    docs_url=None,
    openapi_url="/openapi.json",
)


class ModelObject(Schema):
    """A model, in OpenAI's shape with extra keys."""

    id: str
    object: str = "model"
    created: int
    owned_by: str
    name: str
    context_window: int
    max_output_tokens: int
    capabilities: list[str]
    input_modalities: list[str]
    output_modalities: list[str]


class ModelList(Schema):
    """All models that a key may use."""

    object: str = "list"
    data: list[ModelObject]


@api.exception_handler(GatewayError)
def _refuse(request: HttpRequest, error: GatewayError) -> HttpResponse:
    return error_response(error)


async def _caller(request: HttpRequest) -> Caller:
    return await authenticate(door.current(), {"authorization": request.headers.get("Authorization", "")})


def _snapshot() -> Snapshot:
    try:
        return door.current().catalog.current
    except CatalogUnavailable as exc:
        raise ServiceUnavailable(
            "The model list is not loaded yet. Try again soon.", retry_after_s=1
        ) from exc


@api.get("/models", response=ModelList, operation_id="listModels", summary="List the models")
async def list_models(request: HttpRequest) -> dict[str, Any]:
    """Return every model that the key may use."""
    caller = await _caller(request)
    allowed = caller.allowed_models
    return {"data": [_shown(model) for model in _snapshot().listed if not allowed or model.id in allowed]}


@api.get(
    "/models/{path:model_id}", response=ModelObject, operation_id="retrieveModel", summary="Show one model"
)
async def show_model(request: HttpRequest, model_id: str) -> dict[str, Any]:
    """Return one model by its id or an alias of it."""
    caller = await _caller(request)
    model = _snapshot().models.get(model_id)
    if model is None or (caller.allowed_models and model.id not in caller.allowed_models):
        raise ModelNotFound(
            f"The model '{model_id}' does not exist here, or this key may not use it.", param="model"
        )
    return _shown(model)


def _shown(model: Model) -> dict[str, Any]:
    return {
        "id": model.id,
        "created": model.created,
        "owned_by": model.provider,
        "name": model.name,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output,
        "capabilities": sorted(model.capabilities),
        "input_modalities": list(model.input_modalities),
        "output_modalities": list(model.output_modalities),
    }
