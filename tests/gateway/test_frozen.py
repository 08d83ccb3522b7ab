"""An organization that staff has frozen is told so: 403 with a sentence, not 401, and nothing goes upstream."""

from __future__ import annotations

from tests.gateway.conftest import Build
from tests.gateway.test_ip_ranges import ask


async def test_a_frozen_organization_is_refused_with_403_and_a_sentence(build: Build) -> None:
    house = await build()
    house.is_frozen = True

    status, body = await ask(house, "203.0.113.7")

    assert status == 403
    assert body["error"]["code"] == "permission_denied"
    assert "This organization is frozen" in body["error"]["message"]
