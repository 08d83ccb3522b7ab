"""The form by which people add a passkey."""

from __future__ import annotations

from allauth.mfa.webauthn.forms import AddWebAuthnForm
from django import forms

LONGEST_NAME = 60


class AddPasskeyForm(AddWebAuthnForm):
    """allauth's own, which lets people log in by the passkey alone unless they say otherwise."""

    name = forms.CharField(
        required=False,
        max_length=LONGEST_NAME,
        label="Name",
        help_text="So that you recognize it, such as “Laptop” or “Blue security key”.",
    )
    passwordless = forms.BooleanField(
        required=False,
        initial=True,
        label="Log in with it instead of the password",
        help_text="The device then asks for your fingerprint, face or PIN. "
        "Switch this off for a plain security key that stands beside your password.",
    )
