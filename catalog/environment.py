"""Channels that come from the environment: one per provider whose key is set, and the sandbox in development."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from catalog.addresses import normal_base_url
from catalog.channels import DEFAULT_PRIORITY, SANDBOX, add_channel, save_channel
from catalog.credentials import open_credential
from catalog.models import Channel, Provider
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
            changed += _refresh(wanted, credential)
    return changed + _load_sandbox(environ)


def _load_sandbox(environ: Mapping[str, str]) -> list[Channel]:
    url = environ.get(SANDBOX_VARIABLE, "")
    if not url:
        return []
    if settings.IS_PRODUCTION:
        message = f"{SANDBOX_VARIABLE} is for development only; unset it."
        raise ImproperlyConfigured(message)
    wanted = Channel(
        provider=Provider.objects.get(pk=SANDBOX),
        name=NAME,
        base_url=normal_base_url(url),
        priority=SANDBOX_PRIORITY,
        allow_private=True,
    )
    return _refresh(wanted, "sandbox-needs-no-key")


def _refresh(wanted: Channel, credential: str) -> list[Channel]:
    """Create a channel, or bring an existing one's address and credential up to date."""
    channel = Channel.objects.filter(provider=wanted.provider, name=wanted.name).first()
    if channel is None:
        return [add_channel(channel=wanted, credential=credential)]
    if channel.base_url == wanted.base_url and _opens_to(channel, credential):
        return []
    channel.base_url = wanted.base_url
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
