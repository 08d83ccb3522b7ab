"""Deleting rows whose time is over."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts.models import KeptContent, StoredResponse

BATCH = 500
# What one run deletes at most; the next goes on.
BATCHES = 200


def delete_expired(model: type[KeptContent | StoredResponse]) -> int:
    """Delete what has expired, in batches that hold no lock for long; return how many."""
    deleted = 0
    for _ in range(BATCHES):
        with transaction.atomic():
            batch = list(
                model.objects.filter(expires_at__lte=timezone.now())
                .order_by("expires_at")
                .select_for_update(skip_locked=True)
                .values_list("pk", flat=True)[:BATCH]
            )
            deleted += model.objects.filter(pk__in=batch).delete()[0]
        if len(batch) < BATCH:
            break
    return deleted
