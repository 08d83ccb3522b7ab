"""The catalog in memory: absent before it is loaded, swapped whole, kept when a load fails."""

from __future__ import annotations

import asyncio

import pytest

from catalog.snapshot import Catalog, CatalogUnavailable, Channel, Snapshot


def _snapshot(version: int) -> Snapshot:
    return Snapshot(version, {}, ())


def test_before_the_first_load_there_is_no_catalog() -> None:
    async def load() -> Snapshot:
        return _snapshot(1)

    with pytest.raises(CatalogUnavailable):
        _ = Catalog(load).current


async def test_a_refresh_swaps_the_snapshot() -> None:
    versions = iter([1, 2])

    async def load() -> Snapshot:
        return _snapshot(next(versions))

    catalog = Catalog(load)
    await catalog.refresh()
    first = catalog.current
    await catalog.refresh()

    assert (first.version, catalog.current.version) == (1, 2)


async def test_a_failed_load_keeps_the_last_snapshot_and_tells_the_caller() -> None:
    answers: list[Snapshot | OSError] = [_snapshot(1), OSError("database away")]

    async def load() -> Snapshot:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    catalog = Catalog(load)
    await catalog.refresh()
    with pytest.raises(OSError, match="away"):
        await catalog.refresh()

    assert catalog.current.version == 1


async def test_a_slow_older_reading_never_replaces_a_newer_one() -> None:
    started: list[int] = []

    async def load() -> Snapshot:
        started.append(len(started) + 1)
        mine = started[-1]
        await asyncio.sleep(0.02 if mine == 1 else 0)
        return _snapshot(mine)

    catalog = Catalog(load)
    await asyncio.gather(catalog.refresh(), catalog.refresh())

    assert catalog.current.version == 2


def test_a_channel_never_shows_its_key() -> None:
    channel = Channel(
        id="chan_1",
        name="one",
        provider="openai",
        adapter="openai",
        base_url="https://a.example/v1",
        api_key="sk-secret",
        weight=1,
        priority=10,
        allow_private=False,
    )

    assert "sk-secret" not in f"{channel} {channel!r} {_snapshot(1)!r} {[channel]}"
    assert channel.api_key == "sk-secret"
