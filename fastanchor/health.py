"""What a load balancer asks: whether this process answers, and whether it reaches what it needs.

How the whole product fares is ``fastanchor.metrics``, which is asked in the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from fastanchor.metrics import metrics

logger = logging.getLogger(__name__)

_TIMEOUT_S = 2.0


def answer_health(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Answer them before the host is checked or HTTPS demanded: who asks uses an IP address and plain HTTP."""

    def middleware(request: HttpRequest) -> HttpResponse:
        view = _VIEWS.get(request.path_info)
        return view(request) if view else get_response(request)

    return middleware


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 as long as this process serves requests."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when PostgreSQL and Valkey answer, else 503 with the one that does not."""
    found = checks()
    ready = all(found.values())
    named = {name: "ok" if answers else "unreachable" for name, answers in found.items()}
    return JsonResponse({"status": "ok" if ready else "unavailable", **named}, status=200 if ready else 503)


def checks() -> dict[str, bool]:
    """Ask PostgreSQL and Valkey, and tell which of them answered."""
    return {"postgresql": _postgresql_answers(), "valkey": _valkey_answers()}


def _postgresql_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        logger.warning("health.postgresql_unreachable")
        return False
    return True


def _valkey_answers() -> bool:
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
        ) as client:
            client.ping()
    except redis.RedisError:
        logger.warning("health.valkey_unreachable")
        return False
    return True


_VIEWS: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/metrics": metrics,
}
