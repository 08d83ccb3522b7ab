"""Kinds of tax id by Stripe's names, and how each is spelled: checked plainly, so that a slip is told at once.

Whether a number was ever given to anybody is for Stripe and the tax offices to say.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_BETWEEN = re.compile(r"[\s.,/_\-‐-―]+")

# What follows the two letters of a member state; Greece writes EL, Northern Ireland XI.
_UNION = {
    "AT": r"U\d{8}", "BE": r"[01]\d{9}", "BG": r"\d{9,10}", "CY": r"\d{8}[A-Z]", "CZ": r"\d{8,10}", "DE": r"\d{9}",
    "DK": r"\d{8}", "EE": r"\d{9}", "EL": r"\d{9}", "ES": r"[0-9A-Z]\d{7}[0-9A-Z]", "FI": r"\d{8}",
    "FR": r"[0-9A-Z]{2}\d{9}", "HR": r"\d{11}", "HU": r"\d{8}", "IE": r"\d[0-9A-Z+*]\d{5}[A-Z]{1,2}", "IT": r"\d{11}",
    "LT": r"\d{9}(?:\d{3})?", "LU": r"\d{8}", "LV": r"\d{11}", "MT": r"\d{8}", "NL": r"[0-9A-Z+*]{10}\d{2}",
    "PL": r"\d{10}", "PT": r"\d{9}", "RO": r"\d{2,10}", "SE": r"\d{12}", "SI": r"\d{8}", "SK": r"\d{10}",
    "XI": r"\d{9}(?:\d{3})?|GD\d{3}|HA\d{3}",
}  # fmt: skip
_EU_VAT = "|".join(f"{state}(?:{rest})" for state, rest in _UNION.items())


class Misspelled(ValueError):
    """A text is no tax id of its ``kind``."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind.code)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: ``pattern`` matches it without marks between, ``spelling`` is how Stripe and paper write it."""

    code: str
    label: str
    example: str
    pattern: str
    spelling: str = r"\g<0>"

    def read(self, typed: str) -> str:
        """Return a tax id as it is written; raises ``Misspelled``."""
        bare = _BETWEEN.sub("", unicodedata.normalize("NFKC", typed)).upper()
        if self.code == "eu_vat" and bare.startswith("GR"):
            bare = f"EL{bare[2:]}"
        found = re.fullmatch(self.pattern, bare, re.ASCII)
        if found is None:
            raise Misspelled(self)
        return found.expand(self.spelling)


_ALL = (
    Kind("eu_vat", "EU VAT number", "DE123456789", _EU_VAT),
    Kind("gb_vat", "UK VAT number", "GB123456789", r"GB(?:\d{9}(?:\d{3})?|GD\d{3}|HA\d{3})"),
    Kind("us_ein", "US EIN", "12-3456789", r"(\d{2})(\d{7})", r"\1-\2"),
    Kind("ae_trn", "UAE TRN", "123456789012345", r"\d{15}"),
    Kind("au_abn", "Australian ABN", "12345678912", r"\d{11}"),
    Kind(
        "br_cnpj", "Brazilian CNPJ", "01.234.456/5432-10",
        r"([0-9A-Z]{2})([0-9A-Z]{3})([0-9A-Z]{3})([0-9A-Z]{4})(\d{2})", r"\1.\2.\3/\4-\5",
    ),
    Kind("br_cpf", "Brazilian CPF", "123.456.789-87", r"(\d{3})(\d{3})(\d{3})(\d{2})", r"\1.\2.\3-\4"),
    Kind("ca_bn", "Canadian BN", "123456789", r"\d{9}"),
    Kind("ca_gst_hst", "Canadian GST/HST number", "123456789RT0002", r"\d{9}RT\d{4}"),
    Kind("ca_qst", "Québec QST number", "1234567890TQ1234", r"\d{10}TQ\d{4}"),
    Kind(
        "ch_vat", "Swiss VAT number", "CHE-123.456.789 MWST",
        r"CHE(\d{3})(\d{3})(\d{3})(MWST|TVA|IVA)", r"CHE-\1.\2.\3 \4",
    ),
    Kind("hk_br", "Hong Kong BR number", "12345678", r"\d{8}"),
    Kind("id_npwp", "Indonesian NPWP", "0123456789012345", r"\d{15,16}"),
    Kind("il_vat", "Israeli VAT number", "000012345", r"\d{9}"),
    Kind("in_gst", "Indian GSTIN", "12ABCDE3456FGZH", r"\d{2}[A-Z]{5}\d{4}[A-Z][0-9A-Z]Z[0-9A-Z]"),
    Kind("is_vat", "Icelandic VSK number", "123456", r"\d{5,6}"),
    Kind("jp_cn", "Japanese corporate number", "1234567891234", r"\d{13}"),
    Kind("jp_trn", "Japanese registration number", "T1234567891234", r"T\d{13}"),
    Kind("kr_brn", "Korean BRN", "123-45-67890", r"(\d{3})(\d{2})(\d{5})", r"\1-\2-\3"),
    Kind("mx_rfc", "Mexican RFC", "ABC010203AB9", r"[A-ZÑ&]{3,4}\d{6}[0-9A-Z]{3}"),
    Kind("no_vat", "Norwegian VAT number", "123456789MVA", r"\d{9}MVA"),
    Kind("nz_gst", "New Zealand GST number", "123456789", r"\d{8,9}"),
    Kind("sa_vat", "Saudi VAT number", "123456789012345", r"\d{15}"),
    Kind("sg_gst", "Singaporean GST number", "M12345678X", r"(?:M[0-9A-Z]\d{7}[A-Z]|\d{8,9}[A-Z]|[TSR]\d{2}[A-Z]{2}\d{4}[A-Z])"),
    Kind("sg_uen", "Singaporean UEN", "123456789F", r"(?:\d{8,9}[A-Z]|[TSR]\d{2}[A-Z]{2}\d{4}[A-Z])"),
    Kind("th_vat", "Thai VAT number", "1234567891234", r"\d{13}"),
    Kind("tr_tin", "Turkish tax number", "0123456789", r"\d{10}"),
    Kind("tw_vat", "Taiwanese VAT number", "12345678", r"\d{8}"),
    Kind("za_vat", "South African VAT number", "4123456789", r"4\d{9}"),
)  # fmt: skip
KINDS: dict[str, Kind] = {kind.code: kind for kind in _ALL}


def label_of(code: str) -> str:
    """Return what people call a kind; one that is only Stripe's keeps Stripe's name."""
    return KINDS[code].label if code in KINDS else code.upper().replace("_", " ")
