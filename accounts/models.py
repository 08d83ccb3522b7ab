"""Tables of this app: users, organizations, members, plans, API keys, stored responses; the audit log has a module of its own."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Collate, Upper
from django.utils import timezone

from accounts import audit_entry, notice_tables, organization_note  # noqa: F401 - tables of this app, too
from fastanchor.lib.ids import new_id
from fastanchor.lib.windows import Window

EMAIL_LENGTH = 254


def new_organization_id() -> str:
    """Return a fresh ``org_`` id."""
    return new_id("org")


def new_key_id() -> str:
    """Return a fresh ``key_`` id."""
    return new_id("key")


class UserManager(BaseUserManager["User"]):
    """Creates users by e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Create a user; without a password the account can only be opened by a reset."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Create a member of staff with every permission."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        """Find a user by e-mail address, in any case."""
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """A person; logs in by e-mail address."""

    email = models.EmailField(max_length=EMAIL_LENGTH, unique=True)
    name = models.CharField(max_length=120, blank=True, help_text="How members see the person; may be empty.")
    is_staff = models.BooleanField(default=False, help_text="May enter the admin.")
    is_active = models.BooleanField(default=True)
    joined_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        # Upper, because PostgreSQL answers "email__iexact" with upper(): unique in any case, and found by index.
        constraints = [models.UniqueConstraint(Upper("email"), name="user_email_unique")]
        # By which staff find people as they type; "C", because only in that order do the same begins lie together.
        indexes = [models.Index(Collate(Upper("email"), "C"), name="user_by_begin_of_email")]
        permissions = [
            ("assign_roles", "Can make people staff and give them roles"),
            ("hijack_user", "Can log in as a customer, to look"),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def shown(self) -> str:
        """What other members read: the name, or the address without one."""
        return self.name or self.email


class Plan(models.Model):
    """What an organization may do: limits and priority."""

    code = models.SlugField(primary_key=True, max_length=40)
    name = models.CharField(max_length=60)
    requests_per_minute = models.PositiveIntegerField()
    tokens_per_minute = models.PositiveBigIntegerField()
    concurrency = models.PositiveIntegerField(help_text="Requests running at once.")
    priority = models.SmallIntegerField(default=0, help_text="Higher is served first when capacity is short.")
    signup_credit_nano = models.BigIntegerField(default=0, help_text="Credit granted once, in nano-USD.")
    is_custom = models.BooleanField(default=False, help_text="Limits are set on each organization.")

    def __str__(self) -> str:
        return self.name


class Budgeted(models.Model):
    """What has budgets: the most it may spend in each window; nothing for no budget."""

    budget_day_nano = models.BigIntegerField(
        "daily budget", null=True, blank=True, help_text="Most per day (UTC), in nano-USD."
    )
    budget_week_nano = models.BigIntegerField(
        "weekly budget", null=True, blank=True, help_text="Most per week from Monday (UTC), in nano-USD."
    )
    budget_month_nano = models.BigIntegerField(
        "monthly budget", null=True, blank=True, help_text="Most per month (UTC), in nano-USD."
    )
    budget_total_nano = models.BigIntegerField(
        "lifetime budget", null=True, blank=True, help_text="Most ever, in nano-USD."
    )

    class Meta:
        abstract = True
        # A condition that is unknown, because there is no budget, is met.
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    budget_day_nano__gte=0,
                    budget_week_nano__gte=0,
                    budget_month_nano__gte=0,
                    budget_total_nano__gte=0,
                ),
                name="%(class)s_budgets_not_negative",
            )
        ]

    @property
    def budgets(self) -> dict[Window, int]:
        """The budgets that are set, in nano-USD."""
        of = {
            Window.DAY: self.budget_day_nano,
            Window.WEEK: self.budget_week_nano,
            Window.MONTH: self.budget_month_nano,
            Window.LIFETIME: self.budget_total_nano,
        }
        return {window: nano for window, nano in of.items() if nano is not None}


