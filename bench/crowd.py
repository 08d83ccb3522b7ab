"""Fills tables with as many rows as are wanted, in one statement each: what the lists of staff are measured on.

What a column holds is told by the model: a default, a choice, a row of the table it refers to. Only what a constraint
wants otherwise stands in ``SPECIAL``, so a new table is filled without a line here, or says which column wants one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin
from django.db import connection, models, transaction
from psycopg import sql

from accounts.audit_entry import AuditEntry
from accounts.models import ApiKey, Closure, Membership, Organization, User
from billing.models import (
    AutoTopUp,
    BudgetAlert,
    CreditLot,
    Dispute,
    Journal,
    PaymentMethod,
    Posting,
    Refund,
    Spend,
    StripeCustomer,
    StripeEvent,
    TopUp,
    Wallet,
)

type_of_model = type[models.Model]

# In SQL, with ``number`` counting the new rows from 1; what is not here is told by the model.
SPECIAL: dict[str, dict[str, str]] = {
    "accounts.User": {
        "email": "'person-' || number || '@example.com'",
        "is_staff": "number % 1000 = 0",
        "is_active": "true",
    },
    "accounts.Organization": {
        "id": "'org_crowd' || lpad(number::text, 12, '0')",
        "name": "'Works of person ' || number",
    },
    "accounts.Closure": {"state": "'done'"},
    "accounts.AuditEntry": {
        "user_id": "number % 5000",
        "email": "'person-' || number % 5000 || '@example.com'",
        "organization_id": "'org_crowd' || lpad((1 + number % 100000)::text, 12, '0')",
        "what": "(array['key.created', 'key.revoked', 'organization.changed', 'staff.logged_in'])[1 + number % 4]",
        "subject": "'key crowd_' || number",
        "before": "'{}'",
        "after": "jsonb_build_object('name', number)",
        "process": "''",
    },
    "billing.Account": {"code": "(array['bank', 'stripe_clearing', 'usage_revenue', 'promo_expense'])[1 + number % 4]"},
    "billing.Invoice": {"kind": "'invoice'"},
    "billing.Journal": {"kind": "'grant'", "legs": "2", "reverses": "NULL"},
    "billing.CreditLot": {"granted_nano": "5000000000", "remaining_nano": "number % 5000000000"},
    "billing.TopUp": {"amount_cents": "500 + number % 9500", "currency": "'usd'", "source": "'checkout'", "status": "'open'"},
    "billing.Refund": {"amount_cents": "100"},
    "billing.Dispute": {"amount_cents": "500", "status": "'needs_response'", "reason": "'fraudulent'"},
    "billing.PaymentMethod": {"brand": "(array['visa', 'mastercard', 'amex'])[1 + number % 3]"},
    "billing.AutoTopUp": {"threshold_cents": "500", "target_cents": "2000"},
    "billing.Wallet": {"state": "'active'", "balance_nano": "number * 1000", "floor_nano": "0"},
    "billing.Admission": {"id": "1"},
    "billing.UsageRecord": {"cost_nano": "0", "cost_picos": "0", "outcome": "'completed'"},
    "catalog.Provider": {"base_url": "'https://acme.example/v1'"},
    "catalog.Channel": {"weight": "1", "own_key": "''", "base_url": "'https://acme.example/v1'"},
    "catalog.CatalogModel": {"replaced_by": "NULL", "life_cycle": "'active'", "retires_at": "NULL"},
    "catalog.Incident": {"state": "'investigating'", "resolved_at": "NULL"},
    "mfa.Authenticator": {"type": "'totp'"},
}  # fmt: skip
# One row is all there can be, or as many as there are plans.
_FEW = {"billing.Admission": 1}
# What a hundred thousand organizations leave behind, as so many rows for each of them.
_EACH: tuple[tuple[type_of_model, float], ...] = (
    (User, 1), (Organization, 1), (Membership, 1), (ApiKey, 2), (Wallet, 1), (Journal, 1), (Posting, 1),
    (CreditLot, 1), (StripeCustomer, 1), (PaymentMethod, 1), (TopUp, 1), (Refund, 0.1), (Dispute, 0.02),
    (AutoTopUp, 0.3), (StripeEvent, 3), (Spend, 5), (BudgetAlert, 1), (Closure, 0.05), (AuditEntry, 5),
)  # fmt: skip


class CannotFill(Exception):
    """A table wants something that its model does not tell; carries its label."""

    def __init__(self, label: str, why: object) -> None:
        super().__init__(f"{label}: {why} Add to bench.crowd.SPECIAL what it wants.")
        self.label = label


def crowd(organizations: int) -> int:
    """Fill in so many organizations with what they leave behind; returns the number of rows."""
    counts = {model: max(1, int(organizations * each)) for model, each in _EACH}
    return sum(fill(model, count) for model, count in counts.items())


def the_rest(count: int, *, with_the_crowd: bool = False) -> int:
    """Fill every other table that the admin shows, and those that it refers to, up to so many rows; or all of them."""
    known = set() if with_the_crowd else {model for model, _ in _EACH}
    rest = [model for model in admin.site._registry if model not in known]
    return sum(top_up(model, count) for model in _referred_first(rest))


def fill_with_its_own(model: type_of_model, count: int) -> int:
    """Fill one table up to so many rows, with those that it refers to; returns how many were added to it."""
    *referred, last = _referred_first([model])
    for each in referred:
        top_up(each, count)
    return top_up(last, count)


def top_up(model: type_of_model, count: int) -> int:
    """Fill a table until it has so many rows; returns how many were added."""
    missing = min(count, _FEW.get(model._meta.label, count)) - model._default_manager.count()
    return fill(model, missing) if missing > 0 else 0


def fill(model: type_of_model, count: int) -> int:
    """Add so many rows to a table, past its triggers, and return how many fitted; raises ``CannotFill``."""
    begun = model._default_manager.count()
    columns = {field.column: _expression(model, field) for field in model._meta.concrete_fields}
    named = {column: each for column, each in columns.items() if each is not None}
    names: list[sql.Composable] = [sql.Identifier(str(column)) for column in named]
    statement = sql.SQL(
        "INSERT INTO {table} ({columns}) SELECT {values}"
        " FROM generate_series({first}::bigint, {last}::bigint) AS number {joins}"
        # What is there already may have taken a pair that is unique.
        " ON CONFLICT DO NOTHING"
    ).format(
        table=sql.Identifier(model._meta.db_table),
        columns=sql.SQL(", ").join(names),
        values=sql.SQL(", ").join(named.values()),
        first=sql.Literal(begun + 1),
        last=sql.Literal(begun + count),
        joins=sql.SQL(" ").join(_join(field) for field in model._meta.concrete_fields if _refers(field)),
    )
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(statement)
            added = cursor.rowcount
            cursor.execute("SET LOCAL session_replication_role = origin")
    except Exception as exc:
        raise CannotFill(model._meta.label, exc) from exc
    return int(added)


def _referred_first(wanted: Iterable[type_of_model]) -> list[type_of_model]:
    """Return tables with those they cannot do without before them."""
    found: list[type_of_model] = []

    def visit(model: type_of_model) -> None:
        if model in found:
            return
        for field in model._meta.concrete_fields:
            target = field.related_model
            if isinstance(target, type) and target is not model and not field.null:
                visit(target)
        found.append(model)

    for model in wanted:
        visit(model)
    return found


def _expression(model: type_of_model, field: models.Field[Any, Any]) -> sql.Composable | None:
    """Return what a column holds in SQL; none where the database numbers the rows itself."""
    special = SPECIAL.get(model._meta.label, {}).get(field.name)
    if special is not None:
        return sql.SQL(special)
    if isinstance(field, models.ForeignKey):
        return (
            sql.SQL("{}.pk").format(sql.Identifier(f"of_{field.name}")) if _refers(field) else sql.SQL("NULL")
        )
    if isinstance(field, models.AutoField):
        return None
    return _plain(field)


def _refers(field: models.Field[Any, Any]) -> bool:
    """Tell whether a column has to refer to a row, and nothing special stands for it."""
    is_special = field.name in SPECIAL.get(field.model._meta.label, {})
    return isinstance(field, models.ForeignKey) and not field.null and not is_special


def _join(field: models.Field[Any, Any]) -> sql.Composable:
    """Put the row of the same number beside the new one, round and round."""
    target: Any = field.related_model
    text = (
        "JOIN (SELECT {pk} AS pk, row_number() OVER (ORDER BY {pk}) - 1 AS place FROM {table}) AS {name}"
        " ON {name}.place = (number - 1) % (SELECT count(*) FROM {table})"
    )
    return sql.SQL(text).format(
        table=sql.Identifier(target._meta.db_table),
        pk=sql.Identifier(target._meta.pk.column),
        name=sql.Identifier(f"of_{field.name}"),
    )


def _plain(field: models.Field[Any, Any]) -> sql.Composable:
    if field.choices and not field.has_default():
        return _one_of([str(key) for key, _ in field.flatchoices])
    if field.null and not field.primary_key:
        return sql.SQL("NULL")
    if field.has_default() and not callable(field.default) and not field.unique:
        return sql.Literal(field.get_db_prep_save(field.default, connection))
    for kind, text in _BY_KIND:
        if isinstance(field, kind):
            return sql.SQL(text(field))
    raise CannotFill(field.model._meta.label, f"{field.name} is a {type(field).__name__}.")


def _one_of(keys: list[str]) -> sql.Composable:
    return sql.SQL("(array[{}])[1 + number % {}]").format(
        sql.SQL(", ").join(map(sql.Literal, keys)), sql.Literal(len(keys))
    )


_Texts = Callable[[Any], str]
_BY_KIND: tuple[tuple[type[Any], _Texts], ...] = (
    (models.EmailField, lambda _: "'crowd-' || number || '@example.com'"),
    (models.GenericIPAddressField, lambda _: "NULL"),
    (models.CharField, lambda field: f"left('c' || number, {field.max_length or 40})"),
    (models.TextField, lambda _: "'crowd ' || number"),
    (models.BooleanField, lambda _: "number % 2 = 0"),
    (models.DateTimeField, lambda _: "now() - number * interval '1 minute'"),
    (models.DateField, lambda _: "current_date - (number % 1000)::integer"),
    (models.UUIDField, lambda _: "gen_random_uuid()"),
    (models.IntegerField, lambda _: "1 + number % 30000"),
    (models.JSONField, lambda field: "'[]'" if field.default is list else "'{}'"),
    (models.BinaryField, lambda _: "sha256(number::text::bytea)"),
)
