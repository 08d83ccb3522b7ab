"""Tables of this app.

Money is integer nano-USD. Journals, postings, usage records and invoices are only ever added: triggers in the database
refuse everything else. What a table means, and what must always hold, stands in ``billing/README.md``.
"""

from __future__ import annotations

from billing.models.automatic import AutoTopUp, LowBalanceAlert
from billing.models.business import BillFile, BillState, LedgerDay, LedgerDelta, ProviderBill, ServedDay
from billing.models.credit import CreditProposal, ProposalState
from billing.models.degraded import Admission, DegradedHold, GatewayProcess, SpoolHost
from billing.models.exports import UNFINISHED, Export, ExportState, new_export_id
from billing.models.health import Health
from billing.models.invoices import (
    LONGEST,
    BillingDetails,
    Invoice,
    InvoiceCounter,
    InvoiceKind,
    TaxId,
)
from billing.models.ledger import (
    INVOICED,
    WALLET_CODES,
    Account,
    AccountCode,
    Journal,
    JournalKind,
    Posting,
    new_journal_id,
)
from billing.models.metering import MeterPush
from billing.models.payments import (
    PENDING,
    Dispute,
    PaymentMethod,
    Refund,
    RefundStatus,
    StripeCustomer,
    StripeEvent,
    TopUp,
    TopUpSource,
    TopUpStatus,
    new_refund_id,
    new_top_up_id,
)
from billing.models.reconciliation import ItemState, ReconciliationItem, ReconciliationKind, ReconciliationRun
from billing.models.usage import (
    BudgetAlert,
    DeadLetter,
    Outcome,
    Spend,
    UsageRecord,
    UsageSum,
)
from billing.models.wallets import (
    CreditLot,
    CreditLotQuerySet,
    LotKind,
    Wallet,
    WalletState,
)

__all__ = [
    "INVOICED",
    "LONGEST",
    "PENDING",
    "UNFINISHED",
    "WALLET_CODES",
    "Account",
    "AccountCode",
    "Admission",
    "AutoTopUp",
    "BillFile",
    "BillState",
    "BillingDetails",
    "BudgetAlert",
    "CreditLot",
    "CreditLotQuerySet",
    "CreditProposal",
    "DeadLetter",
    "DegradedHold",
    "Dispute",
    "Export",
    "ExportState",
    "GatewayProcess",
    "Health",
    "Invoice",
    "InvoiceCounter",
    "InvoiceKind",
    "ItemState",
    "Journal",
    "JournalKind",
    "LedgerDay",
    "LedgerDelta",
    "LotKind",
    "LowBalanceAlert",
    "MeterPush",
    "Outcome",
    "PaymentMethod",
    "Posting",
    "ProposalState",
    "ProviderBill",
    "ReconciliationItem",
    "ReconciliationKind",
    "ReconciliationRun",
    "Refund",
    "RefundStatus",
    "ServedDay",
    "Spend",
    "SpoolHost",
    "StripeCustomer",
    "StripeEvent",
    "TaxId",
    "TopUp",
    "TopUpSource",
    "TopUpStatus",
    "UsageRecord",
    "UsageSum",
    "Wallet",
    "WalletState",
    "new_export_id",
    "new_journal_id",
    "new_refund_id",
    "new_top_up_id",
]
