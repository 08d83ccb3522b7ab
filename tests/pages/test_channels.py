"""Staff see how channels do and test them; credentials that upstreams refused come back by themselves."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.audit_entry import AuditEntry
from accounts.models import User
from catalog.channels import add_channel
from catalog.credential_states import disable_credential, refuse_credential, save_credential
from catalog.models import Channel, Credential, Provider
from catalog.verdicts import Refusal
from fastanchor import channel_course, channel_probes, channel_reports, channel_tests, refusal_mails, tasks
from fastanchor.lib.valkey import sync_client
from tests.catalog.builders import build_model_of
from tests.gateway.house import completion

# As DeepSeek's documentation writes it.
BALANCE = (
    b'{"is_available": true, "balance_infos": [{"currency": "CNY", "total_balance": "110.00", '
    b'"granted_balance": "10.00", "topped_up_balance": "100.00"}]}'
)
GOOD, BAD = "sk-good-0123456789", "sk-bad-0123456789"


class Upstream(BaseHTTPRequestHandler):
    """Takes one credential."""

    def do_GET(self) -> None:
        is_asked = self.path == "/user/balance" and GOOD in self.headers["authorization"]
        body = BALANCE if is_asked else b"{}"
        self.send_response(200 if is_asked else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        is_good = GOOD in self.headers["authorization"]
        body = completion() if is_good else b"{}"
        self.send_response(200 if is_good else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def base_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("staff@example.org"))
    return client


@pytest.fixture
def channel(db: None, base_url: str) -> Channel:
    acme = Provider.objects.create(slug="acme", name="Acme")
    build_model_of(acme, "one")
    channel = add_channel(
        channel=Channel(provider=acme, name="east", base_url=base_url, allow_private=True), credential=GOOD
    )
    save_credential(credential=Credential(channel=channel, name="spare"), secret=BAD)
    return channel


def refuse(name: str) -> Credential:
    credential = Credential.objects.get(name=name)
    refuse_credential(
        Refusal(f"{credential.pk}.{credential.revision}", "The provider refused it: status 401.")
    )
    Credential.objects.filter(pk=credential.pk).update(retry_at=timezone.now())
    return credential


def test_the_test_button_says_what_came_of_each_credential(staff: Client, channel: Channel) -> None:
    page = staff.post(reverse("channel-test", args=[channel.pk]), follow=True).content.decode()

    assert "Main: It works." in page
    assert "Spare: The provider refused it: status 401." in page
    assert GOOD not in page
    assert BAD not in page


def test_only_staff_who_may_change_channels_may_test_them(client: Client, channel: Channel) -> None:
    path = reverse("channel-test", args=[channel.pk])
    assert client.post(path).status_code == 302

    client.force_login(User.objects.create_user("guest@example.org", is_staff=True))

    assert client.post(path).status_code == 403
    assert client.get(reverse("channels-now")).status_code == 403


def test_a_refused_credential_that_works_again_comes_back_by_itself(channel: Channel) -> None:
    good, bad = refuse("main"), refuse("spare")

    assert channel_probes.probe_refused() == 1

    good.refresh_from_db()
    bad.refresh_from_db()
    assert (good.is_enabled, good.disabled_reason) == (True, "")
    assert (bad.is_enabled, bad.retries) == (False, 1)
    assert channel_probes.probe_refused() == 0


def test_staff_who_can_help_are_told_once_of_each_refusal(staff: Client, channel: Channel) -> None:
    User.objects.create_user("reader@example.org", is_staff=True)
    credential = channel.credentials.get(name="main")
    refuse_credential(
        Refusal(f"{credential.pk}.{credential.revision}", "The provider refused it: status 401.")
    )
    disable_credential(credential=channel.credentials.get(name="spare"), reason="We replace it.")

    assert refusal_mails.send_due() == 1
    assert refusal_mails.send_due() == 0

    (letter,) = mail.outbox
    assert letter.to == ["staff@example.org"]
    assert letter.subject == "Acme refuses a credential of channel east"
    assert "It was the channel’s last one in service" in letter.body
    assert reverse("channels-now") in letter.body
    assert GOOD not in letter.body


def test_what_staff_took_out_stays_out_whatever_a_test_says(staff: Client, channel: Channel) -> None:
    main = Credential.objects.get(name="main")
    disable_credential(credential=main, reason="leaked")

    page = staff.post(reverse("channel-test", args=[channel.pk]), follow=True).content.decode()

    main.refresh_from_db()
    assert "Main: It works." in page
    assert (main.is_enabled, main.disabled_reason) == (False, "leaked")


def test_the_page_shows_what_all_processes_see_and_forgets_those_that_ended(
    staff: Client, channel: Channel, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    refuse("spare")
    sync_client().delete(channel_reports.KEY)
    for process, at, numbers in (
        ("proc_1", time.time(), [30, 1, 0.1, 0.25, 0.0, 2, 12.0]),
        ("proc_2", time.time(), [10, 2, 0.2, 0.65, 0.0, 1, 0.0]),
        ("proc_3", time.time() - 60, [9_999, 9_999, 1.0, 9.0, 0.0, 99, 0.0]),
    ):
        sync_client().hset(
            channel_reports.KEY, process, json.dumps({"at": at, "channels": {channel.pk: numbers}})
        )

    with django_assert_max_num_queries(12):
        page = staff.get(reverse("channels-now")).content.decode()

    for shown in (
        "Acme east",
        "paused for 12 s",
        "0.350 s",
        "<td>40</td>",
        "<td>3</td>",
        "spare: The provider refused",
    ):
        assert shown in page
    assert "9999" not in page
    assert not sync_client().hexists(channel_reports.KEY, "proc_3")


@pytest.fixture
def nothing_known(db: None) -> None:
    sync_client().delete(channel_reports.KEY, channel_course.KEY, channel_tests.KEY, "fa:channels:testing")


@pytest.fixture
def at_once() -> Iterator[None]:
    """Let tasks run where they are called."""
    settings = tasks.test_channel.app.conf
    settings.task_always_eager = True
    yield
    settings.task_always_eager = False


def test_all_channels_are_tested_by_workers_and_the_table_shows_what_came_of_it(
    staff: Client, channel: Channel, nothing_known: None, at_once: None
) -> None:
    Channel.objects.update(adapter="deepseek")

    first = staff.post(reverse("test-channels"), follow=True).content.decode()
    second = staff.post(reverse("test-channels"), follow=True).content.decode()

    assert "1 channels are being tested" in first
    assert "spare: The provider refused it: status 401." in first
    assert "110.00 CNY" in first
    assert "has just begun" in second
    assert GOOD not in first + second


def test_only_a_provider_that_tells_a_balance_is_asked_for_it(
    staff: Client, channel: Channel, nothing_known: None
) -> None:
    staff.post(reverse("channel-test", args=[channel.pk]))

    assert channel_tests.read()[channel.pk].balance == ""


def test_the_last_day_is_drawn_from_what_a_worker_sampled(
    staff: Client, channel: Channel, nothing_known: None
) -> None:
    for errors, first_s in ((0.0, 0.2), (0.25, 0.9)):
        told = {"at": time.time(), "channels": {channel.pk: [30, 1, errors, first_s, 0.0, 2, 0.0]}}
        sync_client().hset(channel_reports.KEY, "proc_1", json.dumps(told))
        tasks.sample_channels()
    sync_client().rpush(channel_course.KEY, json.dumps([time.time() - 90_000, {channel.pk: [999, 9_999]}]))

    page = staff.get(reverse("channels-now")).content.decode()

    assert "Errors in the last day: 0 to 250 per thousand, now 250" in page
    assert "First content in the last day: 200 to 900 ms, now 900" in page
    assert "style=" not in page[page.index("<svg") :]


def test_weights_are_changed_in_the_table_with_a_reason_and_audited(staff: Client, channel: Channel) -> None:
    path, form = reverse("weigh-channels"), {f"weight-{channel.pk}": "7"}

    staff.post(path, form)
    for bad in ("0", "x", "10001"):
        staff.post(path, {f"weight-{channel.pk}": bad, "reason": "Cheaper."})
    channel.refresh_from_db()
    before = channel.weight
    staff.post(path, form | {"reason": "Cheaper."})

    channel.refresh_from_db()
    assert (before, channel.weight) == (1, 7)
    entry = AuditEntry.objects.get(what="channel.weighed")
    assert (entry.before, entry.after, entry.reason) == ({"weight": 1}, {"weight": 7}, "Cheaper.")


@pytest.mark.parametrize("name", ["test-channels", "weigh-channels"])
def test_who_may_only_look_at_channels_neither_tests_nor_weighs_them(
    client: Client, channel: Channel, name: str
) -> None:
    guest = User.objects.create_user("guest@example.org", is_staff=True)
    guest.user_permissions.add(Permission.objects.get(codename="view_channel"))
    client.force_login(guest)

    assert client.post(reverse(name)).status_code == 403
    page = client.get(reverse("channels-now")).content.decode()
    assert "Test all" not in page
    assert "Save the weights" not in page
