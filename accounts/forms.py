"""The forms by which people create a key and set budgets."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from django import forms
from django.utils import timezone

from accounts.budgets import Budgets
from accounts.keys import KeyRefused, Limits
from accounts.models import ApiKey, Budgeted
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


class LimitForm(forms.Form):
    """What a key is limited to beside its budgets, in the units people use."""

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
        help_text="Model ids, separated by commas or lines. Empty: all models.",
        widget=forms.Textarea({"rows": 3, "spellcheck": "false", "data-picked": ""}),
    )
    allowed_ip_ranges = forms.CharField(
        required=False,
        max_length=5_000,
        label="Allowed IP ranges",
        help_text="Addresses or CIDR ranges, IPv4 or IPv6, one on each line, 50 at most. Empty: from everywhere.",
        widget=forms.Textarea({"rows": 3, "spellcheck": "false", "placeholder": "203.0.113.0/24"}),
    )

    def model_names(self) -> list[str]:
        """Return the models as they were entered; the form must be valid."""
        return _listed(self.cleaned_data["allowed_models"])

    def limits(self) -> Limits:
        """Return the entered limits in the domain's units; the form must be valid."""
        entered = self.cleaned_data
        return Limits(
            requests_per_minute=entered["requests_per_minute"],
            tokens_per_minute=entered["tokens_per_minute"],
            allowed_models=self.model_names(),
            allowed_ip_ranges=_listed(entered["allowed_ip_ranges"]),
        )

    def refuse(self, refusal: KeyRefused) -> None:
        """Show a refusal at the field it is about."""
        field = refusal.field if refusal.field in self.fields else _FIELDS.get(refusal.field)
        self.add_error(field, str(refusal))


class KeyForm(LimitForm, BudgetForm):
    """A new key's name and limits."""

    field_order = ("name", "expires_in_days", *_BUDGETS)

    name = forms.CharField(max_length=80, help_text="What it is for, such as “Production”.")
    expires_in_days = forms.IntegerField(
        required=False, min_value=1, max_value=3650, label="Expires in days", help_text="Empty: never."
    )

    def limits(self) -> Limits:
        """See ``LimitForm.limits``."""
        limits = super().limits()
        limits.update(cast("Limits", self.budgets()))
        limits["expires_at"] = _after(self.cleaned_data["expires_in_days"])
        return limits


class KeyEditForm(LimitForm):
    """What may be changed of a key that exists."""

    field_order = ("name", "expires_at")

    name = forms.CharField(max_length=80)
    expires_at = forms.DateTimeField(
        required=False,
        label="Expires at (UTC)",
        help_text="Empty: never.",
        widget=forms.DateTimeInput({"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    @classmethod
    def of(cls, key: ApiKey) -> KeyEditForm:
        """Return the form that shows what is set."""
        return cls(
            initial={
                "name": key.name,
                "expires_at": key.expires_at,
                "requests_per_minute": key.requests_per_minute,
                "tokens_per_minute": key.tokens_per_minute,
                "allowed_models": "\n".join(key.allowed_models),
                "allowed_ip_ranges": "\n".join(key.allowed_ip_ranges),
            }
        )

    def limits_beside(self, key: ApiKey) -> Limits:
        """Return the entered limits; an expiry that stays as it is, to the minute that is shown, is left out."""
        limits, entered = self.limits(), self.cleaned_data["expires_at"]
        if entered != _to_the_minute(key.expires_at):
            limits["expires_at"] = entered
        return limits


class RotateForm(forms.Form):
    """How long the old secret of a key still works beside the new one."""

    overlap = forms.ChoiceField(
        label="The present secret keeps working for",
        initial="24h",
        choices=[("0", "no time: it ends at once"), ("1h", "1 hour"), ("24h", "24 hours"), ("7d", "7 days")],
    )


# The form's names of the limits it shows in other units.
_FIELDS = {"expires_at": "expires_in_days"} | {f"{name}_nano": name for name in _BUDGETS}


def _listed(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _to_the_minute(at: datetime | None) -> datetime | None:
    return at and at.replace(second=0, microsecond=0)


def _after(days: int | None) -> datetime | None:
    return None if days is None else timezone.now() + timedelta(days=days)


def _dollars(nano: int) -> Decimal:
    return Decimal(nano) / NANOS_PER_USD


def _nanos(dollars: Decimal | None) -> int | None:
    # Exact: the field lets two decimal places through.
    return None if dollars is None else int(dollars * _CENTS) * NANOS_PER_CENT
