"""The forms in which an organization says who it is to its tax office."""

from __future__ import annotations

from typing import Any, cast

from django import forms

from accounts.models import EMAIL_LENGTH
from billing import countries, letters, tax_kinds
from billing.details import Address
from billing.models import LONGEST, BillingDetails

_CHOOSE = ("", "Choose …")


class LetterField(forms.CharField):
    """One line in letters that our documents can show."""

    def __init__(self, *, part: str, autocomplete: str, **more: Any) -> None:
        widget = forms.TextInput(attrs={"autocomplete": autocomplete})
        super().__init__(max_length=LONGEST[part], widget=widget, **more)

    def to_python(self, value: Any) -> str:
        """Return the line with single spaces."""
        try:
            return letters.tidied(super().to_python(value) or "")
        except letters.Unwritable as exc:
            raise forms.ValidationError(_unwritable(exc.letters)) from None


def _unwritable(unknown: str) -> str:
    if not unknown:
        return "This holds characters that cannot be seen. Please type it anew."
    return (
        f"Our invoices cannot show {unknown[:20]} yet. Please write this in Latin, Greek, Cyrillic, Chinese, Japanese or "
        "Korean letters."
    )


class DetailsForm(forms.Form):
    """Name, address and e-mail of the buyer."""

    name = LetterField(part="name", autocomplete="organization", label="Company or full name")
    line1 = LetterField(part="line1", autocomplete="address-line1", label="Address")
    line2 = LetterField(
        part="line2", autocomplete="address-line2", label="Address, second line", required=False
    )
    postal_code = LetterField(
        part="postal_code", autocomplete="postal-code", label="Postal code", required=False
    )
    city = LetterField(part="city", autocomplete="address-level2", label="City", required=False)
    state = LetterField(
        part="state", autocomplete="address-level1", label="State or province", required=False
    )
    country = forms.ChoiceField(
        choices=[_CHOOSE, *countries.NAMES.items()],
        widget=forms.Select(attrs={"autocomplete": "country"}),
    )
    email = forms.EmailField(
        max_length=EMAIL_LENGTH,
        required=False,
        label="E-mail for invoices",
        help_text="Yours by itself. It stands on invoices, and Stripe sends its receipts there; what needs you still goes to you.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )

    @classmethod
    def of(cls, known: BillingDetails) -> DetailsForm:
        """Return the form that shows what is known."""
        return cls(initial={name: getattr(known, name) for name in cls.base_fields})

    def address(self) -> Address:
        """Return the address that was filled in."""
        parts = {name: self.cleaned_data[name] for name in Address.__dataclass_fields__}
        return Address(**parts)


class TaxIdForm(forms.Form):
    """One more tax id."""

    prefix = "tax"
    kind = forms.ChoiceField(
        choices=[
            _CHOOSE,
            *((kind.code, f"{kind.label}, {kind.example}") for kind in tax_kinds.KINDS.values()),
        ],
        label="Kind, with an example",
    )
    value = forms.CharField(
        max_length=LONGEST["tax_id"],
        label="Number",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean(self) -> dict[str, Any]:
        """Spell the number as its kind is spelled."""
        found = cast("dict[str, Any]", super().clean())
        if {"kind", "value"} <= found.keys():
            try:
                found["value"] = tax_kinds.KINDS[found["kind"]].read(found["value"])
            except tax_kinds.Misspelled as exc:
                self.add_error("value", f"That is no {exc.kind.label}: one looks like {exc.kind.example}.")
        return found
