"""Telling an owner that the automatic top-up was switched off, and what to do."""

from __future__ import annotations

from django.db import transaction

from accounts.models import Organization
from billing import low_balance, mails, wallets
from billing.models import AutoTopUp
from fastanchor.lib.money import short_usd

MOST_AT_ONCE = 100


def send_due() -> int:
    """Send each notice that is due, once; returns how many.

    Raises ``OSError`` or ``SMTPException`` when a mail cannot be handed over; its notice stays due.
    """
    due = AutoTopUp.objects.filter(is_notice_due=True).order_by("updated_at", "pk")
    return sum(_send(each) for each in list(due.values_list("pk", flat=True)[:MOST_AT_ONCE]))


def _send(organization_id: str) -> int:
    with transaction.atomic(durable=True):
        organization = Organization.objects.get(pk=organization_id)
        # Who mails holds the alert's row: the automatic top-up's own stays free for payments meanwhile.
        alert = low_balance.lock(organization)
        due = AutoTopUp.objects.filter(organization=organization, is_notice_due=True)
        setting = due.first()
        if setting is None:
            return 0
        balance_nano = wallets.of(organization).balance_nano
        mails.send(organization, "auto_top_up_off", why=setting.last_error, balance=short_usd(balance_nano))
        low_balance.told(alert, balance_nano=balance_nano)
        due.update(is_notice_due=False)
        return 1
