"""Settings: an organization's own keys of providers. Only its owners see and change them."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST
from redis.exceptions import RedisError

from accounts import budgets
from accounts.access import SignedInRequest, signed_in
from catalog import own_keys
from catalog.addresses import BadAddress
from catalog.credentials import BadCredential
from catalog.models import Channel, Credential, Provider
from fastanchor import channel_probes
from fastanchor.lib.valkey import sync_client
from fastanchor.pages.provider_key_forms import AddForm, ReplaceForm, UseForm

# Each test is a real call, which the customer pays for.
TEST_EVERY_S = 5


@dataclass(frozen=True, slots=True)
class State:
    """How a key stands, in a word and its colour, and why."""

    word: str
    tone: str
    why: str = ""


def state_of(credential: Credential) -> State:
    """Return how a key stands."""
    if not credential.channel.is_enabled:
        return State("Switched off", "")
    if credential.is_enabled:
        return State("In service", "good")
    return State("Refused", "bad", credential.disabled_reason)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def provider_keys(request: SignedInRequest) -> HttpResponse:
    """Show the organization's own keys, and add one."""
    _require_owner(request)
    providers = list(own_keys.offered())
    if request.method != "POST":
        return _list(request, AddForm(providers=_free(request, providers)))
    form = AddForm(request.POST, providers=providers)
    if form.is_valid():
        try:
            channel = own_keys.add(
                organization=request.organization,
                provider=Provider.objects.get(pk=form.cleaned_data["provider"]),
                secret=form.cleaned_data["secret"],
                use=form.cleaned_data["use"],
                by=request.user,
            )
        except BadCredential as refusal:
            form.add_error("secret", str(refusal))
        except (own_keys.OwnKeyRefused, BadAddress) as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, "The key is in service within a second. Test it here.")
            return redirect("settings:provider-key", channel.pk)
    return _list(request, form, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def provider_key(request: SignedInRequest, channel_id: str) -> HttpResponse:
    """Show one key, and set what happens where it cannot serve."""
    credential = _find(request, channel_id)
    form = UseForm.of(credential.channel)
    if request.method == "POST":
        form = UseForm(request.POST)
        if form.is_valid():
            own_keys.set_use(channel=credential.channel, use=form.cleaned_data["use"], by=request.user)
            messages.success(request, "Saved. It holds within a second.")
            return redirect("settings:provider-key", channel_id)
    return _page(request, credential, form, ReplaceForm(), status=422 if form.errors else 200)


@require_POST
@signed_in
def replace_key(request: SignedInRequest, channel_id: str) -> HttpResponse:
    """Put another key in the place of one."""
    credential = _find(request, channel_id)
    form = ReplaceForm(request.POST)
    if form.is_valid():
        try:
            own_keys.replace(channel=credential.channel, secret=form.cleaned_data["secret"], by=request.user)
        except (own_keys.OwnKeyRefused, BadCredential) as refusal:
            form.add_error("secret", str(refusal))
        else:
            messages.success(request, "The new key is in service within a second. Test it here.")
            return redirect("settings:provider-key", channel_id)
    return _page(request, credential, UseForm.of(credential.channel), form, status=422)


@require_POST
@signed_in
def test_key(request: SignedInRequest, channel_id: str) -> HttpResponse:
    """Ask the provider one short question with a key, and say what came of it."""
    credential = _find(request, channel_id)
    if not _may_test(channel_id):
        messages.warning(request, f"Wait {TEST_EVERY_S} seconds between two tests.")
        return redirect("settings:provider-key", channel_id)
    try:
        tested = channel_probes.test_own_key(credential.channel)
    except channel_probes.NothingToAsk:
        messages.warning(request, "Nothing to ask: we sell no model for conversation of this provider.")
    else:
        level = messages.SUCCESS if tested.probed.is_well else messages.ERROR
        words = f"{tested.probed.words} {tested.model_id} was asked; {tested.probed.seconds * 1_000:,.0f} ms."
        messages.add_message(request, level, words)
    return redirect("settings:provider-key", channel_id)


@require_POST
@signed_in
def switch_key(request: SignedInRequest, channel_id: str) -> HttpResponse:
    """Use a key no longer, or again."""
    channel = _find(request, channel_id).channel
    if request.POST.get("on"):
        own_keys.switch_on(channel=channel, by=request.user)
        messages.success(request, "The key is in service within a second.")
    else:
        own_keys.switch_off(channel=channel, by=request.user)
        messages.success(request, "The key is switched off within a second.")
    return redirect("settings:provider-key", channel_id)


@require_POST
@signed_in
def remove_key(request: SignedInRequest, channel_id: str) -> HttpResponse:
    """Forget a key."""
    channel = _find(request, channel_id).channel
    own_keys.remove(channel=channel, by=request.user)
    messages.success(
        request,
        f"The {channel.provider.name} key is removed. Its models are served for credit from now on.",
    )
    return redirect("settings:provider-keys")


def _require_owner(request: SignedInRequest) -> None:
    if not budgets.is_owner(request.user, request.organization.pk):
        raise PermissionDenied


def _find(request: SignedInRequest, channel_id: str) -> Credential:
    _require_owner(request)
    return get_object_or_404(own_keys.of(request.organization), channel=channel_id)


def _free(request: SignedInRequest, providers: list[Provider]) -> list[Provider]:
    taken = set(own_keys.of(request.organization).values_list("channel__provider", flat=True))
    return [provider for provider in providers if provider.pk not in taken]


def _may_test(channel_id: str) -> bool:
    try:
        return bool(sync_client().set(f"fa:own-key-test:{channel_id}", 1, nx=True, ex=TEST_EVERY_S))
    except RedisError:
        return False


def _list(request: SignedInRequest, form: AddForm, *, status: int = 200) -> HttpResponse:
    credentials = own_keys.of(request.organization)
    context = {
        "form": form,
        "rows": [(each, state_of(each)) for each in credentials],
        "may_add": own_keys.is_allowed(request.organization),
    }
    return render(request, "settings/provider_keys.html", context, status=status)


def _page(
    request: SignedInRequest, credential: Credential, form: UseForm, replace_form: ReplaceForm, *, status: int
) -> HttpResponse:
    channel: Channel = credential.channel
    context = {
        "channel": channel,
        "credential": credential,
        "state": state_of(credential),
        "form": form,
        "replace_form": replace_form,
        "may_replace": own_keys.is_allowed(request.organization),
    }
    return render(request, "settings/provider_key.html", context, status=status)
