"""The life of an API key: create, change, revoke, look up, and when it was last used.

Every change is announced, so that all processes forget the key within a second; see ``announcements`` for what
holds while Valkey is away.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TypedDict, Unpack

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import announcements, audit, budgets, tokens
from accounts.keyring import Caller
from accounts.models import ApiKey, KeyKind, OldSecret, Organization, User
from fastanchor.lib.networks import NoRange, ranges_of

logger = logging.getLogger(__name__)

# What stands in place of the name of a key that is gone.
DELETED_KEY = "Deleted key"
MAX_LIVE_KEYS = 100
MAX_NAME = 80
MAX_MODELS = 200
MAX_MODEL_ID = 200
MAX_IP_RANGES = 50
# How exactly it is known when a secret was last seen, while a key has two.
SEEN_TO = timedelta(minutes=1)


class Limits(budgets.Budgets, total=False):
    """What a key may be limited to; ``None`` (or no models) means not limited. Money in nano-USD."""

    expires_at: datetime | None
    allowed_models: Iterable[str]
    allowed_ip_ranges: Iterable[str]
    requests_per_minute: int | None
    tokens_per_minute: int | None


class _Named(TypedDict):
    """What names a key in the audit log."""

    subject: str
    organization_id: str


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
        _make_room(organization)
        key = ApiKey.objects.create(
            organization=organization,
            created_by=created_by,
            name=checked_name,
            digest=newest_digest(token),
            prefix=prefix,
            last4=last4,
            **checked,
        )
        audit.record("key.created", **_named(key), after=limits_shown(key), by=created_by)
    logger.info("accounts.key_created", extra={"key": key.pk, "by": _who(created_by)})
    return key, token


def rename(*, key: ApiKey, name: str) -> ApiKey:
    """Give a key another name; raises ``InvalidValue``."""
    before, key.name = key.name, _checked_name(name)
    with transaction.atomic():
        key.save(update_fields=["name"])
        # Names of keys tell of people, and go with the account; the log stays.
        if key.name != before:
            audit.record("key.renamed", **_named(key))
    return key


def update_limits(*, key: ApiKey, by: User | None, **limits: Unpack[Limits]) -> ApiKey:
    """Change the limits that are named and leave the others; raises ``KeyRefused``."""
    checked = checked_limits(key.organization, **limits)
    with transaction.atomic():
        if "expires_at" in checked and key.expires_at is not None and key.expires_at <= timezone.now():
            _make_room(key.organization)
        before = limits_shown(key)
        for field, value in checked.items():
            setattr(key, field, value)
        key.save(update_fields=list(checked))
        audit.record_change("key.limited", before=before, after=limits_shown(key), by=by, **_named(key))
        announcements.key_changed(key.pk)
    logger.info("accounts.key_limited", extra={"key": key.pk, "by": _who(by)})
    return key


def change(*, key: ApiKey, by: User | None, name: str, **limits: Unpack[Limits]) -> ApiKey:
    """Change a key's name and the limits that are named, or nothing; raises ``KeyRefused``."""
    with transaction.atomic():
        rename(key=key, name=name)
        return update_limits(key=key, by=by, **limits)


def revoke(*, key: ApiKey, by: User | None, reason: str = "") -> ApiKey:
    """End a key for good; a second call changes nothing and announces it again."""
    with transaction.atomic():
        if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
            audit.record("key.revoked", by=by, reason=reason, **_named(key))
        announcements.key_changed(key.pk)
    key.refresh_from_db(fields=["revoked_at"])
    logger.info("accounts.key_revoked", extra={"key": key.pk, "by": _who(by)})
    return key


def limits_shown(key: ApiKey) -> dict[str, object]:
    """Return what a key is limited to, for the audit log."""
    return {field: getattr(key, field) for field in Limits.__annotations__}


def _named(key: ApiKey) -> _Named:
    return {"subject": f"key {key.pk}", "organization_id": key.organization_id}


def _make_room(organization: Organization) -> None:
    """Raise ``TooManyKeys`` where no other key may live; changes of one organization wait for each other here."""
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    if live_keys(organization).count() >= MAX_LIVE_KEYS:
        raise TooManyKeys


def of_programs(organization: Organization) -> QuerySet[ApiKey]:
    """Return the keys that people make and manage; those of the playground are nobody's business."""
    return ApiKey.objects.filter(organization=organization, kind=KeyKind.PROGRAM)


def live_keys(organization: Organization) -> QuerySet[ApiKey]:
    """Return the keys for programs that are neither revoked nor expired."""
    return of_programs(organization).filter(is_live())


def is_live() -> Q:
    """Return the condition that a key is neither revoked nor expired."""
    return Q(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)


def newest_digest(token: str) -> bytes:
    """Return what is stored of a secret."""
    return tokens.digest(token, _peppers()[0])


def load_caller(digests: list[bytes]) -> Caller | None:
    """Return the caller of any of these digests, newest pepper first: the keyring's loader.

    A key found by the digest of an older pepper is rewritten with the newest, so that peppers can be retired.
    """
    key = ApiKey.objects.filter(digest__in=digests).select_related("organization__plan").first()
    if key is None:
        return _caller_by_old_secret(digests)
    if bytes(key.digest) != digests[0]:
        ApiKey.objects.filter(pk=key.pk, digest=key.digest).update(digest=digests[0])
    return _caller(key)


def _caller_by_old_secret(digests: list[bytes]) -> Caller | None:
    """Return the caller of a secret that was replaced and still works for a while; notes that it was seen."""
    old = OldSecret.objects.filter(digest__in=digests).select_related("key__organization__plan").first()
    now = timezone.now()
    if old is None or old.expires_at <= now:
        return None
    if bytes(old.digest) != digests[0]:
        OldSecret.objects.filter(pk=old.pk, digest=old.digest).update(digest=digests[0])
    if old.last_seen_at is None or old.last_seen_at <= now - SEEN_TO:
        OldSecret.objects.filter(pk=old.pk).update(last_seen_at=now)
    return _caller(old.key, until=old.expires_at)


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
    if "allowed_ip_ranges" in checked:
        checked["allowed_ip_ranges"] = _checked_ranges(checked["allowed_ip_ranges"])
    return checked


def limit_of(organization: Organization, name: str) -> int:
    """Return the limit in force: the organization's own, else its plan's."""
    own: int | None = getattr(organization, name)
    limit: int = getattr(organization.plan, name) if own is None else own
    return limit


def _caller(key: ApiKey, *, until: datetime | None = None) -> Caller:
    """Return who calls with a key; not beyond ``until``, where its secret ends before it does."""
    organization = key.organization
    flat, member = budgets.in_force(key)
    ends = [int(end.timestamp()) for end in (key.expires_at, until) if end is not None]
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
        networks=ranges_of(key.allowed_ip_ranges),
        expires_at=min(ends, default=0),
        revoked=key.revoked_at is not None or organization.frozen_at is not None,
        priority=organization.plan.priority,
        keeps_contents=organization.contents_days > 0,
        frozen=key.revoked_at is None and organization.frozen_at is not None,
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


def _checked_ranges(ranges: Iterable[str]) -> list[str]:
    named = [each.strip() for each in ranges if each.strip()]
    try:
        networks = dict.fromkeys(ranges_of(named))
    except NoRange as exc:
        raise InvalidValue(str(exc), field="allowed_ip_ranges") from exc
    if len(networks) > MAX_IP_RANGES:
        text = f"At most {MAX_IP_RANGES} ranges; these are {len(networks)}."
        raise InvalidValue(text, field="allowed_ip_ranges")
    return [str(network) for network in networks]
