"""The pages of an organization's API keys: the list, a page for each, and what may be done with one."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import Case, Count, Q, QuerySet, Value, When
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import keys, rotation, visitors
from accounts.access import SignedInRequest, signed_in
from accounts.forms import KeyEditForm, KeyForm, LimitForm, RotateForm
from accounts.key_states import KeyState, state_of
from accounts.models import ApiKey
from accounts.proofs import proven_lately
from billing import spending
from billing.budgets import standings
from catalog import choices
from fastanchor.lib.markup import joined
from fastanchor.pages import snippets

PAGE_SIZE = 50
EXAMPLE_MODEL = "gpt-4o"
# Proposed to those who have no key: one thing less between them and their first request.
FIRST_NAME = "My first key"
_SAVED = "Saved. It holds within a second."


@dataclass(frozen=True, slots=True)
class Row:
    """A key as the list shows it."""

    key: ApiKey
    state: KeyState
    month_nano: int


@require_safe
@signed_in
def key_list(request: SignedInRequest) -> HttpResponse:
    """Show the organization's keys, the live ones first, and the form for another; ``q`` and ``show`` narrow it."""
    return _list(request, KeyForm())


@require_POST
@signed_in
@proven_lately
def create_key(request: SignedInRequest) -> HttpResponse:
    """Create a key and show its secret: this answer is the only place where it ever stands."""
    form = KeyForm(request.POST)
    if not form.is_valid() or not _knows_models(form):
        return _list(request, form, status=422)
    try:
        key, secret = keys.create(
            organization=request.organization,
            name=form.cleaned_data["name"],
            created_by=request.user,
            **form.limits(),
        )
    except keys.KeyRefused as refusal:
        form.refuse(refusal)
        return _list(request, form, status=422)
    return _show_secret(request, key, secret)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def key_page(request: SignedInRequest, key_id: str) -> HttpResponse:
    """Show all of one key, and change its name and limits."""
    key = _find(request, key_id)
    if request.method != "POST":
        return _key_page(request, key, KeyEditForm.of(key))
    form = KeyEditForm(request.POST)
    if not form.is_valid() or not _knows_models(form, already=key.allowed_models):
        return _key_page(request, key, form, status=422)
    try:
        keys.change(key=key, by=request.user, name=form.cleaned_data["name"], **form.limits_beside(key))
    except keys.KeyRefused as refusal:
        form.refuse(refusal)
        return _key_page(request, _find(request, key_id), form, status=422)
    messages.success(request, _SAVED)
    return redirect("accounts:key", key.pk)


@require_POST
@signed_in
def revoke_key(request: SignedInRequest, key_id: str) -> HttpResponse:
    """End one of the organization's keys."""
    key = _find(request, key_id)
    keys.revoke(key=key, by=request.user)
    messages.success(request, f"The key “{key.name}” is revoked.")
    return redirect("accounts:keys")


@require_POST
@signed_in
@proven_lately
def rotate_key(request: SignedInRequest, key_id: str) -> HttpResponse:
    """Give a key a new secret and show it: this answer is the only place where it ever stands."""
    key = _find(request, key_id)
    form = RotateForm(request.POST)
    if not form.is_valid():
        return _key_page(request, key, KeyEditForm.of(key), rotate_form=form, status=422)
    try:
        overlap = rotation.OVERLAPS[form.cleaned_data["overlap"]]
        secret = rotation.rotate(key=key, overlap=overlap, by=request.user)
    except keys.KeyRefused as refusal:
        form.add_error(None, str(refusal))
        return _key_page(request, key, KeyEditForm.of(key), rotate_form=form, status=422)
    return _show_secret(request, _find(request, key_id), secret, is_rotated=True)


@require_POST
@signed_in
def end_old_secret(request: SignedInRequest, key_id: str) -> HttpResponse:
    """Let the old secret of a key that is rotated work no longer."""
    key = _find(request, key_id)
    rotation.end_old_secret(key=key, by=request.user)
    messages.success(request, f"Only the new secret of “{key.name}” works now.")
    return redirect("accounts:key", key.pk)


def _find(request: SignedInRequest, key_id: str) -> ApiKey:
    found = keys.of_programs(request.organization).select_related("old_secret", "created_by")
    return get_object_or_404(found, pk=key_id)


