"""Channels are tried by priority and, among equals, as often first as their weight says."""

from __future__ import annotations

from collections import Counter

from catalog.snapshot import Channel, Route
from gateway.asked import Prompt
from gateway.stages.route import _in_order, estimate


def route(name: str, *, priority: int = 1, weight: int = 1) -> Route:
    channel = Channel(
        id=name, name=name, provider="openai", adapter="openai", base_url="https://x.example/v1", api_key="",
        weight=weight, priority=priority, allow_private=False,
    )  # fmt: skip
    return Route(channel=channel, upstream_model="m")


def test_a_lower_priority_number_always_comes_first() -> None:
    routes = (route("spare", priority=9, weight=1000), route("main", priority=1), route("second", priority=2))

    for _ in range(50):
        assert [each.channel.id for each in _in_order(routes)] == ["main", "second", "spare"]


def test_among_equals_the_first_is_drawn_by_weight() -> None:
    routes = (route("heavy", weight=3), route("light", weight=1))

    firsts = Counter(_in_order(routes)[0].channel.id for _ in range(4000))

    assert 0.70 < firsts["heavy"] / 4000 < 0.80


def test_a_weight_of_zero_is_only_the_last_resort() -> None:
    routes = (route("never", weight=0), route("always", weight=1))

    assert {_in_order(routes)[0].channel.id for _ in range(500)} == {"always"}


def test_a_hold_never_expects_fewer_tokens_than_a_bill() -> None:
    sound = Prompt(10, 0, 1, 0, audio_bytes=39)
    for prompt in (Prompt(0, 0, 0, 0), Prompt(1, 0, 0, 0), Prompt(100_000, 3, 0, 0), sound):
        tokens = estimate(prompt)
        assert 0 < tokens.fair <= tokens.most


def test_sound_counts_by_its_length() -> None:
    text, sound = estimate(Prompt(100, 0, 0, 0)), estimate(Prompt(100, 0, 1, 0, audio_bytes=8_000))

    assert (sound.fair - text.fair, sound.most - text.most) == (20, 200)
    assert (text.audio, sound.audio) == (0, 20)
