"""A session may be weeks old: who makes something that outlives it shows password or second factor once more."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from allauth.account.internal.flows import reauthentication
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core.exceptions import ReauthenticationRequired
from django.http import HttpResponseBase

from accounts import stamps
from accounts.access import SignedInRequest

P = ParamSpec("P")

LASTS_S = 12 * 3600


def proven_lately(
    view: Callable[Concatenate[SignedInRequest, P], HttpResponseBase],
) -> Callable[Concatenate[SignedInRequest, P], HttpResponseBase]:
    """Ask who is behind a session, unless that was shown within half a day; then go on with what was asked for."""

    @wraps(view)
    def guarded(request: SignedInRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if _is_due(request):
            raise ReauthenticationRequired
        return view(request, *args, **kwargs)

    return guarded


def _is_due(request: SignedInRequest) -> bool:
    shown = [record["at"] for record in get_authentication_records(request, request.user)]
    newest = max([request.session.get(stamps.BEGUN, 0), *shown])
    can_show = bool(reauthentication.get_reauthentication_flows(request.user))
    return can_show and time.time() - newest >= LASTS_S
