"""What is no plain token is charged at the price that ``/v1/models`` shows, and the record tells what it was."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.live.product import LiveProduct

# The first test of a run starts the product.
pytestmark = pytest.mark.timeout(180)

NANOS_PER_USD = 10**9
# What a record counts beside plain input and output, and the rate by which the price list calls it.
SPECIAL = {
    "cached_tokens": "cached_input",
    "cache_write_tokens": "cache_write",
    "cache_write_1h_tokens": "cache_write_1h",
    "audio_input_tokens": "audio_input",
    "audio_output_tokens": "audio_output",
    "images": "image",
    "searches": "search",
    "characters": "character",
    "seconds": "second",
}
PIECES = {"images", "searches", "characters", "seconds"}


def charged(row: dict[str, Any], price: dict[str, Any]) -> int:
    """Return what a record must cost in nano-USD, in another arithmetic than the product's own."""
    rate = {name: Decimal(price[name]) for name in (*SPECIAL.values(), "input", "output") if name in price}
    used = {name: row[name] for name in SPECIAL}
    short = used["cache_write_tokens"] - used["cache_write_1h_tokens"]
    plain = (
        row["input_tokens"] - used["cached_tokens"] - used["cache_write_tokens"] - used["audio_input_tokens"]
    )
    tokens = plain * rate["input"] + row["output_tokens"] * rate["output"] + short * rate["cache_write"]
    tokens += used["cached_tokens"] * rate["cached_input"]
    tokens += used["cache_write_1h_tokens"] * rate.get("cache_write_1h", rate["cache_write"])
    tokens += used["audio_input_tokens"] * rate.get("audio_input", rate["input"])
    pieces = sum(used[name] * rate.get(SPECIAL[name], Decimal(0)) for name in PIECES)
    exact = (tokens / 1_000_000 + pieces) * NANOS_PER_USD
    return int(exact.quantize(Decimal(1), ROUND_HALF_EVEN))


def silence(seconds: float) -> bytes:
    """Return a recording."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8_000)
        sound.writeframes(b"\0\0" * int(8_000 * seconds))
    return file.getvalue()


def _cached_for_an_hour(_: OpenAI, claude: Anthropic) -> object:
    prefix = {
        "type": "text",
        "text": "Ledgers balance. " * 2_000,
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    }
    return claude.messages.create(
        model="claude-opus-4-7",
        max_tokens=50,
        system=[prefix],  # type: ignore[list-item]
        messages=[{"role": "user", "content": "[[sandbox tokens=5]] Hello."}],
    )


def _searched(_: OpenAI, claude: Anthropic) -> object:
    return claude.messages.create(
        model="claude-opus-4-7",
        max_tokens=50,
        tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}],
        messages=[{"role": "user", "content": "[[sandbox tokens=5 search=ledgers]] Hello."}],
    )


def _searched_by_responses(client: OpenAI, _: Anthropic) -> object:
    return client.responses.create(
        model="gpt-4.1",
        tools=[{"type": "web_search"}],
        max_output_tokens=50,
        input="[[sandbox tokens=5 search=ledgers]] Hello.",
    )


def _searched_by_chat(client: OpenAI, _: Anthropic) -> object:
    return client.chat.completions.create(
        model="claude-opus-4-7",
        max_tokens=50,
        web_search_options={},
        messages=[{"role": "user", "content": "[[sandbox tokens=5 search=ledgers]] Hello."}],
    )


def _searched_by_the_older_name(client: OpenAI, _: Anthropic) -> object:
    return client.responses.create(
        model="gpt-4.1",
        tools=[{"type": "web_search_preview"}],
        max_output_tokens=50,
        input="[[sandbox tokens=5 search=ledgers]] Hello.",
    )


def _spoken(client: OpenAI, _: Anthropic) -> object:
    return client.audio.speech.create(model="tts-1", voice="alloy", input="Ledgers balance.")


def _heard(client: OpenAI, _: Anthropic) -> object:
    return client.audio.transcriptions.create(model="whisper-1", file=("a.wav", silence(2.5), "audio/wav"))


def _embedded(client: OpenAI, _: Anthropic) -> object:
    return client.embeddings.create(model="text-embedding-3-small", input="Ledgers balance. " * 50)


def _drawn(client: OpenAI, _: Anthropic) -> object:
    return client.images.generate(model="gpt-image-1", prompt="A ledger.", quality="low")


@pytest.mark.parametrize(
    ("ask", "model", "counted"),
    [
        (_cached_for_an_hour, "claude-opus-4-7", "cache_write_1h_tokens"),
        (_searched, "claude-opus-4-7", "searches"),
        (_searched_by_responses, "gpt-4.1", "searches"),
        (_searched_by_chat, "claude-opus-4-7", "searches"),
        (_searched_by_the_older_name, "gpt-4.1", "searches"),
        (_spoken, "tts-1", "characters"),
        (_heard, "whisper-1", "seconds"),
        (_embedded, "text-embedding-3-small", "input_tokens"),
        (_drawn, "gpt-image-1", "output_tokens"),
    ],
)
def test_each_class_costs_what_the_price_list_shows(
    product: LiveProduct, ask: Callable[[OpenAI, Anthropic], object], model: str, counted: str
) -> None:
    organization, key = product.new_customer()
    root = product.base_url.removesuffix("/v1")

    with (
        OpenAI(base_url=product.base_url, api_key=key, max_retries=0) as client,
        Anthropic(base_url=root, api_key=key, max_retries=0) as claude,
    ):
        price = (client.models.retrieve(model).model_extra or {})["price"]
        before = product.balance(organization)
        ask(client, claude)
    product.wait_settled(organization, rows=1)

    (row,) = product.usage_rows(organization)
    assert row[counted] > 0
    assert row["price_id"] == price["id"]
    assert row["cost_nano"] == charged(row, price) > 0
    assert row["cost_nano"] <= row["hold_nano"]
    assert product.balance(organization) == before - row["cost_nano"]
    assert not row["is_estimated"]
