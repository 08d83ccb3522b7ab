"""What no byte of a prompt tells is held for all the same, and no more is ordered than is held for."""

from __future__ import annotations

import base64
import io
import json
import wave
from types import SimpleNamespace
from typing import Any, cast

import pytest

from accounts.keyring import Caller
from billing.holds import Hold
from billing.refusals import Limits, Minute
from catalog.pricing import Usage, cost_picos
from catalog.snapshot import Model, Price, Rates, Route, Tier
from gateway.call import Call, Request
from gateway.endpoints import ENDPOINTS
from gateway.errors import InvalidRequest, PermissionDenied
from gateway.formats.recordings import seconds_of
from gateway.passages.table import passage_for
from gateway.runtime import Gateway
from gateway.stages.reserve import _ask, _bound
from gateway.stages.route import TOKENS_PER_SEARCH, estimate, route
from tests.gateway.attempts import channel, model

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
WINDOW = 1_000_000
RATES = Rates(input=2, cached_input=1, cache_write=2, output=8, search=10_000, audio_input=4)
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
MINUTE = Minute(1, 1, 1)


def call(path: str, to: Model | None = None, **fields: Any) -> Call:
    """Route a request to a model with a large window."""
    sold = to or model("m", context_window=WINDOW, prices=(Price("price_1", 0, (Tier(0, RATES),)),))
    gateway = SimpleNamespace(catalog=SimpleNamespace(current=SimpleNamespace(models={"m": sold}, own={})))
    usual: dict[str, Any] = {"model": "m"}
    if path == MESSAGES:
        usual["max_tokens"] = 10
    format_ = ENDPOINTS[path]
    body = json.dumps(usual | fields).encode()
    caller = Caller(
        key_id="key_1", organization_id="org_1", plan="payg", requests_per_minute=9, tokens_per_minute=9, concurrency=9
    )  # fmt: skip
    return route(cast("Gateway", gateway), Request({}, body, format_), caller, format_.parse(body, {}))


def user(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "hi"}, *parts]}]


def ordered(one: Call, provider: str, adapter: str) -> dict[str, Any]:
    """Return the body that an upstream would get."""
    to = Route(channel(provider, adapter), "upstream/name")
    body: dict[str, Any] = json.loads(
        passage_for(one.request.format, to, one.model).prepare(one.attempt(to)).body
    )
    return body


PDF = base64.b64encode(b"%PDF-1.7 a few bytes, a hundred pages").decode()


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (CHAT, {"messages": user({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}"}})}),
        (RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "https://x.example/a.pdf"}]}]}),
        (
            MESSAGES,
            {"messages": user({"type": "document", "source": {"type": "url", "url": "https://x.example/a"}})},
        ),
        (MESSAGES, {"messages": user(), "tools": [{"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": 1}]}),
        (MESSAGES, {"messages": user(), "mcp_servers": [{"type": "url", "url": "https://x.example", "name": "x"}]}),
        (MESSAGES, {"messages": user(), "context_management": {"edits": [{"type": "compact_20260112"}]}}),
        (RESPONSES, {"input": "hi", "context_management": [{"type": "compaction", "compact_threshold": 9}]}),
    ],
)  # fmt: skip
def test_what_has_no_length_is_held_as_a_long_document(path: str, fields: dict[str, Any]) -> None:
    one = call(path, **fields)

    assert one.estimate.most >= 200_000
    assert _ask(one).input_cost_picos >= 200_000 * RATES.input


def test_a_document_is_never_held_beyond_what_a_model_reads() -> None:
    small = model("m", context_window=128_000)
    part = {"type": "input_file", "file_url": "https://x.example/a.pdf"}

    one = call(RESPONSES, small, input=[{"role": "user", "content": [part] * 50}])

    assert 128_000 <= one.estimate.most <= 200_000


