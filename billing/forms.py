"""The form by which people buy credit."""

from __future__ import annotations

from django import forms

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
