"""What was used: one record a request, spending by period, mails about it, and what could not be settled."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Organization
from fastanchor.lib.histogram_field import HistogramField
from fastanchor.lib.windows import Window


class Spend(models.Model):
    """What a key, a member or an organization has spent in one day and in one month (UTC) by settled usage."""

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, db_index=False, related_name="spending"
    )
    subject = models.CharField(
        max_length=40, help_text="A key's id, the organization's, or user_ and the number of a member."
    )
    period = models.PositiveIntegerField(help_text="YYYYMMDD or YYYYMM of the requests' start.")
    cost_nano = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "subject", "period"], name="spend_once_a_period"),
            models.CheckConstraint(condition=Q(cost_nano__gte=0), name="spend_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} in {self.period}"


class BudgetAlert(models.Model):
    """A mail about a budget that is spent to a part: one for each subject, window, period and part."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, db_index=False, related_name="budget_alerts"
    )
    subject = models.CharField(max_length=40)
    window = models.CharField(max_length=10, choices=[(window.value, window.value) for window in Window])
    period = models.CharField(max_length=8)
    percent = models.PositiveSmallIntegerField()
    budget_nano = models.BigIntegerField(help_text="The budget of which the mail told.")
    told_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "subject", "window", "period", "percent"], name="budget_alert_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.percent} % of the {self.window}'s budget of {self.subject} in {self.period}"


class Outcome(models.TextChoices):
    """How a request ended, which decides who pays."""

    COMPLETED = "completed", "Completed"
    """Served to its end: the caller pays the actual usage."""
    CLIENT_LEFT = "client_left", "Client left"
    """The caller hung up: it pays what the upstream billed, or input and what was relayed."""
    UPSTREAM_DIED = "upstream_died", "Upstream died"
    """The upstream broke off after content: the caller pays input and what was delivered, within its hold."""
    CUT = "cut", "Cut"
    """The credit ran out in mid-stream: the caller pays what was delivered."""
    FREE = "free", "Free"
    """Nothing was delivered, or the fault was ours: the caller pays nothing."""
    INTERRUPTED = "interrupted", "Interrupted"
    """The gateway process died: the caller pays the last estimate, within its hold."""
    FAILED = "failed", "Failed"
    """No upstream served it: the caller pays nothing."""


