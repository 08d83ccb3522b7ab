"""How our PDF documents look: a sheet with a heading, facts and tables, from which the text can be read back."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from billing import letters
from billing.letters import Font

_INK, _SOFT, _LINE, _ACCENT = (HexColor(each) for each in ("#0f1f21", "#4a5c5e", "#dfe6e6", "#0a6a66"))
_MARGIN = 20 * mm
# ReportLab keeps six points free on each side within the margins.
_WIDTH = A4[0] - 2 * _MARGIN - 12
# How wide the columns of numbers are, by the number of columns; the first one has what they leave.
_NUMBERS = {2: (50 * mm,), 4: (20 * mm, 44 * mm, 40 * mm)}

_BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9.5, leading=13, textColor=_INK)
_END = ParagraphStyle("end", _BODY, alignment=TA_RIGHT)
_STRONG = ParagraphStyle("strong", _BODY, fontName="Helvetica-Bold")
_STRONG_END = ParagraphStyle("strong-end", _STRONG, alignment=TA_RIGHT)
_NOTE = ParagraphStyle("note", _BODY, fontSize=8.5, leading=12, textColor=_SOFT)
_HEAD = ParagraphStyle("head", _NOTE, fontName="Helvetica-Bold")
_HEAD_END = ParagraphStyle("head-end", _HEAD, alignment=TA_RIGHT)
_TITLE = ParagraphStyle("title", _STRONG, fontSize=20, leading=26)
_PART = ParagraphStyle("part", _STRONG, fontSize=12, leading=18, spaceBefore=6 * mm, spaceAfter=2 * mm)
_BRAND = ParagraphStyle("brand", _STRONG, fontSize=11, textColor=_ACCENT)

_RULED = TableStyle(
    [
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, _LINE),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (0, -1), 0),
        ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
    ]
)


class Paper:
    """One document, written from top to bottom."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts: list[Flowable] = [_text("FastAnchor", _BRAND), Spacer(0, 6 * mm), _text(title, _TITLE)]

    def note(self, text: str) -> None:
        """Add small print."""
        self._parts += [Spacer(0, 3 * mm), _text(text, _NOTE)]

    def part(self, title: str) -> None:
        """Begin a part."""
        self._parts.append(_text(title, _PART))

    def facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Add names with what they name; a line break in it begins a line."""
        rows = [[_text(name, _NOTE), _text(value, _BODY)] for name, value in facts]
        table = Table(rows, colWidths=[40 * mm, _WIDTH - 40 * mm])
        table.setStyle(TableStyle([("LEFTPADDING", (0, 0), (0, -1), 0), ("VALIGN", (0, 0), (-1, -1), "TOP")]))
        self._parts += [Spacer(0, 4 * mm), table]

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], *, total: Sequence[str] = ()) -> None:
        """Add a table of two or four columns; all but the first hold numbers, ``total`` is its last row."""
        cells = [_row(head, _HEAD, _HEAD_END), *(_row(row, _BODY, _END) for row in rows)]
        if total:
            cells.append(_row(total, _STRONG, _STRONG_END))
        numbers = _NUMBERS[len(head)]
        table = Table(cells, colWidths=[_WIDTH - sum(numbers), *numbers], repeatRows=1)
        table.setStyle(_RULED)
        self._parts.append(table)

    def content(self) -> bytes:
        """Return the PDF; the same words give the same bytes."""
        file = io.BytesIO()
        document = SimpleDocTemplate(
            file, pagesize=A4, title=self._title, author="FastAnchor", invariant=1,
            leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=_MARGIN, bottomMargin=_MARGIN,
        )  # fmt: skip
        document.build(self._parts, onFirstPage=_number, onLaterPages=_number)
        return file.getvalue()


def _row(cells: Sequence[str], first: ParagraphStyle, others: ParagraphStyle) -> list[Paragraph]:
    return [_text(cell, others if number else first) for number, cell in enumerate(cells)]


def _text(text: str, style: ParagraphStyle) -> Paragraph:
    stretches = list(_stretches(text))
    is_eastern = any(font not in {Font.PLAIN, Font.WIDE} for font, _ in stretches)
    markup = "".join(_markup(font, part) for font, part in stretches)
    return Paragraph(markup, _eastern(style) if is_eastern else style)


def _stretches(text: str) -> Iterator[tuple[Font, str]]:
    """Yield a text in pieces of one font each; a mark stands for what none can show."""
    fonts = letters.fonts_of(text)
    shown = [
        letter if font or letter == "\n" else letters.UNKNOWN
        for letter, font in zip(text, fonts, strict=True)
    ]
    pairs = zip((font or Font.PLAIN for font in fonts), shown, strict=True)
    for font, group in groupby(pairs, itemgetter(0)):
        yield font, "".join(letter for _, letter in group)


def _markup(font: Font, text: str) -> str:
    if font is Font.PLAIN:
        # The style's own, which may be bold.
        return escape(text, {"\n": "<br/>"})
    return f'<font name="{letters.registered(font)}">{escape(text)}</font>'


def _eastern(style: ParagraphStyle) -> ParagraphStyle:
    return ParagraphStyle(f"{style.name}-east", style, wordWrap="CJK")


def _number(canvas: Canvas, document: SimpleDocTemplate) -> None:
    canvas.setFont("Helvetica", 8)
    canvas.setFillColor(_SOFT)
    canvas.drawRightString(A4[0] - _MARGIN - 6, 12 * mm, f"Page {document.page}")
