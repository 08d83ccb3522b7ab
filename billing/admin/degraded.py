"""Which store decides holds, how each gateway process fares, and what PostgreSQL holds."""

from __future__ import annotations

from django.contrib import admin

from billing.admin.base import ReadOnlyAdmin, usd
from billing.models import Admission, DegradedHold, GatewayProcess


@admin.register(Admission)
class AdmissionAdmin(ReadOnlyAdmin):
    """The one row that says which store decides."""

    list_display = ("__str__", "period", "is_degraded", "is_open", "since")
    ordering = ("id",)


@admin.register(GatewayProcess)
class GatewayProcessAdmin(ReadOnlyAdmin):
    """Processes that serve ``/v1``, with their counters since they began; the last heard of first."""

    list_display = ("spool", "host", "seen_at", "valkey_answers", "period", "placed", "refused")
    list_filter = ("valkey_answers",)
    ordering = ("-seen_at", "spool")


@admin.register(DegradedHold)
class DegradedHoldAdmin(ReadOnlyAdmin):
    """What PostgreSQL holds for requests that run or are about to be settled."""

    list_display = ("request_id", "organization_id", "key_id", "amount", "is_running", "spool")
    list_filter = ("is_running",)
    search_fields = ("request_id__exact", "organization_id__exact")
    ordering = ("-request_id",)

    @admin.display(description="Held (USD)")
    def amount(self, hold: DegradedHold) -> str:
        """Write what is held."""
        return usd(hold.amount_nano)
