"""Sales tax at fixed rates, for automatic tax and for what a tax id changes. Rates are in hundredths of a percent."""

from __future__ import annotations

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
