"""The forms by which people buy credit, and set what happens when it runs low."""

from __future__ import annotations

from typing import Any

from django import forms

from billing.auto_settings import Wanted
from billing.checkout import LEAST_CENTS, MOST_CENTS
from fastanchor.lib.money import NotDollars, cents_to_nanos, parse_cents, short_usd

_BOUNDS = f"{short_usd(cents_to_nanos(LEAST_CENTS))} to {short_usd(cents_to_nanos(MOST_CENTS))}"


class TopUpForm(forms.Form):
    """An amount in dollars, of a preset or one's own."""

    amount = forms.CharField(
        max_length=20,
        label="Another amount in US dollars",
        help_text=f"{_BOUNDS}, such as 12 or 12.34.",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )

    def clean_amount(self) -> int:
        """Return whole cents."""
        try:
            cents = parse_cents(self.cleaned_data["amount"])
        except NotDollars:
            raise forms.ValidationError("Write dollars and cents in digits, such as 12.34.") from None
        if not LEAST_CENTS <= cents <= MOST_CENTS:
            raise forms.ValidationError(f"A top-up is of {_BOUNDS}.")
        return cents


class DollarsField(forms.CharField):
    """Dollars and cents between two bounds, read as whole cents."""

    def __init__(self, *, least: int, most: int, **more: Any) -> None:
        widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
        super().__init__(max_length=20, widget=widget, **more)
        self.least, self.most = least, most

    def prepare_value(self, value: Any) -> Any:
        """Show cents as people write them; what was typed is shown as it was typed."""
        return f"{value // 100}.{value % 100:02d}" if isinstance(value, int) else value

    def clean(self, value: Any) -> int:
        """Return whole cents."""
        try:
            cents = parse_cents(super().clean(value))
        except NotDollars:
            raise forms.ValidationError("Write dollars and cents in digits, such as 12.34.") from None
        if not self.least <= cents <= self.most:
            bounds = [short_usd(cents_to_nanos(each)) for each in (self.least, self.most)]
            raise forms.ValidationError(f"Write an amount from {bounds[0]} to {bounds[1]}.")
        return cents


class AutoTopUpForm(forms.Form):
    """When, up to where and how much at most a saved card is charged."""

    prefix = "auto"
    is_on = forms.BooleanField(required=False, label="Top up automatically")
    threshold = DollarsField(least=100, most=MOST_CENTS, label="When the balance falls below")
    target = DollarsField(least=100, most=MOST_CENTS, label="Fill it up to")
    month_cap = DollarsField(
        least=LEAST_CENTS,
        most=10 * MOST_CENTS,
        label="At most in a month",
        help_text="Calendar months in UTC. Never more than this is charged automatically.",
    )

    @classmethod
    def of(cls, wanted: Wanted) -> AutoTopUpForm:
        """Return the form that shows what is set."""
        initial = {
            "is_on": wanted.is_on,
            "threshold": wanted.threshold_cents,
            "target": wanted.target_cents,
            "month_cap": wanted.month_cap_cents,
        }
        return cls(initial=initial)

    def clean_target(self) -> int:
        """Return a target that the least top-up does not overshoot."""
        target: int = self.cleaned_data["target"]
        if target < self.cleaned_data.get("threshold", 0) + LEAST_CENTS:
            least = short_usd(cents_to_nanos(LEAST_CENTS))
            raise forms.ValidationError(f"This must be {least} or more above the balance at which it buys.")
        return target

    def wanted(self) -> Wanted:
        """Return what was filled in."""
        found = self.cleaned_data
        return Wanted(found["is_on"], found["threshold"], found["target"], found["month_cap"])


class LowBalanceForm(forms.Form):
    """Below which balance a mail is sent."""

    prefix = "low"
    threshold = DollarsField(
        least=0, most=MOST_CENTS, label="Mail us when the balance falls below", help_text="0 for never."
    )
