"""Drafts: what staff is about to book. A draft is shown first, exactly as it would be booked, then booked as shown or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.db import transaction

from billing import aside, ledger, wallets
from billing.models import AccountCode, Journal, Wallet, WalletState

Legs = Mapping[AccountCode, int]


class Changed(Exception):
    """Something has moved since the draft was shown: it would be booked as ``legs`` now."""

    def __init__(self, legs: Legs) -> None:
        super().__init__(dict(legs))
        self.legs = legs


@dataclass(frozen=True, slots=True)
class Booked:
    """What a draft has booked, and the locked wallet whose balance moved by it."""

    journal: Journal
    wallet: Wallet | None = None


@dataclass(frozen=True, slots=True)
class Aside:
    """What leaves a wallet, under the name by which it is held until Valkey knows the new balance."""

    organization_id: str
    name: str
    amount_nano: int


@dataclass(frozen=True, slots=True)
class Draft:
    """``book`` locks what it needs and writes; with one key or one row to close it is booked once, however often called."""

    book: Callable[[], Booked]
    aside: Aside | None = None
    # What has to be done once it is committed.
    after: Callable[[], object] | None = None


def show(draft: Draft) -> Legs:
    """Return the legs of the journal that a draft would write now, in nano-USD; nothing stays written."""
    with transaction.atomic(durable=True):
        legs = ledger.legs_of(draft.book().journal)
        transaction.set_rollback(True)
    return legs


def book(draft: Draft, *, shown: Legs) -> Journal:
    """Book a draft as it was shown; raises ``Changed``, ``aside.NotLeft`` and what the draft's own ``book`` raises."""
    held = draft.aside
    with transaction.atomic(durable=True):
        booked = draft.book()
        if booked.journal.is_new:
            legs = ledger.legs_of(booked.journal)
            if legs != shown:
                raise Changed(legs)
            if held is not None:
                _hold(held, booked.wallet)
    if booked.wallet is not None:
        wallets.publish([booked.wallet], settled=[held.name] if held else [])
    if draft.after is not None:
        draft.after()
    return booked.journal


def _hold(held: Aside, wallet: Wallet | None) -> None:
    # On a wallet that is frozen or closed nobody is admitted.
    if wallet is not None and wallet.state == WalletState.ACTIVE:
        aside.set_aside(organization_id=held.organization_id, name=held.name, amount_nano=held.amount_nano)
