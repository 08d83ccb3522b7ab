"""From tables to the gateway: reading a snapshot, and telling every process that the catalog changed."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Prefetch, QuerySet

from catalog import models, snapshot
from catalog.credentials import opened
from catalog.windows import spans_of
from fastanchor.lib.changes import announce
from fastanchor.lib.crypto import CannotUnseal
from fastanchor.lib.valkey import sync_client

logger = logging.getLogger(__name__)

TOPIC = "catalog"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DOES_NOT_OPEN = "catalog.credential_does_not_open"


def announce_catalog() -> None:
    """Tell every process to read the catalog anew, once the transaction under way is committed.

    When Valkey is away the change stays committed and the failure is logged; processes then learn of it with the
    next announcement or when they start.
    """
    transaction.on_commit(_announce, robust=True)


def _announce() -> None:
    announce(sync_client(), TOPIC, "changed")


def build_snapshot() -> snapshot.Snapshot:
    """Read the whole catalog in a fixed number of queries.

    Models that are not sold (yet, or any more) or have no price are left out; so are channels that are disabled or without a credential
    that is in service and opens.
    """
    ours = models.Credential.objects.filter(is_enabled=True, channel__is_enabled=True, channel__own_key="")
    return _snapshot(ours, own_keys(models.Credential.objects.exclude(channel__own_key="")))


def snapshot_through(credential: models.Credential) -> snapshot.Snapshot:
    """Read the catalog as if there were this one credential only, whether it is in service or not."""
    one = models.Credential.objects.filter(pk=credential.pk)
    own = own_keys(one.exclude(channel__own_key=""), may_be_out=True)
    return _snapshot(one.filter(channel__own_key=""), own)


def channel_through(credential: models.Credential) -> snapshot.Channel:
    """Return a channel with one of its credentials; raises ``CannotUnseal``."""
    return _channel(credential.channel, credential)


def own_keys(
    credentials: QuerySet[models.Credential], *, may_be_out: bool = False
) -> dict[str, dict[str, snapshot.OwnKey]]:
    """Return customers' own keys by organization and provider.

    One that does not work is there where no other channel may serve instead, so that none does.
    """
    found: defaultdict[str, dict[str, snapshot.OwnKey]] = defaultdict(dict)
    for row in credentials.select_related("channel__provider").order_by("channel", "pk"):
        own = _own_key(row, "" if may_be_out else _trouble(row))
        if own.channel is not None or own.is_only:
            found[row.channel.dedicated_to_id or ""][row.channel.provider_id] = own
    return dict(found)


def _own_key(row: models.Credential, trouble: str) -> snapshot.OwnKey:
    channel: snapshot.Channel | None = None
    if not trouble:
        try:
            channel = _channel(row.channel, row)
        except CannotUnseal:
            logger.exception(_DOES_NOT_OPEN, extra={"channel": row.channel_id, "credential": row.pk})
            trouble = "It cannot be read any more."
    return snapshot.OwnKey(
        provider_name=row.channel.provider.name,
        is_only=row.channel.own_key == models.OwnKeyUse.ONLY,
        channel=channel,
        trouble=trouble,
    )


def _trouble(row: models.Credential) -> str:
    if not row.channel.is_enabled:
        return "It is switched off."
    return "" if row.is_enabled else row.disabled_reason or "It was taken out."


def _snapshot(
    credentials: QuerySet[models.Credential], own: Mapping[str, Mapping[str, snapshot.OwnKey]]
) -> snapshot.Snapshot:
    version = time.time_ns() // 1_000_000
    routes = _routes(_channels(credentials))
    rows = _rows()
    by_id = {row.pk: _model(row, routes[row.pk]) for row in rows}
    named = _aliased(by_id)
    return snapshot.Snapshot(
        version=version,
        # A model's own id counts before an alias of the same name.
        models={**named, **by_id},
        listed=tuple(by_id[row.pk] for row in rows if row.is_listed),
        providers=frozenset(models.Provider.objects.values_list("slug", flat=True)),
        own=own,
    )


def _aliased(by_id: Mapping[str, snapshot.Model]) -> dict[str, snapshot.Model]:
    """Return models by their other names; a name of one that is not sold leads to what stands in for it."""
    aliases = dict(models.ModelAlias.objects.values_list("name", "model"))
    leads_to = {
        name: target if target in by_id else aliases.get(target, "") for name, target in aliases.items()
    }
    return {name: by_id[target] for name, target in leads_to.items() if target in by_id}


def _rows() -> list[models.CatalogModel]:
    return list(
        models.CatalogModel.objects.exclude(life_cycle__in=models.NOT_SOLD)
        .filter(pk__in=models.Price.objects.values("model"))
        .prefetch_related(_prices_newest_first())
        .order_by("pk")
    )


def _prices_newest_first() -> Prefetch[str]:
    """Return the prefetch of a model's prices with their tiers, as ``price_of`` needs them."""
    return Prefetch(
        "prices", queryset=models.Price.objects.order_by("-valid_from").prefetch_related(ascending_tiers())
    )


