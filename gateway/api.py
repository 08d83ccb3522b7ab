"""The calm part of /v1: the model list and the OpenAPI document."""

from __future__ import annotations

import time
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from ninja import Field, NinjaAPI, Query, Schema
from ninja.errors import ValidationError
from ninja.openapi.schema import OpenAPISchema

from catalog.snapshot import CatalogUnavailable, Model, Snapshot
from gateway.calm import enter
from gateway.described import HEADERS, SECURITY_SCHEMES, add_refusals, hot_paths, schemas
from gateway.envelope import is_anthropic, suited_response
from gateway.errors import GatewayError, InvalidRequest, ModelNotFound, ServiceUnavailable
from gateway.runtime import Gateway
from gateway.shown import page_of, shown


class _Described(NinjaAPI):
    """Its document lists the hot endpoints, too."""

    _document: OpenAPISchema | None = None

    def get_openapi_schema(self, **given: Any) -> OpenAPISchema:
        """Return the document; it is the same as long as the process runs."""
        if self._document is None:
            self._document = self._described(super().get_openapi_schema(**given))
        return self._document

    @staticmethod
    def _described(document: OpenAPISchema) -> OpenAPISchema:
        document["paths"] = hot_paths() | document["paths"]
        add_refusals(document["paths"])
        components = document["components"]
        components["schemas"] |= schemas()
        components |= {"headers": HEADERS, "securitySchemes": SECURITY_SCHEMES}
        document["security"] = [{name: []} for name in SECURITY_SCHEMES]
        # Wherever the document was read from.
        document["servers"] = [{"url": "/"}]
        return document


api = _Described(
    title="FastAnchor",
    version="1",
    description="Many models behind one endpoint, in the formats of OpenAI and Anthropic.",
    urls_namespace="v1",
    docs_url=None,
    openapi_url="/openapi.json",
    docs_decorator=require_safe,
)


class ModelQuery(Schema):
    """Which part of the list is wanted, in Anthropic's words; all of it without a limit."""

    limit: int | None = Field(None, ge=1, le=1_000)
    after_id: str = ""
    before_id: str = ""


class ModelObject(Schema):
    """A model in the shapes of OpenAI and Anthropic at once, with extra keys.

    ``price`` holds USD per million tokens as text, and USD per image, search, character and second. Clients that send
    ``anthropic-version`` get ``capabilities`` as Anthropic's object, all others as names.
    """

    id: str
    object: Literal["model"]
    type: Literal["model"]
    created: int
    created_at: str
    owned_by: str
    name: str
    display_name: str
    kind: str
    lifecycle: str
    line: None = None
    deprecated_at: None = None
    retires_at: None = None
    context_window: int | None
    max_input_tokens: int | None
    max_output_tokens: int | None
    max_tokens: int | None
    capabilities: list[str] | dict[str, Any]
    input_modalities: list[str]
    output_modalities: list[str]
    price: dict[str, Any]


class ModelList(Schema):
    """Models that a key may use."""

    object: Literal["list"] = "list"
    data: list[ModelObject]
    has_more: bool
    first_id: str | None
    last_id: str | None


@api.exception_handler(GatewayError)
def _refuse(request: HttpRequest, error: GatewayError) -> HttpResponse:
    return suited_response(request, error)


@api.exception_handler(ValidationError)
def _refuse_invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    first = error.errors[0]
    param = str(first["loc"][-1])
    return _refuse(request, InvalidRequest(f"Invalid value for '{param}': {first['msg']}.", param=param))


def _snapshot(gateway: Gateway) -> Snapshot:
    try:
        return gateway.catalog.current
    except CatalogUnavailable as exc:
        raise ServiceUnavailable(
            "The model list is not loaded yet. Try again soon.", retry_after_s=1
        ) from exc


@api.get("/models", response=ModelList, operation_id="listModels", summary="List the models", tags=["Models"])
async def list_models(request: HttpRequest, query: Query[ModelQuery]) -> dict[str, Any]:
    """Return every model that the key may use, or a page of them."""
    gateway, caller = await enter(request)
    allowed = caller.allowed_models
    models = [model for model in _snapshot(gateway).listed if not allowed or model.id in allowed]
    page = page_of(models, limit=query.limit, after_id=query.after_id, before_id=query.before_id)
    return {
        "data": [_shown(model, request) for model in page.items],
        "has_more": page.has_more,
        "first_id": page.items[0].id if page.items else None,
        "last_id": page.items[-1].id if page.items else None,
    }


@api.get(
    "/models/{path:model_id}",
    response=ModelObject,
    operation_id="retrieveModel",
    summary="Show one model",
    tags=["Models"],
)
async def show_model(request: HttpRequest, model_id: str) -> dict[str, Any]:
    """Return one model by its id or an alias of it."""
    gateway, caller = await enter(request)
    model = _snapshot(gateway).models.get(model_id)
    if model is None or (caller.allowed_models and model.id not in caller.allowed_models):
        raise ModelNotFound(
            f"The model '{model_id}' does not exist here, or this key may not use it.", param="model"
        )
    return _shown(model, request)


def _shown(model: Model, request: HttpRequest) -> dict[str, Any]:
    return shown(model, at=time.time(), for_anthropic=is_anthropic(request))
