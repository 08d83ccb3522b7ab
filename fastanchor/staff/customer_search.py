"""Finding a customer by whatever somebody has at hand: each way asks one index, and returns few rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db.models import Q

from accounts.models import ApiKey, Membership, Organization, User
from accounts.staff_lists import beginning
from billing.models import Dispute, Invoice, Refund, StripeCustomer, TopUp, UsageRecord

MOST = 20
_PREFIX, _LAST = 12, 4
Ids = Iterable[str]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to find customers: what it looks by, for whom, and for words of which look."""

    by: str
    permission: str
    fits: re.Pattern[str]
    find: Callable[[str], Ids]


@dataclass(frozen=True, slots=True)
class Found:
    """A customer, and by what it was found."""

    organization: Organization
    by: str


def find(words: str, *, reader: User) -> list[Found]:
    """Return the customers that something names by these words, as far as the reader may know of it."""
    term = words.strip()
    found: dict[str, str] = {}
    for way in _WAYS if term else ():
        if way.fits.fullmatch(term) and reader.has_perm(way.permission):
            for each in way.find(term):
                found.setdefault(each, way.by)
    return _shown(dict(list(found.items())[:MOST]))


def newest() -> list[Organization]:
    """Return the customers that came last."""
    # Ids begin with the time, so their order is that of the organizations.
    return list(Organization.objects.select_related("plan").order_by("-pk")[:MOST])


def _shown(found: dict[str, str]) -> list[Found]:
    rows = Organization.objects.select_related("plan").in_bulk(list(found))
    return [Found(rows[pk], by) for pk, by in found.items() if pk in rows]


def _of_name(term: str) -> Ids:
    return beginning(Organization.objects.all(), "name", term).values_list("pk", flat=True)[:MOST]


def _of_key_seen(term: str) -> Ids:
    shown = Q(prefix=term[:_PREFIX]) if len(term) >= _PREFIX else Q(last4=term[-_LAST:])
    # Who sends us a whole key has shown it: it is found by what its owner may see of it.
    if len(term) >= _PREFIX + _LAST:
        shown &= Q(last4=term[-_LAST:])
    return ApiKey.objects.filter(shown).values_list("organization_id", flat=True)[:MOST]


def _of_stripe(term: str) -> Ids:
    """Return whose something at Stripe is: each kind has ids of its own, and an index by them."""
    customers = StripeCustomer.objects.filter(stripe_id=term).values_list("organization_id", flat=True)
    top_ups = TopUp.objects.filter(Q(stripe_intent=term) | Q(stripe_session=term) | Q(pk=term))
    refunds = Refund.objects.filter(Q(stripe_id=term) | Q(pk=term))
    disputes = Dispute.objects.filter(pk=term)
    return [
        *customers[:MOST],
        *top_ups.values_list("organization_id", flat=True)[:MOST],
        *refunds.values_list("top_up__organization_id", flat=True)[:MOST],
        *disputes.values_list("top_up__organization_id", flat=True)[:MOST],
    ]


_WAYS = (
    Way(
        "id",
        "accounts.view_organization",
        re.compile(r"org_\w{1,36}"),
        lambda term: Organization.objects.filter(pk=term).values_list("pk", flat=True),
    ),
    Way(
        "member",
        "accounts.view_user",
        re.compile(r"[^@\s]+@[^@\s]+"),
        lambda term: Membership.objects.filter(user__email__iexact=term).values_list(
            "organization_id", flat=True
        )[:MOST],
    ),
    Way(
        "key",
        "accounts.view_apikey",
        re.compile(r"key_\w{1,36}"),
        lambda term: ApiKey.objects.filter(pk=term).values_list("organization_id", flat=True),
    ),
    Way("key", "accounts.view_apikey", re.compile(r"fa_live_\w{4,80}|\w{4}"), _of_key_seen),
    Way(
        "request",
        "billing.view_usagerecord",
        re.compile(r"req_\w{1,60}"),
        lambda term: UsageRecord.objects.filter(request_id=term).values_list("organization_id", flat=True)[
            :MOST
        ],
    ),
    Way(
        "payment",
        "billing.view_topup",
        re.compile(r"(cus|pi|cs|re|pyr|top|ref|dp|du)_\w{1,115}"),
        _of_stripe,
    ),
    Way(
        "invoice",
        "billing.view_topup",
        re.compile(r"[A-Z]{2}-\d{4}-\d{1,8}", re.IGNORECASE),
        lambda term: Invoice.objects.filter(pk=term.upper()).values_list("organization_id", flat=True),
    ),
    Way("name", "accounts.view_organization", re.compile(r".{2,120}"), _of_name),
)
