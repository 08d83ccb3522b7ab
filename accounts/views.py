"""The pages of an organization's API keys."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts import keys
from accounts.access import SignedInRequest, signed_in
from accounts.forms import KeyForm
from accounts.models import ApiKey

PAGE_SIZE = 50


@require_safe
@signed_in
def key_list(request: SignedInRequest) -> HttpResponse:
    """Show the organization's keys, newest first, and the form for another."""
    return _keys_page(request, KeyForm())


@require_POST
@signed_in
def create_key(request: SignedInRequest) -> HttpResponse:
    """Create a key and show its secret: this answer is the only place where it ever stands."""
    form = KeyForm(request.POST)
    if not form.is_valid():
        return _keys_page(request, form, status=422)
    try:
        key, secret = keys.create(
            organization=request.organization,
            name=form.cleaned_data["name"],
            created_by=request.user,
            **form.limits(),
        )
    except keys.KeyRefused as refusal:
        form.refuse(refusal)
        return _keys_page(request, form, status=422)
    return render(
        request,
        "accounts/key_created.html",
        {"key": key, "secret": secret, "base_url": request.build_absolute_uri("/v1")},
    )


@require_POST
@signed_in
def revoke_key(request: SignedInRequest, key_id: str) -> HttpResponse:
    """End one of the organization's keys."""
    key = get_object_or_404(ApiKey, pk=key_id, organization=request.organization)
    keys.revoke(key=key, by=request.user)
    messages.success(request, f"The key “{key.name}” is revoked.")
    return redirect("accounts:keys")


def _keys_page(request: SignedInRequest, form: KeyForm, *, status: int = 200) -> HttpResponse:
    found = ApiKey.objects.filter(organization=request.organization).order_by("-created_at", "-pk")
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "keys": page.object_list,
        "page": page,
        "form": form,
        "organization": request.organization,
    }
    return render(request, "accounts/keys.html", context, status=status)
