"""How models end: on their date, with a notice before, and an alias to what serves their callers after."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from accounts import audit
from accounts.models import User
from catalog.models import NOT_SOLD, CatalogModel, LifeCycle, ModelAlias
from catalog.publish import announce_catalog
from catalog.retirement_tables import RetirementMail, RetirementNotice


class NoSuccessor(Exception):
    """The model cannot stand in: it is the same one, is not sold, or is of another kind."""


class NoDate(Exception):
    """A model without a date of its end has nothing to be told of."""


class AlreadyTold(Exception):
    """The organizations were told of this model and date before."""


def calendar() -> QuerySet[CatalogModel]:
    """Return the models that end, or have ended and had a date: those that end first come first."""
    ending = Q(retires_at__isnull=False) | Q(life_cycle=LifeCycle.DEPRECATED)
    return (
        CatalogModel.objects.filter(ending)
        .select_related("provider", "replaced_by")
        .order_by("retires_at", "pk")
    )


@transaction.atomic
def retire_due(*, now: datetime) -> list[str]:
    """Retire the models whose date has come; returns their ids. May be run any number of times."""
    due = (
        CatalogModel.objects.select_for_update().filter(retires_at__lte=now).exclude(life_cycle__in=NOT_SOLD)
    )
    rows = list(due.order_by("pk"))
    for row in rows:
        audit.record(
            "catalogmodel.retired",
            subject=f"model {row.pk}",
            before={"life_cycle": row.life_cycle},
            after={"life_cycle": LifeCycle.RETIRED, "retires_at": row.retires_at},
        )
    CatalogModel.objects.filter(pk__in=[row.pk for row in rows]).update(life_cycle=LifeCycle.RETIRED)
    if rows:
        announce_catalog()
    return [row.pk for row in rows]


def successors(model: CatalogModel) -> QuerySet[CatalogModel]:
    """Return what may stand in for a model: what is sold, is of its kind and does not end itself."""
    return (
        CatalogModel.objects.filter(kind=model.kind, life_cycle=LifeCycle.ACTIVE, prices__isnull=False)
        .exclude(pk=model.pk)
        .distinct()
        .order_by("provider", "pk")
    )


@transaction.atomic
def stand_in(*, model: CatalogModel, successor: CatalogModel, reason: str, by: User) -> ModelAlias:
    """Let a model's names mean another one as soon as it is retired; while it is sold, its own id counts first.

    Raises ``audit.NoReason`` and ``NoSuccessor``.
    """
    reason = audit.reasoned(reason)
    if not successors(model).filter(pk=successor.pk).exists():
        raise NoSuccessor
    former = ModelAlias.objects.filter(name=model.pk).values_list("model_id", flat=True).first()
    alias, _ = ModelAlias.objects.update_or_create(name=model.pk, defaults={"model": successor})
    model.replaced_by = successor
    model.save(update_fields=["replaced_by"])
    audit.record(
        "catalogmodel.stood_in",
        subject=f"model {model.pk}",
        before={"alias_of": former},
        after={"alias_of": successor.pk},
        reason=reason,
        by=by,
    )
    announce_catalog()
    return alias


def order_notice(*, model: CatalogModel, users: Iterable[tuple[str, int]], by: User) -> RetirementNotice:
    """Have organizations told by mail, given with their requests; a worker sends it.

    Raises ``NoDate``, and ``AlreadyTold`` where they were told of this date before.
    """
    if model.retires_at is None:
        raise NoDate
    try:
        with transaction.atomic():
            notice = RetirementNotice.objects.create(model=model, retires_at=model.retires_at, ordered_by=by)
            mails = RetirementMail.objects.bulk_create(
                RetirementMail(notice=notice, organization_id=organization, requests=requests)
                for organization, requests in users
            )
            audit.record(
                "catalogmodel.notice",
                subject=f"model {model.pk}",
                after={"retires_at": model.retires_at, "organizations": len(mails)},
                by=by,
            )
    except IntegrityError:
        raise AlreadyTold from None
    return notice
