"""What leads to the pages of staff: one table of sections, each member of staff sees what they may open."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, PermissionsMixin
from django.http import HttpRequest
from django.urls import reverse


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
        _table("Notices", "accounts", "notice"),
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
        Page("Price proposals", "price-proposals", "catalog.view_priceproposal"),
        Page("Drift report", "drift-report", "catalog.see_drift"),
        Page("Retirement calendar", "retirement-calendar", "catalog.view_retirementnotice"),
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
        _table("Notes", "accounts", "organizationnote"),
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
        Page("Revenue and cost", "money", "billing.view_figures"),
        Page("Provider bills", "money-bills", "billing.view_figures"),
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


class Line(NamedTuple):
    """One line as its reader sees it."""

    label: str
    path: str
    is_current: bool


class Shown(NamedTuple):
    """A section as its reader sees it; open where it holds the present page."""

    label: str
    pages: list[Line]
    is_open: bool


def context(request: HttpRequest) -> dict[str, object]:
    """Context processor: the menu, made where a page of the administration asks for it."""
    return (
        {"staff_menu": partial(shown_to, request.user, path=request.path)} if hasattr(request, "user") else {}
    )


def shown_to(user: AbstractBaseUser | AnonymousUser, *, path: str) -> dict[str, object]:
    """Return the context of ``admin/_menu.html``: what a member of staff may open, and where ``path`` is in it."""
    permitted = [(section, list(_permitted(section, user))) for section in SECTIONS]
    current = _current([own for _, pages in permitted for own, _ in pages], path)
    home = reverse("admin:index")
    return {
        "home": home,
        "is_home": path == home,
        "sections": [_shown(section, pages, current) for section, pages in permitted if pages],
    }


def _permitted(section: Section, user: AbstractBaseUser | AnonymousUser) -> Iterator[tuple[str, str]]:
    if not isinstance(user, PermissionsMixin):
        return
    for page in section.pages:
        if user.has_perm(page.permission):
            yield reverse(page.url_name), page.label


def _current(paths: list[str], path: str) -> str:
    """Return the page that a path is, or is below: the nearest."""
    return max((own for own in paths if path.startswith(own)), key=len, default="")


def _shown(section: Section, pages: list[tuple[str, str]], current: str) -> Shown:
    lines = [Line(label, own, own == current) for own, label in pages]
    # Where nothing is marked, operations are what most come for.
    is_open = any(line.is_current for line in lines) or (not current and section is OPERATIONS)
    return Shown(section.label, lines, is_open)
