"""Everything about an account as one ZIP: an export (``billing.exports``) of the kind ``KIND``.

It is small beside exports of requests, for usage stands in it by day, and so it is written in one piece. Keys are in it
without their secrets, second factors without theirs.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Count, Sum
from django.db.models.functions import TruncDate

from accounts import mail_choices, sessions, stored_responses
from accounts.models import ApiKey, Membership, Organization, User
from billing import cards, details, documents, invoices, months, transactions
from billing.exports.writers import Piece
from billing.models import Export, Invoice, TaxId, UsageRecord
from billing.months import Month
from catalog import own_keys
from fastanchor.lib.money import exact_usd
from fastanchor.lib.spreadsheets import harmless

KIND = "account"
# Each takes a moment to be drawn; the others are in the list with all that stands on them.
MOST_PAPERS = 200
_READ_ME = """What we know of your account, as of {at} UTC.

account.json       you: addresses, second factors, sessions, which mails you want
organization.json  your organization: plan, members, billing details, saved cards
keys.csv           API keys; their secrets are nowhere kept
usage.csv          what was used, by day (UTC), model and key
transactions.csv   what moved the balance; usage is one line a day
invoices.json      invoices and credit notes, as they were written; the newest {papers} also as PDF

Each single request can be exported on its own page, Exports. Prompts and answers are kept only where an owner asked for it;
they stand on the pages of their requests. Of responses, {stored} are stored for /v1/responses, and the API hands them out.
"""


class AccountWriter:
    """Writes all data of an account."""

    formats = ("zip",)

    def title(self, export: Export) -> str:
        """Say of when it is."""
        return f"All data of the account, as of {export.asked_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"

    def stem(self, export: Export) -> str:
        """Name the day of a file."""
        return f"fastanchor-account-{export.asked_at.astimezone(UTC):%Y%m%d}"

    def rows_about(self, export: Export) -> int | None:
        """Leave it open: it is written in a moment."""
        return None

    def pieces(self, export: Export, position: str) -> Iterator[Piece]:
        """Yield the whole file."""
        if not position and export.asked_by is not None:
            yield _zip(export, export.asked_by)


def _zip(export: Export, user: User) -> Piece:
    at, rows = export.asked_at.astimezone(UTC), 0
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, count in _files(export.organization, user, at):
            # The time is in it, and the same file shall come out twice.
            entry = zipfile.ZipInfo(name, at.timetuple()[:6])
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
            rows += count
    return Piece(packed.getvalue(), rows, "all")


def _files(organization: Organization, user: User, at: datetime) -> Iterator[tuple[str, str | bytes, int]]:
    """Yield each file's name, content and number of rows."""
    written = list(_invoices(organization, at))
    papers = written[-MOST_PAPERS:]
    stored, _ = stored_responses.count_of(organization.pk)
    yield "README.txt", _READ_ME.format(at=f"{at:%Y-%m-%d %H:%M}", papers=len(papers), stored=stored), 0
    yield "account.json", _json(_account(user, organization)), 1
    yield "organization.json", _json(_organization(organization)), 1
    for name, rows in (
        ("keys.csv", _keys(organization)),
        ("usage.csv", _usage(organization, at)),
        ("transactions.csv", _transactions(organization, at)),
    ):
        table = list(rows)
        yield name, _csv(table), len(table) - 1
    yield "invoices.json", _json([_invoice(each) for each in written]), len(written)
    for each in papers:
        yield f"invoices/{each.number}.pdf", documents.invoice(each), 0


def _account(user: User, organization: Organization) -> Mapping[str, Any]:
    membership = Membership.objects.get(user=user, organization=organization)
    return {
        "id": user.pk,
        "email": user.email,
        "name": user.name,
        "joined_at": user.joined_at,
        "last_login": user.last_login,
        "addresses": list(EmailAddress.objects.filter(user=user).values("email", "verified", "primary")),
        "second_factors": list(
            Authenticator.objects.filter(user=user).values("type", "created_at", "last_used_at")
        ),
        "sessions": [_session(each) for each in sessions.of(user)],
        "mails": {kind.value: is_wanted for kind, is_wanted in mail_choices.of(membership).items()},
    }


def _session(session: Any) -> Mapping[str, Any]:
    seen = sessions.seen(session, current_key=None)
    return {
        "device": seen.device,
        "address": seen.address,
        "begun_at": seen.begun_at,
        "seen_at": seen.seen_at,
    }