@pytest.mark.parametrize(
    ("path", "field", "part"),
    [
        (CHAT, "messages", {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:{}"}}),
        (MESSAGES, "messages", {"type": "document", "source": {"type": "base64", "media_type": "{}", "data": ""}}),
        (RESPONSES, "input", {"type": "input_file", "filename": "a.pdf", "file_data": "data:{}"}),
    ],
)  # fmt: skip
def test_a_document_is_counted_by_its_pages_and_a_text_by_its_words(
    path: str, field: str, part: dict[str, Any]
) -> None:
    def counted(kind: str) -> Call:
        data = "A" * 1_000_000
        said = json.dumps(part).replace("data:{}", f"data:{kind};base64,{data}").replace("{}", kind)
        shown = json.loads(said.replace('"data": ""', f'"data": "{data}"'))
        turn = {"role": "user", "content": [shown]}
        fields: dict[str, Any] = {field: [turn]}
        return call(path, **fields)

    pages, words = counted("application/pdf"), counted("text/plain")

    assert 20_000 <= pages.estimate.fair <= 20_100
    assert words.estimate.fair >= 250_000
    assert min(pages.estimate.most, words.estimate.most) >= 500_000


def test_pictures_and_documents_inside_others_are_found() -> None:
    picture = {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}
    inside = {"type": "document", "source": {"type": "content", "content": [picture] * 30}}
    fetched = {
        "type": "web_fetch_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": {"type": "web_fetch_result", "content": {"type": "document", "source": {"type": "url"}}},
    }

    assert call(MESSAGES, messages=user(inside)).asked.prompt.images == 30
    assert call(MESSAGES, messages=user(fetched)).asked.prompt.files == 1


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        (CHAT, {"type": "file", "file": {"file_id": "file-ours"}}),
        (
            MESSAGES,
            {
                "type": "document",
                "source": {
                    "type": "content",
                    "content": [{"type": "image", "source": {"type": "file", "file_id": "file_ours"}}],
                },
            },
        ),
        (
            MESSAGES,
            {
                "type": "web_fetch_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": {"content": {"type": "document", "source": {"type": "file", "file_id": "file_ours"}}},
            },
        ),
    ],
)  # fmt: skip
def test_no_body_names_a_file_in_our_own_account(path: str, parts: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="Files are not kept here"):
        call(path, messages=user(parts))


def test_a_foretold_answer_that_does_not_come_true_is_held_as_output() -> None:
    told = {"type": "content", "content": "x" * 10_000}

    plain = _ask(call(CHAT, messages=user(), max_tokens=1))
    foretold = _ask(call(CHAT, messages=user(), max_tokens=1, prediction=told))

    assert foretold.input_cost_picos - plain.input_cost_picos >= 5_000 * RATES.output


@pytest.mark.parametrize(
    ("path", "fields", "provider", "adapter", "most"),
    [
        (CHAT, {"messages": user(), "web_search_options": {}}, "anthropic", "anthropic", 10),
        (CHAT, {"messages": user(), "web_search_options": {}}, "openai", "openai_responses", 10),
        (MESSAGES, {"messages": user(), "tools": [SEARCH]}, "anthropic", "anthropic", 10),
        (MESSAGES, {"messages": user(), "tools": [SEARCH | {"max_uses": 3}]}, "anthropic", "anthropic", 3),
        (
            MESSAGES,
            {"messages": user(), "tools": [SEARCH | {"max_uses": 3}]},
            "openai",
            "openai_responses",
            3,
        ),
        (RESPONSES, {"input": "hi", "tools": [{"type": "web_search"}]}, "openai", "openai_responses", 10),
        (RESPONSES, {"input": "hi", "tools": [{"type": "web_search"}]}, "anthropic", "anthropic", 10),
        (
            RESPONSES,
            {"input": "hi", "tools": [{"type": "web_search"}], "max_tool_calls": 2},
            "anthropic",
            "anthropic",
            2,
        ),
    ],
)
def test_no_more_searches_are_ordered_than_are_held_for(
    path: str, fields: dict[str, Any], provider: str, adapter: str, most: int
) -> None:
    traits = frozenset({"responses_only"}) if adapter == "openai_responses" else frozenset()
    sold = model("m", context_window=WINDOW, prices=(Price("p", 0, (Tier(0, RATES),)),), traits=traits)
    one = call(path, sold, **fields)

    body = ordered(one, provider, adapter)

    said = body["tools"][0]["max_uses"] if adapter == "anthropic" else body["max_tool_calls"]
    assert said == most
    # What a search finds is input, too.
    used = Usage(most * TOKENS_PER_SEARCH, 0, 0, 0, 0, searches=most)
    assert _ask(one).input_cost_picos >= cost_picos(one.price, used)


def test_openais_dearer_search_is_never_ordered() -> None:
    tools = [{"type": "web_search_preview", "search_context_size": "low"}]
    one = call(RESPONSES, input="hi", tools=tools, tool_choice={"type": "web_search_preview"})

    body = ordered(one, "openai", "openai_responses")

    assert body["tools"] == [{"type": "web_search", "search_context_size": "low"}]
    assert body["tool_choice"] == {"type": "web_search"}


def test_the_whole_window_is_held_where_no_maximum_of_a_model_is_known() -> None:
    unknown = model("m", context_window=40_000, max_output=0, prices=(Price("p", 0, (Tier(0, RATES),)),))

    assert _ask(call(CHAT, unknown, messages=user())).output_tokens == 40_000


