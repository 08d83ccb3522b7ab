"""What allauth asks us: at sign-up, when a password changes, and of second factors."""

from __future__ import annotations

from typing import Any, cast

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import transaction
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse

from accounts import login_log, organizations, sessions, visitors
from accounts.models import EMAIL_LENGTH, User
from accounts.second_factors import SEALED_AT
from fastanchor.lib.crypto import seal, unseal


class AccountAdapter(DefaultAccountAdapter):
    """Gives every new user a personal organization, ends other sessions with the old password, and logs log-ins."""

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

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return from where a request comes, by the same proxies as the gateway believes."""
        return visitors.address_of(request) or super().get_client_ip(request)

    def set_password(self, user: AbstractBaseUser, password: str) -> None:
        """Set a password, and end every session but the one in which it is changed."""
        super().set_password(user, password)
        request = context.request
        here = request.session.session_key if request and request.user.is_authenticated else None
        sessions.end_all(user=cast("User", user), but=here)

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **told: Any) -> HttpResponse:
        """Write the login down."""
        login_log.succeeded(request, cast("User", user))
        return super().post_login(request, user, **told)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Refuse who has tried too often, and write it down."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            login_log.refused(email=credentials.get("email", ""), why="too many tries")
            raise

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Write a wrong password down."""
        login_log.refused(email=credentials.get("email", ""), why="password")


class SecondFactorAdapter(DefaultMFAAdapter):
    """Seals the secrets of second factors, and names things as we do."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "That did not work: the code is wrong, too old, or was used already. Enter the newest one.",
        "cannot_generate_recovery_codes": "Recovery codes need a second factor: add an authenticator app or a passkey first.",
    }

    def encrypt(self, text: str) -> str:
        """Seal a secret with the keys of the channel credentials."""
        return seal(text, aad=SEALED_AT)

    def decrypt(self, encrypted_text: str) -> str:
        """Return a sealed secret."""
        return unseal(encrypted_text, aad=SEALED_AT)

    def validation_error(self, code: str, *args: Any) -> ValidationError:
        """Return what is told of a mistake, and write a factor down that was refused."""
        if code == "incorrect_code":
            login_log.refused(why="second factor")
        return super().validation_error(code, *args)

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:  # noqa: A002 - the signature is allauth's
        """Return the name of a passkey that its owner has not named."""
        count = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return f"Passkey {count + 1}" if count else "Passkey"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Return for whom a passkey is, as the browser shows it."""
        return {**super().get_public_key_credential_rp_entity(), "name": "FastAnchor"}
