"""Staff's view of the catalog. Every save announces; prices can be added but never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminBigIntegerFieldWidget
from django.db.models import Model, PositiveIntegerField, Prefetch, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.audit_admin import Audited
from catalog import credential_admin  # noqa: F401 - registers its table
from catalog.channels import add_routes, disable_channel, enable_channel, save_channel
from catalog.forms import CatalogModelForm, ChannelForm, PriceForm, ReasonForm, TierForm, TierFormSet
from catalog.incidents import follow_updates
from catalog.listing import extras_of, rate_usd
from catalog.models import (
    CatalogModel,
    Channel,
    Credential,
    Incident,
    IncidentUpdate,
    ModelAlias,
    Price,
    PriceTier,
    Provider,
    Route,
)
from catalog.prices import add_price
from catalog.publish import announce_catalog, tier_of

if TYPE_CHECKING:
    # These are generic for the type checker only.
    _TabularInline = admin.TabularInline[Any, Any]
    _StackedInline = admin.StackedInline[Any, Any]
else:
    _TabularInline, _StackedInline = admin.TabularInline, admin.StackedInline


class AnnouncingAdmin(Audited):
    """Tells every process when something was saved or deleted, inlines included."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """Save the inlines and announce."""
        super().save_related(request, form, formsets, change)
        announce_catalog()

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Delete and announce."""
        super().delete_model(request, obj)
        announce_catalog()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete and announce."""
        super().delete_queryset(request, queryset)
        announce_catalog()


@admin.register(Provider)
class ProviderAdmin(AnnouncingAdmin):
    """Companies that serve models."""

    list_display = ("name", "slug", "key_variable", "base_url", "adapter")
    ordering = ("name",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep the slug of an existing provider: saving another one would make a second provider."""
        return ("slug",) if obj else ()


class AliasInline(_TabularInline):
    """Other names of a model."""

    model = ModelAlias
    extra = 0


class PriceInline(_TabularInline):
    """A model's prices, to read."""

    model = Price
    fields = readonly_fields = ("valid_from", "rates", "source")
    ordering = ("-valid_from",)
    extra = 0
    can_delete = False

    @admin.display(description="USD per 1M tokens: input / cached / cache write / output")
    def rates(self, price: Price) -> str:
        """Write all tiers of a price."""
        return _rates(price)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        """Fetch tiers with their prices."""
        return super().get_queryset(request).prefetch_related("tiers")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: a price is added on its own page, with its tiers."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: prices are history."""
        return False


class ModelRouteInline(_TabularInline):
    """Channels that serve a model."""

    model = Route
    extra = 0
    autocomplete_fields = ("channel",)


class ChannelRouteInline(_TabularInline):
    """Models that a channel serves."""

    model = Route
    extra = 0
    autocomplete_fields = ("model",)


@admin.register(CatalogModel)
class CatalogModelAdmin(AnnouncingAdmin):
    """What callers may name."""

    form = CatalogModelForm
    # The usual field for numbers shows six digits of a context window.
    formfield_overrides: ClassVar[dict[Any, Any]] = {
        PositiveIntegerField: {"widget": AdminBigIntegerFieldWidget}
    }
    list_display = (
        "id",
        "name",
        "provider",
        "kind",
        "context_window",
        "max_output",
        "life_cycle",
        "is_listed",
    )
    list_filter = ("provider", "kind", "life_cycle", "is_listed")
    list_select_related = ("provider",)
    search_fields = ("id", "name", "aliases__name")
    ordering = ("provider", "id")
    inlines = (PriceInline, AliasInline, ModelRouteInline)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Keep the id of an existing model: usage records and prices carry it."""
        return ("id", "successor") if obj else ()

    @admin.display(description="New price")
    def successor(self, model: CatalogModel) -> SafeString:
        """Link to the page that adds the next price."""
        return format_html(
            '<a href="{}?model={}">Add successor price</a>', reverse("admin:catalog_price_add"), model.pk
        )


class TierInline(_StackedInline):
    """The rates of a new price."""

    model = PriceTier
    form = TierForm
    formset = TierFormSet
    fieldsets = (
        (None, {"fields": (("above_tokens", "during"),)}),
        ("USD per 1M tokens", {"fields": (("input", "cached_input", "cache_write", "output"),)}),
        (
            "USD per 1M of what is priced apart",
            {
                "description": "Left empty, tokens cost what they are a kind of; other units are not sold.",
                "fields": (
                    ("cache_write_1h", "audio_input", "cached_audio_input", "audio_output", "image_input"),
                    ("image", "search", "character", "second"),
                ),
            },
        ),
    )
    extra = 1
    min_num = 1
    can_delete = False


@admin.register(Price)
class PriceAdmin(AnnouncingAdmin):
    """Dated prices: added, then only read."""

    form = PriceForm
    list_display = ("model", "valid_from", "rates", "source")
    list_filter = ("source",)
    search_fields = ("model__id",)
    ordering = ("-valid_from", "pk")
    autocomplete_fields = ("model",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Show an existing price in one line per fact."""
        return ("model", "valid_from", "rates", "source", "created_at") if obj else ("model", "valid_from")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Allow nothing to be edited later."""
        return ("rates", "created_at") if obj else ()

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[type[Any]]:
        """Ask for tiers only when adding a price."""
        return [] if obj else [TierInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Price]:
        """Fetch tiers with their prices."""
        return super().get_queryset(request).prefetch_related("tiers")

    @admin.display(description="USD per 1M tokens: input / cached / cache write / output")
    def rates(self, price: Price) -> str:
        """Write all tiers of a price."""
        return _rates(price)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: prices are history."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: prices are history."""
        return False

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: Any) -> None:
        """Wait for the tiers: a price is saved together with them."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """Add the price with its tiers."""
        add_price(price=form.instance, tiers=formsets[0].tiers(), valid_from=form.cleaned_data["valid_from"])

    def construct_change_message(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Record one addition: the formset did not save the tiers itself."""
        return [{"added": {}}]


