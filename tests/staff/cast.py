"""Members of staff by their role, and usage of some weeks for what they look at."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from accounts.models import Organization, User
from billing.models import UsageSum


def member(role: str) -> User:
    """Return a member of staff of one role."""
    user = User.objects.create_user(f"{role}@example.org", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user


def desk(role: str) -> Client:
    """Return the browser of a member of staff of one role."""
    client = Client()
    client.force_login(member(role))
    return client


def used(organization: Organization, model_id: str, *, days_ago: int = 1, **changes: Any) -> UsageSum:
    """Write down what an organization used of a model on one day."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    values: dict[str, Any] = {
        "hours": 24,
        "start": today - timedelta(days=days_ago),
        "key_id": "key_1",
        "member": "",
        "provider_id": "openai",
        "requests": 10,
        "failed": 0,
        "input_tokens": 1_000_000,
        "cached_tokens": 0,
        "cache_write_tokens": 0,
        "output_tokens": 1_000_000,
        "reasoning_tokens": 0,
        "cost_nano": 0,
        "took": {},
        "first_token": {},
    }
    return UsageSum.objects.create(organization=organization, model_id=model_id, **{**values, **changes})
