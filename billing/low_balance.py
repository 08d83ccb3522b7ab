"""The low-balance mail: once when a balance falls below its threshold, and again only after it was well above it.

Organizations on the Free plan have bought nothing and get none; those whose automatic top-up fills the balance need none.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts import plans
from accounts.models import Organization
from billing import disputes, mails, wallets
from billing.models import AutoTopUp, LowBalanceAlert, Wallet, WalletState
from fastanchor.lib.money import NANOS_PER_CENT, cents_to_nanos, short_usd

DEFAULT_CENTS = 500
MOST_AT_ONCE = 100
# A balance has recovered once it is a fifth above the threshold: hovering at it tells nobody twice.
_RECOVERED = NANOS_PER_CENT * 6 // 5


def threshold_of(organization: Organization) -> int:
    """Return below how many cents an organization is told; 0 for never."""
    known = LowBalanceAlert.objects.filter(organization=organization).first()
    return DEFAULT_CENTS if known is None else known.threshold_cents


def change(organization: Organization, *, cents: int) -> None:
    """Tell an organization below another balance from now on, or with 0 never."""
    LowBalanceAlert.objects.update_or_create(
        organization=organization, defaults={"threshold_cents": cents, "is_armed": True}
    )


def send_due() -> int:
    """Mail everybody whose balance has fallen below the threshold and who was not told; returns how many.

    Raises ``OSError`` or ``SMTPException`` when a mail cannot be handed over; it stays due.
    """
    return sum(_send(each) for each in list(_due().values_list("pk", flat=True)[:MOST_AT_ONCE]))


def rearm() -> int:
    """Let everybody whose balance has recovered be told the next time; returns how many."""
    recovered = Wallet.objects.filter(
        balance_nano__gte=F("organization__low_balance_alert__threshold_cents") * _RECOVERED,
        organization__low_balance_alert__is_armed=False,
    )
    return LowBalanceAlert.objects.filter(pk__in=recovered.values("pk")).update(is_armed=True)


def lock(organization: Organization) -> LowBalanceAlert:
    """Return what is set, made with the default where there is nothing; locked, for whoever sends a mail."""
    LowBalanceAlert.objects.bulk_create(
        [LowBalanceAlert(organization=organization, threshold_cents=DEFAULT_CENTS)], ignore_conflicts=True
    )
    return LowBalanceAlert.objects.select_for_update().get(organization=organization)


def told(alert: LowBalanceAlert, *, balance_nano: int) -> None:
    """Note that another mail has told of a balance, if it was a low one; the row is locked."""
    if balance_nano < alert.threshold_cents * NANOS_PER_CENT:
        _disarm(alert)


def _due() -> QuerySet[Wallet]:
    mine = "organization__low_balance_alert"
    is_below = Q(
        **{f"{mine}__is_armed": True, f"{mine}__threshold_cents__gt": 0},
        balance_nano__lt=F(f"{mine}__threshold_cents") * NANOS_PER_CENT,
    ) | Q(**{mine: None}, balance_nano__lt=DEFAULT_CENTS * NANOS_PER_CENT)
    return (
        Wallet.objects.filter(is_below)
        .exclude(organization__plan=plans.FREE)
        .exclude(pk__in=_filled_automatically().values("pk"))
        .order_by("pk")
    )


def _filled_automatically() -> QuerySet[AutoTopUp]:
    """Return the automatic top-ups that work: no refusal, no month's limit and no dispute keeps them from buying."""
    return AutoTopUp.objects.filter(
        ~Exists(disputes.undecided(OuterRef("pk"))),
        Q(next_attempt_at=None) | Q(next_attempt_at__lte=timezone.now()),
        is_on=True,
        failures=0,
        organization__wallet__state=WalletState.ACTIVE,
    )


def _send(organization_id: str) -> int:
    with transaction.atomic(durable=True):
        organization = Organization.objects.get(pk=organization_id)
        # Locked until the mail is on its way: nobody else sends it too.
        alert = lock(organization)
        if not _due().filter(pk=organization_id).exists():
            return 0
        _disarm(alert)
        mails.send(
            organization,
            "low_balance",
            balance=short_usd(wallets.of(organization).balance_nano),
            threshold=short_usd(cents_to_nanos(alert.threshold_cents)),
        )
        return 1


def _disarm(alert: LowBalanceAlert) -> None:
    alert.is_armed, alert.told_at = False, timezone.now()
    alert.save(update_fields=["is_armed", "told_at"])
