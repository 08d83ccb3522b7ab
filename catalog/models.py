"""Tables of this app: providers, models, dated prices, channels, routes."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from catalog import (
    proposals,  # noqa: F401 - tables of this app, too
    retirement_tables,  # noqa: F401 - so are these
    windows,
)
from fastanchor.lib.ids import new_id

# What a caller may write as a model's name; also part of URLs and log lines.
MODEL_ID_PATTERN = r"^[a-z0-9][a-z0-9._:/-]*$"


def new_price_id() -> str:
    """Return a fresh ``price_`` id."""
    return new_id("price")


def new_incident_id() -> str:
    """Return a fresh ``inc_`` id."""
    return new_id("inc")


def new_channel_id() -> str:
    """Return a fresh ``chan_`` id."""
    return new_id("chan")


def new_credential_id() -> str:
    """Return a fresh ``cred_`` id."""
    return new_id("cred")


def text_only() -> list[str]:
    """Return the modalities of a model that only reads or writes text."""
    return ["text"]


class Adapter(models.TextChoices):
    """Which format a channel speaks."""

    OPENAI = "openai", "OpenAI-compatible"
    OPENAI_RESPONSES = "openai_responses", "OpenAI: chat and Responses"
    ANTHROPIC = "anthropic", "Anthropic"
    GEMINI = "gemini", "Gemini"
    DEEPSEEK = "deepseek", "DeepSeek"
    QWEN = "qwen", "Qwen"
    AZURE = "azure", "Azure OpenAI"
    BEDROCK = "bedrock", "Amazon Bedrock"
    VERTEX = "vertex", "Vertex AI"


class Capability(models.TextChoices):
    """What a model can do beyond plain text in, plain text out."""

    STREAMING = "streaming", "Streaming"
    TOOLS = "tools", "Tools"
    VISION = "vision", "Vision"
    JSON_SCHEMA = "json_schema", "JSON schema"
    REASONING = "reasoning", "Reasoning"
    AUDIO = "audio", "Audio"
    FILES = "files", "Files"
    WEB_SEARCH = "web_search", "Web search"


class Kind(models.TextChoices):
    """What a model is for, which decides the path that serves it."""

    CHAT = "chat", "Chat"
    EMBEDDING = "embedding", "Embedding"
    IMAGE = "image", "Image"
    SPEECH = "speech", "Speech"
    TRANSCRIPTION = "transcription", "Transcription"
    MODERATION = "moderation", "Moderation"


class Trait(models.TextChoices):
    """What an adapter must know of a model to speak with it, and a caller need not."""

    NO_SAMPLING = "no_sampling", "Refuses temperature, top_p and top_k"
    NO_PREFILL = "no_prefill", "Refuses a begun answer"
    RESPONSES_ONLY = "responses_only", "Served by the Responses API only"
    ADAPTIVE_THINKING = "adaptive_thinking", "Thinks adaptively, by effort"
    THINKING_LEVEL = "thinking_level", "Takes thinking levels, no budgets"
    ALWAYS_REASONS = "always_reasons", "Thoughts cannot be switched off"
    STREAMS_ONLY = "streams_only", "Answers as a stream only"
    THINKS_BY_DEFAULT = "thinks_by_default", "Thinks unless told not to"


class Modality(models.TextChoices):
    """What goes into a model or comes out of it."""

    TEXT = "text", "Text"
    IMAGE = "image", "Image"
    AUDIO = "audio", "Audio"
    VIDEO = "video", "Video"
    FILE = "file", "File"
    EMBEDDING = "embedding", "Embedding"


class LifeCycle(models.TextChoices):
    """Where a model stands between its release and its end."""

    ANNOUNCED = "announced", "Announced"
    """Not sold yet."""
    ACTIVE = "active", "Active"
    DEPRECATED = "deprecated", "Deprecated"
    """Sold, until its end."""
    RETIRED = "retired", "Retired"
    """Not sold any more; an alias of its name, if there is one, answers in its place."""


NOT_SOLD = (LifeCycle.ANNOUNCED, LifeCycle.RETIRED)


class PriceSource(models.TextChoices):
    """Who set a price; a loader only ever succeeds its own prices."""

    PRODUCT = "product", "Product page"
    GENAI_PRICES = "genai-prices", "genai-prices"
    STAFF = "staff", "Staff"


class Provider(models.Model):
    """A company that serves models."""

    slug = models.SlugField(primary_key=True, max_length=40)
    name = models.CharField(max_length=80)
    key_variable = models.CharField(
        max_length=80, blank=True, help_text="Environment variable that holds our credential."
    )
    base_url = models.CharField(
        max_length=500, blank=True, help_text="Default for channels; no trailing slash."
    )
    adapter = models.CharField(max_length=20, choices=Adapter, default=Adapter.OPENAI)

    def __str__(self) -> str:
        return self.name


class CatalogModel(models.Model):
    """What a caller names: ``gpt-4o``."""

    id = models.CharField(primary_key=True, max_length=120)
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="models")
    name = models.CharField(max_length=120)
    upstream_name = models.CharField(
        max_length=200, help_text="The provider's own name; new routes start with it."
    )
    kind = models.CharField(max_length=20, choices=Kind, default=Kind.CHAT)
    context_window = models.PositiveIntegerField(
        help_text="Tokens of input and output together; 0 where nobody counts them."
    )
    max_output = models.PositiveIntegerField(
        help_text="Most tokens one answer may have; 0 for a model that writes none."
    )
    capabilities = models.JSONField(default=list, blank=True)
    traits = models.JSONField(default=list, blank=True, help_text="For the adapters; callers do not see it.")
    input_modalities = models.JSONField(default=text_only)
    output_modalities = models.JSONField(default=text_only)
    created_at = models.DateTimeField(default=timezone.now, help_text="When the model came out.")
    life_cycle = models.CharField(max_length=20, choices=LifeCycle, default=LifeCycle.ACTIVE)
    retires_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When its provider ends it: from then on it is retired, within a minute.",
    )
    replaced_by = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="replaces",
        help_text="What the model's page advises instead.",
    )
    is_listed = models.BooleanField(default=True, help_text="Shown in /v1/models and on the site.")
    # What the loader wrote last: it brings up to date what nobody has changed since.
    loaded = models.JSONField(default=dict, blank=True, editable=False)

    class Meta:
        verbose_name = "model"
        constraints = [
            models.CheckConstraint(condition=Q(id__regex=MODEL_ID_PATTERN), name="model_id_is_plain"),
            models.CheckConstraint(
                condition=Q(max_output__gt=0) | ~Q(kind=Kind.CHAT), name="model_max_output_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.id


class ModelAlias(models.Model):
    """Another name for a model."""

    name = models.CharField(max_length=120, unique=True)
    model = models.ForeignKey(CatalogModel, on_delete=models.CASCADE, related_name="aliases")

    class Meta:
        verbose_name_plural = "model aliases"
        constraints = [
            models.CheckConstraint(condition=Q(name__regex=MODEL_ID_PATTERN), name="alias_is_plain")
        ]

    def __str__(self) -> str:
        return self.name


class Price(models.Model):
    """One dated set of rates of one model; never edited, only succeeded (the database refuses)."""

    id = models.CharField(primary_key=True, max_length=40, default=new_price_id, editable=False)
    model = models.ForeignKey(CatalogModel, on_delete=models.PROTECT, related_name="prices")
    valid_from = models.DateTimeField(default=timezone.now)
    source = models.CharField(max_length=20, choices=PriceSource, default=PriceSource.STAFF)
    # Set by the database to the time of its transaction: tiers may only join in that same transaction.
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "valid_from"], name="price_one_per_moment")]

    def __str__(self) -> str:
        return f"{self.model_id} from {self.valid_from:%Y-%m-%d %H:%M}"


class PriceTier(models.Model):
    """Rates of a price for requests whose input exceeds ``above_tokens``; micro-USD per 1M tokens or other units.

    ``catalog.snapshot.Rates`` says what an empty rate means.
    """

    price = models.ForeignKey(Price, on_delete=models.PROTECT, related_name="tiers")
    above_tokens = models.PositiveBigIntegerField(
        default=0, help_text="0 for the base rates, which every price has."
    )
    input = models.PositiveBigIntegerField()
    cached_input = models.PositiveBigIntegerField()
    cache_write = models.PositiveBigIntegerField()
    output = models.PositiveBigIntegerField()
    cache_write_1h = models.PositiveBigIntegerField(null=True, blank=True)
    audio_input = models.PositiveBigIntegerField(null=True, blank=True)
    cached_audio_input = models.PositiveBigIntegerField(null=True, blank=True)
    audio_output = models.PositiveBigIntegerField(null=True, blank=True)
    image_input = models.PositiveBigIntegerField(null=True, blank=True)
    image = models.PositiveBigIntegerField(null=True, blank=True)
    search = models.PositiveBigIntegerField(null=True, blank=True)
    character = models.PositiveBigIntegerField(null=True, blank=True)
    second = models.PositiveBigIntegerField(null=True, blank=True)
    during = models.CharField(
        max_length=40,
        blank=True,
        default="",
        help_text="Hours (UTC) in which the rates hold, such as mon-fri 01:00-04:00; empty: always.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["price", "during", "above_tokens"], name="tier_once"),
            models.CheckConstraint(
                condition=Q(during="") | Q(during__regex=windows.PATTERN), name="tier_during_known"
            ),
        ]

    def __str__(self) -> str:
        return f"above {self.above_tokens} tokens {self.during}".rstrip()


class OwnKeyUse(models.TextChoices):
    """What a customer's own key of a provider is for."""

    ONLY = "only", "Only my key"
    """Requests are served by it, or not at all."""
    FIRST = "first", "My key first, then FastAnchor's credit"
    """Where it does not serve, our channels do, for credit."""


