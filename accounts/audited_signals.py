"""What allauth tells us of log-ins, passwords, addresses and second factors, for the audit log.

It tells of second factors once they are committed, so these entries come a moment after the change.
"""

from __future__ import annotations

from typing import Any

from allauth.account import signals as account_signals
from allauth.mfa import signals as factor_signals
from allauth.mfa.models import Authenticator
from django.contrib.auth.signals import user_logged_in

from accounts import audit
from accounts.models import User


def connect() -> None:
    """Listen to allauth, which offers no other way."""
    user_logged_in.connect(_staff_logged_in, dispatch_uid="audit.logged_in")
    account_signals.password_changed.connect(_password_changed, dispatch_uid="audit.password_changed")
    account_signals.password_set.connect(_password_changed, dispatch_uid="audit.password_set")
    account_signals.password_reset.connect(_password_changed, dispatch_uid="audit.password_reset")
    account_signals.email_changed.connect(_email_changed, dispatch_uid="audit.email_changed")
    factor_signals.authenticator_added.connect(_factor_added, dispatch_uid="audit.factor_added")
    factor_signals.authenticator_removed.connect(_factor_removed, dispatch_uid="audit.factor_removed")
    factor_signals.authenticator_reset.connect(_factor_reset, dispatch_uid="audit.factor_reset")


def _staff_logged_in(user: User, **_: Any) -> None:
    if user.is_staff:
        audit.record("staff.logged_in", subject=f"user {user.pk}", by=user)


def _password_changed(user: User, **_: Any) -> None:
    audit.record("user.password_changed", subject=f"user {user.pk}", by=user)


def _email_changed(user: User, **_: Any) -> None:
    # Which addresses: the entry keeps the one it was, and only until the account is deleted.
    audit.record("user.email_changed", subject=f"user {user.pk}", by=user)


def _factor_added(user: User, authenticator: Authenticator, **_: Any) -> None:
    _factor("factor.added", user, authenticator)


def _factor_removed(user: User, authenticator: Authenticator, **_: Any) -> None:
    _factor("factor.removed", user, authenticator)


def _factor_reset(user: User, authenticator: Authenticator, **_: Any) -> None:
    _factor("factor.replaced", user, authenticator)


def _factor(what: str, user: User, authenticator: Authenticator) -> None:
    audit.record(what, subject=f"user {user.pk}", after={"type": str(authenticator.type)}, by=user)
