from __future__ import annotations

from django.test import Client, override_settings

from accounts.models import User
from fastanchor.lib.policy import policy


def test_a_process_without_valkey_is_alive_and_not_ready(db: None, client: Client) -> None:
    assert client.get("/readyz").json() == {"status": "ok", "postgresql": "ok", "valkey": "ok"}

    with override_settings(REDIS_URL="unix:///nowhere/valkey.sock?db=0"):
        ready, alive = client.get("/readyz"), client.get("/healthz")

    assert ready.status_code == 503
    assert ready.json() == {"status": "unavailable", "postgresql": "ok", "valkey": "unreachable"}
    assert alive.status_code == 200


def test_health_is_told_to_whoever_asks_by_address_and_without_tls(db: None, client: Client) -> None:
    with override_settings(ALLOWED_HOSTS=["gateway.example"], SECURE_SSL_REDIRECT=True):
        assert client.get("/healthz", headers={"host": "10.0.0.7"}).status_code == 200
        assert client.get("/readyz", headers={"host": "10.0.0.7"}).status_code == 200
        assert client.get("/", headers={"host": "10.0.0.7"}).status_code == 400
        assert client.post("/healthz").status_code == 405


def test_the_policy_names_what_falls_back_on_nothing() -> None:
    said = policy().split("; ")

    assert {"default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} <= set(
        said
    )
    assert not any("unsafe" in each or each.startswith("script-src") for each in said)


def test_pages_and_the_admin_load_from_their_own_origin_only(db: None, client: Client) -> None:
    client.force_login(User.objects.create_superuser("ada@example.com"))
    for address in ("/", "/admin/", "/admin/catalog/channel/add/"):
        response = client.get(address)

        assert response.status_code == 200
        assert response.headers["Content-Security-Policy"] == policy()
        assert response.headers["X-Frame-Options"] == "DENY"
        assert " style=" not in response.text
        assert "<script>" not in response.text
