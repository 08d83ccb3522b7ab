from __future__ import annotations

import asyncio
import gc
from dataclasses import replace

import pytest

from accounts import keyring, tokens
from accounts.keyring import Caller, InvalidKey, Keyring, KeyringUnavailable

NEW, OLD = b"n" * 32, b"o" * 32
ADA, BEN, CLEO = (tokens.new_token() for _ in range(3))


def caller(name: str, organization: str = "org_1") -> Caller:
    return Caller(
        key_id=f"key_{name}",
        organization_id=organization,
        plan="payg",
        requests_per_minute=500,
        tokens_per_minute=1_000_000,
        concurrency=200,
    )


class Store:
    """What the loader reads: callers by digest. It can be slow, broken, and counts its loads."""

    def __init__(self) -> None:
        self.callers: dict[bytes, Caller] = {}
        self.loads = 0
        self.running = 0
        self.most_running = 0
        self.is_broken = False
        self.gate = asyncio.Event()
        self.gate.set()

    def add(self, token: str, who: Caller, pepper: bytes = NEW) -> None:
        self.callers[tokens.digest(token, pepper)] = who

    async def load(self, digests: list[bytes]) -> Caller | None:
        self.loads += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        found = next((self.callers[digest] for digest in digests if digest in self.callers), None)
        try:
            await self.gate.wait()
        finally:
            self.running -= 1
        if self.is_broken:
            raise ConnectionError
        return found


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> Store:
    store = Store()
    store.add(ADA, caller("ada"))
    store.add(BEN, caller("ben"))
    store.add(CLEO, caller("cleo", "org_2"))
    return store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(store: Store, clock: Clock) -> Keyring:
    return Keyring(store.load, [NEW, OLD], clock=clock, wall=clock)


async def test_a_key_is_loaded_once_and_served_from_memory_for_thirty_seconds(
    ring: Keyring, store: Store, clock: Clock
) -> None:
    assert ring.peek(ADA) is None
    assert await ring.caller(ADA) == caller("ada")

    clock.now += 29.9

    assert ring.peek(ADA) == await ring.caller(ADA) == caller("ada")
    assert store.loads == 1

    clock.now += 0.1

    assert ring.peek(ADA) is None
    assert await ring.caller(ADA) == caller("ada")
    assert store.loads == 2


async def test_a_key_that_is_forgotten_is_forgotten_by_both_its_secrets(ring: Keyring, store: Store) -> None:
    new = tokens.new_token()
    store.add(new, caller("ada"))
    assert await ring.caller(ADA) == await ring.caller(new)

    ring.forget("key_ada")

    assert ring.peek(ADA) is ring.peek(new) is None


async def test_a_malformed_token_costs_no_load(ring: Keyring, store: Store) -> None:
    for token in ("", "Bearer x", ADA[:-1] + ("0" if ADA[-1] != "0" else "1"), "fa_live_ü", "\ud800"):
        assert ring.peek(token) is None
        with pytest.raises(InvalidKey, match="malformed"):
            await ring.caller(token)

    assert store.loads == 0


async def test_an_unknown_key_is_remembered_for_five_seconds(
    ring: Keyring, store: Store, clock: Clock
) -> None:
    stranger = tokens.new_token()
    for _ in range(3):
        with pytest.raises(InvalidKey, match="unknown"):
            await ring.caller(stranger)
    assert store.loads == 1

    clock.now += 5.0
    store.add(stranger, caller("late"))

    assert await ring.caller(stranger) == caller("late")


async def test_a_key_of_an_older_pepper_is_found(ring: Keyring, store: Store) -> None:
    veteran = tokens.new_token()
    store.add(veteran, caller("veteran"), OLD)

    assert await ring.caller(veteran) == caller("veteran")
    assert ring.peek(veteran) == caller("veteran")


async def test_many_callers_of_one_key_share_one_load(ring: Keyring, store: Store) -> None:
    store.gate.clear()
    waiting = [asyncio.create_task(ring.caller(ADA)) for _ in range(50)]
    await asyncio.sleep(0)
    store.gate.set()

    assert set(await asyncio.gather(*waiting)) == {caller("ada")}
    assert store.loads == 1


