"""What members of staff have to prove before a page of the admin is shown or changed.

A second factor, in this very session: one that was begun before the factor was set up proves nothing. And who changes
anything has shown password or factor a short while ago, so that a desk left unlocked is not the whole product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from allauth.account.internal.flows import reauthentication
from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from accounts.models import User

# Marks a session in which a second factor was set up.
SET_UP = "second_factor_set_up"
# Nothing is changed by these, and nobody's password should be asked for on the way out.
_FREE = ("/logout/", "/autocomplete/", "/jsi18n/")


def guard_admin(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: let staff into the admin with a second factor only, and change something only if just proven."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return _detour(request) or get_response(request)

    return middleware


def factor_set_up(*, request: HttpRequest, **_: Any) -> None:
    """Note that whoever holds this session has just set a second factor up, and so has proven it."""
    request.session[SET_UP] = True


def _detour(request: HttpRequest) -> HttpResponse | None:
    if not settings.STAFF_SECOND_FACTOR or not request.path.startswith(reverse("admin:index")):
        return None
    if not request.user.is_authenticated or not request.user.is_staff:
        return None
    types = _types_of(request.user)
    if not types:
        messages.warning(request, "The administration needs a second factor. Set one up, then open it again.")
        return HttpResponseRedirect(reverse("mfa_index"))
    if not _is_proven(request):
        return _prove(request, types)
    return _prove_again(request)


def _types_of(user: User) -> set[str]:
    found = Authenticator.objects.filter(user=user).values_list("type", flat=True)
    return set(found) - {Authenticator.Type.RECOVERY_CODES}


def _is_proven(request: HttpRequest) -> bool:
    records = get_authentication_records(request, cast("User", request.user))
    return bool(request.session.get(SET_UP)) or any(record["method"] == "mfa" for record in records)


def _prove(request: HttpRequest, types: set[str]) -> HttpResponse:
    # Codes of an app and recovery codes are entered on one page, passkeys used on another.
    name = "mfa_reauthenticate" if Authenticator.Type.TOTP in types else "mfa_reauthenticate_webauthn"
    back = urlencode({REDIRECT_FIELD_NAME: request.get_full_path() if request.method == "GET" else "/admin/"})
    return HttpResponseRedirect(f"{reverse(name)}?{back}")


def _prove_again(request: HttpRequest) -> HttpResponse | None:
    is_change = request.method not in {"GET", "HEAD"} and not request.path.endswith(_FREE)
    if is_change and reauthentication.is_reauthentication_required(request, app=""):
        return reauthentication.suspend_request(request, reverse("account_reauthenticate"))
    return None
