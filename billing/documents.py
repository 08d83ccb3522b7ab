"""What stands on receipts and statements; all times are in UTC, all money in US dollars."""

from __future__ import annotations

from datetime import UTC, datetime

from accounts import organizations
from accounts.models import Organization
from billing.models import RefundStatus, TopUp
from billing.paper import Paper
from billing.statements import ModelUsage, Statement
from fastanchor.lib.money import cents_to_nanos, exact_usd, short_usd


def receipt(top_up: TopUp) -> bytes:
    """Return the receipt of a top-up that was paid, as PDF."""
    assert top_up.journal is not None
    paper = Paper("Receipt")
    paper.facts(
        [
            ("Receipt number", top_up.pk),
            ("Paid", _time(top_up.journal.effective_at)),
            *_customer(top_up.organization),
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
            *_customer(made.organization),
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


def _customer(organization: Organization) -> list[tuple[str, str]]:
    try:
        address = organizations.billing_email(organization)
    except organizations.NoOwner:
        address = ""
    facts = [("Customer", organization.name), ("Customer number", organization.pk), ("E-mail", address)]
    return [(name, value) for name, value in facts if value]


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _cents(cents: int) -> str:
    return short_usd(cents_to_nanos(cents))


def _usd(nanos: int) -> str:
    text = exact_usd(nanos)
    return f"-${text[1:]}" if text.startswith("-") else f"${text}"