async def test_a_shared_load_survives_the_caller_who_started_it(ring: Keyring, store: Store) -> None:
    store.gate.clear()
    first, second = (asyncio.create_task(ring.caller(ADA)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    store.gate.set()

    assert await second == caller("ada")
    assert store.loads == 1


async def test_at_most_sixteen_loads_run_at_once(ring: Keyring, store: Store) -> None:
    store.gate.clear()
    many = [tokens.new_token() for _ in range(40)]
    for number, token in enumerate(many):
        store.add(token, caller(str(number)))
    waiting = [asyncio.create_task(ring.caller(token)) for token in many]
    await asyncio.sleep(0.01)
    store.gate.set()

    assert len(await asyncio.gather(*waiting)) == 40
    assert store.most_running == 16


async def test_beyond_a_thousand_waiting_loads_further_keys_are_turned_away(
    ring: Keyring, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "MAX_WAITING", 2)
    store.gate.clear()
    waiting = [asyncio.create_task(ring.caller(token)) for token in (ADA, BEN)]
    await asyncio.sleep(0)

    with pytest.raises(KeyringUnavailable):
        await ring.caller(CLEO)

    store.gate.set()
    assert await asyncio.gather(*waiting) == [caller("ada"), caller("ben")]
    assert await ring.caller(CLEO) == caller("cleo", "org_2")


async def test_a_known_key_outlives_a_broken_store_by_fifteen_minutes_and_no_more(
    ring: Keyring, store: Store, clock: Clock
) -> None:
    await ring.caller(ADA)
    store.is_broken = True

    clock.now += 15 * 60 - 1
    assert await ring.caller(ADA) == caller("ada")

    clock.now += 1
    with pytest.raises(KeyringUnavailable):
        await ring.caller(ADA)


async def test_a_broken_store_is_asked_once_a_second_not_once_a_request(
    ring: Keyring, store: Store, clock: Clock
) -> None:
    await ring.caller(ADA)
    store.is_broken = True
    clock.now += 60
    for _ in range(20):
        await ring.caller(ADA)
    assert store.loads == 2

    clock.now += 1
    await ring.caller(ADA)

    assert store.loads == 3


async def test_a_store_that_hangs_delays_a_known_key_by_a_quarter_second(
    ring: Keyring, store: Store, clock: Clock
) -> None:
    await ring.caller(ADA)
    clock.now += 60
    store.gate.clear()
    started = asyncio.get_running_loop().time()

    assert await ring.caller(ADA) == caller("ada")

    assert 0.2 < asyncio.get_running_loop().time() - started < 1.0
    store.gate.set()


async def test_a_hanging_store_makes_an_unknown_key_unavailable_and_never_invalid(
    ring: Keyring, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "LOAD_TIMEOUT_S", 0.05)
    store.gate.clear()

    with pytest.raises(KeyringUnavailable):
        await ring.caller(ADA)

    store.gate.set()
    assert await ring.caller(ADA) == caller("ada")


async def test_a_frozen_organization_is_refused_from_the_moment_it_is_forgotten_and_not_as_revoked(
    ring: Keyring, store: Store
) -> None:
    await ring.caller(ADA)
    store.add(ADA, replace(caller("ada"), revoked=True, frozen=True))

    await ring.hear(f"organization:{caller('ada').organization_id}")

    assert ring.peek(ADA) is None
    with pytest.raises(InvalidKey, match="frozen"):
        await ring.caller(ADA)


async def test_a_revoked_key_is_refused_from_the_moment_it_is_forgotten(ring: Keyring, store: Store) -> None:
    await ring.caller(ADA)
    await ring.caller(BEN)
    store.add(ADA, replace(caller("ada"), revoked=True))

    await ring.hear("key:key_ada")

    assert ring.peek(ADA) is None
    with pytest.raises(InvalidKey, match="revoked"):
        await ring.caller(ADA)
    assert ring.peek(ADA) is None
    assert ring.peek(BEN) == caller("ben")


async def test_a_load_that_began_before_a_revocation_is_not_kept(ring: Keyring, store: Store) -> None:
    store.gate.clear()
    early = asyncio.create_task(ring.caller(ADA))
    await asyncio.sleep(0.01)
    ring.forget("key_ada")
    store.gate.set()

    assert await early == caller("ada")
    assert ring.peek(ADA) is None


async def test_nobody_joins_a_load_that_began_before_a_revocation(ring: Keyring, store: Store) -> None:
    store.gate.clear()
    early = asyncio.create_task(ring.caller(ADA))
    await asyncio.sleep(0.01)
    store.add(ADA, replace(caller("ada"), revoked=True))
    ring.forget("key_ada")

    late = asyncio.create_task(ring.caller(ADA))
    await asyncio.sleep(0.01)
    store.gate.set()

    assert await early == caller("ada")
    with pytest.raises(InvalidKey, match="revoked"):
        await late
    assert ring.peek(ADA) is None


async def test_a_load_that_fails_after_its_caller_left_bothers_nobody(ring: Keyring, store: Store) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    store.gate.clear()
    store.is_broken = True
    caller_who_leaves = asyncio.create_task(ring.caller(ADA))
    await asyncio.sleep(0.01)
    caller_who_leaves.cancel()
    await asyncio.wait({caller_who_leaves})
    del caller_who_leaves

    store.gate.set()
    await asyncio.sleep(0.01)
    gc.collect()

    assert store.running == 0
    assert complaints == []


async def test_a_forgotten_key_is_not_served_stale_while_the_store_is_broken(
    ring: Keyring, store: Store, clock: Clock
) -> None:
    await ring.caller(ADA)
    clock.now += 60
    store.is_broken = True
    store.gate.clear()
    waiting = asyncio.create_task(ring.caller(ADA))
    await asyncio.sleep(0.01)
    ring.forget("key_ada")
    store.gate.set()

    with pytest.raises(KeyringUnavailable):
        await waiting


async def test_an_organization_is_forgotten_with_all_its_keys_and_no_others(ring: Keyring) -> None:
    for token in (ADA, BEN, CLEO):
        await ring.caller(token)

    await ring.hear("organization:org_1")

    assert ring.peek(ADA) is ring.peek(BEN) is None
    assert ring.peek(CLEO) == caller("cleo", "org_2")


@pytest.mark.parametrize("message", [None, "all", "something new"])
async def test_whatever_else_is_announced_everything_is_forgotten(
    ring: Keyring, store: Store, message: str | None
) -> None:
    stranger = tokens.new_token()
    await ring.caller(ADA)
    with pytest.raises(InvalidKey):
        await ring.caller(stranger)
    store.add(stranger, caller("new"))

    await ring.hear(message)

    assert ring.peek(ADA) is None
    assert await ring.caller(stranger) == caller("new")


async def test_expiry_is_checked_at_every_use(ring: Keyring, store: Store, clock: Clock) -> None:
    store.add(ADA, replace(caller("ada"), expires_at=1_010))
    await ring.caller(ADA)

    clock.now = 1_010

    assert ring.peek(ADA) is None
    with pytest.raises(InvalidKey, match="expired"):
        await ring.caller(ADA)
    assert store.loads == 1


async def test_memory_is_bounded_and_the_least_recently_used_key_goes_first(
    store: Store, clock: Clock
) -> None:
    ring = Keyring(store.load, [NEW], max_callers=2, clock=clock, wall=clock)
    await ring.caller(ADA)
    await ring.caller(BEN)
    assert ring.peek(ADA)

    await ring.caller(CLEO)

    assert ring.peek(BEN) is None
    assert ring.peek(ADA)
    assert ring.peek(CLEO)


async def test_the_memory_of_unknown_keys_is_bounded(
    ring: Keyring, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "MAX_UNKNOWN", 2)
    strangers = [tokens.new_token() for _ in range(3)]
    for token in strangers:
        with pytest.raises(InvalidKey):
            await ring.caller(token)

    for token in reversed(strangers):
        with pytest.raises(InvalidKey):
            await ring.caller(token)

    assert store.loads == 4


async def test_no_secret_stays_in_memory(ring: Keyring) -> None:
    await ring.caller(ADA)

    assert ADA not in repr(vars(ring)) + repr(vars(ring._memory))


async def test_the_fast_path_takes_a_few_microseconds(ring: Keyring) -> None:
    await ring.caller(ADA)
    loop = asyncio.get_running_loop()
    started = loop.time()
    for _ in range(10_000):
        ring.peek(ADA)

    assert (loop.time() - started) / 10_000 < 50e-6


async def test_after_a_time_without_news_every_key_is_asked_for_again_and_none_is_lost_with_the_store(
    ring: Keyring, store: Store
) -> None:
    await ring.caller(ADA)
    ring.be_deaf(is_deaf=True)
    store.is_broken = True

    ring.be_deaf(is_deaf=False)

    assert ring.peek(ADA) is None
    assert (await ring.caller(ADA)).key_id == "key_ada"
    assert store.loads == 2


async def test_what_was_changed_while_nobody_could_tell_counts_at_once_when_they_can(
    ring: Keyring, store: Store
) -> None:
    await ring.caller(ADA)
    ring.be_deaf(is_deaf=True)
    store.add(ADA, replace(caller("ada"), revoked=True))

    ring.be_deaf(is_deaf=False)

    with pytest.raises(InvalidKey):
        await ring.caller(ADA)
