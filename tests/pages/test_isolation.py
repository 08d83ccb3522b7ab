"""No address shows or changes what is another organization's: each that names something is visited by a stranger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import reverse

from accounts.models import ApiKey, Membership, Organization, User
from billing.models import Export, Invoice, TaxId
from billing.selection import Selection
from catalog.credential_states import set_credential
from catalog.models import Channel, Provider
from tests.pages.stripe import Card
from tests.pages.urlmap import addresses
from tests.pages.usage import serve

Parameters = dict[str, Any]


class Belongings:
    """What ada's organization has, made when an address asks for it."""

    def __init__(self, card: Card, organization: Organization, key: ApiKey) -> None:
        self.card = card
        self.organization = organization
        self.key = key

    def top_up(self) -> Parameters:
        return {"top_up_id": self.card.buy("12.35").pk}

    def saved_card(self) -> Parameters:
        return {"card_id": self.card.save().pk}

    def tax_id(self) -> Parameters:
        told = {"tax-kind": "eu_vat", "tax-value": "DE123456788"}
        self.card.browser.post(reverse("billing:add-tax-id"), told)
        return {"tax_id": TaxId.objects.get().pk}

    def invoice(self) -> Parameters:
        self.card.buy("12.35")
        return {"number": Invoice.objects.get().pk}

    def membership(self) -> Parameters:
        return {"membership_id": Membership.objects.get(organization=self.organization).pk}

    def api_key(self) -> Parameters:
        return {"key_id": self.key.pk}

    def session(self) -> Parameters:
        session = UserSession.objects.create(
            user=self.organization.members.get(), session_key="elsewhere", ip="192.0.2.1", user_agent=""
        )
        return {"session_id": session.pk}

    def passkey(self) -> Parameters:
        owner = self.organization.members.get()
        return {"pk": Authenticator.objects.create(user=owner, type="webauthn", data={"name": "Key"}).pk}

    def request(self) -> Parameters:
        return {"request_id": serve(self.organization, self.key).request_id}

    def provider_key(self) -> Parameters:
        provider = Provider.objects.create(slug="acme", name="Acme", base_url="http://127.0.0.1:9/v1")
        channel = Channel.objects.create(
            provider=provider,
            name="own",
            base_url=provider.base_url,
            dedicated_to=self.organization,
            own_key="only",
        )
        set_credential(channel=channel, secret="sk-of-ada-0123456789")
        return {"channel_id": channel.pk}

    def export(self) -> Parameters:
        wanted = Selection(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 2, tzinfo=UTC))
        return {
            "export_id": Export.objects.create(
                organization=self.organization, kind="requests", file_format="csv", wanted=wanted.as_json()
            ).pk
        }


NAMED: dict[str, Callable[[Belongings], Parameters]] = {
    "request": Belongings.request,
    "export": Belongings.export,
    "export-progress": Belongings.export,
    "download-export": Belongings.export,
    "settings:end-session": Belongings.session,
    "settings:provider-key": Belongings.provider_key,
    "settings:test-provider-key": Belongings.provider_key,
    "settings:replace-provider-key": Belongings.provider_key,
    "settings:switch-provider-key": Belongings.provider_key,
    "settings:remove-provider-key": Belongings.provider_key,
    "mfa_edit_webauthn": Belongings.passkey,
    "mfa_remove_webauthn": Belongings.passkey,
    "cancel-export": Belongings.export,
    "accounts:key": Belongings.api_key,
    "accounts:revoke-key": Belongings.api_key,
    "accounts:rotate-key": Belongings.api_key,
    "accounts:end-old-secret": Belongings.api_key,
    "billing:top-up": Belongings.top_up,
    "billing:resume-top-up": Belongings.top_up,
    "billing:refund": Belongings.top_up,
    "billing:receipt": Belongings.top_up,
    "billing:choose-card": Belongings.saved_card,
    "billing:remove-card": Belongings.saved_card,
    "billing:remove-tax-id": Belongings.tax_id,
    "billing:invoice": Belongings.invoice,
    "billing:set-member-budgets": Belongings.membership,
    "billing:key-budgets": Belongings.api_key,
}
# What names nothing that is somebody's: texts for all, months of one's own, and links from one's own mail.
PUBLIC = {"legal", "manual", "model"}
OWN = {"billing:statement"}
MAILED = {
    "account_confirm_email",
    "account_reset_password_from_key",
    "settings:unsubscribe",
    "settings:cancel-deletion",
}


def test_every_address_that_names_something_is_tried() -> None:
    naming = {address.name for address in addresses() if address.parameters}

    assert naming == {*NAMED, *PUBLIC, *OWN, *MAILED}


@pytest.mark.parametrize("name", NAMED)
def test_what_is_another_s_is_not_there(
    card: Card, organization: Organization, key: ApiKey, cleo: User, name: str
) -> None:
    path = reverse(name, kwargs=NAMED[name](Belongings(card, organization, key)))
    stranger = Client()
    stranger.force_login(cleo)

    answers = {stranger.get(path).status_code, stranger.post(path).status_code}

    assert 404 in answers
    assert answers <= {404, 405}
    assert card.browser.get(path).status_code != 404


@pytest.mark.parametrize("name", NAMED)
def test_strangers_are_sent_to_the_login(client: Client, db: None, name: str) -> None:
    [address] = [each for each in addresses() if each.name == name]
    path = reverse(name, kwargs=dict.fromkeys(address.parameters, 7))

    answers = [client.get(path), client.post(path)]

    assert all(answer.status_code in {302, 405} for answer in answers)
    to_login = [answer for answer in answers if answer.status_code == 302]
    assert to_login
    assert all(answer["Location"].startswith(reverse("account_login")) for answer in to_login)
