"""The hot endpoints as Django views over the same pipeline, and what every other path under /v1 answers.

So all of /v1 stands in the URL conf and works under any server; in production ``app.py`` answers before Django.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from gateway import door
from gateway.call import Request
from gateway.calm import source_of
from gateway.endpoints import ENDPOINTS
from gateway.envelope import refusal_response, suited_response
from gateway.errors import GatewayError, MethodNotAllowed, NotFound, RequestTooLarge
from gateway.pipeline import serve
from gateway.reply import Reply


@csrf_exempt
async def hot_endpoint(request: HttpRequest) -> HttpResponseBase:
    """POST to one of ``gateway.endpoints.ENDPOINTS``."""
    format_ = ENDPOINTS[request.path]
    headers = {name.lower(): value for name, value in request.headers.items()}
    asked = Request(headers, b"", format_, source_of(request))
    try:
        asked = msgspec.structs.replace(asked, body=body_of(request))
        gateway = door.current()
    except GatewayError as error:
        return refusal_response(error, format_, asked.id)
    return await _respond(serve(gateway, asked))


def body_of(request: HttpRequest) -> bytes:
    """Return the body of a POST; raises ``MethodNotAllowed`` and ``RequestTooLarge``."""
    if request.method != "POST":
        raise MethodNotAllowed("This path takes POST only.", headers=(("allow", "POST"),))
    try:
        return request.body
    except RequestDataTooBig:
        raise RequestTooLarge("The body is too large. Shorten it.") from None


async def _respond(reply: Reply) -> HttpResponseBase:
    try:
        await reply.begun()
    except BaseException:
        reply.leave()
        raise
    response: HttpResponseBase
    if reply.is_stream:
        response = StreamingHttpResponse(_pieces(reply), status=reply.status)
    else:
        response = HttpResponse(reply.take(), status=reply.status)
    for name, value in reply.headers:
        response[name] = value
    return response


async def _pieces(reply: Reply) -> AsyncIterator[bytes]:
    try:
        while (piece := await reply.piece()) is not None:
            yield piece
        if reply.is_broken:
            raise ConnectionAbortedError
    finally:
        reply.leave()


@csrf_exempt
def unknown_path(request: HttpRequest, path: str = "") -> HttpResponse:
    """Answer any other path under /v1."""
    return suited_response(
        request, NotFound(f"There is no {request.method} {request.path[:200]}. {_way_out(request)}")
    )


@csrf_exempt
def missing_prefix(request: HttpRequest) -> HttpResponse:
    """Answer a path of /v1 without its beginning, which SDKs ask for when their base URL lacks it."""
    base_url = request.build_absolute_uri("/v1")
    return suited_response(
        request, NotFound(f"There is no {request.method} {request.path}. Set the base URL to {base_url}.")
    )


def _way_out(request: HttpRequest) -> str:
    if request.path.startswith("/v1/v1/"):
        return "This client adds '/v1' to its base URL by itself: leave it out there."
    if request.path.rstrip("/") in ENDPOINTS:
        return "Leave out the slash at the end."
    return "GET /v1/openapi.json lists the paths."
