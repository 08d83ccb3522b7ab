"""The forms by which people create a key and set budgets."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.utils import timezone

from accounts.budgets import Budgets
from accounts.keys import KeyRefused, Limits
from accounts.models import Budgeted
from fastanchor.lib.money import NANOS_PER_CENT, NANOS_PER_USD

_CENTS = 100


class DollarsField(forms.DecimalField):
    """An amount in dollars and whole cents; empty for none."""

    def __init__(self, **more: Any) -> None:
        super().__init__(required=False, min_value=0, max_digits=11, decimal_places=2, **more)


class BudgetForm(forms.Form):
    """The most that may be spent in each window, in dollars."""

    budget_day = DollarsField(
        label="Daily budget in USD", help_text="The most it may spend in a day, from 00:00 UTC."
    )
    budget_week = DollarsField(
        label="Weekly budget in USD", help_text="The most it may spend in a week, from Monday 00:00 UTC."
    )
    budget_month = DollarsField(
        label="Monthly budget in USD", help_text="The most it may spend in a calendar month (UTC)."
    )
    budget_total = DollarsField(label="Lifetime budget in USD", help_text="The most it may ever spend.")

    @classmethod
    def of(cls, budgeted: Budgeted, prefix: str) -> BudgetForm:
        """Return the form that shows what is set."""
        found = {name: getattr(budgeted, f"{name}_nano") for name in _BUDGETS}
        return cls(
            initial={name: _dollars(nano) for name, nano in found.items() if nano is not None}, prefix=prefix
        )

    def budgets(self) -> Budgets:
        """Return the entered budgets in the domain's units; the form must be valid."""
        entered = self.cleaned_data
        return Budgets(
            budget_day_nano=_nanos(entered["budget_day"]),
            budget_week_nano=_nanos(entered["budget_week"]),
            budget_month_nano=_nanos(entered["budget_month"]),
            budget_total_nano=_nanos(entered["budget_total"]),
        )


_BUDGETS = ("budget_day", "budget_week", "budget_month", "budget_total")


class KeyForm(BudgetForm):
    """A new key's name and limits, in the units people use: days and dollars."""

    field_order = ("name", "expires_in_days", *_BUDGETS)

    name = forms.CharField(max_length=80, help_text="What it is for, such as “Production”.")
    expires_in_days = forms.IntegerField(
        required=False, min_value=1, max_value=3650, label="Expires in days", help_text="Empty: never."
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
            requests_per_minute=entered["requests_per_minute"],
            tokens_per_minute=entered["tokens_per_minute"],
            allowed_models=entered["allowed_models"].replace(",", " ").split(),
            **self.budgets(),
        )

    def refuse(self, refusal: KeyRefused) -> None:
        """Show a refusal at the field it is about."""
        field = _FIELDS.get(refusal.field, refusal.field)
        self.add_error(field or None, str(refusal))


# The form's names of the limits it shows in other units.
_FIELDS = {"expires_at": "expires_in_days"} | {f"{name}_nano": name for name in _BUDGETS}


def _after(days: int | None) -> datetime | None:
    return None if days is None else timezone.now() + timedelta(days=days)


def _dollars(nano: int) -> Decimal:
    return Decimal(nano) / NANOS_PER_USD


def _nanos(dollars: Decimal | None) -> int | None:
    # Exact: the field lets two decimal places through.
    return None if dollars is None else int(dollars * _CENTS) * NANOS_PER_CENT
