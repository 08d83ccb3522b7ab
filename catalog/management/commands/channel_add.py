"""``manage.py channel_add``: one channel at a provider, with its routes."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog.addresses import BadAddress
from catalog.channels import (
    DEFAULT_PRIORITY,
    ChannelExists,
    UnknownModels,
    add_channel,
    checked_base_url,
)
from catalog.credentials import BadCredential
from catalog.models import Adapter, Channel, Provider


class Command(BaseCommand):
    """Adds a channel from a script."""

    help = "Adds a channel with routes for all models of its provider, or for --models; prints its id."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the channel's parts."""
        parser.add_argument("--provider", required=True, help="Its slug, such as openai.")
        parser.add_argument("--base-url", required=True, help="Including its version path, such as /v1.")
        parser.add_argument("--api-key", required=True)
        parser.add_argument(
            "--adapter",
            choices=Adapter.values,
            default="",
            help="What it speaks; its provider's own if left out.",
        )
        parser.add_argument("--name", default="", help="Unique at its provider; its id if left out.")
        parser.add_argument("--weight", type=int, default=1)
        parser.add_argument("--priority", type=int, default=DEFAULT_PRIORITY, help="Lower is tried first.")
        parser.add_argument(
            "--models", default="", help="Comma-separated ids; all of the provider's if left out."
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check the parts, add the channel, print what was made."""
        models = [name.strip() for name in options["models"].split(",") if name.strip()]
        try:
            channel = add_channel(
                channel=_channel(options),
                credential=options["api_key"],
                models=models,
                adapter=options["adapter"],
            )
        except (BadAddress, BadCredential, ChannelExists, UnknownModels) as exc:
            raise CommandError(str(exc)) from None
        routes = channel.routes.count()
        if options["json"]:
            self.stdout.write(json.dumps({"id": channel.id, "routes": routes}))
        else:
            self.stdout.write(f"Added channel {channel.id} with {routes} routes.")


def _channel(options: dict[str, Any]) -> Channel:
    channel = Channel(
        provider=_provider(options["provider"]),
        base_url=checked_base_url(options["base_url"]),
        name=options["name"],
        weight=options["weight"],
        priority=options["priority"],
        allow_private=settings.ALLOW_PRIVATE_UPSTREAMS,
    )
    try:
        # Both are filled in when it is added: the credential sealed, a missing name.
        channel.clean_fields(exclude=set() if channel.name else {"name"})
    except ValidationError as exc:
        field, texts = next(iter(exc.message_dict.items()))
        message = f"--{field.replace('_', '-')}: {texts[0]}"
        raise CommandError(message) from None
    return channel


def _provider(slug: str) -> Provider:
    provider = Provider.objects.filter(pk=slug).first()
    if provider is None:
        known = ", ".join(Provider.objects.order_by("pk").values_list("pk", flat=True))
        message = f"No provider {slug!r}. There are: {known or 'none; run load_catalog first'}."
        raise CommandError(message)
    return provider
