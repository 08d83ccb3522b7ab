"""The life of an API key: create, change, revoke, look up, and when it was last used.

Every change is announced, so that all processes forget the key within a second; see ``announcements`` for what
holds while Valkey is away.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Unpack

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import announcements, budgets, tokens
from accounts.keyring import Caller
from accounts.models import ApiKey, Organization, User

logger = logging.getLogger(__name__)

MAX_LIVE_KEYS = 100
MAX_NAME = 80
MAX_MODELS = 200
MAX_MODEL_ID = 200


class Limits(budgets.Budgets, total=False):
    """What a key may be limited to; ``None`` (or no models) means not limited. Money in nano-USD."""

    expires_at: datetime | None
    allowed_models: Iterable[str]
    requests_per_minute: int | None
    tokens_per_minute: int | None


class KeyRefused(Exception):
    """What was asked of a key cannot be; ``field`` names the argument at fault, empty for the key as a whole."""

    def __init__(self, text: str, *, field: str = "") -> None:
        super().__init__(text)
        self.field = field


class InvalidValue(KeyRefused):
    """The value of ``field`` is out of its range."""


class LimitAbovePlan(KeyRefused):
    """A key's own limit is above that of its organization."""

    def __init__(self, *, field: str, asked: int, most: int) -> None:
        super().__init__(f"At most {most:,}, the limit of your plan.", field=field)
        self.asked = asked
        self.most = most


class TooManyKeys(KeyRefused):
    """The organization has as many live keys as it may have."""

    def __init__(self) -> None:
        super().__init__(f"There are {MAX_LIVE_KEYS} live keys already. Revoke one first.")


def create(
    *, organization: Organization, name: str, created_by: User | None = None, **limits: Unpack[Limits]
) -> tuple[ApiKey, str]:
    """Create a key and return it with its secret, which is never seen again; raises ``KeyRefused``."""
    checked_name = _checked_name(name)
    checked = checked_limits(organization, **limits)
    token = tokens.new_token()
    prefix, last4 = tokens.shown_parts(token)
    with transaction.atomic():
        # Creations of one organization wait for each other, so that the count holds.
        Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
        if live_keys(organization).count() >= MAX_LIVE_KEYS:
            raise TooManyKeys
        key = ApiKey.objects.create(
            organization=organization,
            created_by=created_by,
            name=checked_name,
            digest=tokens.digest(token, _peppers()[0]),
            prefix=prefix,
            last4=last4,
            **checked,
        )
    logger.info("accounts.key_created", extra={"key": key.pk, "by": _who(created_by)})
    return key, token


def rename(*, key: ApiKey, name: str) -> ApiKey:
    """Give a key another name; raises ``InvalidValue``."""
    key.name = _checked_name(name)
    key.save(update_fields=["name"])
    return key


def update_limits(*, key: ApiKey, by: User | None, **limits: Unpack[Limits]) -> ApiKey:
    """Change the limits that are named and leave the others; raises ``KeyRefused``."""
    checked = checked_limits(key.organization, **limits)
    for field, value in checked.items():
        setattr(key, field, value)
    with transaction.atomic():
        key.save(update_fields=list(checked))
        announcements.key_changed(key.pk)
    logger.info("accounts.key_limited", extra={"key": key.pk, "by": _who(by)})
    return key


def revoke(*, key: ApiKey, by: User | None) -> ApiKey:
    """End a key for good; a second call changes nothing and announces it again."""
    with transaction.atomic():
        ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
        announcements.key_changed(key.pk)
    key.refresh_from_db(fields=["revoked_at"])
    logger.info("accounts.key_revoked", extra={"key": key.pk, "by": _who(by)})
    return key


def live_keys(organization: Organization) -> QuerySet[ApiKey]:
    """Return the keys that are neither revoked nor expired."""
    never_or_later = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    return ApiKey.objects.filter(never_or_later, organization=organization, revoked_at=None)


