"""The playground: a page on which a member talks with chat models through the real ``/v1``, at real cost.

The page's script calls ``/v1/chat/completions`` like any other client. It gets a key of its own for that, which lives
an hour and only in the tab's memory. Of prompts and answers nothing is stored here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe

from accounts import people, playground_keys
from accounts.access import SignedInRequest, signed_in
from billing import wallets
from billing.models import WalletState
from catalog import choices
from catalog.choices import ChatChoice
from fastanchor.lib.markup import joined

MOST_MODELS = 4
FIRST_MODEL = "gpt-4o"
# What a page may hold of pictures: four of these stay far below the largest body that is accepted.
MOST_PICTURES = 4
MOST_PICTURE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a member cannot use the playground, and where that is put right."""

    message: str
    url: str
    label: str


@require_safe
@signed_in
def playground(request: SignedInRequest) -> HttpResponse:
    """Show the page; what happens on it happens between its script and ``/v1``."""
    models = choices.chat_models(at=datetime.now(UTC))
    wanted = request.GET.get("model", "")
    known = {model.id for model in models}
    context = {
        "providers": [
            (provider, _options(group))
            for provider, group in groupby(models, key=lambda model: model.provider)
        ],
        "first": wanted if wanted in known else FIRST_MODEL,
        "obstacle": _obstacle(request),
        "keeps_contents": request.organization.contents_days > 0,
        "most_models": MOST_MODELS,
        "most_pictures": MOST_PICTURES,
        "most_picture_bytes": MOST_PICTURE_BYTES,
        "base_url": request.build_absolute_uri("/v1"),
        "receipts_url": reverse("request", args=["ID"]),
        "languages": (("curl", "curl"), ("python", "Python"), ("javascript", "JavaScript")),
    }
    return render(request, "playground/playground.html", context)


def _options(models: Iterable[ChatChoice]) -> SafeString:
    return joined(
        '<option value="{0}" data-input="{1}" data-output="{2}" data-max="{3}"{4}{5}{6}>{0}</option>',
        (
            (
                model.id,
                model.input_picos,
                model.output_picos,
                model.max_output,
                " data-reasons" if model.reasons else "",
                " data-sees" if model.sees else "",
                " data-samples" if model.takes_sampling else "",
            )
            for model in models
        ),
    )


@require_POST
@signed_in
def mint_key(request: SignedInRequest) -> HttpResponse:
    """Hand the page a secret of the member's playground key; one that was handed out before works no longer."""
    obstacle = _obstacle(request)
    if obstacle is not None:
        return JsonResponse({"error": asdict(obstacle)}, status=403)
    _, secret = playground_keys.mint(organization=request.organization, member=request.user)
    return JsonResponse({"secret": secret, "lives_s": int(playground_keys.LIVES.total_seconds())})


def _obstacle(request: SignedInRequest) -> Obstacle | None:
    if not people.is_verified(request.user):
        message = "Your email address is not verified yet, and models may only be used once it is."
        return Obstacle(message, reverse("account_email"), "Verify it")
    state = WalletState(wallets.of(request.organization).state)
    if state != WalletState.ACTIVE:
        return Obstacle(_STATES[state], reverse("billing:overview"), "Open billing")
    return None


_STATES = {
    WalletState.FROZEN_DISPUTE: "A payment is disputed at the bank. Until the debt is covered nothing may be spent.",
    WalletState.FROZEN_FRAUD: "This organization’s credit is frozen while we look into a payment. Write to us.",
    WalletState.CLOSED: "This organization is closed, so nothing may be spent.",
}
