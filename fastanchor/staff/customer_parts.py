"""What the page of one customer is made of: tables, each from one query of bounded size, each with its permission."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.admin.utils import quote
from django.db.models import Model, OuterRef, Subquery, Sum
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from redis.exceptions import RedisError

from accounts import key_states, notes
from accounts.audit_entry import AuditEntry
from accounts.models import ApiKey, Organization, User
from billing import holds
from billing.admin.base import cents, rows_of, usd
from billing.models import (
    CreditLot,
    CreditProposal,
    Dispute,
    Journal,
    Posting,
    ProposalState,
    Refund,
    TopUp,
    UsageRecord,
)
from catalog import incidents
from fastanchor.lib.money import short_usd
from fastanchor.lib.valkey import sync_client

FEW, MORE = 5, 10
MOST_MEMBERS, MOST_KEYS = 20, 20
Cell = str | SafeString | int | None


@dataclass(frozen=True, slots=True)
class Table:
    """A part of the page: its name, its columns, its rows, and where all of it is."""

    slug: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    link: str = ""
    # What it says when there is nothing.
    empty: str = "None."
    words: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """How a table is made, and what its reader has to be permitted."""

    permission: str
    make: Callable[[Organization, User, datetime], Table]


def moment(at: datetime | None) -> str:
    """Write a moment to the minute, in UTC."""
    return f"{at:%Y-%m-%d %H:%M}" if at else "-"


def _to(row: Model, text: object) -> SafeString:
    """Link to the row's page in the administration."""
    page = reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[quote(row.pk)])  # noqa: SLF001 - Django documents it
    return format_html('<a href="{}">{}</a>', page, text)


def _list(app_model: str, words: str) -> str:
    return f"{reverse(f'admin:{app_model}_changelist')}?q={words}"


def members(organization: Organization, reader: User, at: datetime) -> Table:
    """Return who belongs to it."""
    rows = organization.memberships.select_related("user").order_by("created_at", "pk")[:MOST_MEMBERS]
    return Table(
        "members",
        "Members",
        ("Member", "Role", "Since", "Last login"),
        [
            (
                _to(each.user, each.user.email),
                each.get_role_display(),
                moment(each.created_at),
                moment(each.user.last_login),
            )
            for each in rows
        ],
        link=reverse("admin:accounts_organization_change", args=[organization.pk]),
    )


def api_keys(organization: Organization, reader: User, at: datetime) -> Table:
    """Return its newest keys, as far as anybody may see of them."""
    found = ApiKey.objects.filter(organization=organization).select_related("old_secret")
    rows = found.order_by("-created_at", "-pk")[:MOST_KEYS]
    may_revoke = reader.has_perm("accounts.change_apikey")
    return Table(
        "keys",
        "API keys",
        ("Name", "Key", "State", "Made", "Last used", ""),
        [
            (
                _to(key, key.name),
                f"{key.prefix}…{key.last4}",
                key_states.state_of(key, at).label,
                moment(key.created_at),
                moment(key.last_used_at),
                _revoking(key) if may_revoke and key.revoked_at is None else "",
            )
            for key in rows
        ],
        link=_list("accounts_apikey", organization.pk),
    )


def _revoking(key: ApiKey) -> SafeString:
    address = reverse("customer-revoke", args=[key.organization_id, key.pk])
    return format_html('<a href="{}" aria-label="Revoke {}">Revoke</a>', address, key.name)


def lots(organization: Organization, reader: User, at: datetime) -> Table:
    """Return the credit that is left, in the order in which it is used."""
    rows = CreditLot.objects.consumable(organization.pk)[:MORE]
    return Table(
        "lots",
        "Lots",
        ("Lot", "Kind", "Left", "Of", "Ends"),
        [
            (
                _to(lot, lot.pk),
                lot.get_kind_display(),
                usd(lot.remaining_nano),
                short_usd(lot.granted_nano),
                moment(lot.expires_at) if lot.expires_at else "never",
            )
            for lot in rows
        ],
        link=rows_of(CreditLot, organization.pk),
        empty="No credit is left.",
    )


def open_holds(organization: Organization, reader: User, at: datetime) -> Table:
    """Return what running requests hold, as Valkey knows it."""
    try:
        held, empty = holds.known_holds(sync_client(), organization.pk), "No request holds anything."
    except (RedisError, OSError):
        held, empty = {}, "Not known: Valkey does not answer."
    words = f"{len(held)} in all; the largest are shown." if len(held) > MORE else ""
    largest = sorted(held.items(), key=lambda item: (-item[1], item[0]))[:MORE]
    rows = [(request_id, usd(amount)) for request_id, amount in largest]
    return Table("holds", "Open holds", ("Request", "Held"), rows, empty=empty, words=words)


def journals(organization: Organization, reader: User, at: datetime) -> Table:
    """Return what moved its money last."""
    found = Journal.objects.filter(organization=organization)
    # For each of the ten by itself: a sum over a join would read all that ever moved.
    legs = Posting.objects.filter(journal=OuterRef("pk"), account__organization__isnull=False)
    moved = Subquery(legs.order_by().values("journal").annotate(total=Sum("amount_nano")).values("total"))
    rows = found.annotate(moved=moved).order_by("-effective_at", "-pk")[:MORE]
    return Table(
        "journals",
        "Ledger",
        ("Journal", "When (UTC)", "Kind", "To the balance", "Reason", "By"),
        [
            (
                _to(each, each.pk),
                moment(each.effective_at),
                each.get_kind_display(),
                usd(-(each.moved or 0)),
                each.reason,
                each.actor,
            )
            for each in rows
        ],
        link=rows_of(Journal, organization.pk),
        empty="Nothing has moved yet.",
    )