def load_caller(digests: list[bytes]) -> Caller | None:
    """Return the caller of any of these digests, newest pepper first: the keyring's loader.

    A key found by the digest of an older pepper is rewritten with the newest, so that peppers can be retired.
    """
    key = ApiKey.objects.filter(digest__in=digests).select_related("organization__plan").first()
    if key is None:
        return None
    if bytes(key.digest) != digests[0]:
        ApiKey.objects.filter(pk=key.pk, digest=key.digest).update(digest=digests[0])
    return _caller(key)


def touch(used: Mapping[str, datetime]) -> None:
    """Set when keys were last used, by key id; an earlier time than the stored one changes nothing.

    A key whose row someone else is writing is left out rather than waited for: its next use sets it.
    """
    with transaction.atomic():
        keys = [
            key
            for key in ApiKey.objects.select_for_update(skip_locked=True, no_key=True).filter(pk__in=used)
            if key.last_used_at is None or key.last_used_at < used[key.pk]
        ]
        for key in keys:
            key.last_used_at = used[key.pk]
        ApiKey.objects.bulk_update(keys, ["last_used_at"], batch_size=500)


def checked_limits(organization: Organization, **limits: Unpack[Limits]) -> Limits:
    """Return the limits as they are stored; raises ``InvalidValue`` or ``LimitAbovePlan``."""
    checked = limits.copy()
    if "expires_at" in checked:
        _check_expiry(checked["expires_at"])
    for field in budgets.NAMES:
        _check_budget(field, checked.get(field))
    _check_rate("requests_per_minute", checked.get("requests_per_minute"), organization)
    _check_rate("tokens_per_minute", checked.get("tokens_per_minute"), organization)
    if "allowed_models" in checked:
        checked["allowed_models"] = _checked_models(checked["allowed_models"])
    return checked


def limit_of(organization: Organization, name: str) -> int:
    """Return the limit in force: the organization's own, else its plan's."""
    own: int | None = getattr(organization, name)
    limit: int = getattr(organization.plan, name) if own is None else own
    return limit


def _caller(key: ApiKey) -> Caller:
    organization = key.organization
    flat, member = budgets.in_force(key)
    return Caller(
        key_id=key.pk,
        organization_id=organization.pk,
        plan=organization.plan.pk,
        requests_per_minute=limit_of(organization, "requests_per_minute"),
        tokens_per_minute=limit_of(organization, "tokens_per_minute"),
        concurrency=limit_of(organization, "concurrency"),
        key_requests_per_minute=key.requests_per_minute or 0,
        key_tokens_per_minute=key.tokens_per_minute or 0,
        budgets=flat,
        member=member,
        allowed_models=frozenset(key.allowed_models),
        expires_at=int(key.expires_at.timestamp()) if key.expires_at else 0,
        revoked=key.revoked_at is not None,
        priority=organization.plan.priority,
    )


def _peppers() -> tuple[bytes, ...]:
    return tokens.parse_peppers(settings.API_KEY_PEPPERS)


def _who(user: User | None) -> int | None:
    return user.pk if user else None


def _checked_name(name: str) -> str:
    stripped = name.strip()
    if not 1 <= len(stripped) <= MAX_NAME:
        text = f"A name has 1 to {MAX_NAME} characters."
        raise InvalidValue(text, field="name")
    return stripped


def _check_expiry(expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidValue("The expiry must be in the future.", field="expires_at")


def _check_budget(field: str, nano: object) -> None:
    assert nano is None or isinstance(nano, int)
    try:
        budgets.check(field, nano)
    except budgets.OutOfRange as exc:
        raise InvalidValue(str(exc), field=field) from exc


def _check_rate(field: str, rate: int | None, organization: Organization) -> None:
    if rate is None:
        return
    if rate < 1:
        raise InvalidValue("At least 1.", field=field)
    most = limit_of(organization, field)
    if rate > most:
        raise LimitAbovePlan(field=field, asked=rate, most=most)


def _checked_models(models: Iterable[str]) -> list[str]:
    named = sorted({model.strip() for model in models} - {""})
    if len(named) > MAX_MODELS or any(len(model) > MAX_MODEL_ID for model in named):
        text = f"At most {MAX_MODELS} models, each of at most {MAX_MODEL_ID} characters."
        raise InvalidValue(text, field="allowed_models")
    return named
