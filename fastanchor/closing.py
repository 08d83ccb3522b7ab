"""Deleting an account: asked for on a page, cancelled by a mailed link, carried out in the background.

From the moment it is asked for keys are dead and nothing can be spent. Each run may be broken off anywhere and is made
again until the account is gone: every step leaves alone what it finds done.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core import signing
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts import audit, leaving as people_leaving
from accounts.models import Closure, ClosureState, Organization, User
from billing import leaving as money_leaving, refunds
from billing.leaving import Obstacle, Rest
from billing.stripe_api.client import StripeFault
from catalog import own_keys

logger = logging.getLogger(__name__)

GRACE = timedelta(days=7)
MOST_AT_ONCE = 50
_SALT = "fastanchor.closing"
_OPEN = (ClosureState.WAITING, ClosureState.RUNNING)


class Refused(Exception):
    """The account cannot be deleted now; ``why`` has the reasons in words."""

    def __init__(self, *why: str) -> None:
        super().__init__("; ".join(why))
        self.why = why


class NeedsConsent(Exception):
    """Bought credit would lapse, and its owner has not agreed."""


class TooLate(Exception):
    """The deletion is none any more, or can no longer be cancelled."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What would happen: which organizations go or are left, what becomes of credit, what stands in the way."""

    going: list[tuple[Organization, Rest]]
    left: list[Organization]
    obstacles: list[Obstacle]

    @property
    def needs_consent(self) -> bool:
        """Tell whether bought credit would lapse."""
        return any(rest.needs_consent for _, rest in self.going)


def outlook(user: User) -> Outlook:
    """Return what a deletion would do now."""
    going = list(people_leaving.owned_alone(user))
    rests = money_leaving.rests_of(going)
    return Outlook(
        going=[(organization, rests[organization.pk]) for organization in going],
        left=list(people_leaving.left_behind(user)),
        obstacles=money_leaving.obstacles(going),
    )


def of(user: User) -> Closure | None:
    """Return the deletion that is under way, if there is one."""
    return Closure.objects.filter(user=user, state__in=_OPEN).first()


def ask(user: User, *, is_now: bool, gives_up_credit: bool) -> Closure:
    """Begin to delete an account: now, or after ``GRACE``. Raises ``Staff``, ``Refused`` and ``NeedsConsent``."""
    if user.is_staff or user.is_superuser:
        raise people_leaving.Staff
    seen = outlook(user)
    if seen.obstacles:
        raise Refused(*seen.obstacles)
    if seen.needs_consent and not gives_up_credit:
        raise NeedsConsent
    now = timezone.now()
    closure = Closure(
        user=user,
        state=ClosureState.RUNNING if is_now else ClosureState.WAITING,
        gives_up_credit=gives_up_credit,
        due_at=now if is_now else now + GRACE,
    )
    _begin(closure)
    _shut(closure)
    if is_now:
        people_leaving.lock_out(user)
    _mail(user, "asked", closure=closure, cancel_url=cancel_url(closure), is_now=is_now)
    logger.info("closing.asked", extra={"user": user.pk, "due_at": closure.due_at.isoformat()})
    return closure


def _begin(closure: Closure) -> None:
    subject, after = f"user {closure.user_id}", {"due_at": closure.due_at}
    try:
        with transaction.atomic():
            closure.save(force_insert=True)
            audit.record("account.deletion_asked", subject=subject, after=after, by=closure.user)
    except IntegrityError as exc:
        raise Refused("The deletion is under way already.") from exc


def cancel_url(closure: Closure) -> str:
    """Return the whole address of the page that cancels a deletion."""
    token = signing.dumps(closure.pk, salt=_SALT)
    return f"{settings.SITE_ORIGIN}{reverse('settings:cancel-deletion', args=[token])}"


def read(token: str) -> Closure:
    """Return the deletion that a mailed link is about; raises ``TooLate``."""
    try:
        pk = signing.loads(token, salt=_SALT)
    except signing.BadSignature as exc:
        raise TooLate from exc
    closure = Closure.objects.select_related("user").filter(pk=pk, state=ClosureState.WAITING).first()
    if closure is None:
        raise TooLate
    return closure