def _organization(organization: Organization) -> Mapping[str, Any]:
    known = details.of(organization)
    members = organization.memberships.order_by("created_at", "pk")
    return {
        "id": organization.pk,
        "name": organization.name,
        "plan": organization.plan_id,
        "created_at": organization.created_at,
        "responses_are_kept_for_days": stored_responses.days_of(organization.pk),
        "contents_are_kept_for_days": organization.contents_days,
        "budgets_nano_usd": {window.value: nano for window, nano in organization.budgets.items()},
        "members": list(members.values("user__email", "user__name", "role", "created_at")),
        "billing_details": {
            "name": known.name,
            "email": known.email,
            "address": details.lines_of(details.address_of(known)),
        },
        "tax_ids": list(TaxId.objects.filter(organization=organization).values("kind", "value")),
        "provider_keys": list(
            own_keys.of(organization).values("channel__provider", "last4", "channel__own_key", "created_at")
        ),
        "cards": list(cards.of(organization).values("brand", "last4", "expires_year", "expires_month")),
    }


_KEY_COLUMNS = (
    "id", "name", "kind", "prefix", "last4", "created_at", "last_used_at", "expires_at", "revoked_at", "allowed_models",
    "allowed_ip_ranges",    "requests_per_minute", "tokens_per_minute", "budget_day_nano", "budget_week_nano", "budget_month_nano",
    "budget_total_nano",
)  # fmt: skip


def _keys(organization: Organization) -> Iterator[Sequence[Any]]:
    yield _KEY_COLUMNS
    rows = ApiKey.objects.filter(organization=organization).order_by("created_at", "pk")
    yield from rows.values_list(*_KEY_COLUMNS).iterator(chunk_size=1000)


def _usage(organization: Organization, at: datetime) -> Iterator[Sequence[Any]]:
    yield "day_utc", "model", "key_id", "requests", "input_tokens", "output_tokens", "cost_usd"
    for month in _months(organization, at):
        records = UsageRecord.objects.filter(
            organization=organization,
            started_at__gte=month.start,
            started_at__lt=month.end,
            settled_at__lte=at,
        )
        days = records.annotate(day=TruncDate("started_at", tzinfo=UTC)).values("day", "model_id", "key_id")
        sums = days.annotate(
            requests=Count("request_id"),
            inputs=Sum("input_tokens"),
            outputs=Sum("output_tokens"),
            cost=Sum("cost_nano"),
        )
        for row in sums.order_by("day", "model_id", "key_id").iterator(chunk_size=1000):
            yield (
                row["day"], row["model_id"], row["key_id"], row["requests"], row["inputs"], row["outputs"],
                exact_usd(int(row["cost"])),
            )  # fmt: skip


def _transactions(organization: Organization, at: datetime) -> Iterator[Sequence[Any]]:
    yield "time_utc", "kind", "description", "amount_usd", "balance_usd"
    for month in _months(organization, at):
        for line in reversed(
            transactions.lines(organization=organization, start=month.start, end=min(month.end, at))
        ):
            time = line.at.astimezone(UTC).isoformat(timespec="microseconds")
            yield time, line.kind.value, line.words, exact_usd(line.amount_nano), exact_usd(line.balance_nano)


def _months(organization: Organization, at: datetime) -> list[Month]:
    """Return the months in which an organization can have done anything, oldest first."""
    return list(months.between(Month.of(organization.created_at), Month.of(at)))[::-1]


def _invoices(organization: Organization, at: datetime) -> Iterable[Invoice]:
    rows = invoices.of(organization).filter(issued_at__lte=at).select_related("journal", "corrects")
    return rows.order_by("year", "position")


def _invoice(written: Invoice) -> Mapping[str, Any]:
    return {
        "number": written.number,
        "kind": written.kind,
        "issued_at": written.issued_at,
        "corrects": written.corrects_id,
        "amount_cents": written.amount_cents,
        "tax_cents": written.tax_cents,
        "payment": written.payment,
        "seller": written.seller,
        "buyer": written.buyer,
        "note": written.note,
    }


def _json(value: object) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2)


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([_plain(value) for value in row] for row in rows)
    return text.getvalue()


def _plain(value: object) -> object:
    """Return a value as it is written; an amount below zero is a text and no formula."""
    return harmless(value) if isinstance(value, str) and not _is_amount(value) else value


_is_amount = re.compile(r"-[0-9]+(\.[0-9]+)?").fullmatch
