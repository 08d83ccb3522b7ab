"""The tables of the price sync: what a comparison with the public list found, and what staff decided.

``catalog.price_sync`` compares and ``catalog.price_decisions`` decides; nothing here changes a price.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from fastanchor.lib.ids import new_id


def new_proposal_id() -> str:
    """Return a fresh ``prop_`` id."""
    return new_id("prop")


class ListComparison(models.Model):
    """One comparison of our prices with the public list: one for each version of the package and day."""

    version = models.CharField(max_length=40, help_text="Of the genai-prices package.")
    day = models.DateField(help_text="UTC.")
    compared_at = models.DateTimeField(default=timezone.now, help_text="When it was last run.")
    models_compared = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = "price comparison"
        permissions = [("see_drift", "Can see what models earn beside the public list")]
        constraints = [models.UniqueConstraint(fields=["version", "day"], name="comparison_once_a_day")]

    def __str__(self) -> str:
        return f"genai-prices {self.version} on {self.day:%Y-%m-%d}"


class Finding(models.TextChoices):
    """What a comparison says of a model."""

    CHANGED = "changed", "Price differs"
    """We charge something else than the list."""
    NEW = "new", "New on the list"
    """The list has it and we do not; the next ``load_catalog`` adds it."""
    GONE = "gone", "Gone from the list"
    """We sell it, and the list does not have it any more, or not in a form that can be sold."""


class ProposalState(models.TextChoices):
    """What became of a finding."""

    OPEN = "open", "Open"
    """Staff has to decide."""
    REPORTED = "reported", "Reported only"
    """The owner has pinned the price, or there is no price to accept."""
    ACCEPTED = "accepted", "Accepted"
    """A dated price was added."""
    DISMISSED = "dismissed", "Dismissed"
    """Staff leaves it so, until the list changes again."""
    OVERTAKEN = "overtaken", "Overtaken"
    """A later comparison found something else, or no difference any more."""


class PriceProposal(models.Model):
    """One model of which our catalog and the list say different things.

    It names the model and refers to no row: what is new on the list has none. Tiers are kept as they were seen, as the
    fields of ``catalog.snapshot.Tier``.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_proposal_id, editable=False)
    comparison = models.ForeignKey(ListComparison, on_delete=models.PROTECT, related_name="proposals")
    model_name = models.CharField("model", max_length=120)
    finding = models.CharField(max_length=10, choices=Finding)
    state = models.CharField(max_length=10, choices=ProposalState)
    is_pinned = models.BooleanField(default=False, help_text="Its price stands on the product page.")
    ours = models.JSONField(default=list, help_text="Our tiers at that moment.")
    listed = models.JSONField(default=list, help_text="The list's tiers.")
    listed_from = models.DateTimeField(
        null=True, help_text="When the list's price begins; none where it already holds."
    )
    # Names what the list said: what was dismissed stays quiet until this differs.
    fingerprint = models.CharField(max_length=64)
    note = models.CharField(max_length=200, blank=True)
    effective_at = models.DateTimeField(null=True, help_text="When the accepted price begins.")
    price = models.OneToOneField(
        "catalog.Price", on_delete=models.PROTECT, null=True, related_name="proposal"
    )
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        permissions = [
            ("compare_prices", "Can compare our prices with the public list"),
            ("decide_priceproposal", "Can accept and dismiss price proposals"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["model_name"],
                condition=Q(state__in=["open", "reported"]),
                name="proposal_one_standing_a_model",
            ),
            models.CheckConstraint(
                condition=~Q(state="accepted") | Q(price__isnull=False, is_pinned=False, finding="changed"),
                name="proposal_accepted_has_price",
            ),
        ]
        indexes = [models.Index(fields=["model_name", "-id"], name="proposal_by_model")]

    def __str__(self) -> str:
        return f"{self.model_name}: {self.get_finding_display().lower()}"
