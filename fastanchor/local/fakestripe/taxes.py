"""Sales tax at fixed rates, for automatic tax and for what a tax id changes. Rates are in hundredths of a percent."""

from __future__ import annotations

import re

from fastanchor.local.fakestripe.errors import StripeError, invalid
from fastanchor.local.fakestripe.world import Obj, World

_RATES = {
    "AT": 2_000,
    "DE": 1_900,
    "ES": 2_100,
    "FR": 2_000,
    "GB": 2_000,
    "IE": 2_300,
    "IT": 2_200,
    "NL": 2_100,
}
_UNION = {"AT", "DE", "ES", "FR", "IE", "IT", "NL"}
# Countries that a customer of the hosted page may choose, with the kind of tax id of their businesses.
TAX_ID_KINDS = {
    "US": "us_ein",
    "AT": "eu_vat",
    "AU": "au_abn",
    "CA": "ca_bn",
    "CH": "ch_vat",
    "DE": "eu_vat",
    "ES": "eu_vat",
    "FR": "eu_vat",
    "GB": "gb_vat",
    "IE": "eu_vat",
    "IN": "in_gst",
    "IT": "eu_vat",
    "JP": "jp_trn",
    "NL": "eu_vat",
    "SG": "sg_gst",
}


# What numbers of some kinds look like without the marks between; of the others every one is taken.
_SPELLED = {
    "au_abn": r"\d{11}",
    "br_cnpj": r"[0-9A-Z]{12}\d{2}",
    "ca_gst_hst": r"\d{9}RT\d{4}",
    "ch_vat": r"CHE\d{9}(MWST|TVA|IVA)",
    "eu_vat": r"(AT|BE|BG|CY|CZ|DE|DK|EE|EL|ES|FI|FR|HR|HU|IE|IT|LT|LU|LV|MT|NL|PL|PT|RO|SE|SI|SK|XI)[0-9A-Z+*]{2,12}",
    "gb_vat": r"GB[0-9A-Z]{5,12}",
    "in_gst": r"\d{2}[0-9A-Z]{13}",
    "jp_trn": r"T\d{13}",
    "no_vat": r"\d{9}MVA",
    "sg_gst": r"[0-9A-Z]{9,10}",
    "us_ein": r"\d{9}",
}


def require_tax_id(kind: str, value: str, *, param: str = "value") -> None:
    """Let only numbers pass that look like their kind; raises ``StripeError``."""
    bare = re.sub(r"[^0-9A-Z+*]", "", value.upper())
    if not re.fullmatch(_SPELLED.get(kind, ".+"), bare):
        raise invalid(f"Invalid value for {kind}.", param=param, code="tax_id_invalid")


def require_email(email: str | None) -> None:
    """Let only what looks like an e-mail address pass; raises ``StripeError``."""
    if email and not re.fullmatch(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", email):
        raise StripeError(f"Invalid email address: {email}", param="email", code="email_invalid")


def rate_of(country: str | None, *, is_business: bool) -> int:
    """Return the rate for a customer of a country; a business of the union owes the tax itself."""
    if country is None or (is_business and country in _UNION):
        return 0
    return _RATES.get(country, 0)


def tax_on(amount: int, rate: int) -> int:
    """Return the tax on top of an amount, rounded half up."""
    return (amount * rate + 5_000) // 10_000


def tax_rate(world: World, country: str, rate: int) -> Obj:
    """Return Stripe's object for a rate."""
    for known in world.newest_first("tax_rate"):
        if known["country"] == country and known["percentage"] == _percentage(rate):
            return known
    return world.add(
        "tax_rate",
        active=True,
        country=country,
        display_name="VAT",
        effective_percentage=_percentage(rate),
        inclusive=False,
        jurisdiction=country,
        jurisdiction_level="country",
        metadata={},
        percentage=_percentage(rate),
        rate_type="percentage",
        tax_type="vat",
    )


def _percentage(rate: int) -> int | float:
    whole, rest = divmod(rate, 100)
    return rate / 100 if rest else whole
