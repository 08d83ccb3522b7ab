"""``/v1/moderations``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from gateway.asked import Prompt
from gateway.formats.manners import OpenAiManners
from gateway.formats.passed_on import PassedOn
from gateway.formats.reading import read

DEFAULT_MODEL = "omni-moderation-latest"


class ModerationsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A body of ``/v1/moderations``; ``input`` is a text, texts, or parts of text and picture."""

    input: Raw
    model: Annotated[str, Meta(min_length=1, max_length=200)] = DEFAULT_MODEL


class _Text(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class _Image(msgspec.Struct, tag_field="type", tag="image_url"):
    image_url: dict[str, Any]


_DECODER = msgspec.json.Decoder(ModerationsRequest)
_INPUT = msgspec.json.Decoder(str | Annotated[list[Any], Meta(min_length=1, max_length=2_048)])
_PARTS = msgspec.json.Decoder(list[_Text | _Image])


class Moderations(OpenAiManners):
    """The format of ``/v1/moderations``."""

    name = "moderations"
    kind = "moderation"

    def parse(self, body: bytes, headers: Mapping[str, str]) -> PassedOn[ModerationsRequest]:
        """See ``Format.parse``."""
        request = read(_DECODER, body)
        given = read(_INPUT, request.input, "input")
        images = 0
        if isinstance(given, list) and not all(isinstance(each, str) for each in given):
            images = sum(isinstance(part, _Image) for part in read(_PARTS, request.input, "input"))
        prompt = Prompt(text_bytes=len(bytes(request.input)), images=images, audios=0, files=0)
        return PassedOn(request, request.model, prompt)