class Organization(Budgeted):
    """The customer: owns members, keys, wallet and plan."""

    id = models.CharField(primary_key=True, max_length=40, default=new_organization_id, editable=False)
    name = models.CharField(max_length=120)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT)
    is_personal = models.BooleanField(default=False)
    requests_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="Instead of the plan's."
    )
    tokens_per_minute = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Instead of the plan's."
    )
    concurrency = models.PositiveIntegerField(null=True, blank=True, help_text="Instead of the plan's.")
    responses_days = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Stored responses are kept for so many days, at most the platform's."
    )
    contents_days = models.PositiveSmallIntegerField(
        default=0, help_text="Prompts and answers are kept for so many days; 0 for not at all."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    frozen_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when staff lets none of its keys in."
    )

    members: models.ManyToManyField[User, Membership] = models.ManyToManyField(
        User, through="Membership", related_name="organizations"
    )

    class Meta(Budgeted.Meta):
        abstract = False
        permissions = [
            ("freeze_organization", "Can freeze an organization and let it go on"),
            ("mail_organization", "Can send mails to a customer again"),
        ]
        # By which staff find customers as they type; "C", because only in that order do the same begins lie together.
        indexes = [models.Index(Collate(Upper("name"), "C"), name="organization_by_begin_of_name")]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What a member may do."""

    OWNER = "owner", "Owner"
    MEMBER = "member", "Member"


class Membership(Budgeted):
    """A person in an organization."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role, default=Role.MEMBER)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(Budgeted.Meta):
        abstract = False
        constraints = [
            *Budgeted.Meta.constraints,
            models.UniqueConstraint(fields=["user", "organization"], name="membership_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.organization}"


class MailKind(models.TextChoices):
    """What our mails to members are about; those of security go out always."""

    LOW_BALANCE = "low_balance", "Low balance"
    """The balance has fallen below its threshold."""
    BUDGET = "budget", "Budgets"
    """A budget is spent to a part, or used up."""
    PAYMENT = "payment", "Payments"
    """Top-ups and automatic top-ups, receipts."""
    NEWS = "news", "Product news"
    """New models and features; only to those who asked for it."""


class MailChoice(models.Model):
    """That a member wants, or does not want, mails of a kind; without a row the kind's default holds."""

    membership = models.ForeignKey(
        Membership, on_delete=models.CASCADE, related_name="mail_choices", db_index=False
    )
    kind = models.CharField(max_length=20, choices=MailKind)
    is_wanted = models.BooleanField()
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["membership", "kind"], name="mail_choice_once")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.membership_id}"


class ClosureState(models.TextChoices):
    """How far the deletion of an account has come."""

    WAITING = "waiting", "Waiting"
    """Its owner may still cancel it."""
    RUNNING = "running", "Running"
    """It is being carried out, and cannot be cancelled any more."""
    DONE = "done", "Done"
    """The person is gone; numbers that the law wants are kept."""
    CANCELLED = "cancelled", "Cancelled"
    """Its owner has changed their mind."""


