"""Tables of this app.

Money is integer nano-USD. Journals, postings and usage records are only ever added: triggers in the database refuse
everything else. What a table means, and what must always hold, stands in ``billing/README.md``.
"""

from __future__ import annotations

from billing.models.ledger import (
    WALLET_CODES,
    Account,
    AccountCode,
    Journal,
    JournalKind,
    Posting,
    new_journal_id,
)
from billing.models.usage import (
    DeadLetter,
    KeySpend,
    Outcome,
    UsageRecord,
)
from billing.models.wallets import (
    CreditLot,
    CreditLotQuerySet,
    LotKind,
    Wallet,
    WalletState,
)

__all__ = [
    "WALLET_CODES",
    "Account",
    "AccountCode",
    "CreditLot",
    "CreditLotQuerySet",
    "DeadLetter",
    "Journal",
    "JournalKind",
    "KeySpend",
    "LotKind",
    "Outcome",
    "Posting",
    "UsageRecord",
    "Wallet",
    "WalletState",
    "new_journal_id",
]