def wav(rate: int, frames: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(rate)
        sound.writeframes(frames)
    return file.getvalue()


def flac(frames: int, *, longest: int = 65_535, rate: int = 8_000) -> bytes:
    """Return silence: each frame of it takes a few bytes, and the header tells no length."""
    told = (rate << 44 | 15 << 36).to_bytes(8)
    header = b"fLaC\x80\0\0\x22" + longest.to_bytes(2) * 2 + bytes(6) + told + bytes(16)
    return header + b"\xff\xf8\x74\x08\0\xff\xfe\0\0\0\0\0\0\0" * frames


def test_packed_silence_is_as_long_as_it_sounds() -> None:
    # Eight seconds in fourteen bytes.
    assert seconds_of(flac(100)) >= 100 * 65_535 // 8_000
    assert seconds_of(flac(100, longest=4_096, rate=16_000)) < 100
    assert seconds_of(b"fLaC") == 1
    # A byte a second, and a rate that nobody hears by.
    assert seconds_of(wav(1, bytes(1_000))) >= 1_000
    assert seconds_of(wav(2_000_000_000, bytes(10_000))) >= 10


def mp3(frames: int) -> bytes:
    """Return frames of 128 kbit/s at 44.1 kHz, of which each lasts 26 ms."""
    return (b"\xff\xfb\x90\x00" + bytes(413)) * frames


def test_an_mp3_is_as_long_as_its_frames() -> None:
    minute = mp3(2_297)
    # Of a size of 200 bytes, as a tag writes it.
    tag = b"ID3\x04\0\0\0\0\x01\x48" + bytes(200)
    slow = b"\xff\xe3\x18\x00" + bytes(68)

    assert 60 <= seconds_of(minute) <= 61
    assert 60 <= seconds_of(tag + minute + b"TAG" + bytes(125)) <= 61
    assert seconds_of(slow * 1_000) == 73
    # What is no frame may be sound as slow as it gets.
    assert seconds_of(minute + bytes(5_000)) >= 65
    assert seconds_of(minute[:-100] + bytes(100_000)) >= 160
    assert seconds_of(b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(9_000)) >= 9
    assert seconds_of(b"ID3") == 1


@pytest.mark.parametrize(
    ("sound", "kind"), [(flac(9), "flac"), (wav(1, bytes(500)), "wav"), (b"RIFF", "wav")]
)
def test_packed_sound_in_a_chat_is_held_as_a_long_document(sound: bytes, kind: str) -> None:
    def most(data: bytes, kind: str) -> int:
        heard = {"data": base64.b64encode(data).decode(), "format": kind}
        return call(CHAT, messages=user({"type": "input_audio", "input_audio": heard})).estimate.most

    assert most(sound, kind) >= 200_000
    assert most(wav(8_000, bytes(8_000)), "wav") < 1_000
    assert most(bytes(1_000), "mp3") < 1_000


@pytest.mark.parametrize(("size", "times"), [("auto", 1), ("1536x1024", 1), ("3840x2160", 6)])
def test_a_larger_picture_is_held_by_its_area(size: str, times: int) -> None:
    asked = ENDPOINTS["/v1/images/generations"].parse(
        json.dumps({"model": "m", "prompt": "A hat.", "size": size}).encode(), {}
    )

    assert asked.explicit_max == times * 8_192


@pytest.mark.parametrize(
    ("path", "field", "part"),
    [
        (CHAT, "messages", {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}),
        (RESPONSES, "input", {"type": "input_image", "image_url": "https://x.example/a.png"}),
    ],
)
def test_a_picture_that_is_not_made_smaller_is_held_larger(
    path: str, field: str, part: dict[str, Any]
) -> None:
    def most(detail: str) -> int:
        told = {"image_url": part["image_url"] | {"detail": detail}} if path == CHAT else {"detail": detail}
        fields: dict[str, Any] = {field: [{"role": "user", "content": [part | told]}]}
        return call(path, **fields).estimate.most

    # Ten thousand patches, of which some models count each as more than a token.
    assert most("original") >= 12_000 > most("high") >= 5_000


BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"messages": user()},
    "/v1/completions": {"prompt": "hi"},
    MESSAGES: {"messages": user(), "max_tokens": 9},
    RESPONSES: {"input": "hi"},
    "/v1/embeddings": {"input": "hi"},
    "/v1/moderations": {"input": "hi"},
    "/v1/images/generations": {"prompt": "hi"},
    "/v1/audio/speech": {"input": "hi", "voice": "alloy"},
}


