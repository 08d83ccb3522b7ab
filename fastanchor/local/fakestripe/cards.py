"""Stripe's test cards: what each number, ``tok_NAME`` and ``pm_card_NAME`` stands for and how it behaves."""

from __future__ import annotations

from dataclasses import dataclass

from fastanchor.local.fakestripe.errors import StripeError

_DECLINED = "Your card was declined."


@dataclass(frozen=True, slots=True)
class Decline:
    """How an issuer says no."""

    code: str
    decline_code: str | None
    message: str
    advice: str | None = "try_again_later"


@dataclass(frozen=True, slots=True)
class Card:
    """One test card."""

    number: str
    names: tuple[str, ...]
    brand: str = "visa"
    country: str = "US"
    funding: str = "credit"
    # Declines when it is charged, and where ``is_refused_early`` when it is saved, too.
    decline: Decline | None = None
    is_refused_early: bool = True
    # "always" wants the customer for each payment, "unless_set_up" once, "on_session" only while the customer is there.
    authentication: str = ""
    # The kind of dispute that a payment leads to, or what becomes of a refund.
    dispute: str = ""
    refund: str = ""
    is_available_at_once: bool = False

    @property
    def last4(self) -> str:
        """Return what is shown of the number."""
        return self.number[-4:]


def _no(code: str, decline_code: str | None, message: str, advice: str | None = "try_again_later") -> Decline:
    return Decline(code, decline_code, message, advice)


_GENERIC = _no("card_declined", "generic_decline", _DECLINED)
_POOR = _no("card_declined", "insufficient_funds", "Your card has insufficient funds.")
_LOST = _no("card_declined", "lost_card", _DECLINED, "do_not_try_again")
_STOLEN = _no("card_declined", "stolen_card", _DECLINED, "do_not_try_again")
_FAST = _no(
    "card_declined",
    "card_velocity_exceeded",
    "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
)
_FRAUD = _no("card_declined", "fraudulent", _DECLINED, "do_not_try_again")
_EXPIRED = _no("expired_card", "expired_card", "Your card has expired.", "do_not_try_again")
_CVC = _no("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.", "confirm_card_data")
_BUSY = _no(
    "processing_error",
    "processing_error",
    "An error occurred while processing your card. Try again in a little bit.",
)
NEEDS_AUTHENTICATION = _no(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    None,
)

CARDS = (
    Card("4242424242424242", ("visa", "us")),
    Card("4000056655665556", ("visa_debit",), funding="debit"),
    Card("5555555555554444", ("mastercard",), "mastercard"),
    Card("5200828282828210", ("mastercard_debit",), "mastercard", funding="debit"),
    Card("5105105105105100", ("mastercard_prepaid",), "mastercard", funding="prepaid"),
    Card("378282246310005", ("amex", "amex_threeDSecureNotSupported"), "amex"),
    Card("6011111111111117", ("discover",), "discover"),
    Card("3056930009020004", ("diners",), "diners"),
    Card("3566002020360505", ("jcb",), "jcb"),
    Card("6200000000000005", ("unionpay",), "unionpay"),
    Card("4000002760000016", ("de",), country="DE"),
    Card("4000002500000003", ("fr",), country="FR"),
    Card("4000008260000000", ("gb", "gb_debit"), country="GB"),
    Card("4000001240000000", ("ca",), country="CA"),
    Card("4000000000000077", ("bypassPending",), is_available_at_once=True),
    Card("4000000000000002", ("chargeDeclined", "visa_chargeDeclined"), decline=_GENERIC),
    Card(
        "4000000000009995",
        ("chargeDeclinedInsufficientFunds", "visa_chargeDeclinedInsufficientFunds"),
        decline=_POOR,
    ),
    Card("4000000000009987", ("chargeDeclinedLostCard", "visa_chargeDeclinedLostCard"), decline=_LOST),
    Card("4000000000009979", ("chargeDeclinedStolenCard", "visa_chargeDeclinedStolenCard"), decline=_STOLEN),
    Card("4000000000000069", ("chargeDeclinedExpiredCard",), decline=_EXPIRED),
    Card("4000000000000127", ("chargeDeclinedIncorrectCvc",), decline=_CVC),
    Card("4000000000000119", ("chargeDeclinedProcessingError",), decline=_BUSY),
    Card(
        "4000000000006975",
        ("chargeDeclinedVelocityLimitExceeded", "visa_chargeDeclinedVelocityLimitExceeded"),
        decline=_FAST,
    ),
    Card("4100000000000019", ("radarBlock", "chargeDeclinedFraudulent"), decline=_FRAUD),
    Card("4000000000000341", ("chargeCustomerFail",), decline=_GENERIC, is_refused_early=False),
    Card("4000002500003155", ("authenticationRequiredOnSetup",), authentication="unless_set_up"),
    Card("4000002760003184", ("authenticationRequired",), authentication="always"),
    Card("4000003800000446", ("authenticationRequiredSetupForOffSession",), authentication="on_session"),
    Card(
        "4000000000003220",
        ("threeDSecure2Required", "threeDSecureRequired"),
        authentication="always",
    ),
    Card(
        "4000008260003178",
        ("authenticationRequiredChargeDeclinedInsufficientFunds",),
        decline=_POOR,
        is_refused_early=False,
        authentication="always",
    ),
    Card(
        "4000008400001629",
        ("threeDSecureRequiredChargeDeclined",),
        decline=_GENERIC,
        is_refused_early=False,
        authentication="always",
    ),
    Card("4000000000003055", ("threeDSecureOptional",)),
    Card("4000000000000259", ("createDispute",), dispute="fraudulent"),
    Card("4000000000002685", ("createDisputeProductNotReceived",), dispute="product_not_received"),
    Card("4000000000001976", ("createDisputeInquiry",), dispute="inquiry"),
    Card("4000000000007726", ("pendingRefund",), refund="pending"),
    Card("4000000000005126", ("refundFail",), refund="fail"),
)

_BY_NUMBER = {card.number: card for card in CARDS}
_BY_NAME = {name: card for card in CARDS for name in card.names}


def by_number(number: str) -> Card:
    """Return the card of a number; raises ``StripeError``."""
    digits = "".join(number.split()).replace("-", "")
    if card := _BY_NUMBER.get(digits):
        return card
    if not digits.isdecimal() or not 12 <= len(digits) <= 19 or not _is_well_formed(digits):
        raise card_error(
            "Your card number is incorrect.", code="incorrect_number", param="number", is_remembered=False
        )
    message = (
        "Your card was declined. Your request was in test mode, but used a non test card. For a list of valid test cards, "
        "visit: https://stripe.com/docs/testing."
    )
    raise card_error(message, code="card_declined", decline_code="test_mode_live_card", is_remembered=False)


def by_name(given: str) -> Card | None:
    """Return the card that a token or a payment method of everybody's stands for."""
    for prefix in ("pm_card_", "tok_"):
        if given.startswith(prefix):
            return _BY_NAME.get(given.removeprefix(prefix))
    return None


def card_error(message: str, **more: object) -> StripeError:
    """Return the error for a card that cannot be charged."""
    return StripeError(message, status=402, kind="card_error", **more)  # type: ignore[arg-type]


def _is_well_formed(digits: str) -> bool:
    """Say whether the last digit fits the others (ISO/IEC 7812)."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + index % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
