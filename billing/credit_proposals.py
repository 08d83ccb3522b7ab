"""Credit that needs a second person: one member of staff proposes it, another books or declines it within a week.

The database refuses a proposal that is approved by who made it, and one that is approved without a journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import Organization, User
from billing import adjustments, lots
from billing.drafts import Booked, Draft
from billing.models import AccountCode, CreditProposal, JournalKind, LotKind, ProposalState


class NotOpen(Exception):
    """The proposal is decided, withdrawn or too old; carries it as it is."""

    def __init__(self, proposal: CreditProposal) -> None:
        super().__init__(proposal.pk)
        self.proposal = proposal


class OwnProposal(Exception):
    """Who has proposed credit cannot decide about it."""


class NotOwnProposal(Exception):
    """Only who has proposed credit can withdraw it."""


def propose(
    *,
    organization: Organization,
    amount_nano: int,
    reason: str,
    by: User,
    form_key: str,
    expires_at: datetime | None = None,
) -> CreditProposal:
    """Propose credit; a ``form_key`` seen before returns the first proposal. Raises ``NoReason`` and ``AmountNotPositive``."""
    why = audit.reasoned(reason)
    if amount_nano <= 0:
        raise lots.AmountNotPositive(amount_nano)
    with transaction.atomic():
        proposal, is_new = CreditProposal.objects.get_or_create(
            form_key=form_key,
            defaults={
                "organization": organization,
                "amount_nano": amount_nano,
                "reason": why,
                "credit_expires_at": expires_at,
                "proposed_by": by,
            },
        )
        if is_new:
            after = {"amount_nano": amount_nano, "valid_until": proposal.valid_until}
            with audit.because(why):
                _record(proposal, "proposed", after, by)
    return proposal


def approve(*, proposal: CreditProposal, by: User, why: str) -> Draft:
    """Draft what a second person books. Raises ``NoReason``; booking raises ``OwnProposal`` and ``NotOpen``."""
    decision = audit.reasoned(why)
    return Draft(lambda: _approve(proposal, by, decision))


def _approve(proposal: CreditProposal, by: User, decision: str) -> Booked:
    # The wallet before the proposal, as everywhere: whoever changes money holds its lock first.
    wallet = adjustments.settled(proposal.organization)
    locked = _open(proposal, but=by)
    credit = lots.Credit(
        organization=locked.organization,
        kind=LotKind.ADJUSTMENT,
        journal_kind=JournalKind.ADJUSTMENT,
        amount_nano=locked.amount_nano,
        paid_by=AccountCode.PROMO_EXPENSE,
        reason=locked.reason,
        actor=f"user:{by.pk}",
        expires_at=locked.credit_expires_at,
        source=(adjustments.PROPOSED, locked.pk),
    )
    booked = adjustments.add(wallet, credit, key=f"{adjustments.PROPOSED}:{locked.pk}")
    locked.journal = booked.journal
    _decide(locked, ProposalState.APPROVED, by, decision)
    return booked


def decline(*, proposal: CreditProposal, by: User, why: str) -> CreditProposal:
    """Refuse what another has proposed; raises ``NoReason``, ``OwnProposal`` and ``NotOpen``."""
    decision = audit.reasoned(why)
    with transaction.atomic():
        return _decide(_open(proposal, but=by), ProposalState.DECLINED, by, decision)


def withdraw(*, proposal: CreditProposal, by: User, why: str) -> CreditProposal:
    """Take one's own proposal back; raises ``NoReason``, ``NotOwnProposal`` and ``NotOpen``."""
    decision = audit.reasoned(why)
    if proposal.proposed_by_id != by.pk:
        raise NotOwnProposal
    with transaction.atomic():
        return _decide(_open(proposal), ProposalState.WITHDRAWN, by, decision)


def expire(*, at: datetime | None = None) -> int:
    """Mark what nobody has decided in time; returns how many."""
    late = CreditProposal.objects.filter(state=ProposalState.OPEN, valid_until__lte=at or timezone.now())
    with transaction.atomic():
        found = list(late.select_for_update(of=("self",), skip_locked=True).order_by("pk")[:500])
        for proposal in found:
            _decide(proposal, ProposalState.EXPIRED, None, "")
    return len(found)


def _open(proposal: CreditProposal, *, but: User | None = None) -> CreditProposal:
    """Return the proposal, locked and still to be decided, by anybody but its proposer."""
    rows = CreditProposal.objects.select_for_update(of=("self",)).select_related("organization")
    locked = rows.get(pk=proposal.pk)
    if but is not None and locked.proposed_by_id == but.pk:
        raise OwnProposal
    if not locked.is_open:
        raise NotOpen(locked)
    return locked


def _decide(proposal: CreditProposal, state: ProposalState, by: User | None, decision: str) -> CreditProposal:
    before = {"state": str(proposal.state)}
    proposal.state, proposal.decided_by, proposal.decision = state, by, decision
    proposal.decided_at = timezone.now()
    proposal.save(update_fields=["state", "decided_by", "decision", "decided_at", "journal"])
    with audit.because(decision):
        after = {"state": str(state), "journal": proposal.journal_id}
        _record(proposal, str(state), after, by, before)
    return proposal


def _record(
    proposal: CreditProposal,
    what: str,
    after: Mapping[str, object],
    by: User | None,
    before: Mapping[str, object] | None = None,
) -> None:
    audit.record(
        f"credit_proposal.{what}",
        subject=f"proposal {proposal.pk}",
        organization_id=proposal.organization_id,
        before=before,
        after=after,
        by=by,
    )
