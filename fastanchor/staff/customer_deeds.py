"""The pages on which staff acts on a customer; each translates a form into one call of the app that owns the rule."""

from __future__ import annotations

import logging
from smtplib import SMTPException
from typing import Any, cast

from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from accounts import keys, organizations
from accounts.models import ApiKey, User
from billing import refunds, sync, wallets
from billing.admin.base import cents as dollars, quoted
from billing.models import TopUp
from billing.stripe_api.client import StripeFault, StripeRefused
from fastanchor.staff import customer_mails, freezing
from fastanchor.staff.customer_actions import Deed, NotDone, answer
from fastanchor.staff.customer_forms import MailForm, PlanForm, Reason, RefundForm
from fastanchor.staff.customers import find

logger = logging.getLogger(__name__)
_forms = require_http_methods(["GET", "HEAD", "POST"])


def _by(request: HttpRequest) -> User:
    return cast("User", request.user)


def _sent(request: HttpRequest) -> Any:
    return request.POST if request.method == "POST" else None


@_forms
@permission_required("accounts.change_organization", raise_exception=True)
def plan(request: HttpRequest, org_id: str) -> HttpResponse:
    """Change plan and limits."""
    organization = find(org_id)
    now = PlanForm.of(organization)

    def do(form: PlanForm) -> str:
        with transaction.atomic():
            organizations.change_plan(
                organization=organization,
                plan_code=form.cleaned_data["plan"].pk,
                by=_by(request),
                reason=form.cleaned_data["reason"],
            )
            organizations.change_limits(
                organization=organization,
                limits=form.limits,
                by=_by(request),
                reason=form.cleaned_data["reason"],
            )
        return "Changed. Every process knows within a second."

    deed = Deed(
        title=f"Plan and limits of {organization.name}",
        words="Holds for requests that begin from now on. A limit of 0 lets nothing through.",
        verb="Change",
        form=PlanForm(_sent(request), initial=now),
        do=do,
        facts=[
            ("Plan now", organization.plan.name),
            *(
                (name.replace("_", " ").capitalize(), _now(value, getattr(organization.plan, name)))
                for name, value in now.items()
                if name != "plan"
            ),
        ],
        is_shown_first=True,
    )
    return answer(request, organization, deed)


def _now(own: object, of_plan: int) -> object:
    return f"the plan's {of_plan:,}" if own is None else own


@_forms
@permission_required("accounts.freeze_organization", raise_exception=True)
def freeze(request: HttpRequest, org_id: str) -> HttpResponse:
    """Stop a customer."""
    organization = find(org_id)

    def do(form: Reason) -> str:
        freezing.freeze(organization=organization, by=_by(request), reason=form.cleaned_data["reason"])
        return "Frozen. Within a second no key of it is let in."

    words = (
        "Requests to /v1 are answered with 403, nothing of the credit can be spent, and no card is charged."
        " Members can still log in, and read on every page that the organization is frozen."
    )
    return answer(
        request,
        organization,
        Deed(f"Freeze {organization.name}", words, "Freeze", Reason(_sent(request)), do),
    )


@_forms
@permission_required("accounts.freeze_organization", raise_exception=True)
def unfreeze(request: HttpRequest, org_id: str) -> HttpResponse:
    """Let a customer go on."""
    organization = find(org_id)

    def do(form: Reason) -> str:
        freezing.unfreeze(organization=organization, by=_by(request), reason=form.cleaned_data["reason"])
        return "No longer frozen."

    words = "Its keys and its credit work again within a second. What a disputed payment has frozen stays so."
    return answer(
        request,
        organization,
        Deed(f"Unfreeze {organization.name}", words, "Unfreeze", Reason(_sent(request)), do),
    )


