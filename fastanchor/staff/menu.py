"""What leads to the pages of staff: one table of sections, each member of staff sees what they may open."""

from __future__ import annotations

from typing import NamedTuple


class Page(NamedTuple):
    """One line of the menu."""

    label: str
    url_name: str
    """As ``reverse`` takes it: ``channels-now``, ``admin:catalog_price_changelist``."""
    permission: str
    """Who may open it: ``app.codename``."""


class Section(NamedTuple):
    """Pages that belong together."""

    label: str
    pages: tuple[Page, ...]


def _table(label: str, app: str, model: str) -> Page:
    return Page(label, f"admin:{app}_{model}_changelist", f"{app}.view_{model}")


OPERATIONS = Section(
    "Operations",
    (
        Page("Channels now", "channels-now", "catalog.view_channel"),
        _table("Requests", "billing", "usagerecord"),
        _table("Incidents", "catalog", "incident"),
        _table("Admission", "billing", "admission"),
        _table("Gateway processes", "billing", "gatewayprocess"),
        _table("Holds in PostgreSQL", "billing", "degradedhold"),
        _table("Dead letters", "billing", "deadletter"),
    ),
)
CATALOG = Section(
    "Catalog",
    (
        _table("Models", "catalog", "catalogmodel"),
        _table("Prices", "catalog", "price"),
        _table("Providers", "catalog", "provider"),
        _table("Channels", "catalog", "channel"),
        _table("Credentials", "catalog", "credential"),
    ),
)
CUSTOMERS = Section(
    "Customers",
    (
        Page("Customers", "customers", "accounts.view_organization"),
        _table("Organizations", "accounts", "organization"),
        _table("People", "accounts", "user"),
        _table("API keys", "accounts", "apikey"),
        _table("Second factors", "mfa", "authenticator"),
        _table("Deletions of accounts", "accounts", "closure"),
        _table("Plans", "accounts", "plan"),
        _table("Legal texts", "accounts", "legaldocument"),
        _table("Audit log", "accounts", "auditentry"),
    ),
)
MONEY = Section(
    "Money",
    (
        _table("Wallets", "billing", "wallet"),
        _table("Lots", "billing", "creditlot"),
        _table("Credit to approve", "billing", "creditproposal"),
        _table("Journals", "billing", "journal"),
        _table("Top-ups", "billing", "topup"),
        _table("Refunds", "billing", "refund"),
        _table("Disputes", "billing", "dispute"),
        _table("Auto top-ups", "billing", "autotopup"),
        _table("Payment methods", "billing", "paymentmethod"),
        _table("Stripe events", "billing", "stripeevent"),
        _table("Reconciliation runs", "billing", "reconciliationrun"),
        _table("Open items", "billing", "reconciliationitem"),
        _table("Spending", "billing", "spend"),
        _table("Mails about budgets", "billing", "budgetalert"),
    ),
)
SECTIONS = (OPERATIONS, CATALOG, CUSTOMERS, MONEY)
