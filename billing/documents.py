"""What stands on invoices, receipts and statements; all times are in UTC, all money in US dollars."""

from __future__ import annotations

from datetime import UTC, datetime

from billing import invoices
from billing.details import Buyer
from billing.invoices import Seller
from billing.models import Invoice, InvoiceKind, RefundStatus, TopUp
from billing.paper import Paper
from billing.statements import ModelUsage, Statement
from fastanchor.lib.money import cents_to_nanos, exact_usd, short_usd

_TITLES = {
    InvoiceKind.INVOICE: "Invoice",
    InvoiceKind.CREDIT_NOTE: "Credit note",
    InvoiceKind.CANCELLATION: "Cancellation",
}
_LINES = {
    InvoiceKind.INVOICE: "FastAnchor credit, prepaid",
    InvoiceKind.CREDIT_NOTE: "FastAnchor credit, paid back unused",
    InvoiceKind.CANCELLATION: "FastAnchor credit, kept because the refund failed",
}


def invoice(written: Invoice) -> bytes:
    """Return a numbered document as PDF: what was written down with it, and nothing else."""
    kind = InvoiceKind(written.kind)
    sign = -1 if kind is InvoiceKind.CREDIT_NOTE else 1
    paper = Paper(f"{_TITLES[kind]} {written.number}")
    paper.facts(
        [
            ("Number", written.number),
            ("Issued", _day(written.issued_at)),
            *_corrects(written),
            *_seller(Seller(**written.seller)),
            *_buyer(Buyer(**written.buyer), written.organization_id),
        ]
    )
    paper.part("What was bought" if kind is InvoiceKind.INVOICE else "What is corrected")
    before_tax = _cents(sign * (written.amount_cents - written.tax_cents))
    rows = [
        [_LINES[kind], before_tax],
        ["Tax" if written.tax_cents else "Tax: none is charged", _cents(sign * written.tax_cents)],
    ]
    paper.table(["Description", "US dollars"], rows, total=["Total", _cents(sign * written.amount_cents)])
    rest = " Nothing is left to be paid." if kind is InvoiceKind.INVOICE else ""
    paper.note(f"{written.payment}, {_day(written.journal.effective_at)}.{rest}")
    if written.note:
        paper.note(written.note)
    return paper.content()


def _corrects(written: Invoice) -> list[tuple[str, str]]:
    if written.corrects is None:
        return []
    kind = _TITLES[InvoiceKind(written.corrects.kind)].lower()
    return [("Corrects", f"{kind} {written.corrects.number} of {_day(written.corrects.issued_at)}")]


def receipt(top_up: TopUp) -> bytes:
    """Return the receipt of a top-up that was paid, as PDF."""
    assert top_up.journal is not None
    written = invoices.about(top_up).first()
    paper = Paper("Receipt")
    paper.facts(
        [
            ("Receipt number", top_up.pk),
            *([("Invoice", written.number)] if written else []),
            ("Paid", _time(top_up.journal.effective_at)),
            *_buyer(
                Buyer(**written.buyer) if written else Buyer.of(top_up.organization), top_up.organization_id
            ),
            ("Payment at Stripe", top_up.stripe_intent or ""),
        ]
    )
    paper.part("What was bought")
    amount = _cents(top_up.amount_cents)
    paper.table(
        ["Description", "Amount"], [["FastAnchor credit", amount]], total=["Total paid in US dollars", amount]
    )
    _refunds(paper, top_up)
    paper.note("Prepaid credit for model usage at the providers’ own prices. No fee was added.")
    return paper.content()


def _refunds(paper: Paper, top_up: TopUp) -> None:
    refunds = list(top_up.refunds.exclude(status=RefundStatus.FAILED).order_by("created_at", "pk"))
    if not refunds:
        return
    paper.part("What was paid back")
    kept = top_up.amount_cents - sum(refund.amount_cents for refund in refunds)
    rows = [[f"{_time(refund.created_at)}, {refund.pk}", _cents(-refund.amount_cents)] for refund in refunds]
    paper.table(["Refund", "Amount"], rows, total=["Paid after refunds", _cents(kept)])


def statement(made: Statement) -> bytes:
    """Return the statement of a month, as PDF."""
    paper = Paper(f"Statement of {made.month.name}")
    until = "end of the month" if made.is_over else f"so far, until {_time(made.made_at)}"
    paper.facts(
        [
            ("Period", f"{_time(made.month.start)} to {_time(made.month.end)}"),
            ("Covers", until),
            *_buyer(Buyer.of(made.organization), made.organization.pk),
        ]
    )
    paper.part("Balance")
    rows = [["Opening balance", _usd(made.opening_nano)]]
    rows += [[words, _usd(amount)] for words, amount in made.movements]
    rows.append(["Usage", _usd(-made.usage_nano)])
    paper.table(["US dollars", "Amount"], rows, total=["Closing balance", _usd(made.closing_nano)])
    paper.part("Usage by model")
    _usage(paper, made)
    return paper.content()


def _usage(paper: Paper, made: Statement) -> None:
    rows = [_model(model) for model in made.models]
    if made.elsewhere_nano:
        rows.append(["Booked in the month before or after", "", "", _usd(made.elsewhere_nano)])
    total = ["Usage", "", "", _usd(made.usage_nano)]
    paper.table(["Model", "Requests", "Tokens in and out", "US dollars"], rows, total=total)
    paper.note(
        "Requests are counted in the month in which they began. Their cost is booked within minutes of their end, so "
        "what was under way at midnight of the first or last day is booked in the other month; a line of its own says how "
        "much that is."
    )


def _model(model: ModelUsage) -> list[str]:
    tokens = f"{model.input_tokens:,} / {model.output_tokens:,}"
    return [model.model_id, f"{model.requests:,}", tokens, _usd(model.cost_nano)]


def _seller(seller: Seller) -> list[tuple[str, str]]:
    facts = [("Seller", "\n".join([seller.name, *seller.address])), ("Seller’s tax id", seller.tax_id)]
    return [(name, value) for name, value in facts if value]


def _buyer(buyer: Buyer, customer_number: str) -> list[tuple[str, str]]:
    facts = [
        ("Customer", "\n".join([buyer.name, *buyer.address])),
        *((label, value) for label, value in buyer.tax_ids),
        ("Customer number", customer_number),
        ("E-mail", buyer.email),
    ]
    return [(name, value) for name, value in facts if value]


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def _cents(cents: int) -> str:
    return short_usd(cents_to_nanos(cents))


def _usd(nanos: int) -> str:
    text = exact_usd(nanos)
    return f"-${text[1:]}" if text.startswith("-") else f"${text}"
