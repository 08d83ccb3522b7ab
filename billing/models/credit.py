"""Credit that waits for a second member of staff."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Organization, User
from billing.models.ledger import Journal
from fastanchor.lib.ids import new_id

# How long a second person has to decide.
PROPOSAL_LASTS = timedelta(days=7)


def new_proposal_id() -> str:
    """Return a fresh ``prop_`` id."""
    return new_id("prop")


def end_of_proposal() -> datetime:
    """Return until when a proposal made now can be approved."""
    return timezone.now() + PROPOSAL_LASTS


class ProposalState(models.TextChoices):
    """What became of a proposal."""

    OPEN = "open", "Open"
    """Waits for a second person."""
    APPROVED = "approved", "Approved"
    """A second person has booked it."""
    DECLINED = "declined", "Declined"
    """A second person has refused it."""
    WITHDRAWN = "withdrawn", "Withdrawn"
    """Who proposed it has taken it back."""
    EXPIRED = "expired", "Expired"
    """Nobody decided in time."""


class CreditProposal(models.Model):
    """Credit that one member of staff proposes and another books: what one may not give alone (``billing.credit_proposals``)."""

    id = models.CharField(primary_key=True, max_length=40, default=new_proposal_id, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="credit_proposals", db_index=False
    )
    amount_nano = models.BigIntegerField()
    reason = models.CharField(max_length=300)
    credit_expires_at = models.DateTimeField(null=True, blank=True, help_text="When the credit itself ends.")
    state = models.CharField(max_length=20, choices=ProposalState, default=ProposalState.OPEN)
    proposed_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", db_index=False)
    proposed_at = models.DateTimeField(default=timezone.now)
    valid_until = models.DateTimeField(default=end_of_proposal)
    decided_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decision = models.CharField("why", max_length=300, blank=True)
    journal = models.OneToOneField(
        Journal, on_delete=models.PROTECT, null=True, blank=True, related_name="credit_proposal"
    )
    form_key = models.CharField(
        max_length=200, unique=True, help_text="Makes a second click the same proposal."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_nano__gt=0), name="proposal_positive"),
            models.CheckConstraint(
                condition=Q(state="approved", journal__isnull=False)
                | ~Q(state="approved") & Q(journal__isnull=True),
                name="proposal_booked_once_approved",
            ),
            models.CheckConstraint(
                condition=~Q(state="approved")
                | Q(decided_by__isnull=False) & ~Q(decided_by=F("proposed_by")),
                name="proposal_needs_a_second_person",
            ),
        ]
        indexes = [
            models.Index(fields=["valid_until"], condition=Q(state="open"), name="proposal_open"),
            models.Index(fields=["organization", "-id"], name="proposal_by_organization"),
        ]
        permissions = [("approve_credit", "Can approve credit that another member of staff proposed")]

    def __str__(self) -> str:
        return f"{self.id} for {self.organization_id}"

    @property
    def is_open(self) -> bool:
        """Whether it can still be decided."""
        return self.state == ProposalState.OPEN and self.valid_until > timezone.now()
