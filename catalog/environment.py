"""Channels that come from the environment: one per provider whose key is set, and the sandbox's in development.

The sandbox speaks several protocols and has a channel for each; a model is reached through its provider's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from catalog.addresses import normal_base_url
from catalog.channels import (
    DEFAULT_PRIORITY,
    SANDBOX,
    SANDBOX_PATHS,
    add_channel,
    add_routes,
    remove_foreign_routes,
    save_channel,
)
from catalog.credentials import open_credential
from catalog.models import Adapter, Channel, Provider
from fastanchor.lib.crypto import CannotUnseal

SANDBOX_VARIABLE = "FASTANCHOR_SANDBOX_URL"
SANDBOX_PRIORITY = 100
NAME = "environment"


@transaction.atomic
def load_environment(environ: Mapping[str, str]) -> list[Channel]:
    """Create or refresh the channels that the environment describes; returns those that were created or changed.

    A key that has gone from the environment leaves its channel as it is: staff decide when to disable it.
    """
    changed: list[Channel] = []
    for provider in Provider.objects.exclude(key_variable="").exclude(base_url="").order_by("pk"):
        if credential := _secret(environ, provider.key_variable):
            wanted = Channel(
                provider=provider, name=NAME, base_url=provider.base_url, priority=DEFAULT_PRIORITY
            )
            changed += _refresh(wanted, credential, provider.adapter)
    return changed + _load_sandbox(environ)


def _load_sandbox(environ: Mapping[str, str]) -> list[Channel]:
    url = environ.get(SANDBOX_VARIABLE, "")
    if not url:
        return []
    if settings.IS_PRODUCTION:
        message = f"{SANDBOX_VARIABLE} is for development only; unset it."
        raise ImproperlyConfigured(message)
    root = normal_base_url(url).removesuffix(SANDBOX_PATHS[Adapter.OPENAI])
    return [channel for adapter in SANDBOX_PATHS for channel in _load_sandbox_channel(root, adapter)]


def _load_sandbox_channel(root: str, adapter: str) -> list[Channel]:
    """Create or refresh the channel of one protocol, with routes for the models whose provider speaks it."""
    sandbox, name = Provider.objects.get(pk=SANDBOX), f"{NAME} {adapter}"
    if adapter == Adapter.OPENAI and not Channel.objects.filter(provider=sandbox, name=name).exists():
        # There was a time of one protocol and one channel.
        Channel.objects.filter(provider=sandbox, name=NAME).update(name=name)
    wanted = Channel(
        provider=sandbox,
        name=name,
        base_url=root + SANDBOX_PATHS[adapter],
        priority=SANDBOX_PRIORITY,
        allow_private=True,
    )
    changed = _refresh(wanted, "sandbox-needs-no-key", adapter)
    channel = Channel.objects.get(provider=sandbox, name=name)
    has_other_routes = remove_foreign_routes(channel=channel) + add_routes(channel=channel) > 0
    return changed or ([channel] if has_other_routes else [])


def _refresh(wanted: Channel, credential: str, adapter: str) -> list[Channel]:
    """Create a channel, or bring an existing one's address, protocol and credential up to date."""
    channel = Channel.objects.filter(provider=wanted.provider, name=wanted.name).first()
    if channel is None:
        return [add_channel(channel=wanted, credential=credential, adapter=adapter)]
    is_same = (channel.base_url, channel.adapter) == (wanted.base_url, adapter)
    if is_same and _opens_to(channel, credential):
        return []
    channel.base_url, channel.adapter = wanted.base_url, adapter
    save_channel(channel=channel, credential=credential)
    return [channel]


def _opens_to(channel: Channel, credential: str) -> bool:
    try:
        return open_credential(channel=channel) == credential
    except CannotUnseal:
        return False


def _secret(environ: Mapping[str, str], name: str) -> str:
    path = environ.get(f"{name}_FILE")
    return (Path(path).read_text(encoding="utf-8") if path else environ.get(name, "")).strip()
