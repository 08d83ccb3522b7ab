"""What allauth asks us at sign-up."""

from __future__ import annotations

from typing import cast

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.validators import MaxLengthValidator
from django.db import transaction
from django.forms import BaseForm
from django.http import HttpRequest

from accounts import organizations
from accounts.models import EMAIL_LENGTH, User


class AccountAdapter(DefaultAccountAdapter):
    """Gives every new user a personal organization."""

    def clean_email(self, email: str) -> str:
        """Refuse an address longer than its column: allauth would cut it and store another one."""
        MaxLengthValidator(EMAIL_LENGTH)(email)
        return str(super().clean_email(email))

    def save_user(
        self,
        request: HttpRequest,
        user: AbstractBaseUser,
        form: BaseForm,
        commit: bool = True,  # noqa: FBT001, FBT002 - the signature is allauth's
    ) -> AbstractBaseUser:
        """Save the user and the personal organization together or not at all."""
        with transaction.atomic():
            saved = super().save_user(request, user, form, commit)
            if commit:
                organizations.create_personal(user=cast("User", saved))
        return saved
