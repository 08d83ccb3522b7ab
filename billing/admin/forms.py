"""The forms by which staff books: amounts, accounts, organizations, and always a reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminDateWidget, AutocompleteSelect
from django.utils import timezone

from accounts.models import Organization
from billing.models import WALLET_CODES, AccountCode, CreditLot
from billing.remedies import ACCOUNTS
from fastanchor.lib.ids import new_id
from fastanchor.lib.money import NotDollars, parse_nanos


def _organizations(**more: Any) -> forms.ModelChoiceField[Organization]:
    widget = AutocompleteSelect(CreditLot.organization.field, admin.site)
    return forms.ModelChoiceField(queryset=Organization.objects.all(), widget=widget, **more)


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(
        max_length=300,
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
        help_text="Is kept for good, for whoever has to prove it later.",
    )


class AdjustmentForm(ReasonForm):
    """How much; the key makes a second click the same adjustment."""

    key = forms.CharField(widget=forms.HiddenInput, initial=lambda: f"adjustment:{new_id('adj')}")
    amount = forms.CharField(
        max_length=24,
        label="Amount in US dollars",
        help_text="With up to nine decimals, such as 12.34 or 0.000000001.",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    field_order: tuple[str, ...] = ("amount", "reason")

    def clean_amount(self) -> int:
        """Return nano-USD."""
        try:
            nanos = parse_nanos(self.cleaned_data["amount"])
        except NotDollars:
            raise forms.ValidationError("Write dollars in digits, such as 12.34.") from None
        if not nanos:
            raise forms.ValidationError("Write more than nothing.")
        return nanos

    def clean_key(self) -> str:
        """Return the key, which begins as this form's keys do."""
        key = str(self.cleaned_data["key"])
        if not key.startswith("adjustment:"):
            raise forms.ValidationError("Begin again.")
        return key


class GiveForm(AdjustmentForm):
    """Credit that may expire."""

    expires_on = forms.DateField(
        required=False,
        label="Expires after",
        widget=AdminDateWidget,
        help_text="The last day (UTC) on which it can be used; empty: never.",
    )
    field_order = ("amount", "expires_on", "reason")

    def clean_expires_on(self) -> Any:
        """Return a day that is not over."""
        day = self.cleaned_data["expires_on"]
        if day is not None and day < timezone.now().date():
            raise forms.ValidationError("This day is over.")
        return day

    @property
    def expires_at(self) -> Any:
        """The moment of its end."""
        day = self.cleaned_data["expires_on"]
        midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
        return day and midnight.replace(year=day.year, month=day.month, day=day.day) + timedelta(days=1)


class CreditForm(ReasonForm):
    """Who has paid."""

    organization = _organizations(help_text="Whose payment it is; its wallet is credited.")
    field_order = ("organization", "reason")


class BookForm(ReasonForm):
    """Against which account."""

    account = forms.ChoiceField(
        choices=[("", "---------"), *((code, f"{code.label} ({code})") for code in ACCOUNTS)],
        help_text="What Stripe's cash came from, or went to.",
    )
    organization = _organizations(required=False, help_text="Only for a wallet: whose.")
    field_order = ("account", "organization", "reason")

    def clean(self) -> dict[str, Any]:
        """Ask for an organization where the account is a wallet's, and only there."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        is_wallets = found.get("account") in WALLET_CODES
        if found.get("account") and is_wallets != (found.get("organization") is not None):
            self.add_error(
                "organization", "Say whose wallet." if is_wallets else "Only a wallet belongs to somebody."
            )
        return found

    @property
    def account_code(self) -> AccountCode:
        """The chosen account."""
        return AccountCode(self.cleaned_data["account"])