class UsageRecord(models.Model):
    """The one durable row of one admitted request: what an upstream served of it, or how it failed.

    Partitioned by month of ``started_at`` (``billing.partitions``); the database's primary key is
    ``(request_id, started_at)``, because a partitioned table's key must contain what it is partitioned by.
    """

    request_id = models.CharField(primary_key=True, max_length=64, db_collation="C")
    organization = models.ForeignKey(
        Organization,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="usage_records",
    )
    key_id = models.CharField(max_length=40)
    model_id = models.CharField(max_length=200)
    provider_id = models.CharField(max_length=80)
    channel_id = models.CharField(max_length=80)
    price_id = models.CharField(max_length=80)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    first_token_ms = models.PositiveIntegerField(
        null=True, blank=True, help_text="From start to first token."
    )
    is_stream = models.BooleanField()
    outcome = models.CharField(max_length=20, choices=Outcome)
    status = models.PositiveSmallIntegerField(help_text="HTTP status sent to the caller.")
    input_tokens = models.PositiveBigIntegerField()
    cached_tokens = models.PositiveBigIntegerField()
    cache_write_tokens = models.PositiveBigIntegerField()
    output_tokens = models.PositiveBigIntegerField()
    reasoning_tokens = models.PositiveBigIntegerField()
    cost_picos = models.PositiveBigIntegerField(help_text="Exact cost in pico-USD, before rounding.")
    cost_nano = models.PositiveBigIntegerField(help_text="What was charged, in nano-USD.")
    hold_nano = models.PositiveBigIntegerField()
    is_estimated = models.BooleanField()
    attempts = models.PositiveSmallIntegerField()
    finish_reason = models.CharField(max_length=40, blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    upstream_id = models.CharField(max_length=200, blank=True)
    settled_at = models.DateTimeField(default=timezone.now)
    # Parts of the tokens above that have rates of their own, then what is billed beside tokens. The database fills in
    # zeros, so that a shipper of an older version can still settle.
    cache_write_1h_tokens = models.PositiveBigIntegerField(default=0, db_default=0)
    audio_input_tokens = models.PositiveBigIntegerField(default=0, db_default=0)
    cached_audio_tokens = models.PositiveBigIntegerField(default=0, db_default=0)
    audio_output_tokens = models.PositiveBigIntegerField(default=0, db_default=0)
    image_input_tokens = models.PositiveBigIntegerField(default=0, db_default=0)
    images = models.PositiveBigIntegerField(default=0, db_default=0)
    searches = models.PositiveBigIntegerField(default=0, db_default=0)
    characters = models.PositiveBigIntegerField(default=0, db_default=0)
    seconds = models.PositiveBigIntegerField(default=0, db_default=0)
    attempts_made = models.JSONField(
        null=True,
        blank=True,
        help_text="Provider, channel, status, error code and milliseconds of each attempt; "
        "none where the model's own provider served at once.",
    )
    considered = models.JSONField(
        null=True,
        blank=True,
        help_text="The channels there were to choose from, as they stood when one failed or was passed over.",
    )
    is_own_key = models.BooleanField(
        default=False,
        db_default=False,
        help_text="The organization's own key was used, and its provider is paid by the organization.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(outcome__in=Outcome.values), name="usage_outcome_known"),
            models.CheckConstraint(
                condition=~Q(outcome__in=["free", "failed"]) | Q(cost_nano=0), name="usage_free_costs_nothing"
            ),
            models.CheckConstraint(
                condition=Q(is_own_key=False) | Q(cost_nano=0, cost_picos=0),
                name="usage_own_key_costs_nothing",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-started_at", "request_id"], name="usage_by_organization"),
            # For the log of requests (``billing.request_log``): what is looked for often, and is rare.
            models.Index(fields=["organization", "key_id", "-started_at", "request_id"], name="usage_by_key"),
            models.Index(
                fields=["organization", "model_id", "-started_at", "request_id"], name="usage_by_model"
            ),
            models.Index(
                fields=["organization", "-cost_nano", "-started_at", "request_id"], name="usage_by_cost"
            ),
            models.Index(
                fields=["organization", "-started_at", "request_id"],
                condition=~Q(outcome="completed") | Q(status__gte=400),
                name="usage_troubled",
            ),
            # For staff's list, over all organizations.
            models.Index(
                fields=["outcome", "request_id"], condition=~Q(outcome="completed"), name="usage_by_outcome"
            ),
            models.Index(fields=["request_id"], condition=Q(is_estimated=True), name="usage_estimated"),
        ]

    def __str__(self) -> str:
        return self.request_id


class UsageSum(models.Model):
    """What one key's requests to one model at one provider came to in one hour, and again in one day (UTC).

    ``billing.usage_sums`` keeps it equal to the records.
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, db_index=False, related_name="usage_sums"
    )
    hours = models.PositiveSmallIntegerField(help_text="How many hours are summed up: 1 or 24.")
    start = models.DateTimeField(help_text="When the hour or day began in which the requests were started.")
    key_id = models.CharField(max_length=40)
    member = models.CharField(
        max_length=40, blank=True, help_text="user_ and the number of the member who made the key."
    )
    model_id = models.CharField(max_length=200)
    provider_id = models.CharField(max_length=80)
    requests = models.BigIntegerField()
    failed = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    cache_write_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    cost_nano = models.BigIntegerField()
    took = HistogramField(help_text="How many answers took how long.")
    first_token = HistogramField(help_text="The same, until the first token.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "hours", "start", "key_id", "model_id", "provider_id"],
                name="usage_summed_once",
            ),
            models.CheckConstraint(condition=Q(hours__in=[1, 24]), name="usage_sum_of_hour_or_day"),
        ]
        indexes = [
            # For staff, who ask by model over all organizations; only a day's first request adds to it.
            models.Index(fields=["hours", "model_id", "start"], name="usage_sum_by_model"),
        ]

    def __str__(self) -> str:
        return f"{self.hours} h of {self.organization_id} from {self.start:%Y-%m-%d %H:%M}"


class DeadLetter(models.Model):
    """A record of a spool that could not be stored; numbers and ids only, kept until staff has dealt with it."""

    fingerprint = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the payload.")
    request_id = models.CharField(max_length=64)
    organization_id = models.CharField(max_length=64)
    payload = models.TextField(help_text="The record as JSON.")
    error = models.CharField(max_length=500)
    created_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"Dead letter {self.request_id}"
