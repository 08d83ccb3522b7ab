"""Everything that the fake remembers: objects by kind, facts that no answer shows, a clock, and what is due later."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from fastanchor.lib.ids import random_base62
from fastanchor.local.fakestripe.errors import no_such
from fastanchor.local.fakestripe.parameters import api

Obj = dict[str, Any]

VERSION = "2026-10-28.endive"
PREFIXES = {
    "balance_transaction": "txn",
    "billing.meter": "mtr_test",
    "charge": "ch",
    "checkout.session": "cs_test",
    "credit_note": "cn",
    "credit_note_line_item": "cnli",
    "customer": "cus",
    "dispute": "du",
    "event": "evt",
    "invoice": "in",
    "invoiceitem": "ii",
    "item": "li",
    "line_item": "il",
    "payment_intent": "pi",
    "payment_method": "pm",
    "payout": "po",
    "price": "price",
    "product": "prod",
    "refund": "re",
    "setup_intent": "seti",
    "tax_id": "txi",
    "tax_rate": "txr",
    "webhook_endpoint": "we",
}


@dataclass
class Memory:
    """What a restart finds again."""

    tables: dict[str, dict[str, Obj]] = field(default_factory=dict)
    # What is known of an object but not shown, such as how a card behaves.
    hidden: dict[str, Obj] = field(default_factory=dict)
    # Operations by idempotency key.
    replays: dict[str, Obj] = field(default_factory=dict)
    # What happens by itself: when, what, to which object.
    due: list[tuple[int, str, str]] = field(default_factory=list)
    clock_offset: int = 0


class World:
    """One account of Stripe in test mode."""

    def __init__(self, path: Path | None = None) -> None:
        """Read ``path`` when it is there, and write it again with ``save``."""
        self._path = path
        self._memory = self._read()
        # Of the call that is being answered; events name them.
        self.request_id: str | None = None
        self.idempotency_key: str | None = None
        self.base_url = ""
        # Events that were made since somebody looked.
        self.outbox: list[Obj] = []

    def _read(self) -> Memory:
        if self._path is None or not self._path.exists():
            return Memory()
        return msgspec.json.decode(self._path.read_bytes(), type=Memory)

    def save(self) -> None:
        """Write everything down; a file that is read meanwhile is the old one or the new one."""
        if self._path is None:
            return
        fresh = self._path.with_suffix(".new")
        opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(opened, "wb") as file:
            file.write(msgspec.json.encode(self._memory))
        fresh.replace(self._path)

    def reset(self) -> None:
        """Forget everything, the clock too."""
        self._memory = Memory()
        self.outbox.clear()

    # --- time -------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """Return the seconds of this account's clock."""
        return int(time.time()) + self._memory.clock_offset

    def move_clock(self, seconds: int) -> None:
        """Let time pass."""
        self._memory.clock_offset += seconds

    def later(self, seconds: int, what: str, object_id: str) -> None:
        """Note what happens by itself."""
        self._memory.due.append((self.now() + seconds, what, object_id))

    def take_due(self) -> list[tuple[str, str]]:
        """Return what has become due, oldest first, and forget it."""
        now = self.now()
        ripe = sorted(each for each in self._memory.due if each[0] <= now)
        self._memory.due = [each for each in self._memory.due if each[0] > now]
        return [(what, object_id) for _, what, object_id in ripe]

    # --- objects ----------------------------------------------------------------------------------------------

    def add(self, kind: str, **fields: Any) -> Obj:
        """Make an object; fields that are not given and may be null are."""
        made: Obj = {"id": fields.pop("id", None) or self.new_id(kind), "object": kind}
        for name in api()["objects"][kind]:
            made[name] = {"created": self.now(), "livemode": False}.get(name)
        made.update(fields)
        self.table(kind)[made["id"]] = made
        return made

    def new_id(self, kind: str) -> str:
        """Return an id that nobody has."""
        width = 58 if kind == "checkout.session" else 24
        return f"{PREFIXES[kind]}_{random_base62(width)}"

    def table(self, kind: str) -> dict[str, Obj]:
        """Return the objects of a kind, oldest first."""
        return self._memory.tables.setdefault(kind, {})

    def newest_first(self, kind: str) -> Iterator[Obj]:
        """Return the objects of a kind that were not deleted."""
        return (each for each in reversed(list(self.table(kind).values())) if not each.get("deleted"))

    def get(self, kind: str, object_id: str, param: str = "id") -> Obj:
        """Return an object, a deleted one too; raises ``StripeError``."""
        found = self.table(kind).get(object_id)
        if found is None:
            raise no_such(_NAMES.get(kind, kind), object_id, param)
        return found

    def alive(self, kind: str, object_id: str, param: str) -> Obj:
        """Return an object that was not deleted; raises ``StripeError``."""
        found = self.get(kind, object_id, param)
        if found.get("deleted"):
            raise no_such(_NAMES.get(kind, kind), object_id, param)
        return found

    def find(self, object_id: str) -> Obj | None:
        """Return an object of any kind."""
        return next((table[object_id] for table in self._memory.tables.values() if object_id in table), None)

    def bury(self, dead: Obj) -> Obj:
        """Leave of an object only that it was deleted."""
        rest = {"id": dead["id"], "object": dead["object"], "deleted": True}
        self.table(dead["object"])[dead["id"]] = rest
        return rest

    def hidden(self, object_id: str) -> Obj:
        """Return what is known of an object but not shown."""
        return self._memory.hidden.setdefault(object_id, {})

    def replays(self) -> dict[str, Obj]:
        """Return what was answered, by idempotency key."""
        return self._memory.replays

    # --- events -----------------------------------------------------------------------------------------------

    def emit(self, kind: str, about: Obj, previous: Obj | None = None) -> None:
        """Tell the webhooks what happened, with the object as it is now."""
        shown: Obj = {"object": copy.deepcopy(about)}
        if previous is not None:
            shown["previous_attributes"] = copy.deepcopy(previous)
        request = {"id": self.request_id, "idempotency_key": self.idempotency_key}
        event = self.add(
            "event", api_version=VERSION, data=shown, pending_webhooks=0, request=request, type=kind
        )
        self.outbox.append(event)


_NAMES = {"billing.meter": "meter", "invoiceitem": "invoiceitem", "payment_method": "PaymentMethod"}
