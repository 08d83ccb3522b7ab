"""Tax ids are spelled as Stripe spells them, and a slip is told."""

from __future__ import annotations

import pytest

from billing.tax_kinds import KINDS, Kind, Misspelled, label_of
from fastanchor.local.fakestripe.parameters import read


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.code)
def test_an_example_is_spelled_as_it_is_shown(kind: Kind) -> None:
    assert kind.read(kind.example) == kind.example
    assert kind.read(f"  {kind.example.lower().replace('-', ' ')} ") == kind.example


@pytest.mark.parametrize("code", KINDS)
def test_stripe_s_document_has_every_kind(code: str) -> None:
    read("POST /v1/customers/{customer}/tax_ids", {"type": code, "value": "1"}, is_endive=True)


@pytest.mark.parametrize(
    ("code", "typed", "spelled"),
    [
        ("eu_vat", "de 123 456 789", "DE123456789"),
        ("eu_vat", "ATU12345678", "ATU12345678"),
        ("eu_vat", "GR123456789", "EL123456789"),
        ("eu_vat", "IE1234567WA", "IE1234567WA"),
        ("eu_vat", "NL123456789B01", "NL123456789B01"),
        ("eu_vat", "ES-A1234567Z", "ESA1234567Z"),
        ("eu_vat", "XI123456789", "XI123456789"),
        ("eu_vat", "ＤＥ１２３４５６７８９", "DE123456789"),
        ("us_ein", "123456789", "12-3456789"),
        ("ch_vat", "CHE123456789mwst", "CHE-123.456.789 MWST"),
        ("br_cnpj", "01234456543210", "01.234.456/5432-10"),
        ("gb_vat", "GBGD123", "GBGD123"),
        ("no_vat", "123 456 789 mva", "123456789MVA"),
    ],
)
def test_what_people_type_becomes_stripe_s_spelling(code: str, typed: str, spelled: str) -> None:
    assert KINDS[code].read(typed) == spelled


@pytest.mark.parametrize(
    ("code", "typed"),
    [
        ("eu_vat", "123456789"),
        ("eu_vat", "DE12345678"),
        ("eu_vat", "DE1234567890"),
        ("eu_vat", "GB123456789"),
        ("eu_vat", "US123456789"),
        ("eu_vat", "DE12345678\u0669"),
        ("eu_vat", "DE123456789\n<script>"),
        ("eu_vat", ""),
        ("gb_vat", "GB12345678"),
        ("us_ein", "12-345678"),
        ("ch_vat", "CHE-123.456.789"),
        ("jp_trn", "1234567891234"),
        ("br_cnpj", "01.234.456/5432-1"),
        ("sg_gst", "X"),
        ("in_gst", "12ABCDE3456FGYH"),
    ],
)
def test_a_number_of_another_form_is_refused(code: str, typed: str) -> None:
    with pytest.raises(Misspelled) as refused:
        KINDS[code].read(typed)

    assert refused.value.kind.code == code


def test_a_kind_that_only_stripe_knows_has_a_name_all_the_same() -> None:
    assert (label_of("eu_vat"), label_of("pe_ruc")) == ("EU VAT number", "PE RUC")