def requests(organization: Organization, reader: User, at: datetime) -> Table:
    """Return its last requests."""
    found = UsageRecord.objects.filter(organization=organization)
    rows = found.order_by("-started_at", "request_id").only(
        "request_id", "organization_id", "model_id", "started_at", "outcome", "status", "cost_nano"
    )[:MORE]
    return Table(
        "requests",
        "Last requests",
        ("Request", "When (UTC)", "Model", "Outcome", "Status", "Cost"),
        [
            (
                _to(each, each.request_id),
                moment(each.started_at),
                each.model_id,
                each.get_outcome_display(),
                each.status,
                usd(each.cost_nano),
            )
            for each in rows
        ],
        link=rows_of(UsageRecord, organization.pk),
        empty="It has asked for nothing yet.",
    )


def audit_trail(organization: Organization, reader: User, at: datetime) -> Table:
    """Return what was changed about it last."""
    rows = AuditEntry.objects.filter(organization_id=organization.pk).order_by("-pk")[:MORE]
    return Table(
        "audit",
        "Audit log",
        ("When (UTC)", "What", "By", "Reason"),
        [
            (
                _to(each, moment(each.at)),
                each.what,
                each.email or each.process,
                each.reason,
            )
            for each in rows
        ],
        link=_list("accounts_auditentry", organization.pk),
    )


def written_notes(organization: Organization, reader: User, at: datetime) -> Table:
    """Return what staff has noted, newest first."""
    rows = notes.newest(organization, limit=MORE)
    return Table(
        "notes",
        "Notes",
        ("When (UTC)", "By", "Note"),
        [(moment(each.at), each.author.email, each.text) for each in rows],
        link=_list("accounts_organizationnote", organization.pk),
        empty="Nobody has written one.",
    )


def top_ups(organization: Organization, reader: User, at: datetime) -> Table:
    """Return what it bought last."""
    rows = TopUp.objects.filter(organization=organization).order_by("-created_at", "-pk")[:FEW]
    may_refund = reader.has_perm("billing.refund_topup")
    return Table(
        "top-ups",
        "Top-ups",
        ("Top-up", "When (UTC)", "Amount", "State", ""),
        [
            (
                _to(each, each.pk),
                moment(each.created_at),
                cents(each.amount_cents),
                each.get_status_display(),
                _refunding(each) if may_refund and each.journal_id else "",
            )
            for each in rows
        ],
        link=rows_of(TopUp, organization.pk),
        empty="It has bought nothing.",
    )


def _refunding(top_up: TopUp) -> SafeString:
    address = reverse("customer-refund", args=[top_up.organization_id, top_up.pk])
    return format_html('<a href="{}" aria-label="Refund {}">Refund</a>', address, top_up.pk)


def refunds(organization: Organization, reader: User, at: datetime) -> Table:
    """Return what went back to its cards last."""
    rows = Refund.objects.filter(top_up__organization=organization).order_by("-created_at", "-pk")[:FEW]
    return Table(
        "refunds",
        "Refunds",
        ("Refund", "When (UTC)", "Amount", "State", "By"),
        [
            (
                _to(each, each.pk),
                moment(each.created_at),
                cents(each.amount_cents),
                each.get_status_display(),
                each.actor,
            )
            for each in rows
        ],
        link=rows_of(Refund, organization.pk),
    )


def disputes(organization: Organization, reader: User, at: datetime) -> Table:
    """Return which payments its banks questioned last."""
    rows = Dispute.objects.filter(top_up__organization=organization).order_by("-opened_at", "pk")[:FEW]
    return Table(
        "disputes",
        "Disputes",
        ("Dispute", "Opened (UTC)", "Amount", "State", "Held back"),
        [
            (
                _to(each, each.pk),
                moment(each.opened_at),
                cents(each.amount_cents),
                each.status,
                cents(each.withdrawn_cents),
            )
            for each in rows
        ],
        link=rows_of(Dispute, organization.pk),
    )


def proposals(organization: Organization, reader: User, at: datetime) -> Table:
    """Return credit that waits for a second person."""
    found = CreditProposal.objects.filter(
        organization=organization, state=ProposalState.OPEN, valid_until__gt=at
    )
    rows = found.select_related("proposed_by").order_by("-pk")[:FEW]
    return Table(
        "proposals",
        "Credit to approve",
        ("Proposal", "Amount", "Reason", "By", "Until (UTC)"),
        [
            (
                _to(each, each.pk),
                usd(each.amount_nano),
                each.reason,
                each.proposed_by.email,
                moment(each.valid_until),
            )
            for each in rows
        ],
        link=rows_of(CreditProposal, organization.pk),
    )


def open_incidents(organization: Organization, reader: User, at: datetime) -> Table:
    """Return what the status page tells everybody now."""
    return Table(
        "incidents",
        "Open incidents",
        ("Incident", "Since (UTC)", "State"),
        [
            (
                _to(each, each.title),
                moment(each.started_at),
                each.get_state_display(),
            )
            for each in incidents.open_incidents()[:FEW]
        ],
        link=reverse("admin:catalog_incident_changelist"),
        empty="All is well.",
    )


PARTS = (
    Part("accounts.view_organizationnote", written_notes),
    Part("accounts.view_membership", members),
    Part("accounts.view_apikey", api_keys),
    Part("billing.view_creditproposal", proposals),
    Part("billing.view_creditlot", lots),
    Part("billing.view_wallet", open_holds),
    Part("billing.view_journal", journals),
    Part("billing.view_usagerecord", requests),
    Part("billing.view_topup", top_ups),
    Part("billing.view_refund", refunds),
    Part("billing.view_dispute", disputes),
    Part("accounts.view_auditentry", audit_trail),
    Part("catalog.view_incident", open_incidents),
)
