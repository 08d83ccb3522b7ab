"""``logprobsResult`` of the Gemini protocol as chat completions write it."""

from __future__ import annotations

from typing import Any

import msgspec


class _Token(msgspec.Struct, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class _Rivals(msgspec.Struct):
    candidates: list[_Token] | None = None


class Logprobs(msgspec.Struct, rename="camel"):
    """The chosen tokens and, at the same places, those that were likely."""

    chosen_candidates: list[_Token] | None = None
    top_candidates: list[_Rivals] | None = None


def in_chat_shape(result: Logprobs | None) -> msgspec.Raw | None:
    """Return the list that OpenAI's ``logprobs.content`` is; ``None`` where there is nothing."""
    if result is None or not result.chosen_candidates:
        return None
    rivals = result.top_candidates or []
    tokens = [
        _token(token) | {"top_logprobs": [_token(rival) for rival in _at(rivals, place)]}
        for place, token in enumerate(result.chosen_candidates)
    ]
    return msgspec.Raw(msgspec.json.encode(tokens))


def _token(token: _Token) -> dict[str, Any]:
    return {"token": token.token, "logprob": token.log_probability, "bytes": list(token.token.encode())}


def _at(rivals: list[_Rivals], place: int) -> list[_Token]:
    return (rivals[place].candidates or []) if place < len(rivals) else []