class Closure(models.Model):
    """That a user wants the account deleted; see ``fastanchor.closing``."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="closures")
    state = models.CharField(max_length=20, choices=ClosureState, default=ClosureState.WAITING)
    gives_up_credit = models.BooleanField(
        default=False, help_text="Agreed that bought credit which cannot be paid back lapses."
    )
    asked_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    # Why the last try could not finish, for staff.
    obstacle = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=models.Q(state__in=["waiting", "running"]), name="closure_one_open"
            )
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=models.Q(state__in=["waiting", "running"]), name="closure_due"
            )
        ]

    def __str__(self) -> str:
        return f"closure of {self.user_id} ({self.state})"


class KeyKind(models.TextChoices):
    """For whom a key is."""

    PROGRAM = "program", "Program"
    # A member's own, for the playground page: its secret lives in a browser tab and is replaced all the time.
    PLAYGROUND = "playground", "Playground"


class ApiKey(Budgeted):
    """A secret by which programs call us; only its keyed digest is stored."""

    id = models.CharField(primary_key=True, max_length=40, default=new_key_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="api_keys")
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True)
    kind = models.CharField(max_length=20, choices=KeyKind, default=KeyKind.PROGRAM, editable=False)
    name = models.CharField(max_length=80)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    prefix = models.CharField(max_length=16, editable=False)
    last4 = models.CharField(max_length=4, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    allowed_models = models.JSONField(default=list, blank=True, help_text="Model ids; empty allows all.")
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True, help_text="Below the plan's.")
    tokens_per_minute = models.PositiveBigIntegerField(null=True, blank=True, help_text="Below the plan's.")
    allowed_ip_ranges = models.JSONField(
        default=list, blank=True, help_text="In CIDR notation; empty allows all addresses."
    )

    class Meta(Budgeted.Meta):
        abstract = False
        constraints = [
            *Budgeted.Meta.constraints,
            models.UniqueConstraint(
                fields=["organization", "created_by"],
                condition=models.Q(kind=KeyKind.PLAYGROUND, revoked_at=None),
                name="playground_key_once",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-created_at"], name="key_by_organization"),
            # By what its owner sees of it, which is what people tell staff.
            models.Index(fields=["last4"], name="key_by_last4"),
            models.Index(fields=["prefix"], name="key_by_prefix"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…{self.last4})"


class OldSecret(models.Model):
    """The secret that a key had before its rotation, valid for a while beside the new one; a key has one at most."""

    key = models.OneToOneField(ApiKey, on_delete=models.CASCADE, primary_key=True, related_name="old_secret")
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    prefix = models.CharField(max_length=16, editable=False)
    last4 = models.CharField(max_length=4, editable=False)
    replaced_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    # To the minute: when a process last asked whose it is.
    last_seen_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return f"{self.prefix}…{self.last4}"


class StoredResponse(models.Model):
    """A response kept for later requests; see ``accounts.stored_responses``. No page shows it."""

    id = models.CharField(primary_key=True, max_length=64)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="stored_responses", db_index=False
    )
    # Kept when the key is gone.
    made_by_key = models.CharField(max_length=40)
    model = models.CharField(max_length=200)
    status = models.CharField(max_length=20)
    is_background = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    # While a process works on it; one that does not renew it has died.
    leased_until = models.DateTimeField(null=True)
    size = models.PositiveIntegerField(help_text="Bytes before compression and sealing.")
    sealed_body = models.BinaryField()

    class Meta:
        indexes = [models.Index(fields=["organization", "-created_at"], name="response_by_organization")]

    def __str__(self) -> str:
        return self.id


class KeptContent(models.Model):
    """What one request asked and was answered, of an organization that asked for it; see ``accounts.kept_contents``.

    No page of the admin shows it.
    """

    request_id = models.CharField(primary_key=True, max_length=64)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="kept_contents", db_index=False
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    size = models.PositiveIntegerField(help_text="Bytes before compression and sealing.")
    is_cut = models.BooleanField(default=False)
    sealed_body = models.BinaryField()

    class Meta:
        indexes = [
            models.Index(
                fields=["organization"], include=["size", "expires_at"], name="content_by_organization"
            )
        ]

    def __str__(self) -> str:
        return self.request_id


class LegalDocument(models.Model):
    """A text that binds us or our customers, such as the terms; what it says stands in its versions."""

    slug = models.SlugField(primary_key=True, max_length=40, help_text="Part of its address: /legal/…/")
    title = models.CharField(max_length=80)

    def __str__(self) -> str:
        return self.title


class LegalVersion(models.Model):
    """What a legal document says from a day on; never edited, only succeeded (``accounts.legal``)."""

    document = models.ForeignKey(LegalDocument, on_delete=models.PROTECT, related_name="versions")
    text = models.TextField(help_text="Markdown.")
    valid_from = models.DateField(
        help_text="From when it holds (UTC); the page shows it as the date of revision."
    )
    is_draft = models.BooleanField(
        default=False, help_text="The page says that no lawyer has approved it yet."
    )
    saved_at = models.DateTimeField(default=timezone.now, editable=False)
    saved_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, editable=False)

    class Meta:
        indexes = [models.Index(fields=["document", "-valid_from", "-id"], name="legal_newest_first")]

    def __str__(self) -> str:
        return f"{self.document_id} of {self.valid_from}"