class Channel(models.Model):
    """A provider endpoint through which models can be reached; its credentials stand in ``Credential``."""

    id = models.CharField(primary_key=True, max_length=40, default=new_channel_id, editable=False)
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="channels")
    name = models.CharField(max_length=80)
    adapter = models.CharField(max_length=20, choices=Adapter, default=Adapter.OPENAI)
    base_url = models.CharField(
        max_length=500, help_text="Including its version path, without a trailing slash."
    )
    weight = models.PositiveIntegerField(
        default=1,
        validators=[MinValueValidator(1)],
        help_text="Share of the calls among channels of one priority.",
    )
    priority = models.PositiveIntegerField(default=10, help_text="Lower numbers are tried first.")
    is_enabled = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=200, blank=True)
    allow_private = models.BooleanField(
        default=False, help_text="May reach private addresses; has no effect in production."
    )
    follows_catalog = models.BooleanField(
        default=True, help_text="Gets routes for new models of its provider."
    )
    requests_per_minute = models.PositiveIntegerField(
        default=0, db_default=0, help_text="What the provider allows this channel; 0 for no limit."
    )
    tokens_per_minute = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Input and output together; 0 for no limit."
    )
    concurrency = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Requests that may run at once; 0 for no limit."
    )
    dedicated_to = models.ForeignKey(
        "accounts.Organization",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="dedicated_channels",
        help_text="Only this organization may use it, and its requests try it first.",
    )
    # Its credential is that organization's own key, kept by ``catalog.own_keys``; it has no routes, for it serves
    # whatever its provider does.
    own_key = models.CharField(
        max_length=10, choices=OwnKeyUse, blank=True, default="", db_default="", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider", "name"], name="channel_name_once"),
            models.CheckConstraint(condition=Q(weight__gt=0), name="channel_weight_positive"),
            models.CheckConstraint(
                condition=Q(own_key="") | Q(own_key__in=OwnKeyUse.values, dedicated_to__isnull=False),
                name="channel_own_key_is_somebodys",
            ),
            models.UniqueConstraint(
                fields=["dedicated_to", "provider"], condition=~Q(own_key=""), name="channel_own_key_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider_id} {self.name}"


class Credential(models.Model):
    """One of a channel's secrets; ``catalog.credentials`` seals it and keeps its state."""

    id = models.CharField(primary_key=True, max_length=40, default=new_credential_id, editable=False)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="credentials")
    name = models.CharField(max_length=80, help_text="How staff tell it from the channel's others.")
    sealed = models.TextField(editable=False)
    last4 = models.CharField(max_length=4, editable=False, blank=True)
    is_enabled = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=200, blank=True)
    # Counts new secrets and returns into service, so that a verdict on what it was does not hit what it is.
    revision = models.PositiveIntegerField(default=1, editable=False)
    # When one that the upstream refused is tried again; none for one that staff took out.
    retry_at = models.DateTimeField(null=True, blank=True, editable=False)
    retries = models.PositiveSmallIntegerField(default=0, editable=False)
    # The state of which those whom it concerns were told by mail.
    told_revision = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "name"], name="credential_name_once")]

    def __str__(self) -> str:
        return f"{self.channel_id} {self.name}"


