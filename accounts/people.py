"""Users: those that do not come by the sign-up page, made by commands and tests; and how they are called."""

from __future__ import annotations

from allauth.account.models import EmailAddress
from django.db import transaction

from accounts import organizations
from accounts.models import User


def ensure_verified(*, email: str, password: str | None = None, is_staff: bool = False) -> User:
    """Return the user of an address, made if need be, with the address verified and a personal organization.

    A user who exists keeps the password; a new one without a password can set it by a reset. ``is_staff`` makes
    a new user a superuser.
    """
    with transaction.atomic():
        user = User.objects.filter(email__iexact=email).first()
        if user is None:
            create = User.objects.create_superuser if is_staff else User.objects.create_user
            user = create(email, password)
        EmailAddress.objects.update_or_create(
            user=user, email=user.email, defaults={"verified": True, "primary": True}
        )
        organizations.create_personal(user=user)
    return user


def is_verified(user: User) -> bool:
    """Tell whether an address of the user is verified."""
    return EmailAddress.objects.filter(user=user, verified=True).exists()


def call(user: User, *, name: str) -> None:
    """Let a user be shown under a name; without one the e-mail address is shown."""
    user.name = " ".join(name.split())
    user.save(update_fields=["name"])
