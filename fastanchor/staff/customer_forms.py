"""What staff fills in to act on a customer: always a reason, and what the action needs to know."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts import reasons
from accounts.models import Organization, Plan
from accounts.organizations import LIMITS
from fastanchor.lib.money import NotDollars, parse_cents

_MOST_REQUESTS, _MOST_TOKENS = 2**31 - 1, 2**53 - 1


class Reason(forms.Form):
    """Why."""

    reason = reasons.field()


class PlanForm(Reason):
    """The plan, and what the organization has instead of its limits."""

    plan = forms.ModelChoiceField(queryset=Plan.objects.order_by("priority", "code"))
    requests_per_minute = forms.IntegerField(required=False, min_value=0, max_value=_MOST_REQUESTS)
    tokens_per_minute = forms.IntegerField(required=False, min_value=0, max_value=_MOST_TOKENS)
    concurrency = forms.IntegerField(
        required=False, min_value=0, max_value=_MOST_REQUESTS, label="Requests at once"
    )
    field_order = ("plan", *LIMITS, "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in LIMITS:
            self.fields[name].help_text = "Empty: the plan's."

    @staticmethod
    def of(organization: Organization) -> dict[str, object]:
        """Return how it is now."""
        return {"plan": organization.plan_id, **{name: getattr(organization, name) for name in LIMITS}}

    @property
    def limits(self) -> dict[str, int | None]:
        """What was typed."""
        return {name: self.cleaned_data[name] for name in LIMITS}


class MailForm(Reason):
    """Which mail."""

    mail = forms.ChoiceField(choices=())
    field_order = ("mail", "reason")

    def offer(self, choices: list[tuple[str, str]]) -> None:
        """Say which there are."""
        field = self.fields["mail"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices


class RefundForm(Reason):
    """How much goes back."""

    amount = forms.CharField(
        max_length=24,
        label="Amount in US dollars",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    field_order = ("amount", "reason")

    def clean_amount(self) -> int:
        """Return cents."""
        try:
            return parse_cents(self.cleaned_data["amount"])
        except NotDollars:
            raise forms.ValidationError("Write dollars and cents in digits, such as 12.34.") from None