def _knows_models(form: LimitForm, *, already: list[str] | None = None) -> bool:
    """Put the ids of models in place of their aliases; complain of names that the catalog does not know.

    What the key was limited to before may stay, though it is sold no longer.
    """
    ids, unknown = choices.ids_of(form.model_names())
    kept = [name for name in unknown if name in (already or ())]
    missing = [name for name in unknown if name not in kept]
    if missing:
        names = ", ".join(name[:80] for name in missing[:10])
        form.add_error("allowed_models", f"Not in the catalog: {names}. Choose from the list.")
        return False
    form.cleaned_data["allowed_models"] = " ".join([*ids, *kept])
    return True


def _list(request: SignedInRequest, form: KeyForm, *, status: int = 200) -> HttpResponse:
    query, show = request.GET.get("q", "").strip()[:80], request.GET.get("show", "")
    found = keys.of_programs(request.organization)
    counts = found.aggregate(all=Count("pk"), live=Count("pk", filter=keys.is_live()))
    page = Paginator(_ordered(_narrowed(found, query, show)), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = _rows(request, page)
    if not counts["all"]:
        form.initial.setdefault("name", FIRST_NAME)
    context = {
        "rows": rows,
        "page": page,
        "form": form,
        "organization": request.organization,
        "query": query,
        "show": show,
        "total": counts["all"],
        "filters": (
            ("", "All", counts["all"]),
            ("live", "Live", counts["live"]),
            ("ended", "Expired and revoked", counts["all"] - counts["live"]),
        ),
        **_picker(),
        "address": visitors.address_of(request),
    }
    return render(request, "accounts/keys.html", context, status=status)


def _picker() -> dict[str, object]:
    models = choices.all_models().values_list("pk", "name", "provider__name")
    rows = [(pk, provider, f"{pk} {name} {provider}".lower()) for pk, name, provider in models]
    return {"models": joined(_PICKED, rows), "model_count": len(rows)}


_PICKED = (
    '<li data-words="{2}"><label class="picker-choice"><input type="checkbox" value="{0}">'
    '<span class="picker-id">{0}</span><span class="muted small">{1}</span></label></li>'
)


def _narrowed(found: QuerySet[ApiKey], query: str, show: str) -> QuerySet[ApiKey]:
    if show in {"live", "ended"}:
        found = found.filter(keys.is_live() if show == "live" else ~keys.is_live())
    if query:
        # A whole secret, an id or what is shown of a secret finds its key, too.
        is_named = Q(name__icontains=query) | Q(pk=query) | Q(last4=query[-4:], prefix__startswith=query[:12])
        found = found.filter(is_named | Q(last4=query))
    return found


def _ordered(found: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
    is_live = Case(When(keys.is_live(), then=Value(0)), default=Value(1))
    return found.select_related("old_secret").order_by(is_live, "-created_at", "-pk")


def _rows(request: SignedInRequest, page: Page[ApiKey]) -> list[Row]:
    now = timezone.now()
    spent = spending.of_subjects(request.organization.pk, [key.pk for key in page], now).subjects
    month = {each.subject: each.month_nano for each in spent}
    return [Row(key, state_of(key, now), month[key.pk]) for key in page]


def _key_page(
    request: SignedInRequest,
    key: ApiKey,
    form: KeyEditForm,
    *,
    rotate_form: RotateForm | None = None,
    status: int = 200,
) -> HttpResponse:
    [shown] = standings(request.organization.pk, {key.pk: key}).values()
    context = {
        "key": key,
        "state": state_of(key, timezone.now()),
        "old_secret": rotation.old_secret_of(key),
        "standings": shown,
        "form": form,
        "rotate_form": rotate_form or RotateForm(),
        **_picker(),
        "address": visitors.address_of(request),
    }
    return render(request, "accounts/key.html", context, status=status)


def _show_secret(
    request: SignedInRequest, key: ApiKey, secret: str, *, is_rotated: bool = False
) -> HttpResponse:
    context = {
        "made": key,
        "secret": secret,
        "model": (sorted(key.allowed_models) or [EXAMPLE_MODEL])[0],
        "is_rotated": is_rotated,
        "old_secret": rotation.old_secret_of(key),
        **snippets.context(request, secret),
    }
    return render(request, "accounts/key_created.html", context)