@admin.register(Channel)
class ChannelAdmin(AnnouncingAdmin):
    """Credentials at provider endpoints."""

    form = ChannelForm
    action_form = ReasonForm
    actions = ("enable", "disable")
    list_display = (
        "name",
        "provider",
        "base_url",
        "credential_end",
        "priority",
        "weight",
        "is_enabled",
        "disabled_reason",
    )
    list_filter = ("provider", "is_enabled")
    list_select_related = ("provider",)
    search_fields = ("id", "name", "provider__name")
    ordering = ("priority", "provider", "name")
    readonly_fields = ("id", "credential_end", "is_enabled", "disabled_reason", "created_at")
    autocomplete_fields = ("dedicated_to",)
    fields = (
        "id", "provider", "name", "adapter", "base_url", "credential", "credential_end", "weight", "priority",
        "requests_per_minute", "tokens_per_minute", "concurrency", "dedicated_to",
        "follows_catalog", "allow_private", "is_enabled", "disabled_reason", "created_at",
    )  # fmt: skip
    inlines = (ChannelRouteInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        """Fetch credentials with their channels; customers' own keys are not for staff to change."""
        credentials = Credential.objects.order_by("created_at", "pk")
        ours = super().get_queryset(request).filter(own_key="")
        return ours.prefetch_related(Prefetch("credentials", queryset=credentials))

    @admin.display(description="Credentials")
    def credential_end(self, channel: Channel) -> SafeString:
        """Show how the credentials end and which of them are out, and lead to them."""
        shown = ", ".join(_credential(each) for each in channel.credentials.all())
        url = reverse("admin:catalog_credential_changelist")
        return format_html('<a href="{}?q={}">{}</a>', url, channel.pk, shown or "none")

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: Any) -> None:
        """Seal a new credential and save."""
        save_channel(channel=obj, credential=form.cleaned_data["credential"])

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """Save the routes; a new channel that follows its provider gets all of them."""
        super().save_related(request, form, formsets, change)
        if form.instance.follows_catalog and not change:
            add_routes(channel=form.instance)

    @admin.action(description="Enable selected channels", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        """Put channels back into service."""
        for channel in queryset:
            enable_channel(channel=channel)
        self.message_user(request, f"{len(queryset)} channels enabled.")

    @admin.action(description="Disable selected channels (give a reason)", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        """Take channels out of service."""
        reason = request.POST.get("reason", "").strip()
        if not reason:
            self.message_user(request, "Write the reason beside the action.", messages.ERROR)
            return
        for channel in queryset:
            disable_channel(channel=channel, reason=reason)
        self.message_user(request, f"{len(queryset)} channels disabled.")


def _credential(credential: Credential) -> str:
    return f"…{credential.last4}" if credential.is_enabled else f"…{credential.last4} (out)"


def _rates(price: Price) -> str:
    tiers = sorted(price.tiers.all(), key=lambda tier: (tier.during, tier.above_tokens))
    return "; ".join(_tier(tier) for tier in tiers)


def _tier(tier: PriceTier) -> str:
    rates = (tier.input, tier.cached_input, tier.cache_write, tier.output)
    text = " / ".join(rate_usd(rate) for rate in rates)
    where = f"above {tier.above_tokens:,} tokens " if tier.above_tokens else ""
    when = f"{tier.during} UTC " if tier.during else ""
    extras = [words for words in extras_of(tier_of(tier).rates) if not words.startswith("cache write $")]
    return ", ".join([f"{when}{where}{text}", *extras])


class IncidentUpdateInline(_StackedInline):
    """What is known at a moment; the newest one says how far we are."""

    model = IncidentUpdate
    extra = 1
    fields = ("state", "at", "body")
    ordering = ("-at", "-pk")


@admin.register(Incident)
class IncidentAdmin(Audited):
    """What the status page tells of trouble."""

    list_display = ("title", "impact", "state", "started_at", "resolved_at")
    list_filter = ("state", "impact")
    search_fields = ("title",)
    ordering = ("-started_at",)
    fields = (
        "title",
        "impact",
        "started_at",
        "affected_providers",
        "affected_models",
        "state",
        "resolved_at",
    )
    readonly_fields = ("state", "resolved_at")
    # Plain lists: trouble is told from any device, and those with a search of their own need JavaScript.
    inlines = (IncidentUpdateInline,)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """Save the updates and follow them."""
        super().save_related(request, form, formsets, change)
        follow_updates(form.instance)
