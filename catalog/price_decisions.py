"""What staff decides on price proposals: an accepted one becomes a dated price, a dismissed one stays quiet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from catalog.models import Price, PriceSource
from catalog.price_sync import STANDING, restored
from catalog.prices import add_price
from catalog.proposals import Finding, PriceProposal, ProposalState

_MOST_REASON = 200
# Two prices of a model never begin at one moment.
_REVISION = timedelta(microseconds=1)


class NotDecidable(Exception):
    """Proposals that cannot be decided so: pinned by the owner, decided before, or without a price; carries names."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = sorted(names)
        super().__init__(f"Cannot be decided so: {', '.join(self.names)}.")


@transaction.atomic
def accept(
    *, proposal_ids: Sequence[str], reason: str, by: User, effective_at: datetime | None = None
) -> list[Price]:
    """Add the list's prices of open proposals, all or none.

    They begin at ``effective_at``; without it when the list's own do, at once where those already hold. Raises
    ``audit.NoReason``, ``NotDecidable`` and ``catalog.prices.PriceInPast``.
    """
    reason = audit.reasoned(reason)[:_MOST_REASON]
    rows = _locked(proposal_ids)
    if refused := [row.model_name for row in rows if not is_acceptable(row)]:
        raise NotDecidable(refused)
    return [_accept(row, reason, by, effective_at) for row in rows]


def is_acceptable(row: PriceProposal) -> bool:
    """Tell whether a proposal may become a price: never one of a price that the owner has pinned."""
    return row.state == ProposalState.OPEN and row.finding == Finding.CHANGED and not row.is_pinned


@transaction.atomic
def dismiss(*, proposal_ids: Sequence[str], reason: str, by: User) -> int:
    """Leave things as they are until the list changes again; returns of how many models. Raises as ``accept``."""
    reason = audit.reasoned(reason)[:_MOST_REASON]
    rows = _locked(proposal_ids)
    if refused := [row.model_name for row in rows if row.is_pinned or row.state not in STANDING]:
        raise NotDecidable(refused)
    for row in rows:
        _decide(row, ProposalState.DISMISSED, reason, by)
    return len(rows)


def starts_at(row: PriceProposal, effective_at: datetime | None, *, now: datetime) -> datetime | None:
    """Return when an accepted price begins; none for at once."""
    if effective_at is not None:
        return effective_at
    return row.listed_from if row.listed_from is not None and row.listed_from > now else None


def _locked(proposal_ids: Sequence[str]) -> list[PriceProposal]:
    rows = list(PriceProposal.objects.select_for_update().filter(pk__in=proposal_ids).order_by("pk"))
    if missing := set(proposal_ids) - {row.pk for row in rows}:
        raise NotDecidable(missing)
    return rows


def _accept(row: PriceProposal, reason: str, by: User, effective_at: datetime | None) -> Price:
    moment = starts_at(row, effective_at, now=timezone.now())
    if moment is not None and Price.objects.filter(model=row.model_name, valid_from=moment).exists():
        moment += _REVISION
    price = add_price(
        price=Price(model_id=row.model_name, source=PriceSource.GENAI_PRICES),
        tiers=restored(row.listed),
        valid_from=moment,
    )
    row.price, row.effective_at = price, price.valid_from
    _decide(row, ProposalState.ACCEPTED, reason, by)
    return price


def _decide(row: PriceProposal, state: ProposalState, reason: str, by: User) -> None:
    row.state, row.reason, row.decided_by, row.decided_at = state, reason, by, timezone.now()
    row.save(update_fields=["state", "reason", "decided_by", "decided_at", "price", "effective_at"])
    after: dict[str, Any] = {"list": _short(row.listed), "effective_at": row.effective_at}
    if row.price is not None:
        after["price"] = row.price.pk
    audit.record(
        f"price_proposal.{state}",
        subject=f"model {row.model_name}",
        before={"ours": _short(row.ours)},
        after=after,
        by=by,
        reason=reason,
    )


def _short(tiers: Sequence[dict[str, Any]]) -> list[str]:
    """Write tiers in a line each: the audit log keeps little."""
    return [
        f"{tier['during']} >{tier['above_tokens']}: "
        + ", ".join(f"{name} {rate}" for name, rate in tier["rates"].items())
        for tier in tiers
    ]
