"""Fixtures of the tests of staff's pages."""

from __future__ import annotations

import pytest

from accounts.models import Organization
from tests.billing.cast import make_organization


@pytest.fixture
def organization(db: None) -> Organization:
    """Alice's organization on the Free plan."""
    return make_organization()
