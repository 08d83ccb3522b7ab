"""Requests of a known size: what is held for them, and what they cost."""

from __future__ import annotations

from gateway.formats.chat_body import parse_chat
from gateway.stages.route import estimate
from tests.money.raw import chat_body

# gpt-4o: $2.50 and $10.00 per million tokens.
INPUT_NANO, OUTPUT_NANO = 2_500, 10_000


def estimated_input(prompt: str) -> int:
    """Return for how many tokens of input a request with this prompt is held."""
    return estimate(parse_chat(chat_body(prompt))[1]).most


def body_that_costs(nanos: int, directive: str) -> bytes:
    """Return a request to the sandbox whose hold is exactly that much, and its cost, too."""
    prompt, told, held = "", (0, 0), (-1, -1)
    while held != told:
        told = held
        prompt = f"Race. [[sandbox {directive} usage_in={told[0]} usage_out={told[1]}]]"
        while estimated_input(prompt) * INPUT_NANO % OUTPUT_NANO:
            prompt += "."
        held = estimated_input(prompt), (nanos - estimated_input(prompt) * INPUT_NANO) // OUTPUT_NANO
    return chat_body(prompt, max_tokens=held[1])
