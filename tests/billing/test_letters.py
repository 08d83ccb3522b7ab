"""What our documents can show is said before it is printed, and never half shown."""

from __future__ import annotations

import io
from typing import Any

import pytest
from pypdf import PdfReader

from billing.letters import Font, Unwritable, fonts_of, tidied
from billing.paper import Paper
from tests.pages.pdf import text_of


def written(text: str) -> bytes:
    paper = Paper("Paper")
    paper.facts([("Customer", text)])
    return paper.content()


@pytest.mark.parametrize(
    ("name", "fonts"),
    [
        ("Müller & Söhne <b>x</b>", {Font.PLAIN}),
        ("Łódź Spółka z o.o.", {Font.WIDE}),
        ("Őrség Kft. Đà Nẵng", {Font.WIDE}),
        ("Якорь ООО", {Font.WIDE}),
        ("Άγκυρα ΑΕ", {Font.WIDE}),
        ("北京锚有限公司", {Font.HAN}),
        ("株式会社アンカー", {Font.KANA}),
        ("앵커주식회사", {Font.HANGUL}),
        ("Acme 株式会社", {Font.PLAIN, Font.HAN}),
    ],
)
def test_a_name_is_written_in_letters_that_are_there_and_read_back(name: str, fonts: set[Font]) -> None:
    assert set(fonts_of(name)) == fonts
    assert tidied(name) == name
    assert name.replace(" ", "") in text_of(written(name)).replace(" ", "")


def test_letters_that_few_readers_have_are_in_the_document() -> None:
    page: Any = PdfReader(io.BytesIO(written("Łódź"))).pages[0]
    fonts = [font.get_object() for font in page["/Resources"]["/Font"].values()]

    [wide] = [font for font in fonts if str(font["/BaseFont"]).endswith("DejaVuSans")]

    assert "/FontFile2" in wide["/FontDescriptor"]
    assert written("Łódź") == written("Łódź")


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("شركة", "شركة"),
        ("חברה בע", "חברהע"),
        ("ไทย", "ไทย"),
        ("Smile 😀", "😀"),
        ("A\u202egnp.exe", ""),
        ("two\nlines", ""),
        ("bell\x07", ""),
        ("zero\u200bwidth", ""),
        ("half \ud800", ""),
    ],
)
def test_what_no_document_can_show_is_named(name: str, letters: str) -> None:
    with pytest.raises(Unwritable) as refused:
        tidied(name)

    assert refused.value.letters == letters


def test_a_mark_stands_for_a_letter_that_cannot_be_shown() -> None:
    assert "Customer Acme ???? ?" in text_of(written("Acme شركة \u202e"))


def test_spaces_of_every_kind_are_one_and_letters_are_composed() -> None:
    assert tidied(" Cafe\u0301 \u00a0\u3000 Paris  ") == "Café Paris"


def test_a_line_of_any_length_stays_on_the_paper() -> None:
    text = text_of(written("x" * 500 + "\n" + "株" * 200))

    assert text.replace(" ", "").count("x") == 500
    assert text.count("株") == 200
