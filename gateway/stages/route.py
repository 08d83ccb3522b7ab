"""2. Route: find the model that is meant, its price, and the channels through which it may be reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from accounts.keyring import Caller
from catalog.snapshot import CatalogUnavailable, Model, Route
from gateway.asked import Asked, Prompt
from gateway.call import Call, Estimate, Option, Request
from gateway.choice import in_order
from gateway.errors import InvalidRequest, ModelNotFound, PermissionDenied, ServiceUnavailable
from gateway.preferences import preferred
from gateway.runtime import Gateway

# Upper bounds: what providers document for a picture, and what surrounds the messages of a prompt.
TOKENS_PER_IMAGE = 5_000
FAIR_TOKENS_PER_IMAGE = 1_000
# A document says little of its length by its bytes, and its address nothing: a hundred pages are taken to be in it. A
# search brings pages, too; OpenAI's fixed block for one is as large.
TOKENS_PER_DOCUMENT = 200_000
# Of a usual document: a page of two thousand tokens takes a hundred kilobytes of base64.
FAIR_DOCUMENT_BYTES = 50
TOKENS_PER_SEARCH = 8_000
TOKENS_PER_MESSAGE_FRAME = 16
# Sound in base64 for one token: of the usual encodings, and of the densest at the provider that counts most.
FAIR_AUDIO_BYTES = 400
LEAST_AUDIO_BYTES = 40


def route(gateway: Gateway, request: Request, caller: Caller, asked: Asked) -> Call:
    """Find model, price and channels; raises 400, 403, 404 and 503 errors."""
    try:
        snapshot = gateway.catalog.current
    except CatalogUnavailable as exc:
        raise ServiceUnavailable(
            "The model list is not loaded yet. Try again soon.", retry_after_s=1
        ) from exc
    fallbacks: Sequence[Option] = ()
    first = _option(gateway, request, caller, asked, asked.model)
    if asked.wishes is not None:
        others = [_option(gateway, request, caller, asked, name, "models") for name in asked.wishes.models]
        first, *fallbacks = preferred(
            [first, *others],
            asked.wishes.provider,
            snapshot=snapshot,
            speeds=gateway.speeds,
            is_stream=asked.is_stream,
        )
    return Call(
        request=request,
        caller=caller,
        asked=asked,
        model=first.model,
        price=first.price,
        candidates=first.candidates,
        estimate=first.estimate,
        own=first.own,
        fallbacks=tuple(fallbacks),
    )


def _option(
    gateway: Gateway, request: Request, caller: Caller, asked: Asked, name: str, param: str = "model"
) -> Option:
    """Return a model that can serve what is asked, with its price and channels."""
    model = gateway.catalog.current.models.get(name)
    if model is None:
        raise ModelNotFound(
            f"The model '{name}' does not exist here. GET /v1/models lists those that do.", param=param
        )
    if caller.allowed_models and model.id not in caller.allowed_models:
        raise PermissionDenied(f"This API key may not use the model '{model.id}'.", param=param)
    _check_kind(model, request, param)
    _check_capabilities(model, asked.prompt, request.format.param)
    keys = gateway.catalog.current.own.get(caller.organization_id)
    own = None if keys is None else keys.get(model.provider)
    candidates: tuple[Route, ...] = ()
    if own is None or not own.is_only:
        candidates = in_order(gateway, model.routes, caller=caller, request=request, asked=asked)
    return Option(
        model=model,
        price=model.price_at(request.started_at_ms / 1000),
        candidates=candidates if own is None else own.routes(model) + candidates,
        estimate=_with_what_is_read(estimate(asked.prompt), model, asked),
        own=own,
    )


def estimate(prompt: Prompt) -> Estimate:
    """Estimate a prompt's tokens: a quarter of its bytes fairly, half of them at most, plus pictures and sound."""
    audio = prompt.audio_bytes // FAIR_AUDIO_BYTES
    documents = -(-prompt.document_bytes // FAIR_DOCUMENT_BYTES)
    words = max(0, prompt.text_bytes - prompt.document_bytes) // 4
    return Estimate(
        fair=words + documents + prompt.images * FAIR_TOKENS_PER_IMAGE + audio + 1,
        most=prompt.text_bytes // 2
        + prompt.images * TOKENS_PER_IMAGE
        + -(-prompt.audio_bytes // LEAST_AUDIO_BYTES)
        + TOKENS_PER_MESSAGE_FRAME,
        audio=audio,
    )


def _with_what_is_read(prompt: Estimate, model: Model, asked: Asked) -> Estimate:
    """Add what is billed as input beside the bytes of the prompt: documents, pages, what searches find."""
    searches = asked.most_units.searches if "web_search" in model.capabilities else 0
    read = (asked.prompt.files + asked.prompt.fetches) * TOKENS_PER_DOCUMENT
    if not (searches or read):
        return prompt
    window = max(model.context_window, TOKENS_PER_DOCUMENT)
    most = max(prompt.most, min(window, prompt.most + read)) + searches * TOKENS_PER_SEARCH
    return msgspec.structs.replace(prompt, most=most)


_PATHS = {
    "chat": "/v1/chat/completions",
    "embedding": "/v1/embeddings",
    "image": "/v1/images/generations",
    "speech": "/v1/audio/speech",
    "transcription": "/v1/audio/transcriptions",
    "moderation": "/v1/moderations",
}


def _check_kind(model: Model, request: Request, param: str) -> None:
    if model.kind != request.format.kind:
        raise InvalidRequest(
            f"The model '{model.id}' is not served on this path. Use {_PATHS[model.kind]}.", param=param
        )


def _check_capabilities(model: Model, prompt: Prompt, param: Callable[[str], str]) -> None:
    if prompt.is_plain:
        return
    for count, modality, what in (
        (prompt.images, "image", "images"),
        (prompt.audios, "audio", "audio"),
        (prompt.files, "file", "files"),
    ):
        if count and modality not in model.input_modalities:
            raise InvalidRequest(f"The model '{model.id}' does not read {what}.", param=param("messages"))
    for is_asked, ability, field, what in (
        (prompt.has_tools, "tools", "tools", "call tools"),
        (prompt.has_search, "web_search", "web_search", "search the web"),
    ):
        if is_asked and ability not in model.capabilities:
            raise InvalidRequest(f"The model '{model.id}' cannot {what}.", param=param(field))
