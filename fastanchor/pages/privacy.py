"""Settings: which mails a member gets, and what is kept of what the organization sends."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from accounts import budgets, kept_contents, mail_choices, stored_responses
from accounts.access import SignedInRequest, signed_in
from accounts.models import Membership
from accounts.privacy_forms import ContentsForm, MailForm, RetentionForm


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def notifications(request: SignedInRequest) -> HttpResponse:
    """Show and set which mails a member gets."""
    membership = Membership.objects.get(user=request.user, organization=request.organization)
    if request.method == "POST":
        form = MailForm(request.POST)
        if form.is_valid():
            mail_choices.change(membership, form.wanted())
            messages.success(request, "Your choice is saved.")
            return redirect("settings:notifications")
    form = MailForm.of(mail_choices.of(membership))
    return render(
        request, "settings/notifications.html", {"form": form, "organization": request.organization}
    )


# A mail program presses the button by itself, without cookies (RFC 8058); the link is the secret.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ask whether a kind of mail shall stop, and stop it."""
    try:
        membership, kind = mail_choices.read(token)
    except mail_choices.UnknownLink:
        return render(request, "settings/unsubscribe.html", {"is_unknown": True}, status=404)
    is_done = request.method == "POST"
    if is_done:
        mail_choices.change(membership, {kind: False})
    context = {"membership": membership, "kind": kind, "is_done": is_done}
    return render(request, "settings/unsubscribe.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def privacy(request: SignedInRequest) -> HttpResponse:
    """Show what is kept, and set for how long responses are."""
    organization = request.organization
    form = RetentionForm(initial={"days": stored_responses.days_of(organization.pk)})
    if request.method == "POST":
        form = RetentionForm(request.POST)
        _require_owner(request)
        if form.is_valid():
            stored_responses.keep_for(organization, form.cleaned_data["days"])
            messages.success(request, "The time is saved.")
            return redirect("settings:privacy")
    return _show_privacy(request, form)


def _show_privacy(request: SignedInRequest, form: RetentionForm) -> HttpResponse:
    organization = request.organization
    count, size = stored_responses.count_of(organization.pk)
    kept_count, kept_size = kept_contents.count_of(organization.pk)
    context = {
        "form": form,
        "count": count,
        "size": size,
        "contents_form": ContentsForm(initial={"days": organization.contents_days}),
        "contents_days": organization.contents_days,
        "kept_count": kept_count,
        "kept_size": kept_size,
        "most_days": settings.RESPONSES_DAYS,
        "may_change": budgets.is_owner(request.user, organization.pk),
    }
    return render(request, "settings/privacy.html", context, status=422 if form.errors else 200)


@require_POST
@signed_in
def keep_contents(request: SignedInRequest) -> HttpResponse:
    """Set for how long prompts and answers are kept, if at all."""
    _require_owner(request)
    form = ContentsForm(request.POST)
    if form.is_valid():
        days = form.cleaned_data["days"]
        kept_contents.keep_for(request.organization, days, by=request.user)
        messages.success(
            request,
            "Prompts and answers are kept from now on." if days else "Prompts and answers are not kept.",
        )
    else:
        messages.error(request, "Choose one of the times offered.")
    return redirect("settings:privacy")


@require_POST
@signed_in
def forget_contents(request: SignedInRequest) -> HttpResponse:
    """Delete every prompt and answer that the organization keeps."""
    _require_owner(request)
    count = kept_contents.forget_all(request.organization.pk)
    messages.success(
        request, f"Prompts and answers of {count} requests deleted." if count else "Nothing was kept."
    )
    return redirect("settings:privacy")


@require_POST
@signed_in
def forget_responses(request: SignedInRequest) -> HttpResponse:
    """Delete every stored response of the organization."""
    _require_owner(request)
    count = stored_responses.forget_all(request.organization.pk)
    messages.success(
        request,
        f"{count} stored response{'' if count == 1 else 's'} deleted." if count else "Nothing was stored.",
    )
    return redirect("settings:privacy")


def _require_owner(request: SignedInRequest) -> None:
    if not budgets.is_owner(request.user, request.organization.pk):
        raise PermissionDenied