def cancel_of(user: User) -> None:
    """Keep a user's account; raises ``TooLate``."""
    closure = of(user)
    if closure is None:
        raise TooLate
    cancel(closure)


def cancel(closure: Closure) -> None:
    """Keep the account; keys that are dead stay so. Raises ``TooLate``."""
    waiting = Closure.objects.filter(pk=closure.pk, state=ClosureState.WAITING)
    with transaction.atomic():
        if not waiting.update(state=ClosureState.CANCELLED, ended_at=timezone.now()):
            raise TooLate
        audit.record("account.deletion_cancelled", subject=f"user {closure.user_id}", by=closure.user)
    for organization in people_leaving.owned_alone(closure.user):
        money_leaving.reopen(organization)
    _mail(closure.user, "cancelled")
    logger.info("closing.cancelled", extra={"user": closure.user_id})


def run_due() -> int:
    """Carry out what is due; returns how many accounts are gone."""
    due = Closure.objects.filter(state__in=_OPEN, due_at__lte=timezone.now()).order_by("due_at", "pk")
    return sum(run(closure) for closure in list(due.select_related("user")[:MOST_AT_ONCE]))


def run(closure: Closure) -> bool:
    """Carry one deletion out as far as it goes now; true once the account is gone."""
    # It may have been cancelled, or ended by another run, since it was listed.
    if not Closure.objects.filter(pk=closure.pk, state__in=_OPEN).update(state=ClosureState.RUNNING):
        return False
    obstacle = _money_out(closure)
    if obstacle:
        Closure.objects.filter(pk=closure.pk).update(obstacle=obstacle[:200])
        logger.warning("closing.waits", extra={"user": closure.user_id, "why": obstacle})
        return False
    _person_out(closure)
    return True


def _shut(closure: Closure) -> None:
    for organization in people_leaving.owned_alone(closure.user):
        people_leaving.end_keys(organization, by=closure.user)
        own_keys.remove_all(organization, by=closure.user)
        money_leaving.close(organization)


def _money_out(closure: Closure) -> str:
    """Pay back, let lapse and forget at Stripe; returns what is in the way, or nothing."""
    _shut(closure)
    people_leaving.lock_out(closure.user)
    for organization in people_leaving.owned_alone(closure.user):
        found = [each for each in money_leaving.obstacles([organization]) if each != Obstacle.REFUND]
        if found:
            return found[0]
        try:
            obstacle = _settle(closure, organization)
        except (StripeFault, refunds.InUse) as exc:
            return type(exc).__name__
        if obstacle:
            return obstacle
    return ""


def _settle(closure: Closure, organization: Organization) -> str:
    money_leaving.pay_back(organization, actor=f"user:{closure.user_id}")
    if money_leaving.is_asking(organization):
        return Obstacle.REFUND
    if money_leaving.rest_of(organization).needs_consent and not closure.gives_up_credit:
        return "Bought credit could not be paid back, and its owner has not given it up."
    money_leaving.finish(organization)
    return ""


def _person_out(closure: Closure) -> None:
    address = closure.user.email
    with transaction.atomic(durable=True):
        # Two runs at once must not both send the last mail.
        mine = Closure.objects.select_for_update().get(pk=closure.pk)
        if mine.state == ClosureState.DONE:
            return
        for organization in people_leaving.owned_alone(closure.user):
            people_leaving.empty(organization)
        people_leaving.anonymise(closure.user)
        mine.state, mine.ended_at, mine.obstacle = ClosureState.DONE, timezone.now(), ""
        mine.save(update_fields=["state", "ended_at", "obstacle"])
    _mail_to(address, "done", {})
    logger.info("closing.done", extra={"user": closure.user_id})


def _mail(user: User, name: str, **facts: object) -> None:
    _mail_to(user.email, name, facts)


def _mail_to(address: str, name: str, facts: dict[str, object]) -> None:
    """Send a mail about the deletion; one that cannot be sent must not keep the account alive."""
    subject = render_to_string(f"settings/emails/{name}_subject.txt", facts).strip()
    try:
        send_mail(subject, render_to_string(f"settings/emails/{name}.txt", facts), None, [address])
    except (OSError, SMTPException) as exc:
        logger.warning("closing.not_mailed", extra={"mail": name, "error": type(exc).__name__})