@pytest.mark.parametrize("path", BODIES)
def test_a_key_for_other_models_asks_none_on_any_path(path: str) -> None:
    format_ = ENDPOINTS[path]
    # The one that is asked where none is named, too.
    name = "omni-moderation-latest" if path == "/v1/moderations" else "m"
    said = BODIES[path] | ({} if path == "/v1/moderations" else {"model": name})
    sold = model(name, kind=format_.kind)
    gateway = SimpleNamespace(catalog=SimpleNamespace(current=SimpleNamespace(models={name: sold}, own={})))
    caller = Caller(
        key_id="key_1", organization_id="org_1", plan="payg", requests_per_minute=9, tokens_per_minute=9, concurrency=9,
        allowed_models=frozenset({"other"}),
    )  # fmt: skip
    body = json.dumps(said).encode()
    asked = format_.parse(body, {})

    with pytest.raises(PermissionDenied):
        route(cast("Gateway", gateway), Request({}, body, format_), caller, asked)


def test_a_voice_that_is_told_how_to_speak_is_held_for_minutes() -> None:
    said = {"model": "m", "voice": "alloy", "input": "Oh."}
    speech = ENDPOINTS["/v1/audio/speech"]

    plain = speech.parse(json.dumps(said).encode(), {}).explicit_max or 0
    slow = speech.parse(json.dumps(said | {"instructions": "Very slowly."}).encode(), {}).explicit_max or 0

    # Twenty tokens a second.
    assert slow - plain >= 3 * 60 * 20 - 512


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (RESPONSES, {"input": "hi", "instructions": "帳" * 3_000}),
        (RESPONSES, {"input": "帳" * 3_000}),
        (MESSAGES, {"messages": user(), "system": "帳" * 3_000}),
        (CHAT, {"messages": [{"role": "user", "content": "帳" * 3_000}]}),
        ("/v1/completions", {"prompt": "帳" * 3_000}),
        ("/v1/images/generations", {"prompt": "帳" * 3_000}),
        ("/v1/audio/speech", {"input": "hi", "voice": "alloy", "instructions": "帳" * 3_000}),
    ],
)
def test_words_of_any_language_are_held_by_their_bytes(path: str, fields: dict[str, Any]) -> None:
    format_ = ENDPOINTS[path]
    said = {"model": "m", "max_tokens": 9} if path == MESSAGES else {"model": "m"}

    # As a program writes them that leaves letters as they are.
    asked = format_.parse(json.dumps(said | fields, ensure_ascii=False).encode(), {})

    assert estimate(asked.prompt).most >= 3_000


@pytest.mark.parametrize(
    ("path", "fields", "to", "traits"),
    [
        (CHAT, {"messages": user(), "max_tokens": 100}, ("alibaba", "qwen"), {"thinks_by_default"}),
        (CHAT, {"messages": user(), "max_tokens": 100, "n": 2}, ("qwen", "openai"), {"thinks_by_default"}),
        (MESSAGES, {"messages": user(), "max_tokens": 1}, ("openai", "openai_responses"), set()),
        ("/v1/completions", {"prompt": "hi", "max_tokens": 1}, ("openai", "openai_responses"), set()),
        (CHAT, {"messages": user(), "max_tokens": 1}, ("openai", "openai_responses"), {"responses_only"}),
        (CHAT, {"messages": user(), "max_tokens": 1}, ("azure", "azure"), {"responses_only"}),
    ],
)
def test_a_hold_covers_all_that_the_bound_which_is_sent_allows(
    path: str, fields: dict[str, Any], to: tuple[str, str], traits: set[str]
) -> None:
    sold = model("m", traits=frozenset(traits), routes=(Route(channel(*to), "m"),))
    one = call(path, sold, **fields)

    body = ordered(one, *to)

    bound = body.get("max_tokens") or body["max_output_tokens"]
    allowed = (bound + body.get("thinking_budget", 0)) * body.get("n", 1)
    assert _ask(one).output_tokens >= allowed


def test_what_is_sent_as_a_bound_leaves_room_for_thoughts_that_are_bounded_apart() -> None:
    to = ("alibaba", "qwen")
    sold = model(
        "m", max_output=1_000, traits=frozenset({"thinks_by_default"}), routes=(Route(channel(*to), "m"),)
    )
    one = call(CHAT, sold, messages=user())
    one.hold = Hold(_ask(one), 10**12, 500, 0, Limits(MINUTE, MINUTE))

    one.output_bound = _bound(one)

    body = ordered(one, *to)
    assert _ask(one).output_tokens == 2_000
    assert body["max_tokens"] + body["thinking_budget"] == 500
