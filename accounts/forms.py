"""The form by which people create a key."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from django import forms
from django.utils import timezone

from accounts.keys import KeyRefused, Limits
from fastanchor.lib.money import NANOS_PER_CENT

_CENTS = 100


class KeyForm(forms.Form):
    """A new key's name and limits, in the units people use: days and dollars."""

    name = forms.CharField(max_length=80, help_text="What it is for, such as “Production”.")
    expires_in_days = forms.IntegerField(
        required=False, min_value=1, max_value=3650, label="Expires in days", help_text="Empty: never."
    )
    budget_total = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=11,
        decimal_places=2,
        label="Total budget in USD",
        help_text="The most it may ever spend.",
    )
    budget_month = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=11,
        decimal_places=2,
        label="Monthly budget in USD",
        help_text="The most it may spend in a calendar month (UTC).",
    )
    requests_per_minute = forms.IntegerField(
        required=False, min_value=1, label="Requests per minute", help_text="At most your plan’s limit."
    )
    tokens_per_minute = forms.IntegerField(
        required=False, min_value=1, label="Tokens per minute", help_text="At most your plan’s limit."
    )
    allowed_models = forms.CharField(
        required=False,
        max_length=20_000,
        label="Allowed models",
        help_text="Model ids, separated by commas. Empty: all models.",
    )

    def limits(self) -> Limits:
        """Return the entered limits in the domain's units; the form must be valid."""
        entered = self.cleaned_data
        return Limits(
            expires_at=_after(entered["expires_in_days"]),
            budget_total_nano=_nanos(entered["budget_total"]),
            budget_month_nano=_nanos(entered["budget_month"]),
            requests_per_minute=entered["requests_per_minute"],
            tokens_per_minute=entered["tokens_per_minute"],
            allowed_models=entered["allowed_models"].replace(",", " ").split(),
        )

    def refuse(self, refusal: KeyRefused) -> None:
        """Show a refusal at the field it is about."""
        field = _FIELDS.get(refusal.field, refusal.field)
        self.add_error(field or None, str(refusal))


# The form's names of the limits it shows in other units.
_FIELDS = {
    "expires_at": "expires_in_days",
    "budget_total_nano": "budget_total",
    "budget_month_nano": "budget_month",
}


def _after(days: int | None) -> datetime | None:
    return None if days is None else timezone.now() + timedelta(days=days)


def _nanos(dollars: Decimal | None) -> int | None:
    # Exact: the field lets two decimal places through.
    return None if dollars is None else int(dollars * _CENTS) * NANOS_PER_CENT
