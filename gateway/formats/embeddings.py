"""``/v1/embeddings``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from gateway.asked import Prompt
from gateway.formats.manners import OpenAiManners
from gateway.formats.passed_on import PassedOn
from gateway.formats.reading import read

# OpenAI's own bound on the number of texts.
_MOST_INPUTS = 2_048
_Text = Annotated[str, Meta(min_length=1)]
_Token = Annotated[int, Meta(ge=0)]


class EmbeddingsRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A body of ``/v1/embeddings``; ``input`` is one or several texts, or lists of tokens."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    input: Raw
    dimensions: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: Annotated[str, Meta(max_length=512)] | None = None


_DECODER = msgspec.json.Decoder(EmbeddingsRequest)
# One list of scalars at most may stand in a union, so texts and tokens are told apart by their first sign.
_TEXTS = msgspec.json.Decoder(_Text | Annotated[list[_Text], Meta(min_length=1, max_length=_MOST_INPUTS)])
_TOKENS = msgspec.json.Decoder(Annotated[list[_Token], Meta(min_length=1)])
_TOKEN_LISTS = msgspec.json.Decoder(
    Annotated[list[Annotated[list[_Token], Meta(min_length=1)]], Meta(min_length=1, max_length=_MOST_INPUTS)]
)
_START = re.compile(rb"\[\s*(.)")


class Embeddings(OpenAiManners):
    """The format of ``/v1/embeddings``."""

    name = "embeddings"
    kind = "embedding"

    def parse(self, body: bytes, headers: Mapping[str, str]) -> PassedOn[EmbeddingsRequest]:
        """See ``Format.parse``."""
        request = read(_DECODER, body)
        _check_input(request.input)
        prompt = Prompt(text_bytes=len(bytes(request.input)), images=0, audios=0, files=0)
        return PassedOn(request, request.model, prompt)


def _check_input(raw: Raw) -> None:
    start = _START.match(raw)
    if start is not None and start[1] == b"[":
        read(_TOKEN_LISTS, raw, "input")
    elif start is not None and start[1].isdigit():
        read(_TOKENS, raw, "input")
    else:
        read(_TEXTS, raw, "input")