def ascending_tiers() -> Prefetch[str]:
    """Return the prefetch of a price's tiers, as ``price_of`` needs them."""
    return Prefetch("tiers", queryset=models.PriceTier.objects.order_by("above_tokens"))


def price_of(row: models.Price) -> snapshot.Price:
    """Turn a price and its tiers into the form that is calculated with."""
    return priced(row.pk, begins_ms(row.valid_from), [tier_of(tier) for tier in row.tiers.all()])


def begins_ms(moment: datetime) -> int:
    """Return the first whole millisecond of unix time at or after a moment: requests start in whole ones."""
    return -((_EPOCH - moment) // _MILLISECOND)


def find_price(price_id: str) -> snapshot.Price | None:
    """Return one price, in force or not, of a model that is sold or no longer."""
    row = models.Price.objects.filter(pk=price_id).prefetch_related(ascending_tiers()).first()
    return price_of(row) if row else None


def priced(price_id: str, valid_from_ms: int, tiers: Iterable[snapshot.Tier]) -> snapshot.Price:
    """Make a price of its tiers in ascending order, those of its windows among them."""
    by_window: defaultdict[str, list[snapshot.Tier]] = defaultdict(list)
    for tier in tiers:
        by_window[tier.during].append(tier)
    usual = tuple(by_window.pop("", ()))
    windows = tuple(
        snapshot.Window(during, spans_of(during), snapshot.Price(price_id, valid_from_ms, tuple(rows)))
        for during, rows in sorted(by_window.items())
    )
    return snapshot.Price(price_id, valid_from_ms, usual, windows)


def tier_of(row: models.PriceTier) -> snapshot.Tier:
    """Turn a tier into the form that is calculated with."""
    rates = snapshot.Rates(**{name: getattr(row, name) for name in RATES})
    return snapshot.Tier(row.above_tokens, rates, row.during)


# The fields of a tier that are rates, in the order in which ``Rates`` takes them.
RATES = tuple(rate.name for rate in dataclasses.fields(snapshot.Rates))


def _channels(credentials: QuerySet[models.Credential]) -> dict[str, list[snapshot.Channel]]:
    """Return channels by their ids, each once with every credential that opens."""
    channels: defaultdict[str, list[snapshot.Channel]] = defaultdict(list)
    for row in credentials.select_related("channel").order_by("created_at", "pk"):
        try:
            channel = _channel(row.channel, row)
        except CannotUnseal:
            logger.exception(_DOES_NOT_OPEN, extra={"channel": row.channel_id, "credential": row.pk})
        else:
            channels[row.channel_id].append(channel)
    return dict(channels)


def _channel(row: models.Channel, credential: models.Credential) -> snapshot.Channel:
    return snapshot.Channel(
        id=row.pk,
        name=row.name,
        provider=row.provider_id,
        adapter=row.adapter,
        base_url=row.base_url,
        api_key=opened(credential),
        weight=row.weight,
        priority=row.priority,
        # A development database copied to production must not open the inner network.
        allow_private=row.allow_private and not settings.IS_PRODUCTION,
        credential=f"{credential.pk}.{credential.revision}",
        requests_per_minute=row.requests_per_minute,
        tokens_per_minute=row.tokens_per_minute,
        concurrency=row.concurrency,
        dedicated_to=row.dedicated_to_id or "",
        is_own=bool(row.own_key),
    )


def _routes(channels: Mapping[str, Sequence[snapshot.Channel]]) -> defaultdict[str, list[snapshot.Route]]:
    """Return the routes by model, in the order in which they are tried."""
    routes: defaultdict[str, list[snapshot.Route]] = defaultdict(list)
    rows = models.Route.objects.filter(channel__in=channels).order_by(
        "channel__priority", "-channel__weight", "channel"
    )
    for model_id, channel_id, upstream_model in rows.values_list("model", "channel", "upstream_model"):
        first, *others = channels[channel_id]
        twins = tuple(snapshot.Route(each, upstream_model) for each in others)
        routes[model_id].append(snapshot.Route(first, upstream_model, twins))
    return routes


def _model(row: models.CatalogModel, routes: list[snapshot.Route]) -> snapshot.Model:
    return snapshot.Model(
        id=row.pk,
        provider=row.provider_id,
        name=row.name,
        context_window=row.context_window,
        max_output=row.max_output,
        capabilities=frozenset(row.capabilities),
        input_modalities=tuple(row.input_modalities),
        output_modalities=tuple(row.output_modalities),
        created=int(row.created_at.timestamp()),
        prices=tuple(price_of(price) for price in row.prices.all()),
        routes=tuple(routes),
        kind=row.kind,
        traits=frozenset(row.traits),
        life_cycle=row.life_cycle,
        upstream_name=row.upstream_name,
    )
