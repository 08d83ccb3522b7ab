"""What a request leaves behind that no upstream served: one record, its attempts, and no money held."""

from __future__ import annotations

import asyncio
import json

import pytest

from billing.attempts import AttemptMade
from billing.spool import Intent, Usage, Void
from gateway import pipeline
from gateway.health import FAILURES_TO_OPEN
from tests.gateway.conftest import Build
from tests.gateway.house import DONE, SSE_END, SSE_HEAD, House, Upstream, completion, event, whole

SECRET = "our key sk-secret was refused"
BROKEN = whole(b'{"error":{"message":"%s"}}' % SECRET.encode(), "503 Service Unavailable")


def _told(usage: Usage) -> list[tuple[str, int, str]]:
    return [(each.channel_id, each.status, each.error_code) for each in usage.attempts_made]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_request_whose_attempts_all_fail_leaves_one_record_that_costs_nothing(
    house: House, upstream: Upstream, second: Upstream, *, is_stream: bool
) -> None:
    upstream.script = upstream.says(BROKEN)
    second.script = second.says(whole(b"<html>"))

    status, _ = await house.answer(stream=is_stream)

    (usage,) = house.records(Usage)
    assert (status, usage.outcome, usage.status, usage.error_code) == (500, "failed", 500, "upstream_error")
    assert (usage.cost_nano, usage.cost_picos, usage.input_tokens, usage.output_tokens) == (0, 0, 0, 0)
    assert (usage.attempts, usage.first_token_ms, usage.channel_id) == (3, -1, "chan_1")
    assert _told(usage)[0] == ("chan_1", 503, "upstream_error")
    assert _told(usage)[1][:2] == ("chan_2", 200)
    assert house.holds == {}


async def test_a_request_that_another_channel_serves_tells_of_both_attempts(
    house: House, upstream: Upstream, second: Upstream
) -> None:
    upstream.script = upstream.says(b"", BROKEN, pause_s=0.05)
    second.script = second.says(whole(completion()))

    status, _ = await house.answer()

    (usage,) = house.records(Usage)
    assert (status, usage.outcome, usage.cost_nano, usage.channel_id) == (200, "completed", 15, "chan_2")
    assert _told(usage) == [("chan_1", 503, "upstream_error"), ("chan_2", 200, "")]
    assert usage.attempts_made[0].ms >= 50 > usage.attempts_made[1].ms
    assert usage.all_attempts() == usage.attempts_made


async def test_one_that_serves_at_once_writes_nothing_of_attempts_and_yet_tells_them(house: House) -> None:
    await house.answer()

    (usage,) = house.records(Usage)
    took_ms = usage.finished_at_ms - usage.started_at_ms
    assert usage.attempts_made == ()
    assert usage.all_attempts() == (AttemptMade("other", "chan_1", 200, "", took_ms),)


async def test_one_that_serves_at_once_is_told_of_as_the_provider_s_whose_channel_it_is(house: House) -> None:
    house.provider = "reseller"
    await house.gateway.catalog.refresh()

    await house.answer()

    (usage,) = house.records(Usage)
    [made] = usage.all_attempts()
    assert (usage.provider_id, made.provider_id, made.channel_id) == ("other", "reseller", "chan_1")
    assert (made.status, made.has_served) == (200, True)
    assert made.ms <= usage.finished_at_ms - usage.started_at_ms


async def test_the_first_token_is_when_an_attempt_at_a_stream_has_answered(
    house: House, upstream: Upstream
) -> None:
    upstream.script = upstream.says(SSE_HEAD + event("a"), DONE + SSE_END, pause_s=0.1)

    await house.answer(stream=True)

    (usage,) = house.records(Usage)
    assert [each.ms for each in usage.all_attempts()] == [usage.first_token_ms]
    assert usage.first_token_ms < usage.finished_at_ms - usage.started_at_ms


async def test_what_the_upstream_finds_wrong_is_recorded_and_free(
    house: House, upstream: Upstream, second: Upstream
) -> None:
    upstream.script = upstream.says(whole(b'{"error":{"message":"bad"}}', "400 Bad Request"))

    status, _ = await house.answer()

    (usage,) = house.records(Usage)
    assert (status, usage.outcome, usage.status, usage.cost_nano) == (400, "failed", 400, 0)
    assert _told(usage) == [("chan_1", 400, "invalid_request")]
    assert (second.bodies, house.holds, house.records(Void)) == ([], {}, [])


async def test_an_upstream_that_is_not_there_or_silent_is_told_apart(
    build: Build, upstream: Upstream
) -> None:
    house = await build(whole_s=0.2)
    gone = Upstream()
    gone.port = 1
    house.others = [gone]
    await house.gateway.catalog.refresh()
    upstream.script = upstream.says(b"", pause_s=5)

    status, _ = await house.answer()

    (usage,) = house.records(Usage)
    assert (status, usage.outcome) == (500, "failed")
    assert {each[1:] for each in _told(usage) if each[0] == "chan_1"} == {(0, "timeout")}
    assert {each[1:] for each in _told(usage) if each[0] == "chan_2"} == {(0, "unreachable")}


async def test_who_leaves_before_any_upstream_answers_pays_nothing(house: House, upstream: Upstream) -> None:
    async def refuses(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reply.leave()
        await asyncio.sleep(0.05)
        writer.write(BROKEN)

    upstream.script = refuses
    reply = house.ask()
    await house.settled()

    (usage,) = house.records(Usage)
    assert (usage.outcome, usage.status, usage.cost_nano) == ("client_left", 499, 0)
    assert _told(usage) == [("chan_1", 503, "upstream_error")]
    assert house.holds == {}


async def test_a_failure_for_which_no_channel_could_be_asked_is_recorded_too(house: House) -> None:
    for _ in range(FAILURES_TO_OPEN):
        house.gateway.health.failed("chan_1")

    status, _ = await house.answer()

    (usage,) = house.records(Usage)
    assert (status, usage.outcome, usage.attempts, usage.channel_id) == (503, "failed", 0, "")
    assert (house.records(Intent), house.holds) == ([], {})


async def test_what_is_refused_at_admission_leaves_no_record(house: House) -> None:
    house.balance_nano = 0
    poor, _ = await house.answer()
    malformed, _ = await house.answer(messages=[])

    assert (poor, malformed) == (402, 400)
    assert house.records(Usage) == []


async def test_nothing_an_upstream_says_comes_into_the_spool(house: House, upstream: Upstream) -> None:
    upstream.script = upstream.says(BROKEN)

    await house.answer()

    (usage,) = house.records(Usage)
    assert "sk-secret" not in json.dumps(usage.attempts_made)
    assert SECRET.encode() not in b"".join(
        path.read_bytes() for path in house.gateway.spool.folder.glob("*.seg")
    )


async def test_a_body_too_deep_to_be_written_on_is_no_failure_of_ours(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_deep(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(pipeline, "dispatch", too_deep)

    status, _ = await house.answer()

    assert status == 400
    assert house.records(Usage) == []
    assert house.holds == {}