class Route(models.Model):
    """A model served by a channel under the upstream's own name for it."""

    model = models.ForeignKey(CatalogModel, on_delete=models.CASCADE, related_name="routes")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="routes")
    upstream_model = models.CharField(max_length=200)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "channel"], name="route_once")]

    def __str__(self) -> str:
        return f"{self.model_id} by {self.channel_id}"


class Impact(models.TextChoices):
    """What an incident means to callers."""

    DEGRADED = "degraded", "Degraded"
    """Slower, or a few requests fail."""
    PARTIAL = "partial", "Partial outage"
    """Many requests fail, or all to some models."""
    MAJOR = "major", "Major outage"
    """Most requests fail."""
    MAINTENANCE = "maintenance", "Maintenance"
    """Planned, and told before."""


class IncidentState(models.TextChoices):
    """How far we are with an incident."""

    INVESTIGATING = "investigating", "Investigating"
    IDENTIFIED = "identified", "Identified"
    MONITORING = "monitoring", "Monitoring"
    RESOLVED = "resolved", "Resolved"


class Incident(models.Model):
    """Something that callers notice, as staff tells of it; ``catalog.incidents`` keeps the state."""

    id = models.CharField(primary_key=True, max_length=40, default=new_incident_id, editable=False)
    title = models.CharField(max_length=200)
    impact = models.CharField(max_length=20, choices=Impact)
    state = models.CharField(
        max_length=20, choices=IncidentState, default=IncidentState.INVESTIGATING, editable=False
    )
    affected_providers = models.ManyToManyField(Provider, blank=True, related_name="incidents")
    affected_models = models.ManyToManyField(CatalogModel, blank=True, related_name="incidents")
    started_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="resolved", resolved_at__isnull=False)
                | (~Q(state="resolved") & Q(resolved_at__isnull=True)),
                name="incident_resolved_or_open",
            )
        ]
        indexes = [models.Index(fields=["-started_at", "id"], name="incident_newest_first")]

    def __str__(self) -> str:
        return self.title


class IncidentUpdate(models.Model):
    """What was known of an incident at a moment, in Markdown."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="updates")
    state = models.CharField(max_length=20, choices=IncidentState)
    body = models.TextField(max_length=5_000, help_text="Markdown; HTML is shown as it is written.")
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.state} at {self.at:%Y-%m-%d %H:%M}"
