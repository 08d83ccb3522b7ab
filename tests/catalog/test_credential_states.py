"""A refused credential goes out with its reason, the channel's others go on, and what is put back is not hit again."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.channels import add_channel
from catalog.credential_states import (
    disable_credential,
    due_for_retry,
    enable_credential,
    refuse_credential,
    save_credential,
    wait_longer,
)
from catalog.models import Channel, Credential, Provider
from catalog.publish import build_snapshot
from catalog.snapshot import Route
from catalog.verdicts import Refusal, Verdicts
from tests.catalog.builders import BuildModel

KEY, SPARE = "sk-acme-0123456789", "sk-spare-0123456789"
REASON = "The provider refused it: status 401."


@pytest.fixture
def channel(acme: Provider, build_model: BuildModel) -> Channel:
    build_model("one")
    channel = add_channel(channel=Channel(provider=acme, base_url="https://acme.example/v1"), credential=KEY)
    save_credential(credential=Credential(channel=channel, name="spare"), secret=SPARE)
    return channel


def _routes() -> tuple[Route, ...]:
    return build_snapshot().models["one"].routes


def _secrets() -> list[str]:
    return [each.channel.api_key for route in _routes() for each in (route, *route.twins)]


def _refuse(name: str) -> bool:
    credential = Credential.objects.get(name=name)
    return refuse_credential(Refusal(f"{credential.pk}.{credential.revision}", REASON))


def test_a_channel_stands_in_the_snapshot_once_with_all_its_credentials(channel: Channel) -> None:
    assert len(_routes()) == 1
    assert _secrets() == [KEY, SPARE]
    assert SPARE not in repr(_routes())


def test_a_refused_credential_leaves_the_others_in_service(channel: Channel) -> None:
    assert _refuse("main")

    refused = Credential.objects.get(name="main")
    assert (refused.is_enabled, refused.disabled_reason) == (False, REASON)
    assert _secrets() == [SPARE]
    assert channel.is_enabled


def test_the_last_one_out_takes_the_channel_out(channel: Channel) -> None:
    _refuse("main")
    _refuse("spare")

    assert _routes() == ()

    enable_credential(credential=Credential.objects.get(name="spare"))
    assert _secrets() == [SPARE]


def test_a_late_verdict_does_not_hit_what_was_put_back_or_replaced(channel: Channel) -> None:
    main = Credential.objects.get(name="main")
    late = Refusal(f"{main.pk}.{main.revision}", REASON)
    assert refuse_credential(late)
    main.refresh_from_db()
    save_credential(credential=main, secret="sk-newer-0123456789")

    assert not refuse_credential(late)

    assert _secrets() == ["sk-newer-0123456789", SPARE]
    assert not refuse_credential(Refusal("cred_gone.1", REASON))


def test_what_was_refused_is_tried_again_ever_later_and_what_staff_took_out_is_not(channel: Channel) -> None:
    _refuse("main")
    disable_credential(credential=Credential.objects.get(name="spare"), reason="leaked")
    assert list(due_for_retry()) == []

    waits = []
    for _ in range(12):
        Credential.objects.filter(retry_at__isnull=False).update(retry_at=timezone.now())
        (due,) = due_for_retry()
        assert due.name == "main"
        wait_longer(credential=due)
        due.refresh_from_db()
        assert due.retry_at is not None
        waits.append(round((due.retry_at - timezone.now()) / timedelta(minutes=1)))

    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (10, 360)


async def test_a_verdict_that_cannot_be_saved_is_tried_until_it_can() -> None:
    saved: list[Refusal] = []
    fails = [True, True, False]
    is_saved = asyncio.Event()

    async def save(refusal: Refusal) -> None:
        if fails.pop(0):
            raise OSError
        saved.append(refusal)
        is_saved.set()

    verdicts = Verdicts(save, pause_s=0.01)
    running = asyncio.create_task(verdicts.run())
    for _ in range(2):
        verdicts.tell(Refusal("cred_1.1", REASON))
    await asyncio.wait_for(is_saved.wait(), timeout=5)
    running.cancel()

    assert saved == [Refusal("cred_1.1", REASON)]
