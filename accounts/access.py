"""Who may see a page: the decorator of every view behind the login."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_cache_control

from accounts import organizations
from accounts.models import Organization, User

P = ParamSpec("P")


class SignedInRequest(HttpRequest):
    """A request of a user who is logged in, and the organization it is about."""

    user: User
    organization: Organization


def signed_in(
    view: Callable[Concatenate[SignedInRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Send strangers to the login, attach the personal organization, and let nobody cache the answer."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        signed = cast("SignedInRequest", request)
        signed.organization = organizations.of_user(signed.user)
        response = view(signed, *args, **kwargs)
        patch_cache_control(response, private=True, no_store=True)
        return response

    return guarded