@_forms
@permission_required("accounts.mail_organization", raise_exception=True)
def mail(request: HttpRequest, org_id: str) -> HttpResponse:
    """Send a mail once more."""
    organization = find(org_id)
    form = MailForm(_sent(request))
    choices = customer_mails.choices(organization)
    form.offer(choices)

    def do(form: MailForm) -> str:
        try:
            words = customer_mails.send(
                organization=organization,
                which=form.cleaned_data["mail"],
                reason=form.cleaned_data["reason"],
                request=request,
            )
        except (OSError, SMTPException) as exc:
            logger.exception("staff.mail_not_sent", extra={"organization": organization.pk})
            raise NotDone("The mail could not be handed over. Try again later.") from exc
        return f"Sent: {words}."

    words = "It goes to the address that it went to first." if choices else "There is no mail to send again."
    return answer(
        request, organization, Deed(f"Resend a mail to {organization.name}", words, "Send", form, do)
    )


@_forms
@permission_required("accounts.change_apikey", raise_exception=True)
def revoke(request: HttpRequest, org_id: str, key_id: str) -> HttpResponse:
    """End a key."""
    organization = find(org_id)
    key = get_object_or_404(ApiKey, organization=organization, pk=key_id)

    def do(form: Reason) -> str:
        keys.revoke(key=key, by=_by(request), reason=form.cleaned_data["reason"])
        return "Revoked. Within a second it opens nothing any more."

    words = "Programs that use it get 401. This cannot be undone: its owner has to make another."
    facts: list[tuple[str, object]] = [("Name", key.name), ("Key", f"{key.prefix}…{key.last4}")]
    return answer(
        request,
        organization,
        Deed(f"Revoke a key of {organization.name}", words, "Revoke", Reason(_sent(request)), do, facts),
    )


@require_safe
@permission_required("billing.adjust_wallet", raise_exception=True)
def give(request: HttpRequest, org_id: str) -> HttpResponse:
    """Lead to the form that gives credit; the wallet is made at its first use."""
    wallet = wallets.of(find(org_id))
    return redirect(reverse("admin:billing_wallet_give", args=[quoted(wallet)]))


@_forms
@permission_required("billing.refund_topup", raise_exception=True)
def refund(request: HttpRequest, org_id: str, top_up_id: str) -> HttpResponse:
    """Pay unused credit back to the card that paid for it."""
    organization = find(org_id)
    top_up = get_object_or_404(
        TopUp.objects.select_related("journal__lot", "organization"), organization=organization, pk=top_up_id
    )
    left = refunds.refundable_cents(top_up)

    def do(form: RefundForm) -> str:
        return _pay_back(request, top_up, form.cleaned_data["amount"], form.cleaned_data["reason"])

    deed = Deed(
        title=f"Refund a top-up of {organization.name}",
        words="Takes unused credit of this top-up out of the wallet, and Stripe pays it back to the card.",
        verb="Refund",
        form=RefundForm(_sent(request), initial={"amount": dollars(left).removeprefix("$").replace(",", "")}),
        do=do,
        facts=[("Top-up", top_up.pk), ("Paid", dollars(top_up.amount_cents)), ("Unused", dollars(left))],
        is_shown_first=True,
    )
    return answer(request, organization, deed)


def _pay_back(request: HttpRequest, top_up: TopUp, cents: int, reason: str) -> str:
    amount = dollars(cents)
    try:
        wanted = refunds.request(top_up=top_up, cents=cents, actor=f"user:{_by(request).pk}", reason=reason)
    except refunds.NotRefundable as exc:
        raise NotDone(f"At most {dollars(exc.left_cents)} of it can be paid back.") from exc
    except refunds.InUse as exc:
        raise NotDone("Running requests hold this credit. Try again when they have ended.") from exc
    try:
        sync.send_refund(wanted)
    except StripeRefused as exc:
        logger.exception("staff.refund_refused", extra={"top_up": top_up.pk})
        raise NotDone(f"Stripe refused it; the {amount} are in the balance again.") from exc
    except StripeFault:
        logger.exception("staff.refund_not_sent", extra={"top_up": top_up.pk})
        return f"{amount} are set aside; Stripe does not answer now, and is asked again by itself."
    return f"{amount} is on its way back to the card."
