"""What moved an organization's money, as its people read it: journals, and usage as one line a day (UTC).

The ledger is read within a stretch of time. The balance at its start comes from the wallet, back over what came later,
so what is looked at most costs least; from there each line's balance is a sum of whole nano-USD.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TypedDict

from django.db.models import BigIntegerField, Max, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce, TruncDate

from accounts.models import Organization
from billing import wallets
from billing.models import Dispute, JournalKind, Posting, Refund, Wallet

_WORDS = {
    JournalKind.SIGNUP: "Sign-up credit",
    JournalKind.GRANT: "Promotional credit",
    JournalKind.ADJUSTMENT: "Credit from our support",
    JournalKind.TOP_UP: "Top-up",
    JournalKind.REFUND: "Refund",
    JournalKind.REFUND_FAILED: "Refund that failed, back in the balance",
    JournalKind.USAGE: "Usage",
    JournalKind.EXPIRY: "Promotional credit that expired unused",
    JournalKind.CORRECTION: "Correction",
    JournalKind.WRITE_OFF: "Debt written off",
}

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Line:
    """One movement, in nano-USD, and the balance after it; ``top_up_id`` is what it is about, where it is about one."""

    id: str
    at: datetime
    kind: JournalKind
    words: str
    amount_nano: int
    balance_nano: int
    top_up_id: str


class _Movement(TypedDict):
    """A movement before it has a balance."""

    id: str
    at: datetime
    kind: str
    amount: int
    source: tuple[str, str]


def lines(*, organization: Organization, start: datetime, end: datetime) -> list[Line]:
    """Return what moved from ``start`` until before ``end``, newest first; usage of a day stands at its last booking."""
    movements = [*_journals(organization, start, end), *_usage_by_day(organization, start, end)]
    movements.sort(key=lambda movement: (movement["at"], movement["id"]))
    top_ups = _top_ups(movement["source"] for movement in movements)
    balance = balance_at(organization=organization, moment=start)
    found = []
    for movement in movements:
        balance += movement["amount"]
        found.append(_line(movement, balance, top_ups.get(movement["source"], "")))
    return found[::-1]


def balance_at(*, organization: Organization, moment: datetime) -> int:
    """Return what the ledger owed an organization before a moment, in nano-USD."""
    since = _postings(organization).filter(journal__effective_at__gte=moment)
    total = (
        since.order_by().values("account__organization").annotate(total=Sum("amount_nano")).values("total")
    )
    wallets.of(organization)
    # One statement, so one snapshot: what is booked meanwhile is in both numbers or in none.
    wallet = Wallet.objects.annotate(
        since=Coalesce(Subquery(total, output_field=BigIntegerField()), 0, output_field=BigIntegerField())
    ).get(organization=organization)
    return wallet.balance_nano + wallet.unposted_nano + int(wallet.since)


def sums(*, organization: Organization, start: datetime, end: datetime) -> dict[JournalKind, int]:
    """Return what each kind of movement came to from ``start`` until before ``end``, in nano-USD."""
    rows = (
        _between(organization, start, end)
        .values("journal__kind")
        .annotate(total=Sum("amount_nano"))
        .order_by()
    )
    return {JournalKind(row["journal__kind"]): -int(row["total"]) for row in rows}


def words_of(kind: JournalKind, amount_nano: int) -> str:
    """Name a movement for the people whose money it is."""
    if kind == JournalKind.DISPUTE:
        return "Payment disputed at its bank" if amount_nano < 0 else "Disputed payment, back in the balance"
    if kind == JournalKind.ADJUSTMENT and amount_nano < 0:
        return "Taken back by our support"
    return _WORDS[kind]


async def every(organization: Organization) -> AsyncIterator[Line]:
    """Yield each journal that ever moved the balance, oldest first, read from the database in pieces."""
    rows = _postings(organization).values("journal_id", "journal__kind", "journal__effective_at")
    balance = 0
    async for row in (
        rows.annotate(total=Sum("amount_nano"))
        .order_by("journal__effective_at", "journal_id")
        .aiterator(chunk_size=_AT_ONCE)
    ):
        kind, amount = row["journal__kind"], -int(row["total"])
        balance += amount
        movement = _Movement(
            id=row["journal_id"], at=row["journal__effective_at"], kind=kind, amount=amount, source=("", "")
        )
        yield _line(movement, balance, "")


def _postings(organization: Organization) -> QuerySet[Posting, Posting]:
    # Only accounts of its wallet have an organization; the journal's leads to the index by time.
    return Posting.objects.filter(account__organization=organization, journal__organization=organization)


def _between(organization: Organization, start: datetime, end: datetime) -> QuerySet[Posting, Posting]:
    return _postings(organization).filter(journal__effective_at__gte=start, journal__effective_at__lt=end)


def _journals(organization: Organization, start: datetime, end: datetime) -> list[_Movement]:
    rows = _between(organization, start, end).exclude(journal__kind=JournalKind.USAGE)
    told = rows.values(
        "journal_id", "journal__kind", "journal__effective_at", "journal__source_type", "journal__source_id"
    )
    return [
        _Movement(
            id=row["journal_id"],
            at=row["journal__effective_at"],
            kind=row["journal__kind"],
            amount=-int(row["total"]),
            source=(row["journal__source_type"], row["journal__source_id"]),
        )
        for row in told.annotate(total=Sum("amount_nano")).order_by()
    ]


def _usage_by_day(organization: Organization, start: datetime, end: datetime) -> list[_Movement]:
    rows = (
        _between(organization, start, end)
        .filter(journal__kind=JournalKind.USAGE)
        .annotate(day=TruncDate("journal__effective_at", tzinfo=UTC))
        .values("day")
        .annotate(total=Sum("amount_nano"), at=Max("journal__effective_at"))
        .order_by()
    )
    return [
        _Movement(
            id=_day_id(row["day"]),
            at=row["at"],
            kind=JournalKind.USAGE,
            amount=-int(row["total"]),
            source=("", ""),
        )
        for row in rows
    ]


def _day_id(day: date) -> str:
    return f"usage-{day.isoformat()}"


def _line(movement: _Movement, balance_nano: int, top_up_id: str) -> Line:
    kind = JournalKind(movement["kind"])
    return Line(
        id=movement["id"],
        at=movement["at"],
        kind=kind,
        words=words_of(kind, movement["amount"]),
        amount_nano=movement["amount"],
        balance_nano=balance_nano,
        top_up_id=top_up_id,
    )


def _top_ups(sources: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the top-up that each source is, or belongs to."""
    known = set(sources)
    refunds = Refund.objects.filter(pk__in=[name for kind, name in known if kind == "refund"])
    disputes = Dispute.objects.filter(pk__in=[name for kind, name in known if kind == "dispute"])
    return {
        **{(kind, name): name for kind, name in known if kind == "top_up"},
        **{("refund", name): top_up for name, top_up in refunds.values_list("pk", "top_up_id")},
        **{("dispute", name): top_up for name, top_up in disputes.values_list("pk", "top_up_id")},
    }
