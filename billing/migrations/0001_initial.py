"""Creates accounts, journals, postings, wallets, lots, spending of keys and dead letters."""

from __future__ import annotations

import billing.models
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0002_plans"),
    ]

    operations = [
        migrations.CreateModel(
            name="DeadLetter",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "fingerprint",
                    models.CharField(help_text="SHA-256 of the payload.", max_length=64, unique=True),
                ),
                ("request_id", models.CharField(max_length=64)),
                ("organization_id", models.CharField(max_length=64)),
                ("payload", models.TextField(help_text="The record as JSON.")),
                ("error", models.CharField(max_length=500)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                ("resolution", models.CharField(blank=True, max_length=300)),
            ],
        ),
        migrations.CreateModel(
            name="Account",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "code",
                    models.CharField(
                        choices=[
                            ("wallet_paid", "Wallet: paid"),
                            ("wallet_promo", "Wallet: promotional"),
                            ("stripe_clearing", "Stripe clearing"),
                            ("manual_clearing", "Manual clearing"),
                            ("usage_revenue", "Usage revenue"),
                            ("promo_expense", "Promotional expense"),
                            ("stripe_fees", "Stripe fees"),
                            ("dispute_loss", "Dispute loss"),
                            ("breakage", "Breakage"),
                            ("rounding", "Rounding"),
                        ],
                        max_length=40,
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="accounts.organization",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Journal",
            fields=[
                (
                    "id",
                    models.CharField(
                        default=billing.models.new_journal_id,
                        editable=False,
                        max_length=40,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("idempotency_key", models.CharField(max_length=200, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("signup", "Sign-up credit"),
                            ("grant", "Promotional credit"),
                            ("adjustment", "Adjustment"),
                            ("top_up", "Top-up"),
                            ("usage", "Usage"),
                            ("expiry", "Expiry"),
                            ("correction", "Correction"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "legs",
                    models.PositiveSmallIntegerField(
                        help_text="Number of postings; none can be added later."
                    ),
                ),
                ("effective_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("reason", models.CharField(max_length=300)),
                (
                    "actor",
                    models.CharField(
                        help_text="Who did it: user:<id>, command:<name> or system.", max_length=80
                    ),
                ),
                ("source_type", models.CharField(blank=True, max_length=40)),
                ("source_id", models.CharField(blank=True, max_length=200)),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="accounts.organization",
                    ),
                ),
                (
                    "reverses",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reversed_by",
                        to="billing.journal",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="CreditLot",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("promo", "Promotional"), ("adjustment", "Adjustment"), ("paid", "Paid")],
                        max_length=20,
                    ),
                ),
                ("granted_nano", models.BigIntegerField()),
                ("remaining_nano", models.BigIntegerField()),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("priority", models.SmallIntegerField(help_text="Lower is consumed first.")),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="lots",
                        to="accounts.organization",
                    ),
                ),
                (
                    "journal",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="lot", to="billing.journal"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="KeySpend",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key_id", models.CharField(max_length=40)),
                ("month", models.CharField(help_text="YYYYMM of the requests' start.", max_length=6)),
                ("cost_nano", models.BigIntegerField(default=0)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("key_id", "month"), name="key_spend_once_a_month"),
                    models.CheckConstraint(
                        condition=models.Q(("cost_nano__gte", 0)), name="key_spend_not_negative"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Posting",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("amount_nano", models.BigIntegerField()),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="postings",
                        to="billing.account",
                    ),
                ),
                (
                    "journal",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="postings",
                        to="billing.journal",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Wallet",
            fields=[
                (
                    "organization",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        serialize=False,
                        to="accounts.organization",
                    ),
                ),
                ("balance_nano", models.BigIntegerField(default=0)),
                (
                    "unposted_nano",
                    models.BigIntegerField(
                        default=0, help_text="Usage in the balance, not yet in the ledger."
                    ),
                ),
                (
                    "floor_nano",
                    models.BigIntegerField(default=0, help_text="Lowest balance; negative is a credit line."),
                ),
                (
                    "version",
                    models.PositiveBigIntegerField(
                        default=0, help_text="Grows with every change of the balance."
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("active", "Active"),
                            ("frozen_dispute", "Frozen: dispute"),
                            ("frozen_fraud", "Frozen: fraud"),
                            ("closed", "Closed"),
                        ],
                        default="active",
                        max_length=20,
                    ),
                ),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("unposted_nano__gte", 0)), name="wallet_unposted_not_negative"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("floor_nano__lte", 0)), name="wallet_floor_not_positive"
                    ),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.UniqueConstraint(
                fields=("organization", "code"), name="account_once", nulls_distinct=False
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("code__in", ["wallet_paid", "wallet_promo"]), ("organization__isnull", False)),
                    models.Q(
                        ("organization__isnull", True),
                        models.Q(("code__in", ["wallet_paid", "wallet_promo"]), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="account_owner_fits_code",
            ),
        ),
        migrations.AddIndex(
            model_name="journal",
            index=models.Index(fields=["organization", "-effective_at"], name="journal_by_organization"),
        ),
        migrations.AddConstraint(
            model_name="journal",
            constraint=models.CheckConstraint(condition=models.Q(("legs__gte", 2)), name="journal_two_legs"),
        ),
        migrations.AddConstraint(
            model_name="journal",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "signup")), fields=("organization",), name="journal_one_signup"
            ),
        ),
        migrations.AddIndex(
            model_name="creditlot",
            index=models.Index(
                condition=models.Q(("remaining_nano__gt", 0)),
                fields=["organization", "priority", "expires_at", "id"],
                name="lot_consumable",
            ),
        ),
        migrations.AddIndex(
            model_name="creditlot",
            index=models.Index(
                condition=models.Q(("expires_at__isnull", False), ("remaining_nano__gt", 0)),
                fields=["expires_at"],
                name="lot_expiring",
            ),
        ),
        migrations.AddConstraint(
            model_name="creditlot",
            constraint=models.CheckConstraint(
                condition=models.Q(("granted_nano__gt", 0)), name="lot_granted_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="creditlot",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("remaining_nano__gte", 0), ("remaining_nano__lte", models.F("granted_nano"))
                ),
                name="lot_remaining_within_granted",
            ),
        ),
        migrations.AddConstraint(
            model_name="posting",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_nano", 0), _negated=True), name="posting_not_zero"
            ),
        ),
        migrations.AddConstraint(
            model_name="posting",
            constraint=models.UniqueConstraint(
                fields=("journal", "account"), name="posting_once_per_account"
            ),
        ),
    ]
