"""The address that Stripe sends its events to. Whoever else calls it is refused and leaves no trace."""

from __future__ import annotations

import logging

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing import events
from billing.stripe_api.events import BadSignature, verified

logger = logging.getLogger(__name__)

MOST_BYTES = 256 * 1024


@csrf_exempt
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    """Take one event; any answer but 2xx makes Stripe send it again."""
    if not settings.STRIPE_WEBHOOK_SECRETS:
        logger.error("stripe.webhook_without_secret")
        return _text("No webhook secret is configured.", 503)
    body = request.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        return _text("The body is too large.", 400)
    try:
        event = verified(
            body=body,
            signature=request.headers.get("Stripe-Signature", ""),
            secrets=settings.STRIPE_WEBHOOK_SECRETS,
        )
    except BadSignature:
        return _text("The signature is not valid.", 400)
    try:
        events.take(event)
    except Exception:
        logger.exception("stripe.webhook_failed", extra={"event": event.id, "kind": event.kind})
        return _text("Not processed; send it again.", 500)
    return _text("", 200)


def _text(text: str, status: int) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain")
