"""The connection to Stripe, and its errors in our words."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import stripe
from django.conf import settings

from billing.stripe_api import patience
from billing.stripe_api.patience import Patience

# What this code was written for; Stripe answers in it whatever the account's default is.
API_VERSION = "2026-10-28.endive"
STRIPE = "https://api.stripe.com"
CHECKOUT = "https://checkout.stripe.com"


class StripeFault(Exception):
    """A call to Stripe did not do what it was for."""


class NotConfigured(StripeFault):
    """There is no key for Stripe: nothing can be sold."""


class StripeUnavailable(StripeFault):
    """Whether the call took effect is unknown: ask again, with the same key."""


class StripeRefused(StripeFault):
    """Stripe refuses the call for good; ``code`` is its word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class UnknownObject(StripeRefused):
    """Stripe has no such object, or no longer."""


class CardRefused(StripeRefused):
    """The card was refused; ``decline_code`` says more than ``code`` where the bank told."""

    def __init__(self, code: str, message: str, *, decline_code: str, intent_id: str) -> None:
        super().__init__(code, message)
        self.decline_code = decline_code
        self.intent_id = intent_id

    @property
    def wants_owner(self) -> bool:
        """Tell whether the payment needs its owner at Stripe's page."""
        return "authentication_required" in {self.code, self.decline_code}


def is_configured() -> bool:
    """Tell whether top-ups can be sold at all."""
    return bool(settings.STRIPE_SECRET_KEY)


def checkout_origin() -> str:
    """Return the origin of the page on which people pay: Stripe's, or that of whatever stands in for Stripe."""
    base = urlsplit(settings.STRIPE_API_BASE)
    return CHECKOUT if settings.STRIPE_API_BASE == STRIPE else f"{base.scheme}://{base.netloc}"


def client() -> stripe.StripeClient:
    """Return the client of this process; raises ``NotConfigured``."""
    if not is_configured():
        raise NotConfigured
    return _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, patience.now())


@functools.lru_cache(maxsize=4)
def _client(key: str, base: str, wait: Patience) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        base_addresses={"api": base},
        max_network_retries=wait.retries,
        http_client=stripe.RequestsClient(timeout=(wait.connect_s, wait.answer_s)),
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn the SDK's errors into ours."""
    try:
        yield
    except (stripe.APIConnectionError, stripe.RateLimitError, stripe.APIError) as exc:
        raise StripeUnavailable(type(exc).__name__) from exc
    except stripe.IdempotencyError as exc:
        raise _key_refused(exc) from exc
    except stripe.CardError as exc:
        raise _card_refused(exc) from exc
    except stripe.StripeError as exc:
        kind = UnknownObject if exc.code == "resource_missing" else StripeRefused
        raise kind(exc.code or type(exc).__name__, exc.user_message or "") from exc


def _key_refused(exc: stripe.IdempotencyError) -> StripeFault:
    # Another call with the same key is still under way.
    if exc.code == "idempotency_key_in_use":
        return StripeUnavailable(exc.code)
    return StripeRefused(exc.code or "idempotency_error", exc.user_message or "")


def _card_refused(exc: stripe.CardError) -> CardRefused:
    error = exc.error
    intent = error.payment_intent if error else None
    return CardRefused(
        exc.code or "card_declined",
        exc.user_message or "The card was declined.",
        decline_code=(error.decline_code if error else None) or "",
        intent_id=intent.id if intent else "",
    )
