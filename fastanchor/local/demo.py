"""The customer of the local stack, so that there is something to log in to and a key to call with."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from django.urls import reverse

from accounts import keys, organizations, people
from accounts.models import Organization, User
from accounts.plans import PAY_AS_YOU_GO
from billing import grants
from catalog.channels import SANDBOX
from catalog.models import Route
from fastanchor.lib.money import NANOS_PER_USD
from fastanchor.local.environment import write_private

_EMAIL = "demo@example.com"
_FILE = "demo.json"
_CREDIT_NANO = 100 * NANOS_PER_USD


@dataclass(frozen=True)
class Demo:
    """What a script or a newcomer needs; ``base_url`` is the one SDKs take."""

    base_url: str
    dashboard_url: str
    email: str
    password: str
    api_key: str
    organization: str
    model: str


class NoSandboxModel(Exception):
    """The sandbox serves no model, so that a call would cost real money."""


def ensure_demo(*, folder: Path, port: int) -> Demo:
    """Return the demo customer, made or repaired as far as needed; secrets are kept in ``folder``."""
    kept = _kept(folder)
    user = people.ensure_verified(email=_EMAIL)
    password = _ensure_password(user, kept.get("password", ""))
    organization = _ensure_organization(user)
    api_key = _ensure_key(organization, user, kept.get("key_id", ""), kept.get("api_key", ""))
    write_private(folder / _FILE, {"password": password, "key_id": api_key[0], "api_key": api_key[1]})
    site = f"http://127.0.0.1:{port}"
    return Demo(
        base_url=f"{site}/v1",
        dashboard_url=site + reverse("dashboard"),
        email=_EMAIL,
        password=password,
        api_key=api_key[1],
        organization=organization.pk,
        model=_sandbox_model(),
    )


def as_json(demo: Demo) -> str:
    """Write the demo as one JSON object."""
    return json.dumps(asdict(demo), indent=2)


def _kept(folder: Path) -> dict[str, str]:
    path = folder / _FILE
    if not path.exists() or path.stat().st_uid not in {0, os.geteuid()}:
        return {}
    kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def _ensure_password(user: User, password: str) -> str:
    if password and user.check_password(password):
        return password
    fresh = secrets.token_urlsafe(9)
    user.set_password(fresh)
    user.save(update_fields=["password"])
    return fresh


def _ensure_organization(user: User) -> Organization:
    organization = organizations.of_user(user)
    if organization.plan_id != PAY_AS_YOU_GO:
        organizations.change_plan(organization=organization, plan_code=PAY_AS_YOU_GO, by=None)
    grants.grant(
        organization=organization,
        amount_nano=_CREDIT_NANO,
        reason="Credit of the demo",
        key=f"demo:{organization.pk}",
        actor="command:demo",
    )
    return organization


def _ensure_key(organization: Organization, user: User, key_id: str, secret: str) -> tuple[str, str]:
    if secret and keys.live_keys(organization).filter(pk=key_id, last4=secret[-4:]).exists():
        return key_id, secret
    key, secret = keys.create(organization=organization, name="Demo", created_by=user)
    return key.pk, secret


def _sandbox_model() -> str:
    """Return a model that only the sandbox serves, so that the call costs nobody anything."""
    enabled = Route.objects.filter(channel__is_enabled=True)
    paid = enabled.exclude(channel__provider=SANDBOX).values("model_id")
    free = enabled.filter(channel__provider=SANDBOX).exclude(model_id__in=paid)
    models = set(free.values_list("model_id", flat=True))
    if not models:
        raise NoSandboxModel
    return min(models, key=lambda model: (model != "gpt-4o", model))
