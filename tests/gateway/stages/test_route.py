"""What a prompt is taken to be is never less for a hold than for a bill."""

from __future__ import annotations

from gateway.asked import Prompt
from gateway.stages.route import estimate


def test_a_hold_never_expects_fewer_tokens_than_a_bill() -> None:
    sound = Prompt(10, 0, 1, 0, audio_bytes=39)
    for prompt in (Prompt(0, 0, 0, 0), Prompt(1, 0, 0, 0), Prompt(100_000, 3, 0, 0), sound):
        tokens = estimate(prompt)
        assert 0 < tokens.fair <= tokens.most


def test_sound_counts_by_its_length() -> None:
    text, sound = estimate(Prompt(100, 0, 0, 0)), estimate(Prompt(100, 0, 1, 0, audio_bytes=8_000))

    assert (sound.fair - text.fair, sound.most - text.most) == (20, 200)
    assert (text.audio, sound.audio) == (0, 20)
